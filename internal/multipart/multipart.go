// Package multipart reads multipart bodies (RFC 2046 §5.1, RFC 7578) in the one way that all readers agree on, and writes
// them anew. What one reader would take for a part and another for its content is refused: bytes before the first or
// behind the last part, line breaks that are no CRLF, padded delimiters, folded or repeated header fields, escapes and
// charsets in names, transfer encodings, multiparts within parts. It never repairs.
package multipart

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a body, beside its size.
const (
	MaxParts    = 256
	MaxHead     = 4 << 10 // bytes of the header fields of one part
	maxFields   = 8       // of one part
	maxName     = 256     // bytes
	maxFilename = 255     // bytes, as file systems have it
	maxBoundary = 70      // RFC 2046 §5.1.1
)

// Part is one part of a body. Body is a slice of what was read.
type Part struct {
	Disposition string // form-data, attachment or inline
	Name        string
	Filename    string // "" where none is given: an empty one is refused
	Type        string // media type in lower case; "" where none is given
	Params      map[string]string
	Fields      []Field // further header fields, in order
	Body        []byte
}

// Field is one header field of a part; its name is in lower case.
type Field struct{ Name, Value string }

// Fault is why a body is refused. Part counts from 0; -1 is the body itself. Name is the part's, where it is known.
type Fault struct {
	Part         int
	Name         string
	Code, Detail string
}

func (f *Fault) Error() string {
	if f.Part < 0 {
		return "multipart body " + f.Detail
	}
	return fmt.Sprintf("part %d %s", f.Part, f.Detail)
}

func fault(code, detail string) *Fault { return &Fault{Part: -1, Code: code, Detail: detail} }

// Boundary returns the boundary that a Content-Type field names, which may name nothing else but charset=utf-8. Continued
// and encoded parameters (RFC 2231) are refused: few readers know them.
func Boundary(contentType string) (string, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || strings.Contains(contentType, "*") {
		return "", fault("boundary", "has no plain boundary in its media type")
	}
	for name, value := range params {
		switch {
		case name == "boundary":
		case name == "charset" && strings.EqualFold(value, "utf-8"):
		default:
			return "", fault("boundary", "has more parameters in its media type than a boundary")
		}
	}
	b := params["boundary"]
	if b == "" || len(b) > maxBoundary || b[len(b)-1] == ' ' {
		return "", fault("boundary", "has a boundary that is empty, too long, or ends with a space")
	}
	for i := range len(b) {
		if c := b[i]; !alphanumeric(c) && strings.IndexByte("'()+_,-./:=? ", c) < 0 {
			return "", fault("boundary", "has a boundary with characters that RFC 2046 does not allow")
		}
	}
	return b, nil
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// Read returns the parts of a body. The error is a *Fault.
func Read(body []byte, boundary string) ([]Part, error) {
	dash := []byte("--" + boundary)
	delimiter := []byte("\r\n--" + boundary)
	rest, ok := bytes.CutPrefix(body, dash)
	if !ok {
		return nil, fault("preamble", "does not begin with its boundary")
	}
	var out []Part
	for {
		if end, ok := bytes.CutPrefix(rest, []byte("--")); ok {
			if len(end) > 0 && string(end) != "\r\n" {
				return nil, fault("epilogue", "goes on behind its last boundary")
			}
			return out, nil
		}
		if rest, ok = bytes.CutPrefix(rest, []byte("\r\n")); !ok {
			return nil, fault("boundary", "has a boundary with something behind it in its line")
		}
		if len(out) == MaxParts {
			return nil, fault("max_parts", fmt.Sprintf("has more than %d parts", MaxParts))
		}
		var p Part
		content, f := p.head(rest)
		if f == nil {
			n := bytes.Index(content, delimiter)
			switch {
			case n < 0:
				f = fault("truncated", "does not end")
			case bytes.Contains(content[:n], dash):
				f = fault("boundary", "holds the boundary within its content")
			default:
				p.Body, rest = content[:n:n], content[n+len(delimiter):]
				f = p.length()
			}
		}
		if f != nil {
			f.Part, f.Name = len(out), p.Name
			return nil, f
		}
		out = append(out, p)
	}
}

// head reads the header fields and returns what follows the empty line.
func (p *Part) head(text []byte) ([]byte, *Fault) {
	end := bytes.Index(text, []byte("\r\n\r\n"))
	if end < 0 || end > MaxHead {
		return nil, fault("head", fmt.Sprintf("has no header fields, or more than %d bytes of them", MaxHead))
	}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(text[:end]), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(name)
		value = strings.Trim(value, " ")
		switch {
		case !ok || !isToken(name):
			return nil, fault("head", "has a line among its header fields that is none")
		case !plain(value):
			return nil, fault("head", "has a header field with bytes that are no text")
		case seen[name]:
			return nil, fault("head", "has a header field twice")
		case len(seen) == maxFields:
			return nil, fault("head", fmt.Sprintf("has more than %d header fields", maxFields))
		}
		seen[name] = true
		if f := p.field(name, value); f != nil {
			return nil, f
		}
	}
	if p.Name == "" {
		return nil, fault("disposition", "has no name")
	}
	return text[end+4:], nil
}

func (p *Part) field(name, value string) *Fault {
	switch name {
	case "content-disposition":
		return p.disposition(value)
	case "content-type":
		return p.mediaType(value)
	case "content-transfer-encoding": // RFC 7578 §4.7: deprecated; these say that nothing is encoded
		switch strings.ToLower(value) {
		case "7bit", "8bit", "binary":
			return nil
		}
		return fault("transfer_encoding", "is encoded for a transport that HTTP is not")
	}
	p.Fields = append(p.Fields, Field{name, value})
	return nil
}

// length holds that a Content-Length, which means nothing here, says nothing false either, and takes it away.
func (p *Part) length() *Fault {
	for i, f := range p.Fields {
		if f.Name == "content-length" {
			if f.Value != fmt.Sprint(len(p.Body)) {
				return fault("head", "is not as long as its Content-Length")
			}
			p.Fields = append(p.Fields[:i:i], p.Fields[i+1:]...)
			return nil
		}
	}
	return nil
}

func (p *Part) mediaType(value string) *Fault {
	t, params, err := mime.ParseMediaType(value)
	major, minor, ok := strings.Cut(t, "/")
	if err != nil || !ok || major == "" || minor == "" || strings.ContainsFunc(value, func(r rune) bool { return r == '*' || r >= utf8.RuneSelf }) {
		return fault("type", "has a media type that is none")
	}
	if major == "multipart" || major == "message" {
		return fault("nested", "holds parts of its own")
	}
	for _, name := range [...]string{"boundary", "name", "filename"} {
		if _, ok := params[name]; ok {
			return fault("type", "has a "+name+" in its media type")
		}
	}
	p.Type, p.Params = t, params
	return nil
}

// disposition reads Content-Disposition (RFC 7578 §4.2) as browsers write it: nothing in quotes is escaped by a backslash,
// for some readers take it as it stands, and nothing is encoded as RFC 8187 does, which RFC 7578 forbids.
func (p *Part) disposition(value string) *Fault {
	kind, rest, _ := strings.Cut(value, ";")
	p.Disposition = strings.ToLower(strings.TrimRight(kind, " "))
	switch p.Disposition {
	case "form-data", "attachment", "inline":
	default:
		return fault("disposition", "is neither form-data nor attachment nor inline")
	}
	seen := map[string]bool{}
	for rest = strings.TrimLeft(rest, " "); rest != ""; {
		name, after, _ := strings.Cut(rest, "=")
		name = strings.ToLower(name)
		quoted, ok := strings.CutPrefix(after, `"`)
		if !ok {
			return fault("disposition", "has a parameter that is not in quotes")
		}
		text, tail, closed := strings.Cut(quoted, `"`)
		tail = strings.TrimLeft(tail, " ")
		next, more := strings.CutPrefix(tail, ";")
		next = strings.TrimLeft(next, " ")
		switch {
		case !closed || tail != "" && !more || more && next == "":
			return fault("disposition", "has parameters that cannot be told apart")
		case strings.Contains(text, `\`):
			return fault("disposition", "has a backslash in a parameter")
		case seen[name]:
			return fault("disposition", "has a parameter twice")
		}
		seen[name] = true
		if f := p.parameter(name, text); f != nil {
			return f
		}
		rest = next
	}
	return nil
}

func (p *Part) parameter(name, text string) *Fault {
	switch name {
	case "name":
		if text == "" || len(text) > maxName || text == "_charset_" {
			return fault("disposition", "has a name that is empty, too long, or sets the charset of others (RFC 7578 §4.6)")
		}
		p.Name = text
	case "filename":
		if why := unsafeFilename(text); why != "" {
			return fault("filename", "has a file name that "+why)
		}
		p.Filename = text
	default: // filename* among them
		return fault("disposition", "has a parameter that is neither name nor filename")
	}
	return nil
}

// unsafeFilename says why a file name may be another one to somebody who stores the file.
func unsafeFilename(s string) string {
	lower := strings.ToLower(s)
	switch {
	case s == "":
		return "is empty: with some readers it is a file then, and with some it is none"
	case len(s) > maxFilename:
		return "is too long"
	case s == "." || s == ".." || strings.ContainsAny(s, "/\\:") || strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c"):
		return "is a path"
	case strings.Contains(lower, "%00"):
		return "holds an escaped NUL"
	case strings.TrimRight(s, " .") != s || s[0] == ' ':
		return "begins or ends with what some file systems drop"
	}
	for _, r := range s {
		if unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return "is shown otherwise than it is"
		}
	}
	return ""
}

// plain reports whether a value is text without control characters.
func plain(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// NewBoundary returns a boundary that nobody can have known: no content holds it.
func NewBoundary() string { return "portreeve-" + rand.Text() }

// Append writes parts in their plain form. Every reader finds the same ones in it, for the boundary is none that whoever
// wrote their contents knew.
func Append(dst []byte, parts []Part, boundary string) []byte {
	for i := range parts {
		p := &parts[i]
		dst = append(append(append(dst, "--"...), boundary...), "\r\nContent-Disposition: "...)
		dst = append(append(append(dst, p.Disposition...), `; name="`...), p.Name...)
		if p.Filename != "" {
			dst = append(append(dst, `"; filename="`...), p.Filename...)
		}
		dst = append(dst, "\"\r\n"...)
		if p.Type != "" {
			dst = append(append(append(dst, "Content-Type: "...), mime.FormatMediaType(p.Type, p.Params)...), "\r\n"...)
		}
		for _, f := range p.Fields {
			dst = append(append(append(append(dst, f.Name...), ": "...), f.Value...), "\r\n"...)
		}
		dst = append(append(append(dst, "\r\n"...), p.Body...), "\r\n"...)
	}
	return append(append(append(dst, "--"...), boundary...), "--\r\n"...)
}

// Size is how many bytes Append takes at most.
func Size(parts []Part) int {
	n := maxBoundary + 8
	for i := range parts {
		p := &parts[i]
		n += maxBoundary + 96 + len(p.Disposition) + len(p.Name) + len(p.Filename) + len(p.Body) + len(p.Type)
		for name, value := range p.Params {
			n += 6 + len(name) + 2*len(value)
		}
		for _, f := range p.Fields {
			n += 4 + len(f.Name) + len(f.Value)
		}
	}
	return n
}
