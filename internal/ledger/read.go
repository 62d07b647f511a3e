package ledger

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	r := bufio.NewReaderSize(file, 2*maxLine)
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil // what follows the last line break was never finished
		}
		if err != nil {
			return fmt.Errorf("reading %s line %d: %w", filepath.Base(name), n, err)
		}
		if err := f(filepath.Base(name), n, line[:len(line)-1]); err != nil {
			return err
		}
	}
}

// Report is what Verify found.
type Report struct {
	Lines      uint64
	Unresolved []string // ids of intents without an outcome: how those ended is unknown
}

// Broken is the first place at which a ledger is not what was written.
type Broken struct {
	Segment string
	Line    int
	Problem string
}

func (b *Broken) Error() string { return fmt.Sprintf("%s line %d: %s", b.Segment, b.Line, b.Problem) }

// chain is what each line says of its place.
type chain struct {
	Ledger struct {
		Seq  uint64 `json:"seq"`
		Prev string `json:"prev"`
	} `json:"ledger"`
	Metadata struct {
		UID string `json:"correlation_uid"`
	} `json:"metadata"`
	Unmapped struct {
		Phase Phase `json:"phase"`
	} `json:"unmapped"`
}

// Verify reads a ledger from its first line and holds numbers and hashes. It finds changed, missing, inserted and
// reordered lines; that the end was cut off, or all of it rewritten, only a copy kept elsewhere can show.
func Verify(dir string) (Report, error) {
	var rep Report
	var prev [sha256.Size]byte
	open := map[string]bool{}
	var order []string
	err := Read(dir, func(segment string, n int, line []byte) error {
		var c chain
		if err := json.Unmarshal(line, &c); err != nil {
			return &Broken{segment, n, "is not JSON"}
		}
		rep.Lines++
		switch {
		case c.Ledger.Seq != rep.Lines:
			return &Broken{segment, n, fmt.Sprintf("is numbered %d where %d belongs", c.Ledger.Seq, rep.Lines)}
		case c.Ledger.Prev != hex.EncodeToString(prev[:]):
			return &Broken{segment, n, "does not follow the line before it"}
		}
		prev = sha256.Sum256(bytes.TrimSuffix(line, []byte("\n")))
		switch c.Unmapped.Phase {
		case Intent:
			open[c.Metadata.UID] = true
			order = append(order, c.Metadata.UID)
		case Outcome:
			delete(open, c.Metadata.UID)
		}
		return nil
	})
	for _, id := range order {
		if open[id] {
			rep.Unresolved = append(rep.Unresolved, id)
		}
	}
	return rep, err
}
