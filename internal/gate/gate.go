package gate

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/gate/upstream"
	"github.com/portreeve/portreeve/internal/plan"
)

// Gate is an http.Handler that obeys one plan at a time.
type Gate struct {
	runtime *Runtime
	now     atomic.Pointer[bound]
	swap    sync.Mutex
}

// New binds a plan. The gate does not own the runtime.
func New(p *plan.Plan, r *Runtime) (*Gate, error) {
	g := &Gate{runtime: r}
	return g, g.Swap(p)
}

// Swap provisions a new plan fully and then obeys it; requests on their way end under the plan they began with. When
// the plan cannot be bound the old one stays.
func (g *Gate) Swap(p *plan.Plan) error {
	g.swap.Lock()
	defer g.swap.Unlock()
	b, err := bind(p, g.runtime, nil)
	if err != nil {
		return err
	}
	g.now.Store(b)
	return nil
}

// Plan returns the plan that is obeyed now.
func (g *Gate) Plan() *plan.Plan { return g.now.Load().plan }

// Chains returns the chains that run now, one per operation in the plan's order, and that of unmatched requests last.
func (g *Gate) Chains() []*exchange.Chain {
	b := g.now.Load()
	return append(slices.Clone(b.chains), b.unmatched)
}

// Capacity returns what is known of how much the upstream bears.
func (g *Gate) Capacity() *upstream.Capacity { return g.now.Load().stages.upstream.Capacity() }

// ServeHTTP serves a request as a proxy of the plan's upstream.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := g.now.Load()
	g.serve(w, r, b, new(exchange.Exchange), b.stages.upstream)
}

// Wrap guards next: the same chain, with next as the origin. next finds the caller with access.From.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := g.now.Load()
		g.serve(w, r, b, new(exchange.Exchange), handler{next})
	})
}

// serve is the life of one request.
func (g *Gate) serve(w http.ResponseWriter, r *http.Request, b *bound, x *exchange.Exchange, o exchange.Origin) {
	x.Now = g.runtime.Clock()
	x.ID = g.runtime.newID(x.Now)
	x.Plan = b.plan
	if x.Chain == nil {
		x.Chain, x.Op = b.unmatched, b.plan.Unmatched
	}
	x.Request = private(r)
	p := exchange.Pace{Rate: b.plan.Server.Rate, Grace: b.plan.Server.Idle}
	if p.Grace > 0 && r.Body != nil && r.Body != http.NoBody {
		x.Request.Body = pace(r.Body, http.NewResponseController(w), p)
	}
	x.Open(w, g.runtime.Budget)
	x.Out.SetPace(p, r.ProtoMajor == 2)
	g.runtime.Metrics.Began()
	x.Run(prologue, origins{b, o})
}

// private returns a copy whose URL and header the stages may change: a wrapped handler's caller keeps its own.
func private(r *http.Request) *http.Request {
	c := r.WithContext(r.Context())
	u := *r.URL
	c.URL = &u
	c.Header = r.Header.Clone()
	return c
}

// origins sends the gate's own endpoints to the gate and everything else to the origin.
type origins struct {
	bound *bound
	other exchange.Origin
}

func (o origins) Answer(x *exchange.Exchange) exchange.Verdict {
	if x.Op.Own == "" {
		return o.other.Answer(x)
	}
	h, ok := o.bound.own[x.Op.Own]
	if !ok {
		return exchange.Undecided
	}
	h.ServeHTTP(&x.Out, x.Request)
	return exchange.Pass
}

// Ask implements exchange.Asker.
func (o origins) Ask(x *exchange.Exchange, q exchange.Question) (exchange.Told, error) {
	a, ok := o.other.(exchange.Asker)
	if !ok {
		return exchange.Told{}, exchange.ErrNoAsker
	}
	return a.Ask(x, q)
}

// handler is a wrapped handler as an origin.
type handler struct{ next http.Handler }

func (h handler) Answer(x *exchange.Exchange) exchange.Verdict {
	p := x.Principal
	r := x.Request.WithContext(access.With(x.Request.Context(), &p))
	if x.Body != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(x.Body)), int64(len(x.Body))
	}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // the body is judged even when only its head is asked for
	}
	h.next.ServeHTTP(&x.Out, r)
	return exchange.Pass
}

// Ask asks the handler beside the exchange's own request. Its panic is the exchange's.
func (h handler) Ask(x *exchange.Exchange, q exchange.Question) (exchange.Told, error) {
	path, err := url.PathUnescape(q.Path)
	if err != nil {
		return exchange.Told{}, err
	}
	p := x.Principal
	r := x.Request.Clone(access.With(x.Request.Context(), &p))
	r.Method, r.URL, r.RequestURI = q.Method, &url.URL{Path: path, RawPath: q.Path}, q.Path
	if q.Query && x.Request.URL.RawQuery != "" {
		r.URL.RawQuery = x.Request.URL.RawQuery
		r.RequestURI += "?" + r.URL.RawQuery
	}
	r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = http.NoBody, 0, nil, nil
	exchange.Neutral(r.Header, q)
	if q.Body != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(q.Body)), int64(len(q.Body))
	}
	w := &heldAnswer{x: x, told: exchange.Told{Header: http.Header{}}}
	h.next.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	return w.told, w.err
}

// heldAnswer is where a wrapped handler answers a question.
type heldAnswer struct {
	x    *exchange.Exchange
	told exchange.Told
	err  error
}

func (w *heldAnswer) Header() http.Header { return w.told.Header }

func (w *heldAnswer) WriteHeader(code int) {
	if w.told.Status == 0 && code >= 200 {
		w.told.Status, w.told.Header = code, w.told.Header.Clone()
	}
}

func (w *heldAnswer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.err != nil:
	case len(w.told.Body)+len(p) > exchange.MaxHeld:
		w.err = exchange.ErrTooLarge
	case !w.x.Borrow(int64(len(p))):
		w.err = exchange.ErrBudget
	default:
		w.told.Body = append(w.told.Body, p...)
		return len(p), nil
	}
	return 0, w.err
}
