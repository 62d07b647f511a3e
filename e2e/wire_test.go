package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWire sends the raw requests of testdata/wire to a gate and holds the answers, the events of the ledger, and every byte that reached the API against what each case says, once in plain
// and once over TLS:
//
//	threat 1: what is sent → what happens        of the whole file, for docs/threats.md
//	== title                                     begins a case
//	> GET /a HTTP/1.1                            a line that is sent, with CR LF behind it
//	| bytes                                      bytes that are sent, with nothing behind them
//	~ end                                        the client sends no more (FIN)
//	~ from proxy                                 the client is a trusted proxy
//	< 400 target_dot_segment close               an answer: its status, the reason in the event ("-": none), and whether the
//	                                             connection ends there; where it does not, a plain request must pass on it
//	^ PUT /things/1 HTTP/1.1                     what reaches the API: the request line, then fields beside those the gate
//	^ Content-Type: application/json             sets itself, then the body
//	^| {"n":1}
//	^ broken                                     the API gets part of a request, and its connection ends
//
// In what is sent and arrives, \r \n \t \0 \\ and \xHH stand for bytes, {{300*a}} for repetitions, $KEY for an API key.
// Each case comes from an address of its own, so that its events are known.
func TestWire(t *testing.T) {
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "TLS"}[secure]
		t.Run(name, func(t *testing.T) { playWire(t, files, secure) })
	}
}

func playWire(t *testing.T, files []string, secure bool) {
	api := startRecorder(t)
	g := openGate(t, wireDocument, api.url(), secure, "trusted_proxies: [127.2.0.0/16]\n")
	var cases []*wireCase
	for _, name := range files {
		cases = append(cases, readCases(t, name)...)
	}
	for i, c := range cases {
		c.from = fmt.Sprintf("127.1.%d.%d", i/200, i%200+1)
		if c.proxy {
			c.from = fmt.Sprintf("127.2.%d.%d", i/200, i%200+1)
		}
		if !t.Run(c.name, func(t *testing.T) { c.play(t, g, api) }) {
			api.take()
		}
	}
	g.end(t)
	compareEvents(t, cases, g.events(t))
	t.Attr("cases", strconv.Itoa(len(cases)))
}

type wireCase struct {
	name   string
	send   string
	end    bool // FIN after it
	proxy  bool
	from   string
	want   []wireAnswer
	arrive []wireArrival
	broken bool
}

type wireAnswer struct {
	status int
	reason string
	close  bool
}

type wireArrival struct {
	line   string
	fields []string
	body   string
}

// readCases reads a file of cases.
func readCases(t *testing.T, file string) []*wireCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*wireCase
	var c *wireCase
	for n, line := range strings.Split(string(text), "\n") {
		fail := func() { t.Fatalf("%s:%d: what is %q", file, n+1, line) }
		switch {
		case line == "" || line[0] == '#' || strings.HasPrefix(line, "threat "):
		case strings.HasPrefix(line, "== "):
			c = &wireCase{name: strings.TrimSuffix(filepath.Base(file), ".txt") + "/" + line[3:]}
			cases = append(cases, c)
		case c == nil:
			fail()
		case line == ">":
			c.send += "\r\n"
		case strings.HasPrefix(line, "> "):
			c.send += unescape(t, line[2:]) + "\r\n"
		case strings.HasPrefix(line, "| "):
			c.send += unescape(t, line[2:])
		case line == "~ end":
			c.end = true
		case line == "~ from proxy":
			c.proxy = true
		case strings.HasPrefix(line, "< "):
			f := strings.Fields(line[2:])
			status, err := strconv.Atoi(f[0])
			if err != nil || len(f) < 2 || len(f) == 3 && f[2] != "close" || len(f) > 3 {
				fail()
			}
			c.want = append(c.want, wireAnswer{status, f[1], len(f) == 3})
		case line == "^ broken":
			c.broken = true
		case strings.HasPrefix(line, "^| ") && len(c.arrive) > 0:
			c.arrive[len(c.arrive)-1].body += unescape(t, line[3:])
		case strings.HasPrefix(line, "^ ") && strings.HasSuffix(line, " HTTP/1.1"):
			c.arrive = append(c.arrive, wireArrival{line: unescape(t, line[2:])})
		case strings.HasPrefix(line, "^ ") && len(c.arrive) > 0:
			a := &c.arrive[len(c.arrive)-1]
			a.fields = append(a.fields, unescape(t, line[2:]))
		default:
			fail()
		}
	}
	return cases
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	for {
		before, rest, ok := strings.Cut(s, "{{")
		if !ok {
			break
		}
		what, after, _ := strings.Cut(rest, "}}")
		count, text, _ := strings.Cut(what, "*")
		n, err := strconv.Atoi(count)
		if err != nil {
			t.Fatal(err)
		}
		s = before + strings.Repeat(text, n) + after
	}
	out, err := strconv.Unquote(`"` + strings.NewReplacer(`"`, `\"`, `\0`, `\x00`).Replace(s) + `"`)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return out
}

// play sends a case and judges the answers and the arrivals.
func (c *wireCase) play(t *testing.T, g *wireGate, api *recorder) {
	conn := g.dial(t, c.from, "http/1.1")
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(c.send, "$KEY", g.key)); err != nil {
		t.Fatal(err)
	}
	if c.end {
		conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	in := bufio.NewReader(conn)
	var ids []string
	closed := c.end
	for i, want := range c.want {
		id, status, ends := readAnswer(t, in, strings.HasPrefix(c.send, "HEAD "))
		if status != want.status {
			t.Errorf("answer %d: %d, want %d", i+1, status, want.status)
		}
		if id != "" && want.status < 300 {
			ids = append(ids, id)
		}
		if want.close != ends && !c.end {
			t.Errorf("answer %d: ends the connection: %v, want %v", i+1, ends, want.close)
		}
		closed = closed || want.close
	}
	arrive := c.arrive
	if !closed {
		// What was read and what was sent end at the same byte only if a request can follow.
		fmt.Fprintf(conn, "GET /public/after HTTP/1.1\r\nHost: api.test\r\n\r\n")
		id, status, _ := readAnswer(t, in, false)
		if status != http.StatusNoContent {
			t.Errorf("the request after it: %d", status)
		}
		ids = append(ids, id)
		arrive = append(slices.Clip(arrive), wireArrival{line: "GET /public/after HTTP/1.1"})
	} else if rest, err := io.ReadAll(in); len(rest) > 0 {
		t.Errorf("after the last answer came %q (%v)", rest, err)
	}
	if len(ids) != len(arrive) {
		t.Fatalf("%d requests were let pass, and %d should arrive", len(ids), len(arrive))
	}
	arrived := c.arrivals(t, api)
	if len(arrived) != len(arrive) {
		t.Fatalf("%d requests arrived, want %d: %q", len(arrived), len(arrive), arrived)
	}
	for i, a := range arrive {
		if want := a.bytes(g, api, c, ids[i]); arrived[i] != want {
			t.Errorf("the API got\n%q\nwant\n%q", arrived[i], want)
		}
	}
}

// arrivals returns what arrived whole, and judges what else came to the API.
func (c *wireCase) arrivals(t *testing.T, api *recorder) []string {
	t.Helper()
	arrived, broken, faults := api.take()
	for end := time.Now().Add(patience); c.broken && len(broken) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		_, more, _ := api.take()
		broken = append(broken, more...)
	}
	if len(faults) > 0 || (len(broken) > 0) != c.broken {
		t.Errorf("the API got what is no request: %q, parts of requests: %q", faults, broken)
	}
	return arrived
}

// readAnswer reads one answer and returns its request's id, its status, and whether it ends the connection.
func readAnswer(t *testing.T, in *bufio.Reader, head bool) (id string, status int, ends bool) {
	t.Helper()
	method := http.MethodGet
	if head {
		method = http.MethodHead
	}
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("reading an answer: %v", err)
		}
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("reading an answer: %v", err)
		}
		if got := resp.Header.Get("Content-Type"); resp.StatusCode >= 400 && (got != "application/problem+json" || !head && len(body) == 0) {
			t.Errorf("%d is no problem document: %s %q", resp.StatusCode, got, body)
		}
		return resp.Header.Get("Portreeve-Request-Id"), resp.StatusCode, resp.Close
	}
}

// bytes are exactly what the API must get: net/http writes Host, User-Agent and the framing first, then the other fields in
// the order of their names.
func (a *wireArrival) bytes(g *wireGate, api *recorder, c *wireCase, id string) string {
	scheme := map[bool]string{false: "http", true: "https"}[g.roots != nil]
	first := []string{a.line, "Host: " + api.listener.Addr().String()}
	client, host := c.from, "api.test"
	rest := []string{"Accept-Encoding: identity", "Portreeve-Request-Id: " + id, "X-Forwarded-Proto: " + scheme}
	for _, f := range a.fields {
		switch name, value, _ := strings.Cut(f, ": "); name {
		case "User-Agent", "Content-Length", "Transfer-Encoding":
			first = append(first, f)
		case "X-Forwarded-For":
			client = value
		case "X-Forwarded-Host":
			host = value
		default:
			rest = append(rest, f)
		}
	}
	rest = append(rest, "X-Forwarded-For: "+client, "X-Forwarded-Host: "+host)
	slices.SortStableFunc(rest, func(x, y string) int {
		a, _, _ := strings.Cut(x, ":")
		b, _, _ := strings.Cut(y, ":")
		return strings.Compare(a, b)
	})
	return strings.Join(append(first, rest...), "\r\n") + "\r\n\r\n" + a.body
}

// compareEvents holds what the ledger tells of each case's address against the case.
func compareEvents(t *testing.T, cases []*wireCase, events []wireEvent) {
	t.Helper()
	told := map[string][]string{}
	for _, e := range events {
		if e.Phase != "intent" {
			told[e.From] = append(told[e.From], fmt.Sprintf("%d %s", e.Status, cmpDash(e.Reason)))
		}
	}
	for _, c := range cases {
		var want []string
		closed := c.end
		for _, a := range c.want {
			if a.reason == "unrecorded" {
				continue
			}
			want = append(want, fmt.Sprintf("%d %s", a.status, a.reason))
			closed = closed || a.close
		}
		if !closed {
			want = append(want, "204 -")
		}
		got := told[c.event()]
		if !slices.Equal(got, want) {
			t.Errorf("%s: the ledger tells %q, want %q", c.name, got, want)
		}
	}
}

// event is the address that the events of a case name: a proxy's client, where it named one.
func (c *wireCase) event() string {
	for _, a := range c.arrive {
		for _, f := range a.fields {
			if v, ok := strings.CutPrefix(f, "X-Forwarded-For: "); ok {
				return v
			}
		}
	}
	return net.ParseIP(c.from).String()
}

func cmpDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
