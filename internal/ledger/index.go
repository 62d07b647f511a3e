package ledger

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// An index stands beside a segment that is full: for each line its offset, its time, and a short hash of each field that
// a question may name, in columns, so that a question reads a few bytes a line. It says which lines may match; the line
// itself says whether it does. It is made of the lines alone and may be deleted.
//
//	magic 8 · lines u32 · 0 u32 · first time i64 · last time i64 · offsets u32… · times i64… · a column of u32… for each field
const (
	indexMagic  = "PTRIDX1\n"
	indexHeader = 32
)

// field is what a question may name.
type field int

const (
	fieldID field = iota
	fieldSubject
	fieldCredential
	fieldAddress
	fieldOperation
	fieldObject
	fieldDecision
	fieldReason
	fieldVerb
	fieldClass
	fields
)

// view is what is read of a line to answer questions.
type view struct {
	Time     int64  `json:"time"`
	Class    string `json:"class_name"`
	Metadata struct {
		UID string `json:"correlation_uid"`
	} `json:"metadata"`
	Actor struct {
		User struct {
			UID        string `json:"uid"`
			Credential string `json:"credential_uid"`
		} `json:"user"`
	} `json:"actor"`
	API struct {
		Operation string `json:"operation"`
	} `json:"api"`
	Source struct {
		IP string `json:"ip"`
	} `json:"src_endpoint"`
	Resources []struct {
		UID string `json:"uid"`
	} `json:"resources"`
	Authorizations []struct {
		Decision string `json:"decision"`
	} `json:"authorizations"`
	Unmapped struct {
		Reason string `json:"reason"`
		Verb   string `json:"verb"`
		Target string `json:"target"`
	} `json:"unmapped"`
	Ledger struct {
		Seq uint64 `json:"seq"`
	} `json:"ledger"`
}

// field returns what a line says there.
func (v *view) field(f field) string {
	switch f {
	case fieldID:
		return v.Metadata.UID
	case fieldSubject:
		return v.Actor.User.UID
	case fieldCredential:
		return v.Actor.User.Credential
	case fieldAddress:
		return v.Source.IP
	case fieldOperation:
		return v.API.Operation
	case fieldObject:
		if len(v.Resources) > 0 {
			return v.Resources[0].UID
		}
		return v.Unmapped.Target
	case fieldDecision:
		if len(v.Authorizations) > 0 {
			return v.Authorizations[0].Decision
		}
	case fieldReason:
		return v.Unmapped.Reason
	case fieldVerb:
		return v.Unmapped.Verb
	case fieldClass:
		return v.Class
	}
	return ""
}

func shortHash(s string) uint32 { return uint32(xxhash.Sum64String(s)) }

func indexName(segment string) string { return strings.TrimSuffix(segment, ".jsonl") + ".idx" }

// buildIndex reads a segment and writes its index.
func buildIndex(segment string) error {
	var columns [fields][]uint32
	var offsets []uint32
	var times []int64
	at := 0
	err := readSegment(segment, func(_ string, n int, line []byte) error {
		var v view
		if err := json.Unmarshal(line, &v); err != nil {
			return fmt.Errorf("indexing line %d: %w", n, err)
		}
		offsets = append(offsets, uint32(at))
		times = append(times, v.Time)
		for f := range fields {
			columns[f] = append(columns[f], shortHash(v.field(f)))
		}
		at += len(line) + 1
		if at > math.MaxUint32 {
			return errors.New("the segment is too large for an index")
		}
		return nil
	})
	if err != nil {
		return err
	}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, t := range times {
		first, last = min(first, t), max(last, t)
	}
	b := make([]byte, 0, indexHeader+len(times)*(12+4*int(fields)))
	b = append(b, indexMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(times)))
	b = binary.LittleEndian.AppendUint64(b, uint64(first))
	b = binary.LittleEndian.AppendUint64(b, uint64(last))
	u32 := func(list []uint32) {
		for _, x := range list {
			b = binary.LittleEndian.AppendUint32(b, x)
		}
	}
	u32(offsets)
	for _, t := range times {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	for f := range fields {
		u32(columns[f])
	}
	return replaceFile(indexName(segment), b, 0o600)
}

// index reads one.
type index struct {
	file        *os.File
	lines       int
	first, last int64 // times, in milliseconds
}

var errNoIndex = errors.New("is not an index")

// openIndex opens a segment's index. One that is damaged is as good as none.
func openIndex(segment string) (*index, error) {
	f, err := os.Open(indexName(segment))
	if err != nil {
		return nil, err
	}
	var head [indexHeader]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:8]) != indexMagic {
		f.Close()
		return nil, errNoIndex
	}
	x := &index{file: f, lines: int(binary.LittleEndian.Uint64(head[8:])), first: int64(binary.LittleEndian.Uint64(head[16:])), last: int64(binary.LittleEndian.Uint64(head[24:]))}
	info, err := f.Stat()
	if err != nil || x.lines < 0 || info.Size() != indexHeader+int64(x.lines)*(12+4*int64(fields)) {
		f.Close()
		return nil, errNoIndex
	}
	return x, nil
}

func (x *index) close() { x.file.Close() }

// column reads the part of the index that begins after so many bytes a line, each entry of width bytes.
func (x *index) column(after, width int) ([]byte, error) {
	b := make([]byte, x.lines*width)
	_, err := x.file.ReadAt(b, indexHeader+int64(x.lines)*int64(after))
	return b, err
}

func (x *index) offsets() ([]byte, error)   { return x.column(0, 4) }
func (x *index) times() ([]byte, error)     { return x.column(4, 8) }
func (x *index) of(f field) ([]byte, error) { return x.column(12+4*int(f), 4) }
