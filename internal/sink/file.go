package sink

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// File appends events to a file, on another machine's disk for example, and makes each batch durable. A line that was only
// half written when the machine stopped is finished off with a line break, and comes again whole.
type File struct {
	path   string
	format Format
}

// NewFile returns a sink into a file.
func NewFile(path string, f Format) *File { return &File{path, f} }

// Send implements Sender. The file is opened anew each time, so that who moves it away gets another.
func (f *File) Send(_ context.Context, b Batch) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("opening sink: %w", err)
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening sink: %w", err)
	}
	defer file.Close()
	var out []byte
	if end, err := file.Seek(0, io.SeekEnd); err == nil && end > 0 {
		var last [1]byte
		if _, err := file.ReadAt(last[:], end-1); err == nil && last[0] != '\n' {
			out = append(out, '\n')
		}
	}
	if out, err = lines(out, b, f.format); err != nil {
		return err
	}
	if _, err := file.Write(out); err != nil {
		return fmt.Errorf("writing sink: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("writing sink: %w", err)
	}
	return file.Close()
}

// Close implements Sender.
func (f *File) Close() error { return nil }

// lines appends a batch, an event a line.
func lines(dst []byte, b Batch, f Format) ([]byte, error) {
	for _, r := range b.Records {
		e, err := f.Encode(r.Line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", r.Seq, err)
		}
		dst = append(append(dst, e...), '\n')
	}
	return dst, nil
}

// Stream writes events to an open stream: standard output, which something outside collects.
type Stream struct {
	w      io.Writer
	format Format
}

// NewStream returns a sink into a stream.
func NewStream(w io.Writer, f Format) *Stream { return &Stream{w, f} }

// Send implements Sender.
func (s *Stream) Send(_ context.Context, b Batch) error {
	out, err := lines(nil, b, s.format)
	if err != nil {
		return err
	}
	if _, err := s.w.Write(out); err != nil {
		return fmt.Errorf("writing sink: %w", err)
	}
	return nil
}

// Close implements Sender.
func (s *Stream) Close() error { return nil }
