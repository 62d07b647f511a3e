package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestFrames sends the frames of testdata/frames to a gate over TLS and HTTP/2, and holds the answers, the events and
// every byte that reached the API against what each case says:
//
//	> :method GET         a field of a block of headers, as it is; ">" sends the block; a second block is trailers
//	| bytes               a DATA frame
//	~ open                the stream stays open: neither the last block nor the last data ends it
//	~ frame 3 0 1 00000008   a raw frame: type, flags, stream, payload in hexadecimal
//	< 400 reason          an answer, and the reason in its event; "unrecorded" where net/http gave it alone
//	< reset PROTOCOL_ERROR   the stream is reset, or all streams by GOAWAY ("< goaway"); of its request there is an event
//	                         where status and reason follow
//	^ …                   what reaches the API, as in TestWire
//
// Where the connection stays, a plain request must pass on it afterwards.
func TestFrames(t *testing.T) {
	files, err := filepath.Glob("testdata/frames/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	api := startRecorder(t)
	g := openGate(t, wireDocument, api.url(), true, "")
	var cases []*frameCase
	for _, name := range files {
		cases = append(cases, readFrames(t, name)...)
	}
	var judged []*wireCase
	for i, c := range cases {
		c.from = fmt.Sprintf("127.3.%d.%d", i/200, i%200+1)
		if !t.Run(c.name, func(t *testing.T) { c.playFrames(t, g, api) }) {
			api.take()
		}
		judged = append(judged, &c.wireCase)
	}
	g.end(t)
	compareEvents(t, judged, g.events(t))
	t.Attr("cases", strconv.Itoa(len(cases)))
}

type frameCase struct {
	wireCase
	steps  []func(*http2.Framer) error
	reset  string // error code
	goaway string
}

// readFrames reads a file of cases; lines that it shares with TestWire mean the same.
func readFrames(t *testing.T, file string) []*frameCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*frameCase
	var c *frameCase
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSizeLimit(0)
	open := false
	var blocks, datas []string // of the case so far
	flush := func() {
		if c == nil {
			return
		}
		// The last of headers, data and trailers ends the stream, unless it stays open.
		for i, b := range blocks {
			ends := !open && i == len(blocks)-1 && (i > 0 || len(datas) == 0)
			c.steps = append(c.steps, func(f *http2.Framer) error {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(b), EndHeaders: true, EndStream: ends})
			})
			for k, d := range datas {
				if i > 0 {
					break
				}
				ends := !open && len(blocks) == 1 && k == len(datas)-1
				c.steps = append(c.steps, func(f *http2.Framer) error { return f.WriteData(1, ends, []byte(d)) })
			}
		}
		blocks, datas, open = nil, nil, false
	}
	for n, line := range strings.Split(string(text), "\n") {
		fail := func() { t.Fatalf("%s:%d: what is %q", file, n+1, line) }
		switch {
		case line == "" || line[0] == '#' || strings.HasPrefix(line, "threat "):
		case strings.HasPrefix(line, "== "):
			flush()
			c = &frameCase{wireCase: wireCase{name: strings.TrimSuffix(filepath.Base(file), ".txt") + "/" + line[3:]}}
			cases = append(cases, c)
		case c == nil:
			fail()
		case line == ">":
			blocks = append(blocks, block.String())
			block.Reset()
		case strings.HasPrefix(line, "> "):
			name, value, _ := strings.Cut(unescape(t, line[2:]), " ")
			encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true})
		case strings.HasPrefix(line, "| "):
			datas = append(datas, unescape(t, line[2:]))
		case line == "~ open":
			open = true
		case strings.HasPrefix(line, "~ frame "):
			f := strings.Fields(line[8:])
			kind, err1 := strconv.Atoi(f[0])
			flags, err2 := strconv.Atoi(f[1])
			stream, err3 := strconv.Atoi(f[2])
			payload, err4 := hex.DecodeString(strings.Join(f[3:], ""))
			if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
				fail()
			}
			flush()
			c.steps = append(c.steps, func(fr *http2.Framer) error {
				return fr.WriteRawFrame(http2.FrameType(kind), http2.Flags(flags), uint32(stream), payload)
			})
		case strings.HasPrefix(line, "< reset "):
			f := strings.Fields(line[8:])
			if c.reset = f[0]; len(f) == 3 { // the gate had an answer, which the stream did not live to carry
				status, err := strconv.Atoi(f[1])
				if err != nil {
					fail()
				}
				c.want = append(c.want, wireAnswer{status: status, reason: f[2]})
			}
		case strings.HasPrefix(line, "< goaway "):
			c.goaway = line[9:]
		case strings.HasPrefix(line, "< "):
			f := strings.Fields(line[2:])
			status, err := strconv.Atoi(f[0])
			if err != nil || len(f) != 2 {
				fail()
			}
			c.want = append(c.want, wireAnswer{status: status, reason: f[1]})
		case line == "^ broken":
			c.broken = true
		case strings.HasPrefix(line, "^| ") && len(c.arrive) > 0:
			c.arrive[len(c.arrive)-1].body += unescape(t, line[3:])
		case strings.HasPrefix(line, "^ ") && strings.HasSuffix(line, " HTTP/1.1"):
			c.arrive = append(c.arrive, wireArrival{line: unescape(t, line[2:])})
		case strings.HasPrefix(line, "^ ") && len(c.arrive) > 0:
			a := &c.arrive[len(c.arrive)-1]
			a.fields = append(a.fields, unescape(t, line[2:]))
		default:
			fail()
		}
	}
	flush()
	return cases
}

// answered is what came of one stream, or of the connection.
type answered struct {
	status, id    string
	reset, goaway string
}

func (c *frameCase) playFrames(t *testing.T, g *wireGate, api *recorder) {
	conn := g.dial(t, c.from, "h2")
	defer conn.Close()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, conn)
	f.AllowIllegalWrites = true
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for _, step := range c.steps {
		if err := step(f); err != nil {
			break // the gate may have ended the connection already: what it said decides
		}
	}
	got := await(t, f, 1)
	var ids []string
	switch {
	case got.reset != c.reset || got.goaway != c.goaway:
		t.Fatalf("got %+v, want reset %q, goaway %q, %v", got, c.reset, c.goaway, c.want)
	case len(c.want) > 0 && c.reset == "":
		if got.status != strconv.Itoa(c.want[0].status) {
			t.Errorf("status %s, want %d", got.status, c.want[0].status)
		}
		if got.status < "300" {
			ids = append(ids, got.id)
		}
	}
	arrive := slices.Clip(c.arrive)
	if c.goaway == "" {
		var block bytes.Buffer
		e := hpack.NewEncoder(&block)
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", "/public/after"}, {":authority", "api.test"}} {
			e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 99, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}); err != nil {
			t.Fatal(err)
		}
		after := await(t, f, 99)
		if after.status != strconv.Itoa(http.StatusNoContent) {
			t.Errorf("the request after it: %+v", after)
		}
		ids = append(ids, after.id)
		arrive = append(arrive, wireArrival{line: "GET /public/after HTTP/1.1"})
	} else {
		c.end = true // no request follows, and none has an event
	}
	arrived := c.arrivals(t, api)
	if len(arrived) != len(arrive) || len(ids) != len(arrive) {
		t.Fatalf("%d requests arrived and %d were let pass, want %d: %q", len(arrived), len(ids), len(arrive), arrived)
	}
	for i, a := range arrive {
		if want := a.bytes(g, api, &c.wireCase, ids[i]); arrived[i] != want {
			t.Errorf("the API got\n%q\nwant\n%q", arrived[i], want)
		}
	}
}

// await reads frames until a stream, or the connection, has ended.
func await(t *testing.T, f *http2.Framer, stream uint32) (got answered) {
	t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			if got.goaway == "" {
				got.goaway = "none"
			}
			return got
		}
		switch fr := frame.(type) {
		case *http2.SettingsFrame:
			if !fr.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			got.goaway = fr.ErrCode.String()
			if fr.ErrCode != http2.ErrCodeNo {
				return got
			}
			got.goaway = ""
		case *http2.RSTStreamFrame:
			if fr.StreamID == stream {
				if got.status == "" || fr.ErrCode != http2.ErrCodeNo {
					got.reset = fr.ErrCode.String()
				}
				return got
			}
		case *http2.MetaHeadersFrame:
			if fr.StreamID == stream {
				got.status = fr.PseudoValue("status")
				for _, h := range fr.RegularFields() {
					if h.Name == "portreeve-request-id" {
						got.id = h.Value
					}
				}
				if fr.StreamEnded() {
					return got
				}
			}
		case *http2.DataFrame:
			if fr.StreamID == stream && fr.StreamEnded() {
				return got
			}
		}
	}
}
