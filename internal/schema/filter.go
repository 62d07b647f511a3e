package schema

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Every finds the values at a pointer in which the token * stands for each element of an array, "/items/*/account_id".
// It yields one Value per element, of kind 0 where the element has none there; without a * it yields what Lookup finds.
// ok is false where the body is no strict JSON as a whole, or where a * meets something that is no array.
func Every(body []byte, pointer string, yield func(Value)) (ok bool) {
	if Strict(body) != nil {
		return false
	}
	return every(body, pointer, yield)
}

func every(body []byte, pointer string, yield func(Value)) bool {
	before, after, starred := cutStar(pointer)
	v, found := Lookup(body, before)
	if !starred {
		yield(v)
		return true
	}
	if !found {
		return before != "" // what is not there has no elements; what is no array may hide some
	}
	if v.Kind != Array {
		return false
	}
	whole := true
	elements(v.Raw, func(item []byte) {
		if after == "" {
			one, _ := Lookup(item, "")
			yield(one)
			return
		}
		if !strings.Contains(after, "/*") {
			one, _ := Lookup(item, after)
			yield(one)
			return
		}
		whole = every(item, after, yield) && whole
	})
	return whole
}

// cutStar splits a pointer at its first *.
func cutStar(pointer string) (before, after string, found bool) {
	for at := 0; at <= len(pointer); {
		i := strings.Index(pointer[at:], "/*")
		if i < 0 {
			break
		}
		end := at + i + 2
		if end == len(pointer) || pointer[end] == '/' {
			return pointer[:at+i], pointer[end:], true
		}
		at = end
	}
	return pointer, "", false
}

// elements yields the elements of an array that is known to be strict JSON.
func elements(array []byte, yield func([]byte)) {
	s := scan{parser: parser{s: string(array), max: math.MaxInt32}}
	if s.enter() != nil || s.next(']') {
		return
	}
	for more := true; more; {
		start := s.i
		if s.skip(nil) != nil {
			return
		}
		yield(array[start:s.i])
		var err error
		if more, err = s.more(']'); err != nil {
			return
		}
	}
}

// A Filter takes elements out of one array of a body. It is made once and used from anywhere.
type Filter struct {
	list   []string   // where the array is
	owner  []string   // in each element
	totals [][]string // whole numbers that say how many elements there are
}

// NewFilter returns the filter of the array that the pointer's one * stands for, by what of each element it names:
// "/data/*/owner_id". totals are pointers of whole numbers; each becomes the number of elements left, for what counts
// those that left tells of them. What is neither is not touched.
func NewFilter(pointer string, totals []string) (*Filter, bool) {
	before, after, ok := cutStar(pointer)
	if _, _, more := cutStar(after); !ok || more {
		return nil, false
	}
	f := &Filter{list: tokens(before), owner: tokens(after)}
	for _, t := range totals {
		f.totals = append(f.totals, tokens(t))
	}
	return f, true
}

func tokens(pointer string) []string {
	out := []string{}
	if pointer == "" {
		return out
	}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		out = append(out, unescapePointer(token))
	}
	return out
}

// edit replaces bytes of a body.
type edit struct {
	start, stop int
	count       bool // by the number of elements left; else it is the array
}

// Run appends to dst the body without the elements that keep refuses; keep gets what each names, of kind 0 where it
// names nothing. Of what stays every byte is as it was. An error, a *Failure, means that the body is no strict JSON, or
// that it has no array there; nothing of it may leave then.
func (f *Filter) Run(dst, body []byte, keep func(Value) bool) (out []byte, left, gone int, err error) {
	run := &filtering{Filter: f, body: body, keep: keep}
	s := scan{parser: parser{s: string(body), max: DefaultDepth}, filter: run}
	if err := s.body(f.list); err != nil {
		return nil, 0, 0, failure(err)
	}
	if s.found != Array {
		return nil, 0, 0, failure(s.fail("type"))
	}
	edits := []edit{{s.start, s.stop, false}}
	if len(f.totals) > 0 { // they are looked for in what is left when the array is empty, which is little
		rest := string(body[:s.start]) + "[]" + string(body[s.stop:])
		for _, t := range f.totals {
			c := scan{parser: parser{s: rest, max: DefaultDepth}}
			if err := c.body(t); err != nil {
				return nil, 0, 0, failure(err)
			}
			if c.found != Number {
				continue
			}
			if moved := s.stop - s.start - len("[]"); c.start > s.start {
				c.start, c.stop = c.start+moved, c.stop+moved
			}
			edits = append(edits, edit{c.start, c.stop, true})
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	at := 0
	for _, e := range edits {
		dst = append(dst, body[at:e.start]...)
		if at = e.stop; e.count {
			dst = strconv.AppendInt(dst, int64(run.left), 10)
		} else {
			dst = append(dst, run.array...)
		}
	}
	return append(dst, body[at:]...), run.left, run.gone, nil
}

// filtering is one run of a filter.
type filtering struct {
	*Filter
	body       []byte
	keep       func(Value) bool
	array      []byte // what stays of it
	left, gone int
}

// elements reads the array at which s stands, in the one pass over the body that holds it to be strict JSON.
func (f *filtering) elements(s *scan) error {
	f.array = append(make([]byte, 0, len(f.body)-s.i), '[')
	if err := s.enter(); err != nil {
		return err
	}
	if s.next(']') {
		s.depth--
		f.array = append(f.array, ']')
		return nil
	}
	for more := true; more; {
		from := s.i
		s.found = 0
		err := s.skip(f.owner)
		if err != nil {
			return err
		}
		v := Value{Kind: s.found}
		if s.found != 0 {
			v.Raw = f.body[s.start:s.stop]
		}
		if f.keep(v) {
			if f.left > 0 {
				f.array = append(f.array, ',')
			}
			f.array = append(f.array, f.body[from:s.i]...)
			f.left++
		} else {
			f.gone++
		}
		if more, err = s.more(']'); err != nil {
			return err
		}
	}
	f.array = append(f.array, ']')
	return nil
}
