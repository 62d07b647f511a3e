package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/plan"
)

// FuzzNothingPassesUnjudged builds chains of steps that misbehave as the bytes say — forget, refuse, panic, answer, block,
// observe, write elsewhere — around an origin that misbehaves too: it writes twice, late, after its return, from several
// goroutines, panics, forgets. Every piece the origin writes bears its own mark. It holds that
//
//   - a mark that reaches the client was passed by every step that had to pass it, head and body, and a held one by the
//     origin's own word too;
//   - nothing at all touches the client's connection when the exchange is over, and who writes then is told so;
//   - every step that wants to close is closed, once, and what was borrowed is given back.
func FuzzNothingPassesUnjudged(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0})
	for d := range byte(5) {
		for m := range byte(24) {
			f.Add([]byte{d, 2, m, 0, m + 5, 3, 1, 2, 3, 4, 5, 6, 7})
			f.Add([]byte{d, 1, 0, m, 0, 4, 7, 3, 5, 1, 2})
			f.Add([]byte{d, 1, 0, 0, m, 5, m, 9, 4, 2})
		}
	}
	f.Fuzz(func(t *testing.T, plot []byte) {
		if len(plot) > 64 {
			return
		}
		play(t, plot)
	})
}

// TestNothingPassesUnjudged plays as many plots as a second has, always the same.
func TestNothingPassesUnjudged(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for range 20_000 {
		plot := make([]byte, r.IntN(40))
		for i := range plot {
			plot[i] = byte(r.Uint32())
		}
		if play(t, plot); t.Failed() {
			t.Fatalf("the plot %#v", plot)
		}
	}
}

func play(t *testing.T, plot []byte) {
	w := &witness{t: t, plot: plot, entered: map[string]bool{}, headed: map[string]bool{}, judged: map[string]map[string]bool{}}
	w.play()
}

// witness plays a plot, and knows what may be seen of it.
type witness struct {
	t    *testing.T
	plot []byte

	mu      sync.Mutex
	entered map[string]bool // steps that passed the request
	headed  map[string]bool // steps that passed the head
	judged  map[string]map[string]bool
	closed  map[string]int
	whole   bool // the origin says that it is done
}

func (w *witness) next() byte {
	if len(w.plot) == 0 {
		return 0
	}
	b := w.plot[0]
	w.plot = w.plot[1:]
	return b
}

var mark = regexp.MustCompile(`<[a-z]+[0-9]+>`)

func (w *witness) play() {
	w.closed = map[string]int{}
	delivery := []plan.Delivery{plan.Hold, plan.Relay, plan.Items, plan.Empty, ""}[w.next()%5]
	var steps []Step
	var enters, heads, parts []string
	for i := range int(w.next() % 5) {
		name := fmt.Sprint("s", i)
		s := Step{Stage: name, Close: func(*Exchange) { w.mu.Lock(); w.closed[name]++; w.mu.Unlock() }}
		if mode := w.next(); mode%3 != 2 {
			enters = append(enters, name)
			s.Enter = w.enter(name, mode)
		}
		if mode := w.next(); mode%3 != 2 {
			heads = append(heads, name)
			s.Head = w.head(name, mode)
		}
		if mode := w.next(); mode%3 != 2 {
			parts = append(parts, name)
			s.Part = w.part(name, mode)
		}
		switch w.next() % 16 {
		case 1:
			s.Dress = func(*Exchange) { panic("dress") }
		case 2:
			s.Dress = func(x *Exchange) { x.Out.Client().Set("X-Dressed", "yes") }
		case 3:
			closes := s.Close
			s.Close = func(x *Exchange) { closes(x); panic("close") }
		case 4:
			s.Observe, s.Until = true, time.Unix(1, 0)
		}
		steps = append(steps, s)
	}
	fixes := Step{Stage: "upstream", Head: func(x *Exchange) Verdict {
		if delivery == plan.Items {
			x.Out.Deliver(delivery, new(byLine))
		} else {
			x.Out.Deliver(delivery, nil)
		}
		return Pass
	}, Close: func(*Exchange) { w.mu.Lock(); w.closed["upstream"]++; w.mu.Unlock() }}
	steps = append(steps, fixes)

	client := &connection{t: w.t, header: http.Header{}}
	budget := NewBudget(1 << 16)
	over := make(chan struct{})
	var strays sync.WaitGroup
	origin := w.origin(over, &strays)
	op := &plan.Operation{ID: "test"}
	x := &Exchange{ID: "00000000-0000-4000-8000-000000000000", Op: op, Chain: NewChain(op, steps, len(steps)-1)}
	x.Request, _ = http.NewRequest("GET", "/", nil)
	x.Open(client, budget)
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				w.t.Errorf("the exchange panicked with %v", p)
			}
		}()
		x.Run(0, origin)
	}()
	client.end()
	close(over)
	strays.Wait()

	if left := budget.Left(); left != 1<<16 {
		w.t.Errorf("%d bytes of the budget are missing", 1<<16-left)
	}
	for _, s := range steps {
		if w.closed[s.Stage] != 1 {
			w.t.Errorf("%s was closed %d times", s.Stage, w.closed[s.Stage])
		}
	}
	head, body := fmt.Sprint(client.sent), client.body.String()
	marks := mark.FindAllString(head+body, -1)
	if len(marks) == 0 {
		return
	}
	for _, name := range enters {
		if !w.entered[name] {
			w.t.Errorf("%s did not pass the request, and %v left", name, marks)
		}
	}
	for _, name := range heads {
		if !w.headed[name] {
			w.t.Errorf("%s did not pass the head, and %v left", name, marks)
		}
	}
	for _, m := range marks {
		if strings.HasPrefix(m, "<late") || strings.HasPrefix(m, "<after") {
			w.t.Errorf("%s left", m)
		}
	}
	if delivery == plan.Empty || delivery == "" {
		if m := mark.FindString(body); m != "" {
			w.t.Errorf("%s left in a body that is none", m)
		}
	}
	if delivery == plan.Relay {
		return
	}
	if delivery == plan.Hold && !w.whole && mark.MatchString(body) {
		w.t.Errorf("what the origin did not finish left: %q", body)
	}
	if i := strings.Index(body, "end"); delivery == plan.Items && i >= 0 && i != len(body)-3 {
		w.t.Errorf("something follows the end: %q", body)
	}
	for _, m := range mark.FindAllString(body, -1) {
		for _, name := range parts {
			if !w.judged[name][m] {
				w.t.Errorf("%s did not pass %s, and it left", name, m)
			}
		}
	}
}

// enter returns a step's way in that behaves as mode says.
func (w *witness) enter(name string, mode byte) func(*Exchange) Verdict {
	return func(x *Exchange) Verdict {
		switch mode % 24 {
		case 1:
			return Undecided
		case 3:
			w.entered[name] = watching(x, name)
			return x.Refuse(Refusal{Status: 403, Fine: "test"})
		case 4:
			panic("enter")
		case 6:
			x.Reply.Status = 204
			return Answered
		case 7:
			return Verdict(77)
		case 9:
			w.entered[name] = watching(x, name)
			return x.Refuse(Refusal{}) // it says nothing
		case 10:
			w.entered[name] = watching(x, name)
			x.Out.Write([]byte("<after0>")) // a step has no answer to give by itself
			return x.Refuse(Refusal{Status: 403})
		case 12:
			return Answered // and says nothing
		case 13:
			w.entered[name] = watching(x, name)
			return x.Refuse(Refusal{Status: 302})
		}
		w.entered[name] = true
		return Pass
	}
}

func (w *witness) head(name string, mode byte) func(*Exchange) Verdict {
	return func(x *Exchange) Verdict {
		switch mode % 24 {
		case 1:
			return Undecided
		case 3:
			w.headed[name] = watching(x, name)
			return x.Refuse(Refusal{Status: 502, Fine: "test"})
		case 4:
			panic("head")
		case 6:
			return Answered
		case 7:
			return Verdict(77)
		case 9:
			pause()
		case 10:
			x.Out.Deliver(plan.Relay, nil) // another one fixes it after
		case 12:
			x.Out.SetStatus(201)
		case 13:
			x.Out.Judged().Set("X-Step", "yes")
		}
		w.headed[name] = true
		return Pass
	}
}

func (w *witness) part(name string, mode byte) func(*Exchange, []byte, []byte) ([]byte, Verdict) {
	calls := 0
	return func(x *Exchange, dst, part []byte) ([]byte, Verdict) {
		calls++
		pass := func(p []byte) ([]byte, Verdict) {
			if w.judged[name] == nil {
				w.judged[name] = map[string]bool{}
			}
			for _, m := range mark.FindAllString(string(part), -1) {
				w.judged[name][m] = true
			}
			return p, Pass
		}
		switch mode % 24 {
		case 1:
			return part, Undecided
		case 3:
			if watching(x, name) {
				pass(part)
			}
			return part, x.Refuse(Refusal{Status: 502, Fine: "test"})
		case 4:
			panic("part")
		case 6:
			return part, Answered
		case 7:
			return part, Verdict(77)
		case 9:
			return pass(append(append(dst, "p:"...), part...))
		case 10:
			return pass(bytes.ToUpper(part[:0:0]))
		case 12:
			return pass(nil)
		case 13:
			if calls > 1 {
				if watching(x, name) {
					pass(part)
				}
				return part, x.Refuse(Refusal{Status: 502})
			}
		case 15:
			if calls > 1 {
				panic("the second part")
			}
		case 16:
			pause()
		}
		return pass(part)
	}
}

func watching(x *Exchange, name string) bool {
	for i := range x.Chain.Steps {
		if s := &x.Chain.Steps[i]; s.Stage == name {
			return s.Observe
		}
	}
	return false
}

// pause lets others run in between.
func pause() {
	for range 10 {
		runtime.Gosched()
	}
}

// origin returns one that behaves as the rest of the plot says. over is closed when the exchange is.
func (w *witness) origin(over <-chan struct{}, strays *sync.WaitGroup) Origin {
	plot := w.plot
	return originFunc(func(x *Exchange) Verdict {
		out, h := &x.Out, x.Out.Header()
		h.Set("X-Origin", "<h1>")
		strays.Go(func() {
			<-over
			if _, err := out.Write([]byte("<after1>")); !errors.Is(err, ErrRefused) {
				w.t.Errorf("a write after the end: %v", err)
			}
			out.WriteHeader(200)
			out.Flush()
		})
		wrote, strayed := false, false
		for i, b := range plot {
			text := []byte(fmt.Sprintf("<m%d>\n", i))
			switch b % 16 {
			case 0:
				out.Write(text)
				wrote = true
			case 1:
				out.WriteHeader(103)
			case 2:
				out.WriteHeader(200)
				wrote = true
			case 3:
				out.WriteHeader(500)
				wrote = true
			case 4:
				out.Flush()
			case 5:
				panic("origin")
			case 6:
				return Undecided
			case 7:
				if strayed {
					return Undecided // what refuses by itself, the upstream, writes by itself
				}
				return x.Refuse(Refusal{Status: 502})
			case 8: // several at once, and we wait
				var g sync.WaitGroup
				for k := range 3 {
					g.Go(func() { out.Write(fmt.Appendf(nil, "<g%d>\n", i*10+k)) })
				}
				g.Wait()
				wrote = true
			case 9: // several at once, and we do not
				strayed = true
				for k := range 3 {
					strays.Go(func() { out.Write(fmt.Appendf(nil, "<g%d>\n", i*10+k)) })
				}
			case 10:
				func() {
					defer func() { recover() }()
					out.Write(text)
				}()
				wrote = true
			case 11:
				if wrote {
					h.Set("X-Late", fmt.Sprintf("<late%d>", i))
					out.Header().Set("X-Late", fmt.Sprintf("<late%d>", i))
				}
			case 12:
				out.Write(bytes.Repeat([]byte("x"), 9000))
				wrote = true
			case 13:
				panic(http.ErrAbortHandler)
			case 14:
				return Refused // and says nothing
			case 15:
				out.WriteString(string(text))
				wrote = true
			}
		}
		w.whole = true
		return Pass
	})
}

// byLine is a framing of lines.
type byLine struct{ rest []byte }

func (b *byLine) Split(p []byte, emit func([]byte) error) error {
	b.rest = append(b.rest, p...)
	for {
		i := bytes.IndexByte(b.rest, '\n')
		if i < 0 {
			return nil
		}
		item := b.rest[:i]
		b.rest = b.rest[i+1:]
		if err := emit(item); err != nil {
			return err
		}
	}
}

func (b *byLine) End(func([]byte) error) error {
	if len(b.rest) > 0 {
		return errors.New("an unfinished line")
	}
	return nil
}

func (b *byLine) Frame(dst, item []byte, first bool) []byte {
	return append(append(dst, item...), '\n')
}
func (b *byLine) Tail(dst []byte, any bool) []byte { return append(dst, "end"...) }

// connection is a client's, and suspicious: net/http forgives what it does not.
type connection struct {
	t      *testing.T
	mu     sync.Mutex
	header http.Header
	sent   http.Header
	status int
	body   bytes.Buffer
	over   bool
}

func (c *connection) Header() http.Header { return c.header }

func (c *connection) touch() {
	if c.over {
		c.t.Error("the connection is touched after the end")
	}
}

func (c *connection) WriteHeader(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch()
	if c.status != 0 || code < 200 || code > 599 {
		c.t.Errorf("head %d after %d", code, c.status)
	}
	c.status, c.sent = code, c.header.Clone()
}

func (c *connection) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch()
	if c.status == 0 {
		c.t.Error("a body without a head")
	}
	return c.body.Write(p)
}

func (c *connection) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touch()
}

func (c *connection) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}
