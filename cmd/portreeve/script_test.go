package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are what a script can say beside testscript's own commands.
//
//	freeport NAME…                    sets each NAME to a port of the loopback that nobody listens on
//	upstream NAME FILE                starts an API that gives the answers of FILE; sets NAME to its URL
//	received NAME                     prints the requests the API has got since the last time, and forgets them
//	ready URL                         waits until URL answers 200; fails at once when a background process has ended
//	http [flags] METHOD URL [HEADER]… prints status, header and body; a HEADER is 'Name: value'
//	     -d TEXT   the body           -f FILE   the body, from a file
//	     -ca FILE  trusts this CA     -unix SOCKET  dials a socket (the URL's host is then only a name)
//	     -until N  asks again until the status is N
//	exits CODE PROGRAM [ARG]…         runs a program that must end with this code
//	capture NAME [FILE [POINTER]]     sets NAME to the text of FILE (stdout by default), or to what a JSON pointer finds in it
//	awaitfile FILE                    waits until the file exists
//	mode PERM FILE…                   each file has exactly these permissions
//
// Nothing waits a fixed time: what waits polls, and gives up after patience.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"freeport":  freeport,
	"upstream":  startUpstream,
	"received":  received,
	"ready":     ready,
	"http":      request,
	"exits":     exits,
	"capture":   capture,
	"awaitfile": awaitFile,
	"mode":      mode,
}

// patience is how long a script waits for what must come. Nothing is decided by how fast it comes.
const patience = 60 * time.Second

type upstreamsKey struct{}

func setup(e *testscript.Env) error {
	e.Values[upstreamsKey{}] = map[string]*scripted{}
	e.Setenv("NO_COLOR", "1")
	e.Setenv("GORACE", "atexit_sleep_ms=0") // else every process of a race build sleeps for a second when it ends
	return nil
}

func plain(ts *testscript.TestScript, neg bool, ok bool, usage string) {
	if neg {
		ts.Fatalf("this command has no negative form")
	}
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// taken keeps two scripts that run at once from being given the same port.
var taken sync.Map

// freeport looks below the range from which the kernel takes the ports of outgoing connections: none of those can take
// the port between now and its use.
func freeport(ts *testscript.TestScript, neg bool, names []string) {
	plain(ts, neg, len(names) > 0, "freeport NAME…")
	for _, name := range names {
		for try := 0; ; try++ {
			if try == 1000 {
				ts.Fatalf("no free port found")
			}
			port := strconv.Itoa(20000 + rand.IntN(12000))
			if _, other := taken.LoadOrStore(port, true); other {
				continue
			}
			l, err := net.Listen("tcp", "127.0.0.1:"+port)
			if err != nil {
				continue
			}
			l.Close()
			ts.Setenv(name, port)
			break
		}
	}
}

// scripted is an API that gives written answers and keeps what it was asked.
type scripted struct {
	answers map[string]answer

	mu  sync.Mutex
	got bytes.Buffer
}

type answer struct {
	status int
	header http.Header
	body   string
}

// readAnswers reads blocks of "> METHOD TARGET", a status, header lines, an empty line and a body, whose last line breaks
// do not count.
func readAnswers(text string) (map[string]answer, error) {
	answers := map[string]answer{}
	for block := range strings.SplitSeq("\n"+text, "\n> ") {
		if strings.TrimSpace(block) == "" {
			continue
		}
		head, body, _ := strings.Cut(block, "\n\n")
		lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
		if len(lines) < 2 {
			return nil, fmt.Errorf("answer to %q has no status", lines[0])
		}
		status, err := strconv.Atoi(strings.TrimSpace(lines[1]))
		if err != nil {
			return nil, fmt.Errorf("answer to %q: %w", lines[0], err)
		}
		a := answer{status, http.Header{}, strings.TrimRight(body, "\n")}
		for _, line := range lines[2:] {
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				return nil, fmt.Errorf("answer to %q: %q is no header line", lines[0], line)
			}
			a.header.Add(name, strings.TrimSpace(value))
		}
		answers[strings.TrimSpace(lines[0])] = a
	}
	return answers, nil
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	fmt.Fprintf(&s.got, "%s %s\nHost: %s\n", r.Method, r.RequestURI, r.Host)
	r.Header.Write(&s.got)
	fmt.Fprintf(&s.got, "\n%s\n", bytes.TrimRight(body, "\n"))
	s.mu.Unlock()
	if err != nil {
		return
	}
	a, ok := s.answers[r.Method+" "+r.RequestURI]
	if !ok {
		http.Error(w, "no answer is written for this request", http.StatusNotFound)
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func startUpstream(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, len(args) == 2, "upstream NAME FILE")
	answers, err := readAnswers(ts.ReadFile(args[1]))
	ts.Check(err)
	s := &scripted{answers: answers}
	server := httptest.NewServer(s)
	ts.Defer(server.Close)
	ts.Value(upstreamsKey{}).(map[string]*scripted)[args[0]] = s
	ts.Setenv(args[0], server.URL)
}

func received(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, len(args) == 1, "received NAME")
	s := ts.Value(upstreamsKey{}).(map[string]*scripted)[args[0]]
	if s == nil {
		ts.Fatalf("no upstream is called %s", args[0])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ts.Stdout().Write(bytes.ReplaceAll(s.got.Bytes(), []byte("\r\n"), []byte("\n")))
	s.got.Reset()
}

// poll asks again until done says so. It stops early when a background process ended, for nothing will come then.
func poll(ts *testscript.TestScript, what string, done func() bool) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if done() {
			return
		}
		for _, c := range ts.BackgroundCmds() {
			if errors.Is(c.Process.Signal(syscall.Signal(0)), os.ErrProcessDone) {
				ts.Fatalf("waiting for %s: %s has ended", what, strings.Join(c.Args, " "))
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("%s did not come within %v", what, patience)
		}
	}
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, len(args) == 1, "ready URL")
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	poll(ts, args[0], func() bool {
		resp, err := client.Get(args[0])
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func request(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "http [-d TEXT | -f FILE] [-ca FILE] [-unix SOCKET] [-until STATUS] METHOD URL ['Name: value']…"
	var body, until string
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		v := args[1]
		switch args[0] {
		case "-d":
			body = v
		case "-f":
			body = ts.ReadFile(v)
		case "-ca":
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM([]byte(ts.ReadFile(v))) {
				ts.Fatalf("%s holds no certificate", v)
			}
			transport.TLSClientConfig = &tls.Config{RootCAs: pool}
		case "-unix":
			path := ts.MkAbs(v)
			transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			}
		case "-until":
			until = v
		default:
			ts.Fatalf("unknown flag %s\nusage: %s", args[0], usage)
		}
		args = args[2:]
	}
	plain(ts, neg, len(args) >= 2, usage)
	client := &http.Client{Timeout: patience, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var answer []byte
	ask := func() string {
		req, err := http.NewRequest(args[0], args[1], strings.NewReader(body))
		ts.Check(err)
		for _, line := range args[2:] {
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				ts.Fatalf("%q is no header line", line)
			}
			if value = strings.TrimSpace(value); strings.EqualFold(name, "host") {
				req.Host = value
			} else {
				req.Header.Add(name, value)
			}
		}
		resp, err := client.Do(req)
		if err != nil && until != "" {
			return ""
		}
		ts.Check(err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		ts.Check(err)
		answer = printable(resp, got)
		return strconv.Itoa(resp.StatusCode)
	}
	if until == "" {
		ask()
	} else {
		poll(ts, "status "+until+" of "+args[1], func() bool { return ask() == until })
	}
	ts.Stdout().Write(answer)
}

// printable is an answer as text, its header sorted.
func printable(resp *http.Response, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, resp.Status)
	var lines []string
	for name, values := range resp.Header {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "\n%s", body)
	if !bytes.HasSuffix(body, []byte("\n")) {
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, len(args) >= 2, "exits CODE PROGRAM [ARG]…")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("running %s: %v", args[1], err)
		}
		code = e.ExitCode()
	}
	if code != want {
		ts.Fatalf("%s exited with %d, not %d", args[1], code, want)
	}
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, len(args) >= 1 && len(args) <= 3, "capture NAME [FILE [POINTER]]")
	file := "stdout"
	if len(args) > 1 {
		file = args[1]
	}
	text := strings.TrimSuffix(ts.ReadFile(file), "\n")
	if len(args) == 3 {
		var v any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		ts.Check(d.Decode(&v))
		found, err := pointer(v, args[2])
		ts.Check(err)
		text = fmt.Sprint(found)
	}
	if text == "" {
		ts.Fatalf("%s holds nothing", file)
	}
	ts.Setenv(args[0], text)
}

// pointer follows a JSON pointer (RFC 6901).
func pointer(v any, p string) (any, error) {
	for token := range strings.SplitSeq(strings.TrimPrefix(p, "/"), "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch in := v.(type) {
		case map[string]any:
			next, ok := in[token]
			if !ok {
				return nil, fmt.Errorf("%s: there is no %q", p, token)
			}
			v = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(in) {
				return nil, fmt.Errorf("%s: there is no item %q of %d", p, token, len(in))
			}
			v = in[i]
		default:
			return nil, fmt.Errorf("%s: %q is below neither object nor array", p, token)
		}
	}
	return v, nil
}

func awaitFile(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, len(args) == 1, "awaitfile FILE")
	poll(ts, args[0], func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil
	})
}

func mode(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, len(args) >= 2, "mode PERM FILE…")
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	for _, file := range args[1:] {
		info, err := os.Lstat(ts.MkAbs(file))
		ts.Check(err)
		if got := info.Mode().Perm(); got != os.FileMode(want) {
			ts.Fatalf("%s has mode %04o, not %04o", file, got, want)
		}
	}
}

func TestReadAnswers(t *testing.T) {
	got, err := readAnswers("> GET /a?b=1\n200\nContent-Type: application/json\n\n{\"a\": 1}\n\n> POST /c\n204\n")
	if err != nil {
		t.Fatal(err)
	}
	if a := got["GET /a?b=1"]; a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.body != "{\"a\": 1}" {
		t.Errorf("got %+v", a)
	}
	if a := got["POST /c"]; a.status != 204 || a.body != "" {
		t.Errorf("got %+v", a)
	}
	if _, err := readAnswers("> GET /a\n"); err == nil {
		t.Error("an answer without a status was accepted")
	}
}
