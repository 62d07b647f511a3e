package server

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// FuzzFollower cuts bytes into pieces: the same frames are found, whatever the pieces, and where golang.org/x/net/http2
// reads a frame, so does the follower.
func FuzzFollower(f *testing.F) {
	f.Add([]byte{0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 4, 1, 0, 0, 0, 0}, uint8(1))
	f.Add([]byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 2, 0, 8, 0, 0, 0, 1, 1, 0}, uint8(7))
	f.Add([]byte{0, 64, 0, 0, 0, 0, 0, 0, 1}, uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		read := func(size int) (out []frameInfo, within bool) {
			var fo follower
			for piece := range slices.Chunk(b, size) {
				if why := fo.feed(piece, func(h frameInfo) string {
					out = append(out, h)
					return ""
				}); why != "" {
					t.Fatal(why)
				}
			}
			return out, fo.within()
		}
		whole, within := read(max(1, len(b)))
		pieces, still := read(1 + int(size)%16)
		if !slices.Equal(whole, pieces) || within != still {
			t.Fatalf("in one piece %v %v, in many %v %v", whole, within, pieces, still)
		}
		at := 0
		for i := 0; len(b)-at >= frameHead; i++ {
			length := int(b[at])<<16 | int(b[at+1])<<8 | int(b[at+2])
			if len(b)-at-frameHead < min(8, length) {
				break
			}
			if i >= len(whole) || whole[i].length != length || whole[i].kind != b[at+3] || whole[i].stream != binary.BigEndian.Uint32(b[at+5:])&(1<<31-1) {
				t.Fatalf("frame %d of %v", i, whole)
			}
			if http2.FrameType(whole[i].kind) == http2.FrameRSTStream && length == 4 && whole[i].word() != binary.BigEndian.Uint32(b[at+frameHead:]) {
				t.Fatalf("frame %d has another code", i)
			}
			at += frameHead + length
			if at > len(b) {
				break
			}
		}
	})
}

// A window never lets more than its bound pass in any stretch of its length.
func TestWindow(t *testing.T) {
	const most, length = 100, 10 * time.Second
	w := newWindow(most, length)
	now := time.Unix(1_700_000_000, 0)
	var passed []time.Time
	for i := range 20_000 {
		if w.add(now) {
			passed = append(passed, now)
		}
		step := time.Duration(i%97) * time.Millisecond
		if i%4000 == 3999 {
			step = 30 * time.Second
		}
		now = now.Add(step)
	}
	for i := range passed {
		if i >= most && passed[i].Sub(passed[i-most]) < length {
			t.Fatalf("%d within %v", most+1, passed[i].Sub(passed[i-most]))
		}
	}
	quiet := newWindow(most, length)
	for range most {
		if !quiet.add(now) {
			t.Fatal("fewer than the bound")
		}
	}
	if quiet.add(now) || !quiet.add(now.Add(2*length)) {
		t.Error("more than the bound, or less after a rest")
	}
}
