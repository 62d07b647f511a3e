package upstream

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portreeve/portreeve/internal/plan"
)

// api is an API that works on so many requests at once; the others wait.
type api struct {
	places chan struct{}
	work   time.Duration
}

func newAPI(places int, work time.Duration) *api { return &api{make(chan struct{}, places), work} }

func (a *api) call() {
	a.places <- struct{}{}
	time.Sleep(a.work)
	<-a.places
}

// press lets so many clients call for so long, one call after the other; a refused one waits a little. It returns how
// many were answered, how many refused, and the longest answer after the first seconds.
func press(l *Load, p *Pace, a *api, clients int, d, settled time.Duration) (answered, refused int, longest time.Duration) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	begin := time.Now()
	for range clients {
		wait.Go(func() {
			for time.Since(begin) < d {
				if l != nil && !l.Admit(true) {
					mu.Lock()
					refused++
					mu.Unlock()
					time.Sleep(100 * time.Millisecond)
					continue
				}
				began := time.Now()
				a.call()
				took := time.Since(began)
				if l != nil {
					l.Done(p, took)
				}
				mu.Lock()
				answered++
				if time.Since(begin) > settled {
					longest = max(longest, took)
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return answered, refused, longest
}

var concurrency = plan.Concurrency{Min: 16, Max: 1024}

// Ten times more than the API can do: what is admitted is answered in good time, and none of its capacity is wasted.
func TestLoadIsShedBeforeTheCollapse(t *testing.T) {
	const places, work = 20, 50 * time.Millisecond
	var unguarded time.Duration
	synctest.Test(t, func(t *testing.T) {
		_, _, unguarded = press(nil, nil, newAPI(places, work), 400, 60*time.Second, 20*time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		l, a := NewLoad(concurrency), newAPI(places, work)
		p := l.Of("list")
		if _, refused, _ := press(l, p, a, 10, 10*time.Second, 0); refused > 0 {
			t.Fatalf("%d requests of ten lawful clients were refused", refused)
		}
		answered, refused, longest := press(l, p, a, 400, 60*time.Second, 20*time.Second)
		most := int(60*time.Second/work) * places
		t.Logf("longest answer %v, without shedding %v; %d answered of at most %d, %d refused, limit %d", longest, unguarded, answered, most, refused, l.Limit())
		if unguarded < 15*work {
			t.Errorf("the API did not collapse without shedding (%v): the test shows nothing", unguarded)
		}
		if longest > 6*work {
			t.Errorf("the longest answer took %v", longest)
		}
		if answered < most*95/100 {
			t.Errorf("%d answered of %d possible", answered, most)
		}
		if refused == 0 {
			t.Error("nobody was refused")
		}
		if l.InFlight() != 0 {
			t.Errorf("%d places are lost", l.InFlight())
		}
		if _, refused, _ := press(l, p, a, 16, 10*time.Second, 0); refused > 0 {
			t.Errorf("%d requests of sixteen lawful clients were refused afterwards", refused)
		}
	})
}

// After an overload the limit comes back: more and more clients are let through to an API that bears them.
func TestLoadGrowsWithWhatIsBorne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoad(concurrency)
		p := l.Of("list")
		small := newAPI(20, 50*time.Millisecond)
		press(l, p, small, 10, 5*time.Second, 0)
		press(l, p, small, 400, 20*time.Second, 0)
		low := l.Limit()
		press(l, p, newAPI(2000, 50*time.Millisecond), 400, 60*time.Second, 0)
		t.Logf("from %d to %d", low, l.Limit())
		if low > 100 || l.Limit() < 400 {
			t.Errorf("the limit was %d under overload, and is %d for 400 clients whom the API bears", low, l.Limit())
		}
	})
}

// Another mix of quick and slow operations is no overload.
func TestLoadKnowsOperationsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoad(concurrency)
		quick, slow := l.Of("list"), l.Of("report")
		before := l.Limit()
		calls := func(p *Pace, n int, took time.Duration) {
			for range n {
				l.Admit(true)
				time.Sleep(20 * time.Millisecond)
				l.Done(p, took)
			}
		}
		calls(quick, 200, 20*time.Millisecond)
		calls(slow, 200, 2*time.Second)
		calls(quick, 200, 20*time.Millisecond)
		if l.Limit() < before {
			t.Errorf("the limit fell from %d to %d", before, l.Limit())
		}
		calls(quick, 200, 200*time.Millisecond)
		if l.Limit() >= before {
			t.Errorf("ten times slower, and the limit is %d", l.Limit())
		}
	})
}

// Callers whom nobody knows cannot fill every place.
func TestLoadKeepsPlacesForKnownCallers(t *testing.T) {
	l := NewLoad(plan.Concurrency{Min: 8, Max: 8})
	got := 0
	for l.Admit(false) {
		got++
	}
	if got != 6 || !l.Admit(true) || !l.Admit(true) || l.Admit(true) {
		t.Errorf("%d anonymous callers of 8 places; %d in flight", got, l.InFlight())
	}
	if l.Shed() != 2 {
		t.Errorf("%d shed", l.Shed())
	}
}

func TestLoadAllocatesNothing(t *testing.T) {
	l := NewLoad(concurrency)
	p := l.Of("list")
	if n := testing.AllocsPerRun(1000, func() {
		l.Admit(true)
		l.Done(p, time.Millisecond)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
