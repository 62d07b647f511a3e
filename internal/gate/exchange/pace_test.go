package exchange

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const kib = 1 << 10
	for _, c := range []struct {
		name  string
		bytes int           // of each move
		each  time.Duration // how long each takes
		moves int           // at least so many pass
		most  int           // and at most so many; 0: without end
	}{
		{"nothing comes", 0, time.Second, 59, 61},
		{"a byte now and then", 1, time.Second, 59, 61},
		{"half the rate", kib / 2, time.Second, 118, 122},
		{"the rate", kib, time.Second, 100_000, 0},
		{"much at once, seldom", 30 * kib, 30 * time.Second, 100_000, 0},
		{"fast", 100 * kib, time.Second, 100_000, 0},
	} {
		p := Pace{Rate: kib, Grace: time.Minute}
		n := 0
		for p.Wait(0) > 0 && n < 100_000 {
			p.Moved(c.bytes, c.each)
			n++
		}
		if n < c.moves || c.most > 0 && n > c.most {
			t.Errorf("%s: given up after %d", c.name, n)
		}
	}

	p := Pace{Rate: kib, Grace: time.Minute}
	for range 1000 {
		p.Moved(1<<20, time.Second)
	}
	if w := p.Wait(0); w != time.Minute {
		t.Errorf("a fast gigabyte buys %v", w)
	}
	if w := p.Wait(10 * kib); w != 70*time.Second {
		t.Errorf("ten seconds' worth of bytes has %v", w)
	}
	if w := (&Pace{Grace: time.Second}).Wait(1 << 30); w != time.Second {
		t.Errorf("without a rate: %v", w)
	}
}
