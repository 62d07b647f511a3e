package lint

import (
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

func operationUnlimited(s *search) {
	if s.Config.Limits.Principal.Text != "" {
		s.look() // every operation has this one
		costly(s)
		return
	}
	for _, op := range s.Document.Operations {
		s.look()
		if _, own := s.Config.Limits.Operations[op.ID]; !own && op.Ext.Limit == "" {
			s.find(found{at: op.At, pointer: op.Pointer, op: op}, "nothing limits how often the operation is called")
		}
	}
}

// dear are words of operations that cost more than others.
var dear = []string{"export", "expensive", "generate", "render", "convert", "transcode", "bulk", "batch", "sms", "invite", "payout", "backup", "analyze", "analyse", "train", "predict"}

// costly finds operations that look expensive and have only the limit that everybody has.
func costly(s *search) {
	for _, op := range s.Document.Operations {
		if !has(lastSegment(op.Path), dear...) {
			continue
		}
		s.look()
		if _, own := s.Config.Limits.Operations[op.ID]; !own && op.Ext.Limit == "" {
			s.find(found{at: op.At, pointer: op.Pointer, op: op}, "the operation looks expensive, and has no limit of its own")
		}
	}
}

// bounded are formats whose values have a length.
var bounded = map[string]bool{"date": true, "date-time": true, "time": true, "uuid": true, "ipv4": true, "ipv6": true, "email": true, "hostname": true, "duration": true, "byte": false, "binary": false}

func stringUnbounded(s *search) {
	for _, r := range s.requests() {
		if !r.is("string") || r.flag("readOnly") || r.n.Get("format").Str() == "binary" {
			continue
		}
		s.look()
		if r.closed() || r.n.Get("maxLength") != nil || bounded[r.n.Get("format").Str()] || anchored(r.n.Get("pattern").Str()) || r.param != nil {
			continue // a parameter is bounded by the request's target and header
		}
		s.find(found{at: s.Document.At(r.at), pointer: r.at, op: r.op, key: r.name}, "a text%s has no maxLength: only the size of the whole body bounds it", of(r.name))
	}
}

// anchored reports whether a pattern bounds what it matches: both ends held, no repetition without end.
func anchored(p string) bool {
	return strings.HasPrefix(p, "^") && strings.HasSuffix(p, "$") && !strings.ContainsAny(strings.ReplaceAll(strings.ReplaceAll(p, `\*`, ""), `\+`, ""), "*+") && !strings.Contains(p, ",}")
}

func of(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

func arrayUnbounded(s *search) {
	for _, r := range s.requests() {
		if !r.is("array") || r.flag("readOnly") {
			continue
		}
		s.look()
		if r.n.Get("maxItems") == nil {
			s.find(found{at: atOf(s, r), pointer: r.at, op: r.op, key: r.name}, "a list%s has no maxItems", of(r.name))
		}
	}
}

func numberUnbounded(s *search) {
	for _, r := range s.requests() {
		if !r.is("integer") && !r.is("number") || r.flag("readOnly") || r.param != nil && r.param.In == "path" {
			continue
		}
		s.look()
		low := r.n.Get("minimum") != nil || r.n.Get("exclusiveMinimum") != nil
		high := r.n.Get("maximum") != nil || r.n.Get("exclusiveMaximum") != nil
		if r.closed() || low && high {
			continue
		}
		s.find(found{at: atOf(s, r), pointer: r.at, op: r.op, key: r.name}, "a number%s has no range", of(r.name))
	}
}

func pageUnbounded(s *search) {
	for _, r := range s.requests() {
		if r.param == nil || r.param.In != "query" || !r.is("integer") || !ends(r.name, "limit", "page size", "per page", "pagesize", "perpage", "max results", "maxresults", "top", "take", "first") {
			continue
		}
		s.look()
		if r.n.Get("maximum") == nil && r.n.Get("exclusiveMaximum") == nil && !r.closed() {
			s.find(found{at: r.param.At, pointer: r.param.Pointer, op: r.op, key: r.name}, "%q chooses how much is returned, and has no maximum", r.name)
		}
	}
}

func patternCatastrophic(s *search) {
	for _, x := range append(append([]*schema{}, s.requests()...), s.answers()...) {
		p := x.n.Get("pattern")
		if p == nil || p.Kind != tree.String {
			continue
		}
		s.look()
		if nested(p.Text) {
			s.find(found{at: p.At, pointer: x.pointer + "/pattern", op: x.op}, "the pattern repeats what itself repeats: a short text can keep a backtracking engine busy for ever")
		}
	}
}

// nested reports whether a group that ends in a repetition without bound, and is made of little else, is itself repeated
// without bound: (a+)+, (\w*)*, ([a-z]+)*. It reads the pattern's shape only; what it does not understand it lets pass.
func nested(p string) bool {
	type group struct {
		last  bool // the last piece is repeated without bound
		parts int  // pieces that are not
	}
	stack := []group{{}}
	i := 0
	repeated := func() (unbound, optional bool) { // how often the piece that ends here stands; moves on
		if i >= len(p) {
			return false, false
		}
		switch p[i] {
		case '*', '+':
			unbound = true
			i++
		case '?':
			i++
			return false, true
		case '{':
			end := strings.IndexByte(p[i:], '}')
			if end < 0 {
				return false, false
			}
			unbound = strings.HasSuffix(p[i:i+end], ",")
			i += end + 1
		}
		if unbound && i < len(p) && p[i] == '?' {
			i++
		}
		return unbound, false
	}
	for i < len(p) {
		top := &stack[len(stack)-1]
		switch p[i] {
		case '(':
			i++
			if strings.HasPrefix(p[i:], "?") {
				if end := strings.IndexAny(p[i:], ":=!>"); end >= 0 {
					i += end + 1
				}
			}
			stack = append(stack, group{})
			continue
		case ')':
			if len(stack) == 1 {
				return false
			}
			inner := *top
			stack = stack[:len(stack)-1]
			top = &stack[len(stack)-1]
			i++
			again, optional := repeated()
			if again && inner.last && inner.parts == 0 {
				return true
			}
			top.last = top.last || again || inner.last && inner.parts == 0
			if !again && !optional && !(inner.last && inner.parts == 0) {
				top.parts++
			}
			continue
		case '|':
			i++
			*top = group{last: top.last}
			continue
		case '^', '$':
			i++
			continue
		case '\\':
			i++
		case '[':
			end := i + 1
			for end < len(p) && (p[end] != ']' || end == i+1) {
				if p[end] == '\\' {
					end++
				}
				end++
			}
			i = end
		}
		i++
		switch unbound, optional := repeated(); {
		case unbound:
			top.last = true
		case !optional:
			top.parts++
		}
	}
	return false
}
