package exchange

import "time"

// Pace says how long a peer is waited for while bytes move to or from it. It has Grace to begin with, loses what it makes
// us wait, and earns a second for each Rate bytes that move, never more than Grace altogether: whoever keeps the rate is
// waited for without end, and whoever does not uses up the grace once and is given up, however the bytes are spaced. A
// large fast part buys no slow rest. Time in which nothing is waited for, such as a quiet stream's, costs nothing.
//
// A Rate of 0 asks for none: each wait is Grace.
type Pace struct {
	Rate  int64 // bytes a second
	Grace time.Duration

	spent time.Duration
}

// Wait returns the longest wait for n more bytes; not positive where the grace is used up.
func (p *Pace) Wait(n int) time.Duration {
	if p.Rate <= 0 {
		return p.Grace
	}
	return p.Grace - p.spent + p.worth(n)
}

// Moved counts n bytes for which was waited.
func (p *Pace) Moved(n int, waited time.Duration) {
	if p.Rate > 0 {
		p.spent = max(0, p.spent+waited-p.worth(n))
	}
}

func (p *Pace) worth(n int) time.Duration {
	return time.Duration(float64(n) / float64(p.Rate) * float64(time.Second))
}
