package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Read calls f with every whole line of a ledger, in order. The line is f's only until it returns. Reading needs no
// ownership; a line that is being written is not seen.
func Read(dir string, f func(segment string, number int, line []byte) error) error {
	names, err := segments(dir)
	if err != nil {
		return fmt.Errorf("reading ledger: %w", err)
	}
	for _, name := range names {
		if err := readSegment(name, f); err != nil {
			return err
		}
	}
	return nil
}

func readSegment(name string, f func(string, int, []byte) error) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading ledger: %w", err)
	}
	defer file.Close()
	base := filepath.Base(name)
	return readLines(file, func(n int, line []byte) error {
		if line == nil {
			return &Broken{base, n, "is longer than any event"}
		}
		return f(base, n, line)
	})
}

// readLines calls f with each whole line; with nil for one that is longer than any event can be.
func readLines(file io.Reader, f func(int, []byte) error) error {
	r := bufio.NewReaderSize(file, 2*maxLine)
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil // what follows the last line break was never finished
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			return f(n, nil)
		}
		if err != nil {
			return fmt.Errorf("reading line %d: %w", n, err)
		}
		if err := f(n, line[:len(line)-1:len(line)-1]); err != nil {
			return err
		}
	}
}
