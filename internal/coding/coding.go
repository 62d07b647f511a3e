// Package coding takes a content coding off a body that arrives in pieces (RFC 9110 §8.4.1): gzip, deflate and zstd. A
// body is nobody's memory: its window is bounded, and one that swells like a bomb is an error long before it is large.
package coding

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// What is wrong with an encoded body.
var (
	ErrUnknown   = errors.New("the content coding is not known")
	ErrBomb      = errors.New("the body swells beyond all measure")
	ErrTruncated = errors.New("the encoded body is not whole")
	ErrTrailing  = errors.New("something stands behind the encoded body")
)

// Measure: beyond free bytes, a body may be ratio times what came of it. JSON in which all items are alike reaches 100;
// gzip's most is 1032, zstd has none.
const (
	free  = 1 << 20
	ratio = 200
)

// maxWindow bounds what a decoder of zstd remembers (RFC 9659).
const maxWindow = 8 << 20

// coder is how one coding is read, and the memory that takes at most.
type coder struct {
	memory int64
	open   func(*source) (io.Reader, func(), error)
}

var coders = map[string]coder{
	"gzip": {128 << 10, func(s *source) (io.Reader, func(), error) { r, err := gzip.NewReader(s); return r, nothing, err }},
	"deflate": {128 << 10, func(s *source) (io.Reader, func(), error) { // RFC 9110 §8.4.1.2: zlib's format
		r, err := zlib.NewReader(s)
		return r, nothing, err
	}},
	"zstd": {maxWindow + maxWindow/4, func(s *source) (io.Reader, func(), error) {
		r, err := zstd.NewReader(s, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nothing, err
		}
		return r, r.Close, nil
	}},
}

func nothing() {}

// Decoder takes one coding off one body. It must be closed.
type Decoder struct {
	memory int64
	source source
	emit   func([]byte) error
	out    int64
	err    error
	done   bool
	resume func() (struct{}, bool)
	stop   func()
}

// New returns a decoder for the value of a Content-Encoding field. More than one coding is ErrUnknown: nobody sends that
// but to hide something.
func New(encoding string) (*Decoder, error) {
	name := strings.ToLower(strings.Trim(encoding, " \t"))
	if name == "x-gzip" { // RFC 9110 §8.4.1.3
		name = "gzip"
	}
	c, ok := coders[name]
	if !ok {
		return nil, ErrUnknown
	}
	d := &Decoder{memory: c.memory}
	// The libraries pull, and bodies are pushed: the decoder is a coroutine, which rests whenever it wants for input.
	d.resume, d.stop = iter.Pull(func(rest func(struct{}) bool) {
		d.source.rest = func() bool { return rest(struct{}{}) }
		d.err = d.run(c)
		d.done = true
	})
	return d, nil
}

// Memory returns the bytes that decoding takes at most, beside what it gives.
func (d *Decoder) Memory() int64 { return d.memory }

// Write feeds bytes and calls emit with what they were; emit's bytes are its own only until it returns, and its error
// ends the body.
func (d *Decoder) Write(p []byte, emit func([]byte) error) error {
	if d.done {
		if d.err == nil {
			d.err = ErrTrailing
		}
		return d.err
	}
	d.source.left, d.emit = p, emit
	d.source.taken += int64(len(p))
	d.resume()
	return d.err
}

// End tells that the body is over.
func (d *Decoder) End(emit func([]byte) error) error {
	if !d.done {
		d.source.ended, d.emit = true, emit
		d.resume()
	}
	return d.err
}

// Close gives back what decoding took.
func (d *Decoder) Close() { d.stop() }

func (d *Decoder) run(c coder) error {
	r, release, err := c.open(&d.source)
	defer release()
	if err != nil {
		return d.source.why(err)
	}
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		if d.out += int64(n); d.out > free && d.out > ratio*d.source.taken {
			return fmt.Errorf("%w: %d bytes of %d", ErrBomb, d.out, d.source.taken)
		}
		if n > 0 {
			if err := d.emit(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			if _, err := d.source.ReadByte(); err != io.EOF {
				return ErrTrailing
			}
			return nil
		case err != nil:
			return d.source.why(err)
		}
	}
}

// source is what was fed and not read yet. It is a ByteReader so that nobody reads ahead.
type source struct {
	left  []byte
	taken int64
	ended bool
	rest  func() bool
}

var errClosed = errors.New("closed")

func (s *source) fill() error {
	for len(s.left) == 0 {
		if s.ended {
			return io.EOF
		}
		if !s.rest() {
			return errClosed
		}
	}
	return nil
}

func (s *source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.fill(); err != nil {
		return 0, err
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *source) ReadByte() (byte, error) {
	if err := s.fill(); err != nil {
		return 0, err
	}
	c := s.left[0]
	s.left = s.left[1:]
	return c, nil
}

// why tells a body that breaks off from one that is wrong.
func (s *source) why(err error) error {
	if s.ended && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return ErrTruncated
	}
	return err
}
