package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// source is a connection that only gives.
type source struct {
	net.Conn
	io.Reader
}

func (s source) Read(p []byte) (int, error)      { return s.Reader.Read(p) }
func (s source) SetReadDeadline(time.Time) error { return nil }

// reads returns all that comes through, and whether a fault stands at its end.
func reads(r io.Reader) (string, Fault, error) {
	c := New(source{Reader: r}, Limits{HeadBytes: 512})
	all, err := io.ReadAll(c)
	before, fault, refused := strings.Cut(string(all), "GET / HTTP/1.1\r\nHost: malformed\r\nPortreeve-Fault: ")
	if !refused {
		return before, "", err
	}
	return before, Fault(strings.TrimSuffix(fault, "\r\nConnection: close\r\n\r\n")), err
}

const good = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

// Each is the whole of what a client sends; want is the fault, "" where all of it comes through.
var heads = []struct {
	sent string
	want Fault
}{
	{good, ""},
	{good + good + good, ""},
	{"GET /a HTTP/1.0\r\n\r\n", ""},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + good, ""},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + good, ""},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n00\r\nX: 1\r\n\r\n" + good, ""},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" + good, ""},
	{"GET http://a/a HTTP/1.1\r\nHost: A\r\n\r\n", ""},
	{"GET /a?u=http://b HTTP/1.1\r\nHost: a\r\n\r\n", ""},
	{"GET /a HTTP/1.1\r\nHost:\ta \t\r\nX-Empty:\r\n\r\n", ""},

	{"GET /a\r\n", RequestLine},
	{"GET /a\r\n\r\n", RequestLine},
	{"\x16\x03\x01", RequestLine},
	{" GET /a HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine},
	{"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine},
	{"GET /a  HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine},
	{"GET /a HTTP/1.1 \r\nHost: a\r\n\r\n", RequestLine},
	{"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine},
	{"GET\t/a\tHTTP/1.1\r\nHost: a\r\n\r\n", Control},
	{"GET /a HTTP/01.1\r\nHost: a\r\n\r\n", RequestLine},
	{"GET /a http/1.1\r\nHost: a\r\n\r\n", RequestLine},
	{"G(T /a HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine},
	{"GET a HTTP/1.1\r\nHost: a\r\n\r\n", Target},
	{"GET a:b HTTP/1.1\r\nHost: a\r\n\r\n", Target},
	{"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", Target},
	{"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", Target},
	{"GET /%6 HTTP/1.1\r\nHost: a\r\n\r\n", Target},
	{"GET /%?61 HTTP/1.1\r\nHost: a\r\n\r\n", Target},
	{"GET http://a#/ HTTP/1.1\r\nHost: a\r\n\r\n", Target},
	{"GET http://a/%4 HTTP/1.1\r\nHost: a\r\n\r\n", Target},
	{"GET http://b@a/ HTTP/1.1\r\nHost: b@a\r\n\r\n", Host},
	{"GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", Host},
	{"GET /a HTTP/1.1\r\nHost: a,b\r\n\r\n", Host},
	{"GET /a?%zz HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ""},
	{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", ""},
	{"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", ""},
	{"GET /a HTTP/1.2\r\nHost: a\r\n\r\n", Version},
	{"GET /a HTTP/2.0\r\nHost: a\r\n\r\n", Version},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version},
	{"\r\n" + good, EmptyLine},
	{good + "\r\n" + good, EmptyLine},
	{"GET /a HTTP/1.1\nHost: a\r\n\r\n", BareLF},
	{"GET /a HTTP/1.1\r\nHost: a\n\r\n", BareLF},
	{"GET /a HTTP/1.1\r\nHost: a\r\n\n", BareLF},
	{"GET /a HTTP/1.1\r\nHost: a\r\r\n\r\n", Control},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n", Control},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX: a\x00\r\n\r\n", Control},
	{"GET /a\x00 HTTP/1.1\r\nHost: a\r\n\r\n", Control},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", FieldName},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", FieldName},
	{"GET /a HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", FieldName},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX\x0bY: 1\r\n\r\n", FieldName},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n Y: 2\r\n\r\n", Fold},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tY: 2\r\n\r\n", Fold},
	{"GET /a HTTP/1.1\r\n Host: a\r\n\r\n", Fold},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", Length},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", Length},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", Length},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", Length},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 05\r\n\r\n", Length},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", Length},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", Length},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", Length},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", LengthTwice},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", Coding},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", Coding},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Coding},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", Coding},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", Coding},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", Coding},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", Coding},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", Control},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", CodingTwice},
	{"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", Both},
	{"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", Both},
	{"POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CodingVersion},
	{"GET /a HTTP/1.1\r\n\r\n", Host},
	{"GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Host},
	{"GET http://b/a HTTP/1.1\r\nHost: a\r\n\r\n", Host},
	{"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", Host},
	{"GET /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n", Expectation},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 500) + "\r\n\r\n", HeadSize},
	{"GET /a HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 600), HeadSize},
}

// However the bytes come in, each head is judged once and a bad one ends what is read.
//
//threat:23 some eighty heads, whole, byte by byte and behind a good request → each judged once; a bad one never reaches net/http
func TestHeads(t *testing.T) {
	split := map[string]func(string) io.Reader{
		"whole":     func(s string) io.Reader { return strings.NewReader(s) },
		"bytes":     func(s string) io.Reader { return iotest.OneByteReader(strings.NewReader(s)) },
		"halves":    func(s string) io.Reader { return iotest.HalfReader(strings.NewReader(s)) },
		"data+err":  func(s string) io.Reader { return iotest.DataErrReader(strings.NewReader(s)) },
		"pipelined": func(s string) io.Reader { return strings.NewReader(good + s) },
	}
	for how, reader := range split {
		for _, c := range heads {
			got, fault, err := reads(reader(c.sent))
			if how == "pipelined" {
				if !strings.HasPrefix(got, good) {
					t.Fatalf("%q: the good request before it is gone", c.sent)
				}
				got = got[len(good):]
			}
			if fault != c.want || err != nil {
				t.Errorf("%s: %q: fault %q, want %q (%v)", how, c.sent, fault, c.want, err)
			}
			want := c.sent
			if fault != "" {
				if want = ""; strings.HasPrefix(c.sent, good) {
					want = good
				}
			}
			if got != want {
				t.Errorf("%s: %q: %q came through", how, c.sent, got)
			}
		}
	}
}

// A chunked body comes through, or what net/http takes for malformed stands where its fault was.
//
//threat:23 chunked bodies with every fault of a size, extension, end and trailer → net/http reads on from none
func TestChunks(t *testing.T) {
	const head = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for body, want := range map[string]bool{
		"0\r\n\r\n":                                         true,
		"A\r\n0123456789\r\n0\r\n\r\n":                      true,
		"0;x\r\n\r\n":                                       true,
		"0;x=\"y\"\r\nT: 1\r\n\r\n":                         true,
		"000000000000003\r\nabc\r\n0\r\n\r\n":               true,
		"0000000000000003\r\nabc\r\n0\r\n\r\n":              false,
		"\r\n":                                              false,
		" 3\r\nabc\r\n0\r\n\r\n":                            false,
		"3 \r\nabc\r\n0\r\n\r\n":                            false,
		"+3\r\nabc\r\n0\r\n\r\n":                            false,
		"-1\r\nabc\r\n0\r\n\r\n":                            false,
		"0x3\r\nabc\r\n0\r\n\r\n":                           false,
		"3_0\r\nabc\r\n0\r\n\r\n":                           false,
		";\r\nabc":                                          false,
		"3\nabc\r\n0\r\n\r\n":                               false,
		"3\r\rabc\r\n0\r\n\r\n":                             false,
		"3;a\nabc\r\n0\r\n\r\n":                             false,
		"3;a\x00\r\nabc\r\n0\r\n\r\n":                       false,
		"3;" + strings.Repeat("a", 300):                     false,
		"3\r\nabcd\r\n0\r\n\r\n":                            false,
		"3\r\nabc\n0\r\n\r\n":                               false,
		"3\r\nabc\rX0\r\n\r\n":                              false,
		"0\r\nX\r\n\r\n":                                    false,
		"0\r\nX: 1\n\r\n":                                   false,
		"0\r\n folded\r\n\r\n":                              false,
		"0\r\nContent-Length: 5\r\n\r\n":                    false,
		"0\r\nTransfer-Encoding: chunked\r\n\r\n":           false,
		"0\r\nHost: b\r\n\r\n":                              false,
		"0\r\nX: " + strings.Repeat("a", 1100) + "\r\n\r\n": false,
		"0\r\n" + strings.Repeat("X: 1\r\n", 40) + "\r\n":   false,
	} {
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(head + body + good), "bytes": iotest.OneByteReader(strings.NewReader(head + body + good))} {
			b := bufio.NewReader(New(source{Reader: r}, Limits{}))
			req, err := http.ReadRequest(b)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(req.Body)
			if (err == nil) != want || err == io.ErrUnexpectedEOF {
				t.Errorf("%s: %q: net/http reads on: %v", how, body, err)
			}
			if want {
				if next, err := http.ReadRequest(b); err != nil || next.Method != "GET" {
					t.Errorf("%s: %q: what follows is %v, %v", how, body, next, err)
				}
			}
		}
	}
}

// A server over it answers a bad head like any other request, after all answers before it; the connection then ends.
//
//threat:25 a good request, a bad one, a hundred more on one connection → the good one's answer, the refusal, the end
func TestAServerOverIt(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Context().Err() != nil {
			t.Error("the client seems to have left")
		}
		fmt.Fprintf(w, "%s %s", r.URL, r.Header.Get(Header))
	}))
	srv.Listener = Listener{Listener: srv.Listener}
	srv.Start()
	defer srv.Close()
	for _, sent := range []string{
		good + "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET /c HTTP/1.1\nHost: a\r\n\r\n" + strings.Repeat(good, 100),
		good + "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /c HTTP/1.1\n",
	} {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		var got []string
		for {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				break
			}
			b, _ := io.ReadAll(resp.Body)
			got = append(got, string(b))
		}
		c.Close()
		if want := "/a |/b |/ framing_bare_lf"; strings.Join(got, "|") != want {
			t.Errorf("%q: %q", sent[:80], got)
		}
	}
}

// A head that comes slowly has its own deadline, which ends with it.
//
//threat:26 a head that comes slowly, on a fresh and on a used connection → it has its own deadline
func TestASlowHead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := New(raw, Limits{HeadTime: 50 * time.Millisecond})
	io.WriteString(client, "GET /a HT")
	var b [100]byte
	if n, err := c.Read(b[:]); n != 0 || err == nil || !err.(net.Error).Timeout() {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err := c.Read(b[:1]); n != 0 || err == nil { // nor does it get a second time of it
		t.Fatalf("%d, %v", n, err)
	}
	c.(*Conn).late = time.Time{}
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(client, "TP/1.1\r\nHost: a\r\n\r\n")
	if n, err := io.ReadFull(c, b[:len(good)]); err != nil || string(b[:n]) != good {
		t.Fatalf("%q, %v: what was held is lost", b[:n], err)
	}
	if !c.(*Conn).late.IsZero() {
		t.Error("the deadline of a head outlives it")
	}
}

// A whole head that is read at once costs no allocation.
func TestAllocations(t *testing.T) {
	sent := []byte("POST /a HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 3\r\nAccept: */*\r\n\r\nabc")
	r := bytes.NewReader(sent)
	c := New(source{Reader: r}, Limits{})
	p := make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() {
		r.Reset(sent)
		if n, err := c.Read(p); n != len(sent) || err != nil {
			t.Fatal(n, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRead(b *testing.B) {
	sent := []byte("GET /orders/17?expand=lines HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer " + strings.Repeat("a", 300) +
		"\r\nUser-Agent: bench\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\r\n")
	r := bytes.NewReader(sent)
	c := New(source{Reader: r}, Limits{})
	p := make([]byte, 4096)
	b.SetBytes(int64(len(sent)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(sent)
		c.Read(p)
	}
}

// FuzzRead holds that in whatever pieces bytes come in the same comes through, and that net/http reads it: what it would
// refuse by itself, without an event, has been refused before.
//
//threat:23 any bytes, whole and one by one → the same comes through, and net/http reads each head of it
func FuzzRead(f *testing.F) {
	for _, c := range heads {
		f.Add(c.sent)
	}
	f.Add("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: 1\r\n\r\n" + good)
	f.Fuzz(func(t *testing.T, sent string) {
		whole, fault, err := reads(strings.NewReader(sent))
		pieces, again, _ := reads(iotest.OneByteReader(strings.NewReader(sent)))
		if whole != pieces || fault != again || err != nil {
			t.Fatalf("whole %q %q, in pieces %q %q, %v", whole, fault, pieces, again, err)
		}
		in := bufio.NewReader(strings.NewReader(whole))
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				if err != io.EOF {
					t.Fatalf("net/http refuses %q: %v", whole, err)
				}
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return // a body that is malformed or not whole is refused by its reader
			}
		}
	})
}
