package schema

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Stream is how items follow each other in a body.
type Stream uint8

const (
	JSONArray Stream = iota + 1 // the items of one JSON array
	NDJSON                      // one JSON value a line
	SSE                         // the data of server-sent events (WHATWG HTML §9.2)
	JSONSeq                     // JSON texts, each between a record separator and a line break (RFC 7464)
)

// StreamOf returns how items of a media type follow each other; false where the type is of one body.
func StreamOf(mediaType string) (Stream, bool) {
	switch mediaType {
	case "application/x-ndjson", "application/jsonl":
		return NDJSON, true
	case "text/event-stream":
		return SSE, true
	case "application/json-seq", "application/geo+json-seq":
		return JSONSeq, true
	}
	return 0, false
}

// What is wrong with a stream.
var (
	ErrItemTooLarge = errors.New("an item is larger than allowed")
	ErrFraming      = errors.New("the stream is malformed")
	ErrTruncated    = errors.New("the stream ends in the middle of an item")
)

// Splitter cuts a body that arrives in pieces into items, each one strict JSON value, and frames those that may leave.
// It holds one item at most. After an error it stays broken. The zero value refuses all.
//
// Of server-sent events the fields id, event and retry stay with their data. No schema judges them, so they have no room
// for more than they are for: id and event are tokens of letters, digits and _ . : - (others are an
// error), and a retry that is no number, comments, other fields, and events without data are swallowed. A byte order mark
// is an error.
type Splitter struct {
	stream Stream
	max    int
	held   []byte // of the unfinished item, line or event
	err    error

	// JSON arrays: where between items, or how deep inside one.
	at      position
	depth   int
	quoted  bool
	escaped bool

	// Server-sent events.
	line    []byte // unfinished
	cr      bool   // the last byte was CR: a LF belongs to it
	hasData bool
	fields  []byte // of the event: what is framed around its data
}

type position uint8

const (
	beforeArray position = iota
	firstItem            // an item, or the end
	inItem
	nextItem // an item
	afterArray
)

// NewSplitter returns a splitter for items of at most maxItem bytes, their fields included.
func NewSplitter(s Stream, maxItem int) *Splitter { return &Splitter{stream: s, max: maxItem} }

// Split feeds bytes and calls emit with each item that became whole; the item's bytes are emit's only until it returns.
// An error of emit ends the stream.
func (s *Splitter) Split(p []byte, emit func(item []byte) error) error {
	if s.err != nil {
		return s.err
	}
	switch s.stream {
	case JSONArray:
		s.err = s.array(p, emit)
	case NDJSON, SSE:
		s.err = s.lines(p, emit)
	case JSONSeq:
		s.err = s.texts(p, emit)
	default:
		s.err = ErrFraming
	}
	return s.err
}

// End tells that the body is over: an unfinished one is ErrTruncated. A last line of NDJSON needs no line break.
func (s *Splitter) End(emit func(item []byte) error) error {
	if s.err != nil {
		return s.err
	}
	switch {
	case s.stream == NDJSON:
		s.err = s.endLine(emit)
	case s.stream == JSONSeq && s.at == inItem && len(bytes.Trim(s.held, " \t\r\n")) > 0,
		s.stream == JSONArray && s.at != afterArray, s.stream == SSE && (s.hasData || len(s.line) > 0):
		s.err = ErrTruncated
	}
	err := s.err
	if err == nil {
		s.err = ErrFraming // nothing may follow
	}
	return err
}

// keep holds bytes of the unfinished item.
func (s *Splitter) keep(to *[]byte, p ...byte) error {
	if len(s.held)+len(s.line)+len(s.fields)+len(p) > s.max {
		return fmt.Errorf("%w: %d bytes", ErrItemTooLarge, s.max)
	}
	*to = append(*to, p...)
	return nil
}

// item hands on what is held.
func (s *Splitter) item(emit func([]byte) error) error {
	item := bytes.Trim(s.held, " \t\r\n")
	if err := Strict(item); err != nil {
		return fmt.Errorf("%w: %w", ErrFraming, err)
	}
	err := emit(item)
	s.held = s.held[:0]
	return err
}

// array finds where items begin and end. What they are is judged whole: here only brackets and quotes count.
func (s *Splitter) array(p []byte, emit func([]byte) error) error {
	for i := 0; i < len(p); i++ {
		if s.at == inItem {
			n, ended := s.inside(p[i:])
			if err := s.keep(&s.held, p[i:i+n]...); err != nil {
				return err
			}
			if i += n; !ended {
				return nil
			}
			if err := s.item(emit); err != nil {
				return err
			}
			if s.at = nextItem; p[i] == ']' {
				s.at = afterArray
			}
			continue
		}
		switch c := p[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case s.at == beforeArray && c == '[':
			s.at = firstItem
		case s.at == firstItem && c == ']':
			s.at = afterArray
		case (s.at == firstItem || s.at == nextItem) && c != ',' && c != ']':
			s.at = inItem
			i--
		default:
			return ErrFraming
		}
	}
	return nil
}

// inside returns how many bytes belong to the item, and whether what follows them ends it.
func (s *Splitter) inside(p []byte) (n int, ended bool) {
	for i, c := range p {
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.escaped, s.quoted = c == '\\', c != '"'
		case c == '"':
			s.quoted = true
		case c == '[' || c == '{':
			s.depth++
		case s.depth == 0 && (c == ',' || c == ']'):
			return i, true
		case (c == ']' || c == '}') && s.depth > 0:
			s.depth--
		}
	}
	return len(p), false
}

// lines cuts at line breaks: LF for NDJSON; LF, CR or both for server-sent events.
func (s *Splitter) lines(p []byte, emit func([]byte) error) error {
	for len(p) > 0 {
		if s.cr && p[0] == '\n' {
			s.cr, p = false, p[1:]
			continue
		}
		s.cr = false
		end := bytes.IndexByte(p, '\n')
		if s.stream == SSE {
			end = bytes.IndexAny(p, "\r\n")
		}
		if end < 0 {
			return s.keep(&s.line, p...)
		}
		if err := s.keep(&s.line, p[:end]...); err != nil {
			return err
		}
		s.cr = p[end] == '\r'
		if err := s.endLine(emit); err != nil {
			return err
		}
		p = p[end+1:]
	}
	return nil
}

const recordSeparator = 0x1e

// texts finds the end of each text at the line break behind it, so that none waits for the next one's separator, and takes
// what is no white space between them for an error. Here only brackets and quotes count.
func (s *Splitter) texts(p []byte, emit func([]byte) error) error {
	from := 0
	hold := func(to int) error {
		err := s.keep(&s.held, p[from:to]...)
		from = to
		return err
	}
	for i, c := range p {
		switch {
		case c == recordSeparator:
			if s.at == inItem {
				if err := hold(i); err != nil {
					return err
				}
				if len(bytes.Trim(s.held, " \t\r\n")) > 0 {
					return ErrTruncated // RFC 7464 §2.4: a text without its end may be half of itself
				}
			}
			s.at, s.held, from = inItem, s.held[:0], i+1
		case s.at != inItem:
			if s.at != nextItem || !isSpace(c) {
				return ErrFraming
			}
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.escaped, s.quoted = c == '\\', c != '"'
		case c == '"':
			s.quoted = true
		case c == '[' || c == '{':
			s.depth++
		case (c == ']' || c == '}') && s.depth > 0:
			s.depth--
		case c == '\n' && s.depth == 0:
			if err := hold(i + 1); err != nil {
				return err
			}
			if len(bytes.Trim(s.held, " \t\r\n")) == 0 {
				continue
			}
			if err := s.item(emit); err != nil {
				return err
			}
			s.at = nextItem
		}
	}
	if s.at != inItem {
		return nil
	}
	return hold(len(p))
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (s *Splitter) endLine(emit func([]byte) error) error {
	line := s.line
	s.line = s.line[:0]
	if s.stream == SSE {
		return s.eventLine(line, emit)
	}
	if len(bytes.Trim(line, " \t\r")) == 0 {
		return nil
	}
	s.held = append(s.held[:0], line...)
	return s.item(emit)
}

// eventLine takes one line of an event stream; an empty one ends the event.
func (s *Splitter) eventLine(line []byte, emit func([]byte) error) error {
	if !utf8.Valid(line) || bytes.HasPrefix(line, []byte("\ufeff")) || bytes.IndexByte(line, 0) >= 0 {
		return ErrFraming
	}
	if len(line) == 0 {
		var err error
		if s.hasData {
			err = s.item(emit)
		}
		s.held, s.fields, s.hasData = s.held[:0], s.fields[:0], false
		return err
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		if s.hasData {
			if err := s.keep(&s.held, '\n'); err != nil {
				return err
			}
		}
		s.hasData = true
		return s.keep(&s.held, value...)
	case "retry":
		if len(value) == 0 || len(value) > maxRetryDigits || len(bytes.Trim(value, "0123456789")) > 0 {
			return nil // readers ignore it too (WHATWG HTML §9.2.6)
		}
		return s.field(name, value)
	case "id", "event":
		if !isEventToken(value) {
			return fmt.Errorf("%w: an event's %s is no token", ErrFraming, name)
		}
		return s.field(name, value)
	}
	return nil // a comment, or a field nobody knows
}

const (
	maxEventToken  = 128
	maxRetryDigits = 8 // of milliseconds: about a day
)

// isEventToken: an empty one resets what was set before.
func isEventToken(value []byte) bool {
	for _, c := range value {
		if !isAlnum(c) && strings.IndexByte("_.:-", c) < 0 {
			return false
		}
	}
	return len(value) <= maxEventToken
}

// field holds a field that stands beside the event's data.
func (s *Splitter) field(name, value []byte) error {
	for _, part := range [...][]byte{name, []byte(": "), value, []byte("\n")} {
		if err := s.keep(&s.fields, part...); err != nil {
			return err
		}
	}
	return nil
}

// Frame appends an item as it stands in the stream; it is to be called while Split or End emits the item it came of.
func (s *Splitter) Frame(dst, item []byte, first bool) []byte {
	switch s.stream {
	case JSONArray:
		if first {
			return append(append(dst, '['), item...)
		}
		return append(append(dst, ','), item...)
	case NDJSON:
		return append(appendLines(dst, item, " "), '\n')
	case JSONSeq:
		return append(append(append(dst, recordSeparator), item...), '\n')
	case SSE:
		dst = append(append(dst, s.fields...), "data: "...)
		return append(appendLines(dst, item, "\ndata: "), "\n\n"...)
	}
	return dst
}

// appendLines replaces line breaks, which in JSON are nothing but white space.
func appendLines(dst, item []byte, by string) []byte {
	for {
		end := bytes.IndexAny(item, "\r\n")
		if end < 0 {
			return append(dst, item...)
		}
		dst = append(append(dst, item[:end]...), by...)
		item = item[end+1:]
	}
}

// Tail appends what closes a stream in which any item was framed, or none.
func (s *Splitter) Tail(dst []byte, any bool) []byte {
	switch {
	case s.stream != JSONArray:
		return dst
	case any:
		return append(dst, ']')
	}
	return append(dst, '[', ']')
}
