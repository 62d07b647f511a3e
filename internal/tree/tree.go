// Package tree reads YAML and JSON into one tree that knows where everything stands, strictly: a name twice, an alias
// bomb, a merge key, bad UTF-8 or a second document is an error with its line. It knows nothing of what the tree means.
package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// Kind is a JSON kind.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}

func (k Kind) String() string { return kindNames[k] }

// Position is a place in a file; Line and Column count from 1.
type Position struct {
	File         string
	Line, Column int
}

// String returns "file:line:column", or "file:line" where the column says nothing.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Node is one value.
type Node struct {
	Kind    Kind
	At      Position
	Text    string // of a string; of a number in JSON's spelling; "true" or "false"
	Members []Member
	Items   []*Node
}

// Member is one name and its value.
type Member struct {
	Name  string
	At    Position
	Value *Node
}

// Error is a fault in a file, with its place and a hint how to mend it.
type Error struct {
	At      Position
	Problem string
	Hint    string
}

func (e *Error) Error() string {
	s := e.At.String() + ": " + e.Problem
	if e.Hint != "" {
		s += "\n  hint: " + e.Hint
	}
	return s
}

// BadInput marks the fault as the user's to mend.
func (e *Error) BadInput() bool { return true }

// Bounds of a file.
const (
	MaxSize  = 32 << 20
	MaxDepth = 200
	MaxNodes = 1_000_000 // after aliases are expanded
)

// Parse reads one document. JSON is told from YAML by its first character.
func Parse(file string, b []byte) (*Node, error) {
	fail := func(problem, hint string) (*Node, error) {
		return nil, &Error{Position{File: file, Line: 1, Column: 1}, problem, hint}
	}
	switch {
	case len(b) > MaxSize:
		return fail(fmt.Sprintf("the file is larger than %d MiB", MaxSize>>20), "")
	case !utf8.Valid(b):
		return fail("the file is not UTF-8", "save it as UTF-8")
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return fail("the file begins with a byte order mark", "save it as UTF-8 without BOM")
	case len(bytes.TrimSpace(b)) == 0:
		return fail("the file is empty", "")
	}
	if first := bytes.TrimLeft(b, " \t\r\n")[0]; first == '{' || first == '[' {
		return parseJSON(file, b)
	}
	return parseYAML(file, b)
}

// lines turns offsets into positions.
type lines struct {
	file   string
	b      []byte
	offset int
	line   int
	start  int
}

func (l *lines) at(offset int) Position {
	for ; l.offset < offset; l.offset++ {
		if l.b[l.offset] == '\n' {
			l.line++
			l.start = l.offset + 1
		}
	}
	return Position{l.file, l.line, offset - l.start + 1}
}

func parseJSON(file string, b []byte) (*Node, error) {
	r := &jsonReader{d: jsontext.NewDecoder(bytes.NewBuffer(b)), lines: lines{file: file, b: b, line: 1}, text: string(b)}
	n, err := r.read(0)
	if err == nil {
		if _, err = r.d.ReadToken(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err == nil {
			err = errors.New("something follows the document")
		}
	}
	var placed *Error
	if errors.As(err, &placed) {
		return nil, err
	}
	problem := err.Error()
	var s *jsontext.SyntacticError
	offset := min(int(r.d.InputOffset()), len(b)) // the end of the last whole token
	for offset < len(b) && strings.IndexByte(" \t\r\n,:", b[offset]) >= 0 {
		offset++
	}
	at := r.at(offset)
	if errors.As(err, &s) {
		problem = s.Err.Error()
		if strings.Contains(problem, "duplicate") {
			return nil, &Error{at, fmt.Sprintf("the name %q stands twice in one object", s.JSONPointer.LastToken()), "parsers disagree about which one counts; remove one"}
		}
	}
	return nil, &Error{at, "not valid JSON: " + strings.TrimPrefix(problem, "jsontext: "), ""}
}

type jsonReader struct {
	lines
	d       *jsontext.Decoder
	text    string // b, of which strings are parts
	nodes   int
	items   []*Node // of the lists that are open
	members []Member
}

func (r *jsonReader) read(depth int) (*Node, error) {
	if depth > MaxDepth {
		return nil, &Error{r.at(int(r.d.InputOffset())), "nested too deeply", ""}
	}
	t, err := r.d.ReadToken()
	if err != nil {
		return nil, err
	}
	text, at := r.token(t)
	if r.nodes++; r.nodes > MaxNodes {
		return nil, &Error{at, fmt.Sprintf("the document has more than %d values", MaxNodes), ""}
	}
	n := &Node{At: at}
	switch t.Kind() {
	case 'n':
	case 't', 'f':
		n.Kind, n.Text = Bool, text
	case '0':
		n.Kind, n.Text = Number, text
	case '"':
		n.Kind, n.Text = String, text
	case '[':
		n.Kind = Array
		first := len(r.items)
		for r.d.PeekKind() != ']' {
			item, err := r.read(depth + 1)
			if err != nil {
				return nil, err
			}
			r.items = append(r.items, item)
		}
		n.Items, r.items = slices.Clone(r.items[first:]), r.items[:first]
		_, err = r.d.ReadToken()
	case '{':
		n.Kind = Object
		first := len(r.members)
		for r.d.PeekKind() != '}' {
			name, err := r.d.ReadToken()
			if err != nil {
				return nil, err
			}
			m := Member{}
			m.Name, m.At = r.token(name)
			if m.Value, err = r.read(depth + 1); err != nil {
				return nil, err
			}
			r.members = append(r.members, m)
		}
		n.Members, r.members = slices.Clone(r.members[first:]), r.members[:first]
		_, err = r.d.ReadToken()
	}
	return n, err
}

// token returns what the token just read says, and where it began: where its text is not what stands there, near
// enough, its line.
func (r *jsonReader) token(t jsontext.Token) (string, Position) {
	end := int(r.d.InputOffset())
	switch t.Kind() {
	case '{', '[', 'n':
		return "", r.at(end - 1)
	case '"':
		if start := strings.LastIndexByte(r.text[:end-1], '"'); start >= 0 && strings.IndexByte(r.text[start+1:end-1], '\\') < 0 && (start == 0 || r.text[start-1] != '\\') {
			return r.text[start+1 : end-1], r.at(start)
		}
		s := t.String()
		return s, r.at(max(0, end-len(s)-2))
	}
	size := len(t.String())
	return r.text[end-size : end], r.at(end - size)
}

func parseYAML(file string, b []byte) (*Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, yamlError(file, err)
	}
	var second yaml.Node
	if err := d.Decode(&second); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlError(file, err)
	} else if err == nil {
		return nil, &Error{Position{file, second.Line, second.Column}, "a second YAML document follows", "keep one document in a file"}
	}
	if len(doc.Content) != 1 {
		return nil, &Error{Position{File: file, Line: 1}, "the file is empty", ""}
	}
	r := &yamlReader{file: file}
	return r.read(doc.Content[0], 0)
}

// yamlError places what the YAML library says.
func yamlError(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := Position{File: file, Line: 1, Column: 1}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if n, problem, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(n); err == nil {
				at.Line, text = line, problem
			}
		}
	}
	hint := ""
	if strings.Contains(text, "cannot start any token") {
		hint = "YAML is indented with spaces, not tabs"
	}
	return &Error{at, "not valid YAML: " + text, hint}
}

type yamlReader struct {
	file  string
	nodes int
}

func (r *yamlReader) read(y *yaml.Node, depth int) (*Node, error) {
	at := Position{r.file, y.Line, y.Column}
	if r.nodes++; r.nodes > MaxNodes {
		return nil, &Error{at, "aliases make the document too large", "write out what the aliases stand for"}
	}
	if depth > MaxDepth {
		return nil, &Error{at, "nested too deeply", ""}
	}
	n := &Node{At: at}
	switch y.Kind {
	case yaml.AliasNode:
		return r.read(y.Alias, depth+1)
	case yaml.SequenceNode:
		n.Kind = Array
		for _, c := range y.Content {
			item, err := r.read(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, item)
		}
		return n, nil
	case yaml.MappingNode:
		return r.mapping(n, y, depth)
	}
	return r.scalar(n, y)
}

func (r *yamlReader) mapping(n *Node, y *yaml.Node, depth int) (*Node, error) {
	n.Kind = Object
	seen := map[string]bool{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		at := Position{r.file, k.Line, k.Column}
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		switch {
		case k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null":
			return nil, &Error{at, "a name must be a string", ""}
		case k.ShortTag() == "!!merge":
			return nil, &Error{at, "merge keys (<<) are not read", "parsers disagree about them; write the members out"}
		case seen[k.Value]:
			return nil, &Error{at, fmt.Sprintf("the name %q stands twice in one object", k.Value), "parsers disagree about which one counts; remove one"}
		}
		seen[k.Value] = true
		v, err := r.read(y.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		n.Members = append(n.Members, Member{k.Value, at, v})
	}
	return n, nil
}

func (r *yamlReader) scalar(n *Node, y *yaml.Node) (*Node, error) {
	n.Text = y.Value
	switch y.ShortTag() {
	case "!!str", "!!timestamp":
		n.Kind = String
	case "!!null":
		n.Text = ""
	case "!!bool":
		n.Kind, n.Text = Bool, strings.ToLower(y.Value)
	case "!!int", "!!float":
		n.Kind = Number
		if !jsonNumber(y.Value) {
			i, err := strconv.ParseInt(strings.ReplaceAll(y.Value, "_", ""), 0, 64)
			if err != nil || strings.HasPrefix(strings.TrimLeft(y.Value, "+-"), "0") && !strings.HasPrefix(y.Value, "0x") && !strings.HasPrefix(y.Value, "0o") {
				return nil, &Error{n.At, fmt.Sprintf("the number %q is read differently by different parsers", y.Value), "write it in decimal, or quote it to make it a string"}
			}
			n.Text = strconv.FormatInt(i, 10)
		}
	default:
		return nil, &Error{n.At, fmt.Sprintf("the YAML tag %s is not read", y.Tag), ""}
	}
	return n, nil
}

func jsonNumber(s string) bool {
	v := jsontext.Value(s)
	return v.IsValid() && v.Kind() == '0'
}

// Get returns a member's value, nil when absent.
func (n *Node) Get(name string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Members {
		if n.Members[i].Name == name {
			return n.Members[i].Value
		}
	}
	return nil
}

// Set changes or adds a member.
func (n *Node) Set(name string, v *Node) {
	for i := range n.Members {
		if n.Members[i].Name == name {
			n.Members[i].Value = v
			return
		}
	}
	n.Members = append(n.Members, Member{name, v.At, v})
}

// Str returns the text of a string, "" otherwise.
func (n *Node) Str() string {
	if n == nil || n.Kind != String {
		return ""
	}
	return n.Text
}

// True reports whether the node is true.
func (n *Node) True() bool { return n != nil && n.Kind == Bool && n.Text == "true" }

// Clone returns a deep copy.
func (n *Node) Clone() *Node {
	c := *n
	c.Members, c.Items = slices.Clone(n.Members), slices.Clone(n.Items)
	for i := range c.Members {
		c.Members[i].Value = c.Members[i].Value.Clone()
	}
	for i := range c.Items {
		c.Items[i] = c.Items[i].Clone()
	}
	return &c
}

// At finds the node at an RFC 6901 pointer, nil when there is none.
func At(root *Node, pointer string) *Node {
	if pointer == "" {
		return root
	}
	n := root
	for _, token := range strings.Split(pointer, "/")[1:] {
		if n == nil {
			return nil
		}
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch n.Kind {
		case Object:
			n = n.Get(token)
		case Array:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(n.Items) {
				return nil
			}
			n = n.Items[i]
		default:
			return nil
		}
	}
	return n
}

// Escape escapes a name for a pointer.
func Escape(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1") }

// AppendJSON appends the tree as JSON.
func (n *Node) AppendJSON(dst []byte) []byte {
	switch n.Kind {
	case Bool, Number:
		return append(dst, n.Text...)
	case String:
		dst, _ = jsontext.AppendQuote(dst, n.Text)
		return dst
	case Array:
		dst = append(dst, '[')
		for i, v := range n.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = v.AppendJSON(dst)
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for i, m := range n.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, _ = jsontext.AppendQuote(dst, m.Name)
			dst = append(dst, ':')
			dst = m.Value.AppendJSON(dst)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

// Nearest returns the candidate within two edits of a word, "" when none is that near.
func Nearest(word string, candidates []string) string {
	best, least := "", 3
	for _, c := range candidates {
		if d := distance(word, c); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last, row[j+1] = row[j+1], min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
