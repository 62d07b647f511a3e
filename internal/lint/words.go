package lint

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// words splits a name where people see words: "resetUserToken", "reset_user_token" and "Reset-User-Token" are the same.
func words(name string) []string {
	var out []string
	var now []rune
	flush := func() {
		if len(now) > 0 {
			out = append(out, strings.ToLower(string(now)))
			now = now[:0]
		}
	}
	last := ' '
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			last = r
			continue
		}
		if unicode.IsUpper(r) && unicode.IsLower(last) {
			flush()
		}
		now = append(now, r)
		last = r
	}
	flush()
	return out
}

// said reports whether a name, split into words and joined again, is one of these or ends in one: "access_token" ends in
// "token", "tokens" does not.
func ends(name string, in ...string) bool {
	joined := " " + strings.Join(words(name), " ")
	return slices.ContainsFunc(in, func(w string) bool { return strings.HasSuffix(joined, " "+w) })
}

// has reports whether any word of a name is one of these.
func has(name string, in ...string) bool {
	return slices.ContainsFunc(words(name), func(w string) bool { return slices.Contains(in, w) })
}

func itoa(i int) string { return strconv.Itoa(i) }
