package demo

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// width is how many columns the table takes. Only a quoted word of a command may be wider.
const width = 100

// byControl orders what is shown by the first control it is about, keeping the order of the table within one.
func byControl[T any](list []T, of func(*T) *Demonstration) []T {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b T) int { return strings.Compare(of(&a).Controls[0], of(&b).Controls[0]) })
	return out
}

// Print writes what came back, control by control, and returns whether the guarded side held everywhere.
func Print(w io.Writer, e Endpoints, rows []Row) (held bool, err error) {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "naked    %s\nguarded  %s\nEach command asks the guarded side. The naked side was asked the same.\n", e.Naked, e.Guarded)
	control := ""
	for _, r := range byControl(rows, func(r *Row) *Demonstration { return &r.Demonstration }) {
		if r.Controls[0] != control {
			control = r.Controls[0]
			fmt.Fprintf(b, "\n== %s %s\n", control, strings.Repeat("=", max(0, width-4-len(control))))
		}
		heading(b, &r.Demonstration)
		for i := range r.Calls {
			fmt.Fprintln(b, wrap(r.Calls[i].Curl(&e, e.base(&r.Calls[i], true)), width))
		}
		line(b, "naked", &r.Demonstration, &r.Naked, r.nakedWord(), e.hide)
		line(b, "guarded", &r.Demonstration, &r.Guarded, r.guardedWord(), e.hide)
	}
	t := tally(rows)
	fmt.Fprintf(b, "\n%s\n", strings.Repeat("=", width))
	fmt.Fprintf(b, "%d attacks: %d do harm to the naked side, %d are held off by the guarded one\n", t.Attacks, t.Naked, t.Held)
	fmt.Fprintf(b, "%d lawful uses: %d work on the guarded side\n", t.Lawful, t.Works)
	for _, r := range rows {
		if !r.Held() {
			fmt.Fprintf(b, "NOT AS IT MUST BE: %s (%s)\n", r.ID, r.Title)
		}
	}
	return t.Held == t.Attacks && t.Works == t.Lawful, b.Flush()
}

// Tally counts what came out.
type Tally struct {
	Attacks, Naked, Held int // attacks: all, those that do harm to the naked side, those the guarded side holds off
	Lawful, Works        int // lawful uses: all, those that work on the guarded side
}

func tally(rows []Row) Tally {
	var t Tally
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Lawful():
			t.Lawful++
			t.Works += count(r.Held())
		default:
			t.Attacks++
			t.Naked += count(r.Shown())
			t.Held += count(r.Held())
		}
	}
	return t
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *Row) nakedWord() string {
	switch {
	case r.Lawful():
		return ""
	case r.Shown():
		return "HARM"
	}
	return "none"
}

func (r *Row) guardedWord() string {
	switch {
	case !r.Held():
		return "FAILED"
	case r.Lawful():
		return "works"
	}
	return "held"
}

func heading(w io.Writer, d *Demonstration) {
	kind := "attack"
	if d.Lawful() {
		kind = "lawful"
	}
	also := ""
	if len(d.Controls) > 1 {
		also = " (" + strings.Join(d.Controls[1:], ", ") + ")"
	}
	fmt.Fprintf(w, "\n# %s: %s%s\n", kind, d.Title, also)
}

// line writes what one side answered: its statuses, the part that tells, and what that means.
func line(w io.Writer, side string, d *Demonstration, s *Side, word string, hide func(string) string) {
	head := fmt.Sprintf("  %-8s %-15s ", side, s.statuses())
	room := width - 8 - utf8.RuneCountInString(head)
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%s%-*s %6s", head, room, s.excerpt(d, room, hide), word), " "))
}

// hide takes the identities' secrets out of a text: that a side gave one away can be shown without giving it away again.
func (e *Endpoints) hide(s string) string {
	for _, id := range e.Identities {
		for _, secret := range []string{id.Password, id.Token, id.APIKey} {
			if secret != "" {
				s = strings.ReplaceAll(s, secret, "(hidden here)")
			}
		}
	}
	return s
}

// statuses returns the statuses of all answers, like ones together: "200 x10, 429 x2".
func (s *Side) statuses() string {
	var parts []string
	for i := 0; i < len(s.Answers); {
		n := i + 1
		for n < len(s.Answers) && s.Answers[n].Status == s.Answers[i].Status && s.Answers[n].Err == nil {
			n++
		}
		text := fmt.Sprint(s.Answers[i].Status)
		if s.Answers[i].Err != nil {
			text = "error"
		}
		if n-i > 1 {
			text += fmt.Sprintf(" x%d", n-i)
		}
		parts = append(parts, text)
		i = n
	}
	return strings.Join(parts, ", ")
}

// excerpt returns the part of the last answer that tells most, in one line of plain text.
func (s *Side) excerpt(d *Demonstration, room int, hide func(string) string) string {
	last := &s.Answers[len(s.Answers)-1]
	if last.Err != nil {
		return shorten(flat(last.Err.Error()), room)
	}
	if d.Show != "" {
		value := last.Header.Get(d.Show)
		if value == "" {
			value = "(none)"
		}
		return shorten(flat(d.Show+": "+hide(value)), room)
	}
	text := flat(hide(last.Body))
	if text == "" {
		return "(no body)"
	}
	if at := strings.Index(text, d.Telling); d.Telling != "" && at > room/2 {
		start := at - room/4
		for !utf8.RuneStart(text[start]) {
			start--
		}
		text = "..." + text[start:]
	}
	return shorten(text, room)
}

// flat makes one line of a text and takes away what a terminal would obey.
func flat(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
}

func shorten(s string, room int) string {
	if utf8.RuneCountInString(s) <= room {
		return s
	}
	return string([]rune(s)[:room-3]) + "..."
}

// PrintCurls writes every demonstration as commands to paste, for both sides.
func PrintCurls(w io.Writer, e Endpoints, list []Demonstration) error {
	b := bufio.NewWriter(w)
	control := ""
	for _, d := range byControl(list, func(d *Demonstration) *Demonstration { return d }) {
		if d.Controls[0] != control {
			control = d.Controls[0]
			fmt.Fprintf(b, "\n== %s %s\n", control, strings.Repeat("=", max(0, width-4-len(control))))
		}
		heading(b, &d)
		for _, side := range []struct {
			name    string
			guarded bool
		}{{"naked", false}, {"guarded", true}} {
			fmt.Fprintf(b, "# %s\n", side.name)
			for i := range d.Calls {
				fmt.Fprintln(b, wrap(d.Calls[i].Curl(&e, e.base(&d.Calls[i], side.guarded)), width))
			}
		}
	}
	return b.Flush()
}

// wrap breaks a command between its words, an option staying with its value, and a single-quoted word that is too long
// inside: to the shell nothing changes.
func wrap(command string, columns int) string {
	var b strings.Builder
	used, afterOption := 0, false
	list := words(command)
	for i, word := range list {
		size := utf8.RuneCountInString(word)
		need := size
		if option(word) && i+1 < len(list) {
			need += 1 + utf8.RuneCountInString(list[i+1])
		}
		switch {
		case used == 0:
		case afterOption || used+1+need <= columns-2:
			b.WriteByte(' ')
			used++
		default:
			b.WriteString(" \\\n")
			used = 0
		}
		afterOption = option(word)
		for plainQuoted(word) && used+size > columns-2 && used < columns/2 {
			runes := []rune(word)
			b.WriteString(string(runes[:columns-3-used]) + "'\\\n")
			word = "'" + string(runes[columns-3-used:])
			size, used = utf8.RuneCountInString(word), 0
		}
		b.WriteString(word)
		used += size
	}
	return b.String()
}

func option(word string) bool {
	return word == "-H" || word == "-d" || word == "-X" || word == "--cacert"
}

// plainQuoted reports whether a word is one single-quoted piece.
func plainQuoted(word string) bool {
	return len(word) > 2 && word[0] == '\'' && strings.IndexByte(word[1:], '\'') == len(word)-2
}

// words splits a command at the spaces that stand outside of quotes.
func words(command string) []string {
	var out []string
	start, depth := 0, 0
	var quotes []byte
	for i := 0; i < len(command); i++ {
		switch c := command[i]; {
		case len(quotes) > 0 && quotes[len(quotes)-1] == '\'':
			if c == '\'' {
				quotes = quotes[:len(quotes)-1]
			}
		case c == '\\':
			i++
		case c == '\'' && (len(quotes) == 0 || depth > 0):
			quotes = append(quotes, c)
		case c == '"' && len(quotes) > 0 && quotes[len(quotes)-1] == '"':
			quotes = quotes[:len(quotes)-1]
		case c == '"':
			quotes = append(quotes, c)
		case c == '$' && i+1 < len(command) && command[i+1] == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ' ' && len(quotes) == 0 && depth == 0:
			out = append(out, command[start:i])
			start = i + 1
		}
	}
	return append(out, command[start:])
}

// Report is what a machine reads of a run.
type Report struct {
	Schema string       `json:"schema"` // "portreeve/demo/v1"
	Held   bool         `json:"held"`   // the guarded side was everywhere as it must be
	Tally  ReportTally  `json:"tally"`
	Rows   []ReportLine `json:"rows"`
}

// ReportTally counts rows.
type ReportTally struct {
	Attacks int `json:"attacks"`
	Harm    int `json:"harm"` // attacks that do harm to the naked side
	Held    int `json:"held"` // attacks the guarded side holds off
	Lawful  int `json:"lawful"`
	Works   int `json:"works"` // lawful uses that work on the guarded side
}

// ReportLine is one row.
type ReportLine struct {
	ID       string   `json:"id"`
	Controls []string `json:"controls"`
	Title    string   `json:"title"`
	Lawful   bool     `json:"lawful"`
	Naked    string   `json:"naked"` // statuses
	Harm     bool     `json:"harm"`
	Guarded  string   `json:"guarded"` // statuses
	Held     bool     `json:"held"`
}

// NewReport sums rows up.
func NewReport(rows []Row) Report {
	t := tally(rows)
	out := Report{Schema: "portreeve/demo/v1", Held: t.Held == t.Attacks && t.Works == t.Lawful, Tally: ReportTally{t.Attacks, t.Naked, t.Held, t.Lawful, t.Works}, Rows: []ReportLine{}}
	for i := range rows {
		r := &rows[i]
		out.Rows = append(out.Rows, ReportLine{r.ID, r.Controls, r.Title, r.Lawful(), r.Naked.statuses(), !r.Lawful() && r.Shown(), r.Guarded.statuses(), r.Held()})
	}
	return out
}
