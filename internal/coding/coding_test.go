package coding

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// encoders are other implementations, or the other half of one.
var encoders = map[string]func(io.Writer) io.WriteCloser{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"zstd":    func(w io.Writer) io.WriteCloser { e, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)); return e },
}

func encoded(t testing.TB, coding, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := encoders[coding](&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decode feeds a body in pieces of a size.
func decode(t testing.TB, coding string, body []byte, size int) (string, error) {
	t.Helper()
	d, err := New(coding)
	if err != nil {
		return "", err
	}
	defer d.Close()
	var out strings.Builder
	emit := func(p []byte) error { out.Write(p); return nil }
	for len(body) > 0 {
		n := min(size, len(body))
		if err := d.Write(body[:n], emit); err != nil {
			return out.String(), err
		}
		body = body[n:]
	}
	err = d.End(emit)
	return out.String(), err
}

func TestDecode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for range 20000 {
		text.WriteByte("abcdefgh \n"[random.IntN(10)])
	}
	for coding := range encoders {
		for _, want := range []string{"", "x", text.String()} {
			body := encoded(t, coding, want)
			for _, size := range []int{1, 7, 1 << 20} {
				got, err := decode(t, strings.ToUpper(coding), body, size)
				if err != nil || got != want {
					t.Errorf("%s of %d bytes by %d: %d bytes, %v", coding, len(want), size, len(got), err)
				}
			}
			for _, cut := range []int{1, len(body) / 2, len(body) - 1} {
				if cut == 0 || cut >= len(body) {
					continue
				}
				if _, err := decode(t, coding, body[:cut], 100); err == nil {
					t.Errorf("%s cut at %d of %d: no error", coding, cut, len(body))
				}
			}
			for _, behind := range []string{"x", "\x00", "{}"} {
				if _, err := decode(t, coding, append(bytes.Clone(body), behind...), 100); err == nil {
					t.Errorf("%s with %q behind it: no error", coding, behind)
				}
			}
		}
		if _, err := decode(t, coding, []byte(`{"a":1}`), 100); err == nil {
			t.Errorf("%s: JSON taken for it", coding)
		}
	}
	if got, err := decode(t, "x-gzip", append(encoded(t, "gzip", "ab"), encoded(t, "gzip", "cd")...), 5); got != "abcd" || err != nil {
		t.Errorf("two members of gzip: %q %v", got, err)
	}
	for _, coding := range []string{"", "identity", "compress", "gzip, gzip", "gzip,zstd", "aws-chunked", "br", "dcz"} {
		if _, err := New(coding); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", coding, err)
		}
	}
}

// TestBombs: a body that swells is an error after few megabytes, whatever it would have become.
func TestBombs(t *testing.T) {
	for coding := range encoders {
		bomb := encoded(t, coding, strings.Repeat("\x00", 8<<20))
		got, err := decode(t, coding, bomb, 1<<10)
		if !errors.Is(err, ErrBomb) || len(got) > 2<<20 && len(got) > 2*ratio*len(bomb) {
			t.Errorf("%s: %d bytes of %d, %v", coding, len(got), len(bomb), err)
		}
	}
	var window bytes.Buffer // a frame that wants 1 GiB to be remembered
	window.Write([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00})
	if _, err := decode(t, "zstd", window.Bytes(), 100); err == nil {
		t.Error("zstd: a window beyond all bounds")
	}
}

// TestFlushed: what the sender has flushed comes out at once; a stream need not end to be read.
func TestFlushed(t *testing.T) {
	for coding, open := range encoders {
		var b bytes.Buffer
		w := open(&b)
		io.WriteString(w, "first\n")
		if err := w.(interface{ Flush() error }).Flush(); err != nil {
			t.Fatal(err)
		}
		d, err := New(coding)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		var out strings.Builder
		if err := d.Write(b.Bytes(), func(p []byte) error { out.Write(p); return nil }); err != nil || out.String() != "first\n" {
			t.Errorf("%s: %q %v", coding, out.String(), err)
		}
	}
}

func TestEmitEndsIt(t *testing.T) {
	stop := errors.New("stop")
	d, err := New("deflate")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	body := encoded(t, "deflate", "abc")
	if err := d.Write(body, func([]byte) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	if err := d.Write(body, func([]byte) error { t.Error("it goes on"); return nil }); err != stop {
		t.Errorf("got %v", err)
	}
	if err := d.End(func([]byte) error { t.Error("it goes on"); return nil }); err != stop {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for coding := range encoders {
		f.Add(coding, encoded(f, coding, strings.Repeat(`{"a":1}`, 100)), 3)
	}
	f.Fuzz(func(t *testing.T, coding string, body []byte, size int) {
		whole, err := decode(t, coding, body, 1<<30)
		pieces, err2 := decode(t, coding, body, max(1, size&0xff))
		if (err == nil) != (err2 == nil) || err == nil && whole != pieces {
			t.Fatalf("%s: %d bytes %v at once, %d bytes %v in pieces", coding, len(whole), err, len(pieces), err2)
		}
		if int64(len(whole)) > free+ratio*int64(len(body))+64<<10 {
			t.Fatalf("%s: %d bytes became %d", coding, len(body), len(whole))
		}
	})
}
