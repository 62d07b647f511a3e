package sink

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/ledger"
)

// book is a ledger that is written to.
type book struct {
	t   *testing.T
	dir string
	l   *ledger.Ledger
	n   int
}

func newBook(t *testing.T) *book {
	b := &book{t: t, dir: t.TempDir()}
	b.open()
	t.Cleanup(func() { b.l.Close() })
	return b
}

func (b *book) open() {
	b.t.Helper()
	l, _, err := ledger.Open(b.dir, ledger.Options{Segment: 32 << 10})
	if err != nil {
		b.t.Fatal(err)
	}
	b.l = l
}

func (b *book) write(n int) {
	b.t.Helper()
	for range n {
		b.n++
		e := &ledger.Event{Kind: ledger.Request, Phase: ledger.Whole, ID: fmt.Sprint("id-", b.n), Time: time.Now(), Method: "GET", Operation: "getOrder", Path: "/orders/{id}", Actor: "user",
			Subject: "alice|=\\", Status: 403, Reason: "not_owner", Address: "192.0.2.1", Agent: "curl\n8", Stage: "object", ObjectType: "Order", ObjectID: "7"}
		if b.n%50 == 0 {
			if err := b.l.Append(context.Background(), e); err != nil {
				b.t.Fatal(err)
			}
		} else if !b.l.Enqueue(e) {
			b.t.Fatal("no room")
		}
	}
}

func (b *book) ship(name string, s Sender) *Shipper {
	b.t.Helper()
	sh, err := Start(Options{Name: name, Dir: b.dir, Sender: s, Retry: 10 * time.Millisecond, Wait: 5 * time.Millisecond})
	if err != nil {
		b.t.Fatal(err)
	}
	return sh
}

func (b *book) await(s *Shipper, seq uint64) {
	b.t.Helper()
	for start := time.Now(); s.Status().Sent < seq; time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			b.t.Fatalf("the sink is at %+v, line %d was to come", s.Status(), seq)
		}
	}
}

func closing(t *testing.T, s *Shipper) {
	t.Helper()
	if err := s.Close(context.Background(), 0); err != nil {
		t.Error(err)
	}
}

// numbers reads the numbers of events that a receiver has.
func numbers(t *testing.T, text []byte) []uint64 {
	t.Helper()
	var out []uint64
	for line := range bytes.Lines(text) {
		n, ok := ledger.Number(bytes.TrimSuffix(line, []byte("\n")))
		if !ok {
			t.Fatalf("not an event: %q", line)
		}
		out = append(out, n)
	}
	return out
}

// held checks that a receiver has every number up to last, in order, and counts those that came again.
func held(t *testing.T, got []uint64, last uint64) (twice int) {
	t.Helper()
	want := uint64(1)
	for _, n := range got {
		switch {
		case n == want:
			want++
		case n < want:
			twice++
		default:
			t.Fatalf("line %d came where %d belongs", n, want)
		}
	}
	if want != last+1 {
		t.Fatalf("the receiver has lines up to %d of %d", want-1, last)
	}
	return twice
}

// A file gets every event once, over ends of processes and segments, and finishes off what was half written.
func TestFile(t *testing.T) {
	b := newBook(t)
	name := filepath.Join(t.TempDir(), "far", "events.jsonl")
	for range 3 {
		s := b.ship("far", NewFile(name, OCSF))
		b.write(150)
		b.await(s, uint64(b.n))
		closing(t, s)
		b.write(50) // while nobody sends
	}
	s := b.ship("far", NewFile(name, OCSF))
	b.await(s, uint64(b.n))
	closing(t, s)
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if n := held(t, numbers(t, got), uint64(b.n)); n != 0 {
		t.Errorf("%d lines came twice", n)
	}
	// What it has verifies: it is the ledger's own text.
	var own []byte
	ledger.Read(b.dir, func(_ string, _ int, line []byte) error {
		own = append(append(own, line...), '\n')
		return nil
	})
	if !bytes.Equal(got, own) {
		t.Error("the copy differs")
	}

	os.WriteFile(name, append(got, `{"half":`...), 0o600)
	b.write(50)
	s = b.ship("far", NewFile(name, OCSF))
	b.await(s, uint64(b.n))
	closing(t, s)
	got, _ = os.ReadFile(name)
	if !bytes.Contains(got, []byte("{\"half\":\n{")) {
		t.Error("a half line swallows the next one")
	}
}

// receiver is a webhook's other side: it verifies, keeps, and can be killed.
type receiver struct {
	t       *testing.T
	secret  []byte
	address string
	server  *http.Server

	mu    sync.Mutex
	ids   map[string]bool
	text  []byte
	fails atomic.Int64 // that many requests are answered 503 after they were kept
}

func (r *receiver) start() {
	r.t.Helper()
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.address = l.Addr().String()
	r.server = &http.Server{Handler: r}
	go r.server.Serve(l)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	mac := hmac.New(sha256.New, r.secret)
	fmt.Fprintf(mac, "%s.%s.%s", q.Header.Get("Webhook-Id"), q.Header.Get("Webhook-Timestamp"), body)
	if err != nil || q.Header.Get("Webhook-Signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.mu.Lock()
	r.text = append(r.text, body...)
	r.ids[q.Header.Get("Webhook-Id")] = true
	r.mu.Unlock()
	if r.fails.Add(-1) >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// A webhook that is killed and comes back, and one that takes a batch and says no, get everything in order; what comes twice
// has the same id.
func TestWebhook(t *testing.T) {
	b := newBook(t)
	r := &receiver{t: t, secret: bytes.Repeat([]byte("k"), 32), address: "127.0.0.1:0", ids: map[string]bool{}}
	r.start()
	w, err := NewWebhook(http.DefaultClient, "http://"+r.address+"/hook?token=of-the-address", r.secret, OCSF)
	if err != nil {
		t.Fatal(err)
	}
	s := b.ship("hook", w)
	b.write(200)
	b.await(s, 200)
	r.server.Close()
	b.write(100)
	for !s.Status().Failing {
		time.Sleep(time.Millisecond)
	}
	if p := s.Status().Problem; strings.Contains(p, "of-the-address") || p == "" {
		t.Errorf("the status says %q", p)
	}
	r.start()
	b.await(s, 300)
	if s.Status().Failing {
		t.Error("still failing")
	}
	r.fails.Store(3)
	b.write(100)
	b.await(s, 400)
	closing(t, s)
	twice := held(t, numbers(t, r.text), 400)
	if twice == 0 {
		t.Error("nothing came twice: the receiver did not refuse")
	}
	bad, err := NewWebhook(http.DefaultClient, "http://"+r.address, bytes.Repeat([]byte("x"), 32), OCSF)
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Send(context.Background(), Batch{"o", []Record{{1, []byte("{}")}}}); err == nil {
		t.Error("a signature with another secret was taken")
	}
	if _, err := NewWebhook(nil, "http://x", []byte("short"), OCSF); err == nil {
		t.Error("a short secret was taken")
	}
}

// A ledger that was begun anew behind a sink's back is noticed before a line is sent.
func TestForeignCursor(t *testing.T) {
	b := newBook(t)
	name := filepath.Join(t.TempDir(), "events")
	b.write(100)
	s := b.ship("far", NewFile(name, OCSF))
	b.await(s, 100)
	closing(t, s)
	b.l.Close()
	files, _ := filepath.Glob(filepath.Join(b.dir, "*"))
	for _, f := range files {
		if filepath.Base(f) != "cursors" {
			os.RemoveAll(f)
		}
	}
	b.open()
	b.write(150)
	if _, err := Start(Options{Name: "far", Dir: b.dir, Sender: NewFile(name, OCSF)}); !errors.Is(err, ErrForeignCursor) {
		t.Errorf("got %v", err)
	}
	os.WriteFile(cursorName(b.dir, "far"), []byte("rubbish"), 0o600)
	if _, err := Start(Options{Name: "far", Dir: b.dir, Sender: NewFile(name, OCSF)}); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("got %v", err)
	}
}

// A sink that is away delays nobody's start or stop.
func TestCloseWhileAway(t *testing.T) {
	b := newBook(t)
	w, _ := NewWebhook(&http.Client{}, "http://127.0.0.1:1/", bytes.Repeat([]byte("k"), 32), OCSF)
	s := b.ship("away", w)
	b.write(50)
	for !s.Status().Failing {
		time.Sleep(time.Millisecond)
	}
	done := make(chan error, 1)
	go func() { done <- s.Close(context.Background(), 50) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a sink that is away holds the stop up")
	}
}

// Other formats: nothing a client wrote breaks a line or a field.
func TestFormats(t *testing.T) {
	b := newBook(t)
	b.write(50)
	line, err := ledger.Line(b.dir, 50)
	if err != nil {
		t.Fatal(err)
	}
	cef, err := CEF.Encode(line)
	if err != nil {
		t.Fatal(err)
	}
	want := `CEF:0|Portreeve|Portreeve|1|600302|getOrder|4|rt=`
	if !bytes.HasPrefix(cef, []byte(want)) || !bytes.Contains(cef, []byte(` suser=alice|\=\\ requestMethod=GET request=/orders/{id} requestClientApplication=curl\n8 outcome=failure reason=not_owner act=deny cn1Label=status cn1=403 `)) ||
		bytes.ContainsAny(cef, "\r\n") {
		t.Errorf("%s", cef)
	}
	ecs, err := ECS.Encode(line)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Timestamp string `json:"@timestamp"`
		Event     struct {
			Outcome, Action, Original string
			Sequence                  int
			Category                  []string
		}
		Source struct{ IP string }
		HTTP   struct {
			Response struct {
				Code int `json:"status_code"`
			}
		}
	}
	if err := json.Unmarshal(ecs, &got); err != nil || got.Event.Outcome != "failure" || got.Event.Sequence != 50 || got.HTTP.Response.Code != 403 || got.Source.IP != "192.0.2.1" || got.Event.Original != string(line) {
		t.Errorf("%s %v", ecs, err)
	}
	if _, err := time.Parse(time.RFC3339, got.Timestamp); err != nil {
		t.Error(err)
	}
}

// A stream gets every event.
func TestStream(t *testing.T) {
	b := newBook(t)
	r, w := io.Pipe()
	s := b.ship("stdout", NewStream(w, OCSF))
	b.write(100)
	in := bufio.NewReader(r)
	var got []byte
	for range 100 {
		line, err := in.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line...)
	}
	b.await(s, 100)
	closing(t, s)
	if held(t, numbers(t, got), 100) != 0 {
		t.Error("lines came twice")
	}
}

func FuzzFormats(f *testing.F) {
	f.Add([]byte(`{"class_uid":6003,"time":1,"message":"a|b=c\nd"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, format := range []Format{ECS, CEF} {
			out, err := format.Encode(line)
			if err == nil && bytes.ContainsAny(out, "\n\r") {
				t.Fatalf("%s: %q", format, out)
			}
		}
	})
}
