package schema

import (
	"errors"
	"strings"
	"testing"
)

// split feeds a stream in pieces of a size and returns what was framed of it.
func split(stream Stream, text string, size int) (string, error) {
	s := NewSplitter(stream, 1<<10)
	var out []byte
	items := 0
	emit := func(item []byte) error {
		out = s.Frame(out, item, items == 0)
		items++
		return nil
	}
	for len(text) > 0 {
		n := min(size, len(text))
		if err := s.Split([]byte(text[:n]), emit); err != nil {
			return string(out), err
		}
		text = text[n:]
	}
	err := s.End(emit)
	return string(s.Tail(out, items > 0)), err
}

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		stream     Stream
		text, want string
		err        error
	}{
		{JSONSeq, "", "", nil},
		{JSONSeq, "\x1e{\"a\":1}\n", "\x1e{\"a\":1}\n", nil},
		{JSONSeq, "\x1e{\"a\":\n[1,\n\"\\\"]}\"]}\n\x1e \x1e2\n\n\x1e\"x\"\n", "\x1e{\"a\":\n[1,\n\"\\\"]}\"]}\n\x1e2\n\x1e\"x\"\n", nil},
		{JSONSeq, "\x1e", "", nil},
		{JSONSeq, "{\"a\":1}\n", "", ErrFraming},
		{JSONSeq, " \x1e{}\n", "", ErrFraming},
		{JSONSeq, "\x1e{}\n{}\n", "\x1e{}\n", ErrFraming},
		{JSONSeq, "\x1e12", "", ErrTruncated},
		{JSONSeq, "\x1e{}", "", ErrTruncated},
		{JSONSeq, "\x1e1\x1e2\n", "", ErrTruncated},
		{JSONSeq, "\x1e{\"a\":\x1e2}\n", "", ErrTruncated},
		{JSONSeq, "\x1e{}}\n", "", ErrFraming},
		{JSONSeq, "\x1e{} {}\n", "", ErrFraming},
		{JSONSeq, "\x1e\"" + strings.Repeat("x", 1<<10) + "\"\n", "", ErrItemTooLarge},
		{NDJSON, "1\n\n 2 \r\n3", "1\n2\n3\n", nil},
		{NDJSON, "1 2\n", "", ErrFraming},
		{JSONArray, " [ 1 , [2,\"],\"] ] \n", "[1,[2,\"],\"]]", nil},
		{JSONArray, "[]", "[]", nil},
		{JSONArray, "[1,]", "[1", ErrFraming},
		{JSONArray, "[1", "", ErrTruncated},
		{JSONArray, "[1] 2", "[1", ErrFraming},
		{SSE, "id: 1\r\ndata: {\rdata: }\n\n:c\n\ndata:1\n\n", "id: 1\ndata: {\ndata: }\n\ndata: 1\n\n", nil},
		{SSE, "data: 1\n", "", ErrTruncated},
		{SSE, "event: <b>\ndata: 1\n\n", "", ErrFraming},
		{Stream(0), "1", "", ErrFraming},
	} {
		for size := 1; size < len(c.text)+2; size++ {
			got, err := split(c.stream, c.text, size)
			if c.stream == JSONArray && c.err != nil {
				got, c.want = "", "" // what had left before depends on no size, but the tail does not belong there
			}
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || got != c.want {
				t.Errorf("%d %q by %d: %q, %v, want %q, %v", c.stream, c.text, size, got, err, c.want, c.err)
				break
			}
		}
	}
}
