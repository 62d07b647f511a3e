package starter

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// words splits a name at its case, dashes, underscores and blanks: "userID", "user_id" and "User-Id" are user id.
func words(name string) []string {
	var out []string
	var now []rune
	flush := func() {
		if len(now) > 0 {
			out = append(out, strings.ToLower(string(now)))
			now = now[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])),
			unicode.IsUpper(r) && i > 0 && i+1 < len(runes) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1]):
			flush()
		}
		now = append(now, r)
	}
	flush()
	return out
}

// singular takes the plural's ending off an English noun.
func singular(w string) string {
	switch {
	case len(w) > 4 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 4 && (strings.HasSuffix(w, "sses") || strings.HasSuffix(w, "xes") || strings.HasSuffix(w, "ches") || strings.HasSuffix(w, "shes")):
		return w[:len(w)-2]
	case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us"):
		return w[:len(w)-1]
	}
	return w
}

// singulars is words with each in the singular.
func singulars(name string) []string {
	out := words(name)
	for i, w := range out {
		out[i] = singular(w)
	}
	return out
}

// slug is a name as a segment of a permission, "" when nothing of it is left.
func slug(name string) string {
	var out []string
	for _, w := range words(name) {
		var b strings.Builder
		for _, r := range w {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				b.WriteRune(r)
			}
		}
		if b.Len() > 0 {
			out = append(out, b.String())
		}
	}
	s := strings.Join(out, "-")
	const longest = 64
	return strings.TrimRight(s[:min(len(s), longest)], "-")
}

// shown is text of the document as it may stand in a comment or on a terminal: what could end the line, or speak to the
// terminal, is escaped.
func shown(s string) string {
	const longest = 120
	if utf8.RuneCountInString(s) > longest {
		s = string([]rune(s)[:longest]) + "…"
	}
	q := strconv.Quote(s)
	if q[1:len(q)-1] == s {
		return s
	}
	return q
}

// quoted is shown, in quotes always.
func quoted(s string) string {
	if q := shown(s); strings.HasPrefix(q, `"`) {
		return q
	}
	return `"` + shown(s) + `"`
}

// scalar is a string as YAML. Go's escapes are YAML's too (YAML 1.2 §5.7), and no character stands unescaped that YAML
// could read as an end.
func scalar(s string) string { return strconv.Quote(s) }
