package gate

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
)

// pacedBody gives every read of a request's body its deadline, as Sink does for writes: over HTTP/1.1 of the connection,
// over HTTP/2 of the stream alone.
type pacedBody struct {
	body    io.ReadCloser
	control *http.ResponseController
	pace    exchange.Pace
	armed   time.Time
}

// pace starts the first deadline at once: net/http reads what a refused request left unread.
func pace(body io.ReadCloser, c *http.ResponseController, p exchange.Pace) *pacedBody {
	b := &pacedBody{body: body, control: c, pace: p}
	b.within(time.Now(), p.Wait(0))
	return b
}

// within sets a deadline where the one that stands is not near enough: one that lies up to a sixteenth of the grace too
// early is as good, and setting costs a timer, over HTTP/2 a message to another goroutine.
func (b *pacedBody) within(now time.Time, wait time.Duration) {
	end := now.Add(wait)
	if early := end.Sub(b.armed); early >= 0 && early < b.pace.Grace/16 {
		return
	}
	b.armed = end
	_ = b.control.SetReadDeadline(end) // not every server has deadlines: httptest's recorder has none
}

// Read implements io.Reader. Its error is exchange.ErrSlow where the client was waited for too long.
func (b *pacedBody) Read(p []byte) (int, error) {
	began := time.Now()
	wait := b.pace.Wait(0)
	if wait <= 0 {
		return 0, exchange.ErrSlow
	}
	b.within(began, wait)
	n, err := b.body.Read(p)
	b.pace.Moved(n, time.Since(began))
	switch {
	case err == io.EOF:
		// net/http goes on reading to notice a client that leaves; a deadline left over would look like one.
		b.armed = time.Time{}
		_ = b.control.SetReadDeadline(b.armed)
	case err != nil && errors.Is(err, os.ErrDeadlineExceeded):
		err = exchange.ErrSlow
	}
	return n, err
}

func (b *pacedBody) Close() error { return b.body.Close() }
