package gate_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/portreeve/portreeve/internal/gate/exchange"
)

const readerDocument = `openapi: 3.1.0
info: {title: Read, version: "1"}
security: []
x-portreeve: {undeclared: {request: ignore}}
paths:
  /{a}:
    get: {operationId: one, parameters: [{name: a, in: path, required: true, schema: {type: string}}], responses: {"204": {description: ok}}}
    post:
      operationId: bytes
      parameters: [{name: a, in: path, required: true, schema: {type: string}}]
      requestBody: {content: {application/octet-stream: {}, application/json: {schema: {}}, application/x-www-form-urlencoded: {schema: {}}}}
      responses: {"204": {description: ok}}
  /{a}/{b}:
    get: {operationId: two, parameters: [{name: a, in: path, required: true, schema: {type: string}}, {name: b, in: path, required: true, schema: {type: string}}], responses: {"204": {description: ok}}}
  /{a}/{b}/{c}.json:
    get: {operationId: three, parameters: [{name: a, in: path, required: true, schema: {type: string}}, {name: b, in: path, required: true, schema: {type: string}}, {name: c, in: path, required: true, schema: {type: string}}], responses: {"204": {description: ok}}}
  /tree/{path}:
    get: {operationId: tree, parameters: [{name: path, in: path, required: true, schema: {type: string, pattern: "^[^/]+(/[^/]+)*$"}}], responses: {"204": {description: ok}}}
  /matrix/{m}:
    get: {operationId: matrix, parameters: [{name: m, in: path, required: true, style: matrix, schema: {type: string}}], responses: {"204": {description: ok}}}
`

// view is one request, as the gate has judged it or as Node has read it.
type view struct {
	Method   string
	Path     []string // decoded segments, the first empty
	Query    [][2]string
	Header   map[string][]string // lower case, in order
	Body     string
	held     bool // the gate has the body
	Target   string
	Host     string
	Fragment string
	Headers  []string
	Trailers []string
	Fault    string
	Port     int
}

// readers are a gate and, behind it, Node: what one has judged is held against what the other has read.
type readers struct {
	t             testing.TB
	plain, secure string

	mu     sync.Mutex
	judged map[string]view
	read   map[string]view
	faults []string
	busy   int
}

func newReaders(t testing.TB) *readers {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: node is not installed, so no second parser reads what the gate sends")
	}
	r := &readers{t: t, judged: map[string]view{}, read: map[string]view{}}
	cmd := exec.Command(node, "testdata/reader.js")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	var first view
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &first) != nil || first.Port == 0 {
		t.Fatalf("node does not listen: %v", lines.Err())
	}
	go r.listen(lines)
	w := newWorld(t, settings{document: readerDocument, config: fmt.Sprintf(`version: 1
document: openapi.yaml
upstream: {url: "http://127.0.0.1:%d"}
limits: {address: {rate: 1000000/s, burst: 1000000}, failures: {rate: 1000000/s, burst: 1000000}, principal: {rate: 1000000/s, burst: 1000000}}
`, first.Port)})
	handler := http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.busy++
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			r.busy--
			r.mu.Unlock()
		}()
		w.d.Gate.ServeSeen(rw, req, r.see)
	})
	w.serve(handler)
	r.plain = w.addr
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	t.Cleanup(secure.Close)
	r.secure = secure.Listener.Addr().String()
	return r
}

// listen keeps what Node tells.
func (r *readers) listen(lines *bufio.Scanner) {
	for lines.Scan() {
		var v view
		err := json.Unmarshal(lines.Bytes(), &v)
		v.Header = map[string][]string{}
		for i := 0; i+1 < len(v.Headers); i += 2 {
			name := strings.ToLower(v.Headers[i])
			v.Header[name] = append(v.Header[name], v.Headers[i+1])
		}
		id := strings.Join(v.Header["portreeve-request-id"], ",")
		r.mu.Lock()
		_, twice := r.read[id]
		if err != nil || v.Fault != "" || twice || id == "" {
			r.faults = append(r.faults, fmt.Sprintf("node: %v, twice %v: %s", err, twice, lines.Bytes()))
		}
		r.read[id] = v
		r.mu.Unlock()
	}
}

// see keeps what the gate has judged.
func (r *readers) see(x *exchange.Exchange) {
	v := view{Method: x.Request.Method, Header: map[string][]string{}, Body: latin1(x.Body), held: x.Body != nil, Target: x.Request.URL.RequestURI()}
	if v.Method == "HEAD" {
		v.Method = "GET"
	}
	for _, s := range strings.Split(x.Request.URL.RawPath, "/") {
		d, err := url.PathUnescape(s)
		if err != nil {
			d = "UNDECODABLE " + s
		}
		v.Path = append(v.Path, d)
	}
	for _, q := range x.Query {
		n, err1 := url.QueryUnescape(q.Name)
		s, err2 := url.QueryUnescape(q.Value)
		if err1 != nil || err2 != nil {
			n = "UNDECODABLE " + q.Name
		}
		v.Query = append(v.Query, [2]string{n, s})
	}
	for name, values := range x.Request.Header {
		for _, s := range values {
			v.Header[strings.ToLower(name)] = append(v.Header[strings.ToLower(name)], latin1([]byte(s)))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, twice := r.judged[x.ID]; twice {
		r.faults = append(r.faults, "the gate judged twice: "+x.ID)
	}
	r.judged[x.ID] = v
}

// latin1 gives every byte a character of its own, as Node's headers and our JSON have it.
func latin1(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

// settle waits until nothing is under way.
func (r *readers) settle() {
	for end := time.Now().Add(deadline); ; time.Sleep(100 * time.Microsecond) {
		r.mu.Lock()
		busy := r.busy
		r.mu.Unlock()
		if busy == 0 {
			return
		}
		if time.Now().After(end) {
			r.t.Fatal("requests do not end")
		}
	}
}

// compare holds everything since the last time against each other. passed are the requests that were answered with 204:
// Node has read those whole.
func (r *readers) compare(t *testing.T, passed []string) (compared int) {
	for _, id := range passed {
		eventually(t, "node tells of a request it answered", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			_, ok := r.read[id]
			return ok || len(r.faults) > 0
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		t.Error(f)
	}
	for id, read := range r.read {
		judged, ok := r.judged[id]
		if !ok {
			t.Errorf("node has read a request that the gate has not judged: %+v", read)
			continue
		}
		for _, d := range differ(judged, read) {
			t.Errorf("%s\njudged %+v\nread   %+v", d, judged, read)
		}
		compared++
		delete(r.judged, id)
	}
	clear(r.read)
	if len(r.judged) > 10000 { // broke off on their way; but Node may tell late
		clear(r.judged)
	}
	r.faults = nil
	return compared
}

// sets are the fields that the gate or its connection says itself.
var sets = map[string]bool{"host": true, "accept-encoding": true, "content-length": true, "transfer-encoding": true, "portreeve-request-id": true,
	"x-forwarded-for": true, "x-forwarded-host": true, "x-forwarded-proto": true}

// ends are the client's fields that speak of its connection, or are credentials, and so end at the gate.
var ends = map[string]bool{"connection": true, "proxy-connection": true, "keep-alive": true, "proxy-authenticate": true, "proxy-authorization": true, "te": true,
	"trailer": true, "transfer-encoding": true, "upgrade": true, "http2-settings": true, "expect": true, "accept-encoding": true, "accept-charset": true,
	"content-length": true, "host": true, "authorization": true, "cookie": true, "dpop": true, "x-api-key": true}

// differ says in what two views of a request are not the same.
func differ(judged, read view) (out []string) {
	if judged.Method != read.Method || judged.Target != read.Target || read.Host != "upstream" || read.Fragment != "" || len(read.Trailers) > 0 {
		out = append(out, "the request line, or something behind the body")
	}
	if !slices.Equal(judged.Path, read.Path) {
		out = append(out, fmt.Sprintf("the path: %q, %q", judged.Path, read.Path))
	}
	if !slices.Equal(judged.Query, read.Query) {
		out = append(out, fmt.Sprintf("the query: %q, %q", judged.Query, read.Query))
	}
	if judged.held && judged.Body != read.Body {
		out = append(out, fmt.Sprintf("the body: %q, %q", judged.Body, read.Body))
	}
	for name, values := range read.Header {
		switch {
		case sets[name]:
			if len(values) != 1 {
				out = append(out, fmt.Sprintf("%s stands %d times", name, len(values)))
			}
		case ends[name] || !slices.Equal(values, judged.Header[name]):
			out = append(out, fmt.Sprintf("the field %s: %q, %q", name, judged.Header[name], values))
		}
	}
	for name := range judged.Header {
		folded := strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				return c
			}
			return '-'
		}, name)
		if !ends[folded] && !sets[folded] && read.Header[name] == nil {
			out = append(out, "node has not read the field "+name)
		}
	}
	return out
}

// FuzzBytes sends any bytes over HTTP/1.1.
//
//threat:23 any bytes over HTTP/1.1, and Node behind the gate → each request that Node reads was judged, once, and is the same in method, target, path, query, fields and body
func FuzzBytes(f *testing.F) {
	for _, s := range byteSeeds {
		f.Add([]byte(s))
	}
	r := newReaders(f)
	f.Fuzz(func(t *testing.T, sent []byte) { r.sendBytes(t, sent) })
}

var byteSeeds = []string{
	"GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a/b?c=d&e[f]=%20+g HTTP/1.1\r\nHost: h\r\nX-Y: z\r\nX-Y: w\r\nAccept: */*\r\n\r\n",
	"GET /%61/%e2%82%ac/..;x.json?%zz HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /tree/a%2fb HTTP/1.1\r\nHost: h\r\nConnection: close, te\r\n\r\n",
	"GET /matrix/;m=1 HTTP/1.1\r\nHost: h\r\n\r\n",
	"HEAD http://h/a/b/c.json?x HTTP/1.1\r\nHost: h\r\nX_Y: 1\r\nPortreeve-Subject: a\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}GET /b HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=b&c=d",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.1\nHost: h\n\n",
	"GET /a HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\nY : c\r\n\r\n",
	"GET /a HTTP/1.1\r\nHost: h\r\nX: \x80\xff\x85\r\nUser-Agent: \xc3\xa9\r\n\r\n",
	"GET /~a!$&'()*+,=:@b HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"GET /a?b\\c HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a HTTP/1.1\r\nHost: h\r\nUser-Agent: \r\nX: \r\n\r\n",
}

// sendBytes sends bytes over HTTP/1.1 and compares; it returns how many requests were compared.
func (r *readers) sendBytes(t *testing.T, sent []byte) int {
	c, err := net.Dial("tcp", r.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	// A body that is not whole waits for what follows: sixteen line ends end no chunk, and a length is soon reached or not.
	go c.Write(append(slices.Clone(sent), "\r\n\r\nGET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"...))
	var passed []string
	for in := bufio.NewReader(c); ; {
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			break
		}
		if resp.StatusCode == http.StatusNoContent {
			passed = append(passed, resp.Header.Get("Portreeve-Request-Id"))
		} else if resp.StatusCode != http.StatusContinue && !bytes.Contains(sent, []byte("HEAD")) {
			io.Copy(io.Discard, resp.Body)
		}
		if resp.Close {
			break
		}
	}
	c.Close()
	r.settle()
	return r.compare(t, passed)
}

// FuzzFrames sends any frames over HTTP/2. A frame is its type, its flags, its stream and its payload behind a length of
// two bytes; a payload of HEADERS is text, "name: value" in lines, which is packed.
//
//threat:7 any frames and fields over HTTP/2, and Node behind the gate → each request that Node reads was judged, once, and is the same
//threat:24 the same, bodies of any length among them → the same
func FuzzFrames(f *testing.F) {
	for _, s := range frameSeeds() {
		f.Add([]byte(s))
	}
	r := newReaders(f)
	f.Fuzz(func(t *testing.T, sent []byte) { r.sendFrames(t, sent) })
}

func frameSeeds() []string {
	frame := func(kind, flags, stream byte, payload string) string {
		return string([]byte{kind, flags, stream}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(payload)))) + payload
	}
	get := ":method: GET\n:scheme: https\n:path: /a\n:authority: h\n"
	post := ":method: POST\n:scheme: https\n:path: /a\n:authority: h\ncontent-type: application/json\n"
	return []string{
		frame(1, 5, 1, get),
		frame(1, 5, 1, get+"x-y: z\nX-Y: w\ncookie: a=b\ncookie: c=d\nhost: h\n"),
		frame(1, 5, 1, strings.Replace(get, "/a", "/a/b?c=d&e[f]=%20+g", 1)) + frame(1, 5, 3, strings.Replace(get, "/a", "/%2e%2e/a", 1)),
		frame(1, 4, 1, post) + frame(0, 1, 1, `{"a":1}`),
		frame(1, 4, 1, post+"content-length: 9\n") + frame(0, 1, 1, `{"a":1}`),
		frame(1, 4, 1, post) + frame(0, 0, 1, `{"a":`) + frame(0, 0, 1, `1}`) + frame(1, 5, 1, "x-trailer: a\n"),
		frame(1, 5, 1, ":method: CONNECT\n:authority: h:443\n") + frame(3, 0, 1, "\x00\x00\x00\x08"),
		frame(1, 5, 1, get+"connection: x\nte: trailers\ntransfer-encoding: chunked\n"),
		frame(1, 1, 1, get) + frame(9, 4, 1, "x: y\n"),
		frame(4, 0, 0, "\x00\x04\x00\x00\x00\x01") + frame(8, 0, 0, "\x00\x00\x00\x01") + frame(6, 0, 0, "12345678"),
		frame(1, 5, 1, strings.Replace(get, "/a", "http://other/a", 1)),
	}
}

// sendFrames sends frames over HTTP/2 and compares; it returns how many requests were compared.
func (r *readers) sendFrames(t *testing.T, sent []byte) int {
	c, err := tls.Dial("tcp", r.secure, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, c)
	fr.AllowIllegalWrites = true
	fr.WriteSettings()
	var block bytes.Buffer
	packer := hpack.NewEncoder(&block)
	packer.SetMaxDynamicTableSizeLimit(0)
	for rest := sent; len(rest) >= 5; {
		kind, flags, stream, n := rest[0], rest[1], rest[2], int(binary.BigEndian.Uint16(rest[3:]))
		payload := rest[5:min(len(rest), 5+n)]
		rest = rest[min(len(rest), 5+n):]
		if kind%10 == 1 || kind%10 == 9 {
			block.Reset()
			for line := range strings.SplitSeq(string(payload), "\n") {
				if i := strings.Index(line[min(1, len(line)):], ": "); i >= 0 {
					packer.WriteField(hpack.HeaderField{Name: line[:i+1], Value: line[i+3:], Sensitive: true})
				}
			}
			payload = block.Bytes()
			flags &^= 0x28 // neither padding nor priority stands before the fields
		}
		fr.WriteRawFrame(http2.FrameType(kind%10), http2.Flags(flags), uint32(stream), payload)
	}
	fr.WritePing(false, [8]byte{'e', 'n', 'd'})
	go c.Write(out.Bytes())
	open := map[uint32]string{}
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var passed []string
	for ended := false; ; {
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		frame, err := fr.ReadFrame()
		if err != nil {
			break
		}
		switch fr := frame.(type) {
		case *http2.PingFrame:
			ended = ended || fr.IsAck() && bytes.HasPrefix(fr.Data[:], []byte("end"))
		case *http2.MetaHeadersFrame:
			status, _ := strconv.Atoi(fr.PseudoValue("status"))
			for _, h := range fr.RegularFields() {
				if h.Name == "portreeve-request-id" && status == http.StatusNoContent {
					open[fr.StreamID] = h.Value
				}
			}
			if fr.StreamEnded() && open[fr.StreamID] != "" {
				passed = append(passed, open[fr.StreamID])
			}
		}
		r.mu.Lock()
		quiet := r.busy == 0
		r.mu.Unlock()
		if ended && quiet {
			break
		}
	}
	c.Close()
	r.settle()
	return r.compare(t, passed)
}

// TestSecondParser changes the seeds of both at random, by what parsers stumble over: some sixty times, or for as long as
// PORTREEVE_DIFFERENTIAL says.
//
//threat:23 requests and frames put together at random from what parsers stumble over, and Node behind the gate → the same is judged and read
func TestSecondParser(t *testing.T) {
	r := newReaders(t)
	rounds, end, seed := 60, time.Time{}, uint64(1)
	if v := os.Getenv("PORTREEVE_DIFFERENTIAL"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			t.Fatal(err)
		}
		rounds, end, seed = math.MaxInt, time.Now().Add(d), uint64(time.Now().UnixNano())
	}
	random := rand.New(rand.NewPCG(seed, 0))
	frames := frameSeeds()
	var sent, compared [2]int
	for i := 0; i < rounds && !t.Failed() && (end.IsZero() || time.Now().Before(end)); i++ {
		if i%2 == 0 {
			compared[0] += r.sendBytes(t, change(random, byteSeeds, 0))
		} else {
			compared[1] += r.sendFrames(t, change(random, frames, 5))
		}
		sent[i%2]++
	}
	if compared[0] < sent[0]/20 || compared[1] < sent[1]/20 {
		t.Errorf("of %v inputs only %v requests were compared", sent, compared)
	}
	t.Attr("compared", fmt.Sprintf("%d requests of %d inputs in bytes, %d of %d in frames, seed %d", compared[0], sent[0], compared[1], sent[1], seed))
}

var stumbles = []string{"\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", "\x00", "\x0b", "\x7f", "\x80", "\xc3\xa9", "%", "%2e", "%2F", "%5c", "%25", "%00", "%0d%0a", "..", "/", "//",
	"/../", ";", "#", "?", "&", "=", "+", "\\", "\"", "<", "[", "|", "@", "http://h", "http://other", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n",
	"Content-Length: 5\r\n", "Content-Length: 0\r\n", "content-length: 3\n", "chunked", "0\r\n\r\n", "5\r\nabcde\r\n", ";a=b", "GET /b HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.0", "X_Y: 1\r\n",
	"Connection: x\r\n", "Host: other\r\n", "x-y: 1\n", "cookie: a\n", "host: other\n", ":path: /c\n", "POST", "HEAD", "te: trailers\n", "portreeve-subject: a\n", "Portreeve.Subject: a\r\n"}

// change puts together parts of one or two seeds and some stumbles. Of frames the head of a seed stays.
func change(random *rand.Rand, seeds []string, keep int) []byte {
	s := []byte(seeds[random.IntN(len(seeds))])
	if random.IntN(4) == 0 {
		s = append(s, seeds[random.IntN(len(seeds))]...)
	}
	for range random.IntN(4) {
		at := min(keep, len(s)) + random.IntN(len(s)-min(keep, len(s))+1)
		switch random.IntN(5) {
		case 0:
			s = slices.Delete(s, at, min(len(s), at+1+random.IntN(3)))
		case 1:
			if at < len(s) {
				s[at] ^= 1 << random.IntN(8)
			}
		default:
			stumble := stumbles[random.IntN(len(stumbles))]
			s = slices.Insert(s, at, []byte(stumble)...)
			if keep > 0 && len(s) > 5 { // the first frame is longer by it
				binary.BigEndian.PutUint16(s[3:], binary.BigEndian.Uint16(s[3:])+uint16(len(stumble)))
			}
		}
	}
	return s
}
