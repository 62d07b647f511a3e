package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean replaces everything that is not printed: controls would drive the terminal, and characters without a width or
// with a direction of their own would show another text than is there (CVE-2021-42574).
func Clean(s string) string {
	if strings.IndexFunc(s, hidden) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case hidden(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case hidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }

// cut shortens a line.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// Wrap breaks text at spaces.
func Wrap(s string, n int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= n:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line == "" && len(lines) > 0 {
		return lines
	}
	return append(lines, line)
}

// command breaks a shell command between its words, so that it can still be pasted.
func command(s string, n int, under string) string {
	var b strings.Builder
	width := 0
	for i, word := range withOptions(shellWords(s)) {
		w := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case width+1+w+2 > n:
			b.WriteString(" \\\n" + under)
			width = 2
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += w
	}
	return b.String()
}

// withOptions keeps an option of one letter with its value.
func withOptions(words []string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		if w := words[i]; len(w) == 2 && w[0] == '-' && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			out = append(out, w+" "+words[i+1])
			i++
			continue
		}
		out = append(out, words[i])
	}
	return out
}

// shellWords splits a POSIX shell command at the spaces outside quotes. Line continuations are spaces; hidden characters
// are replaced, which only a command that should have quoted them notices.
func shellWords(s string) []string {
	s = strings.ReplaceAll(s, "\\\n", " ")
	var words []string
	var word strings.Builder
	quote, escaped := byte(0), false
	for i := range len(s) { // every byte that means something is ASCII
		r := s[i]
		switch {
		case escaped:
			escaped = false
		case r == '\\' && quote != '\'':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && (r == ' ' || r == '\n' || r == '\t'):
			if word.Len() > 0 {
				words = append(words, Clean(word.String()))
				word.Reset()
			}
			continue
		}
		word.WriteByte(r)
	}
	if word.Len() > 0 {
		words = append(words, Clean(word.String()))
	}
	return words
}
