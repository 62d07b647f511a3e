package gate_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/portreeve/portreeve/internal/ledger"
)

func encodeURL(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }

// TestScripts plays every testdata/*.txt twice: in front of an upstream, and around a handler. A script holds the files
// openapi.yaml and portreeve.yaml, who there is (people), what the API answers (upstream), and the script itself, in
// sections that begin with "== title"; "[proxy]" or "[wrap]" behind the title plays it that way alone. In a section
//
//	> GET /a          sends a line (HTTP/1.1 and Host are added to a request line that lacks them, an empty line at the
//	                  end of the head); a head may be followed by what stands in "| " lines, sent as it is
//	| {"a":1}         the body; $LEN in the head is its length, \r\n in it a line break of HTTP
//	< 200             expects an answer with that status, and of it:
//	< Name: value     a header, "< !Name" none, "< Name ~ regexp"
//	< = text          the whole body, "< ~ regexp" what it matches, "< ! text" what it does not hold
//	< cut             the connection breaks within the body; "< closed": the answer ends it
//	^ GET /a          expects that this reached the API; "^ none" that nothing did; header and body lines as above
//	@ request deny authz permission 403 subject=alice
//	                  expects that event: phase, decision, stage, reason, status, further fields; all events, in order
//	~ clock 61s       moves time; "~ from ADDRESS" sends from elsewhere; "~ repeat N" plays the section so often;
//	                  "~ revoke NAME" revokes a key; "~ disable NAME" a user; "~ ledger fails" closes the ledger
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range files {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		part := map[string]string{}
		for _, f := range a.Files {
			part[f.Name] = string(f.Data)
		}
		for _, mode := range []string{"proxy", "wrap"} {
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txt")+"/"+mode, func(t *testing.T) {
				w := newWorld(t, settings{document: part["openapi.yaml"], config: part["portreeve.yaml"], people: part["people"],
					answers: part["upstream"], wrap: mode == "wrap"})
				played := 0
				for _, s := range sections(t, name, part["script"]) {
					if s.only != "" && s.only != mode {
						continue
					}
					played++
					for range s.repeat {
						w.play(&s, mode)
					}
				}
				if played == 0 {
					t.Skip("nothing to play this way")
				}
				w.keepsSecrets()
				if rep, err := ledger.Verify(filepath.Join(w.dir, "data", "audit")); err != nil || len(rep.Unresolved) > 0 {
					t.Errorf("the ledger: %v, unresolved %v", err, rep.Unresolved)
				}
			})
		}
	}
}

type section struct {
	title  string
	only   string
	lines  []string
	repeat int
}

func sections(t *testing.T, file, text string) []section {
	t.Helper()
	var out []section
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "== "):
			s := section{title: line[3:], repeat: 1}
			for _, m := range []string{"proxy", "wrap"} {
				if rest, ok := strings.CutSuffix(s.title, " ["+m+"]"); ok {
					s.title, s.only = rest, m
				}
			}
			out = append(out, s)
		case len(out) == 0 || len(line) < 2 && line != ">" || !strings.Contains(">|<^@~", line[:1]) || len(line) > 1 && line[1] != ' ':
			t.Fatalf("%s: what is %q", file, line)
		case strings.HasPrefix(line, "~ repeat "):
			n, err := strconv.Atoi(line[9:])
			if err != nil {
				t.Fatal(err)
			}
			out[len(out)-1].repeat = n
		default:
			out[len(out)-1].lines = append(out[len(out)-1].lines, line)
		}
	}
	return out
}

// play runs one section.
func (w *world) play(s *section, mode string) {
	t := w.t
	t.Helper()
	c := &client{world: w, title: s.title}
	defer c.close()
	var arrived, happened []string
	for i := 0; i < len(s.lines); {
		n := i + 1
		kind := s.lines[i][0]
		for n < len(s.lines) && (s.lines[n][0] == kind && kind != '~' || kind == '>' && s.lines[n][0] == '|') {
			n++
		}
		block := s.lines[i:n]
		i = n
		switch kind {
		case '>', '|':
			c.send(block)
		case '<':
			c.expect(block)
		case '^':
			arrived = append(arrived, block...)
		case '@':
			happened = append(happened, block...)
		case '~':
			w.direct(strings.Fields(block[0][2:]))
		}
	}
	c.close()
	eventually(t, "all requests have ended", func() bool { return w.inFlight.Load() == 0 })
	if len(arrived) > 0 {
		want := 0
		for _, l := range arrived {
			if requestLine.MatchString(l) {
				want++
			}
		}
		eventually(t, s.title+" has arrived", func() bool { return w.upstream.count() >= want })
	}
	seen := w.upstream.arrivals()
	if len(arrived) > 0 {
		w.compareArrivals(s.title, arrived, seen, mode)
	}
	if len(happened) > 0 {
		w.compareEvents(s.title, happened)
	} else {
		w.events()
	}
}

func (w *world) direct(f []string) {
	ctx := w.t.Context()
	var err error
	switch f[0] {
	case "clock":
		var d time.Duration
		if d, err = time.ParseDuration(f[1]); err == nil {
			w.advance(d)
		}
	case "from":
		w.comeFrom(f[1])
	case "revoke":
		_, err = w.d.Manager.RevokeKey(ctx, w.keys[f[1]].Key.ID)
	case "disable":
		_, err = w.d.Manager.DisableUser(ctx, f[1])
	case "ledger":
		err = w.d.Ledger.Close()
	default:
		err = fmt.Errorf("what is ~ %v", f)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// client is one connection, spoken in raw bytes.
type client struct {
	*world
	title  string
	conn   net.Conn
	r      *bufio.Reader
	method string
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *client) dial() {
	var err error
	if c.conn, err = net.Dial("tcp", c.addr); err != nil {
		c.t.Fatal(err)
	}
	c.conn.SetDeadline(time.Now().Add(deadline))
	c.r = bufio.NewReader(c.conn)
}

// send writes a block: a head with its body, or a further part of a body.
func (c *client) send(block []string) {
	var head, body []string
	for _, l := range block {
		if l[0] == '>' {
			head = append(head, c.expand(strings.TrimPrefix(l[1:], " ")))
		} else {
			body = append(body, strings.ReplaceAll(c.expand(l[2:]), `\r\n`, "\r\n"))
		}
	}
	payload := strings.Join(body, "\n")
	var b strings.Builder
	if len(head) > 0 {
		line := head[0]
		c.method, _, _ = strings.Cut(line, " ")
		if !strings.Contains(line, " HTTP/") {
			line += " HTTP/1.1"
		}
		b.WriteString(line + "\r\n")
		if !strings.Contains(strings.ToLower(strings.Join(head, "\n")), "\nhost:") {
			b.WriteString("Host: api.test\r\n")
		}
		for _, l := range head[1:] {
			b.WriteString(strings.ReplaceAll(l, "$LEN", strconv.Itoa(len(payload))) + "\r\n")
		}
		b.WriteString("\r\n")
	}
	b.WriteString(payload)
	if c.conn == nil {
		c.dial()
	}
	if _, err := io.WriteString(c.conn, b.String()); err != nil {
		c.t.Errorf("%s: sending: %v", c.title, err)
	}
}

// expect reads one answer and holds it against a block.
func (c *client) expect(block []string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: c.method})
	if err != nil && slices.Contains(block, "< cut") {
		c.close()
		return // not even the head had left
	}
	if err != nil {
		c.t.Errorf("%s: reading the answer: %v", c.title, err)
		return
	}
	var body []byte
	if resp.StatusCode != http.StatusContinue {
		body, err = io.ReadAll(resp.Body)
	}
	cut := err != nil
	wantCut := false
	for _, l := range block {
		l = c.expand(l[2:])
		switch _, numeric := strconv.Atoi(l); {
		case numeric == nil:
			if strconv.Itoa(resp.StatusCode) != l {
				c.t.Errorf("%s: got %d %v %s, want %s", c.title, resp.StatusCode, resp.Header, body, l)
			}
		case l == "cut":
			wantCut = true
		case l == "closed":
			if !resp.Close {
				c.t.Errorf("%s: the answer does not end the connection", c.title)
			}
		default:
			if fault := matches(l, resp.Header, string(body)); fault != "" {
				c.t.Errorf("%s: answer %d: %s", c.title, resp.StatusCode, fault)
			}
		}
	}
	if cut != wantCut {
		c.t.Errorf("%s: cut %v, want %v (%v) after %q", c.title, cut, wantCut, err, body)
	}
	if resp.Close && !cut {
		c.close()
	}
}

// matches holds a header and a body against one line, and says what is wrong.
func matches(l string, h http.Header, body string) string {
	switch {
	case strings.HasPrefix(l, "= ") || l == "=":
		if want := strings.TrimPrefix(l[1:], " "); body != want {
			return fmt.Sprintf("body is\n\t%s\nwant\n\t%s", body, want)
		}
	case strings.HasPrefix(l, "~ "):
		if !regexp.MustCompile(l[2:]).MatchString(body) {
			return fmt.Sprintf("body %q does not match %s", body, l[2:])
		}
	case strings.HasPrefix(l, "! "):
		if strings.Contains(body, l[2:]) {
			return fmt.Sprintf("body %q holds %s", body, l[2:])
		}
	case strings.HasPrefix(l, "!"):
		if v := h.Values(l[1:]); len(v) > 0 {
			return fmt.Sprintf("has %s: %q", l[1:], v)
		}
	default:
		if name, want, ok := strings.Cut(l, " ~ "); ok && !strings.Contains(name, ":") {
			if v := strings.Join(h.Values(name), "\n"); !regexp.MustCompile(want).MatchString(v) {
				return fmt.Sprintf("%s is %q, want %s", name, v, want)
			}
			return ""
		}
		name, want, ok := strings.Cut(l, ": ")
		if !ok {
			name, want = strings.TrimSuffix(l, ":"), ""
		}
		for _, v := range h.Values(name) {
			if v == want {
				return ""
			}
		}
		return fmt.Sprintf("%s is %q, want %q", name, h.Values(name), want)
	}
	return ""
}

var requestLine = regexp.MustCompile(`^\^ [A-Z]+ /`)

func (w *world) compareArrivals(title string, want []string, got []arrival, mode string) {
	t := w.t
	t.Helper()
	n := -1
	for _, l := range want {
		switch {
		case l == "^ none":
		case requestLine.MatchString(l):
			n++
			if n >= len(got) {
				t.Errorf("%s: %s did not arrive", title, l[2:])
				return
			}
			if got[n].line != l[2:] {
				t.Errorf("%s: %s arrived, want %s", title, got[n].line, l[2:])
			}
		case n < 0:
			t.Fatalf("%s: %s stands before the request it is about", title, l)
		default:
			isHeader := !strings.HasPrefix(l, "^ = ") && !strings.HasPrefix(l, "^ ~ ") && !strings.HasPrefix(l, "^ ! ")
			if mode == "wrap" && isHeader {
				continue // a handler learns who calls by its context, and is given no headers of the gate's
			}
			if fault := matches(w.expand(l[2:]), got[n].header, got[n].body); fault != "" {
				t.Errorf("%s: what arrived: %s", title, fault)
			}
		}
	}
	if len(got) != n+1 {
		t.Errorf("%s: %d requests arrived, want %d: %v", title, len(got), n+1, got)
	}
}

func (w *world) compareEvents(title string, want []string) {
	t := w.t
	t.Helper()
	got := w.events()
	text := make([]string, len(got))
	for i := range got {
		text[i] = got[i].String()
	}
	if want[0] == "@ none" {
		want = nil
	}
	if len(got) != len(want) {
		t.Errorf("%s: events\n\t%s\nwant\n\t%s", title, strings.Join(text, "\n\t"), strings.Join(want, "\n\t"))
		return
	}
	for i, l := range want {
		f := strings.Fields(l[2:])
		k := 0
		for k < len(f) && !strings.Contains(f[k], "=") {
			k++
		}
		if head := strings.Join(f[:k], " "); head != text[i] {
			t.Errorf("%s: event %s, want %s", title, text[i], head)
		}
		for _, p := range f[k:] {
			name, value, _ := strings.Cut(p, "=")
			if have := strings.ReplaceAll(got[i].field(name), " ", "_"); have != value {
				t.Errorf("%s: event %s: %s is %q, want %q", title, text[i], name, have, value)
			}
		}
	}
}
