package upstream

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

// The one call that an open breaker tries decides for all: a client that draws out its body must not be it.
func TestNoUploadIsTheCallThatIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := plan.Upstream{Breaker: plan.Breaker{Ratio: 50, Requests: 2, Window: time.Minute, Open: time.Second}, Concurrency: concurrency}
		s := &Stage{rule: rule, capacity: NewCapacity(&rule, func(Change) {})}
		c := s.call("POST /x")
		request := func(body io.Reader) (*exchange.Exchange, exchange.Verdict) {
			x := &exchange.Exchange{}
			x.Request, _ = http.NewRequest(http.MethodPost, "/x", body)
			return x, c.enter(x)
		}
		for range 2 {
			x, v := request(nil)
			if v != exchange.Pass {
				t.Fatalf("a closed breaker: %v", v)
			}
			c.settle(x, errFailed)
		}
		if got := s.capacity.Breaker.State(); got != "open" {
			t.Fatalf("it is %s", got)
		}
		time.Sleep(1100 * time.Millisecond)
		if x, v := request(strings.NewReader("slowly")); v == exchange.Pass || x.No.Fine != "upstream_breaker" {
			t.Errorf("an upload is tried: %v %s", v, x.No.Fine)
		}
		x, v := request(nil)
		if v != exchange.Pass {
			t.Fatalf("nobody else is tried: %v", x.No.Fine)
		}
		c.settle(x, nil)
		if x, v = request(strings.NewReader("slowly")); v != exchange.Pass {
			t.Errorf("an upload when all is well again: %v", x.No.Fine)
		}
		c.settle(x, nil)
		if n := s.capacity.Load.InFlight(); n != 0 {
			t.Errorf("%d calls are counted for ever", n)
		}
	})
}
