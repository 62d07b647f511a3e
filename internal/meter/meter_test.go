package meter

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var start = time.Unix(1_700_000_000, 0)

func rule(t testing.TB, r *Rule, err error) *Rule {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The oracle: no window of length W anywhere may hold more than N admitted requests.
func worst(times []time.Time, w time.Duration) int {
	most := 0
	for i := range times {
		n := 0
		for j := i; j < len(times) && times[j].Sub(times[i]) < w; j++ {
			n++
		}
		most = max(most, n)
	}
	return most
}

func TestNeverMoreThanNInAnyWindow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 3, 10, 64, 65, 100, 500} {
		w := time.Minute
		r := must(Window("p", n, w))(t)
		for pattern := range 6 {
			m := New(1000)
			key := m.Key(r, "alice")
			now, admitted := start, []time.Time{}
			for range 20 * n {
				switch pattern {
				case 0: // a steady flood
					now = now.Add(w / time.Duration(10*n))
				case 1: // Poisson-like
					now = now.Add(time.Duration(rng.ExpFloat64() * float64(w) / float64(n) * 0.7))
				case 2: // bursts at the edges of windows
					if rng.IntN(2*n) == 0 {
						now = now.Truncate(w).Add(w - time.Millisecond)
					} else {
						now = now.Add(time.Duration(rng.IntN(2)) * time.Millisecond)
					}
				case 3: // always as soon as told
					if d := m.Take(now, []Demand{{r, key, 0}}); !d.Allowed {
						now = now.Add(d.RetryAfter)
					}
				case 4: // everything at one instant, then silence of a random length
					if rng.IntN(n+1) == 0 {
						now = now.Add(time.Duration(rng.Int64N(int64(2 * w))))
					}
				case 5: // a clock that steps back
					now = now.Add(time.Duration(rng.Int64N(int64(w/10))) - w/30)
				}
				if m.Take(now, []Demand{{r, key, 1}}).Allowed && pattern != 5 {
					admitted = append(admitted, now)
				}
			}
			if got := worst(admitted, w); got > n {
				t.Errorf("N=%d pattern %d: %d in one window", n, pattern, got)
			}
			if pattern == 0 {
				span := admitted[len(admitted)-1].Sub(admitted[0])
				if floor := int(float64(n) * float64(span) / float64(w) * 12 / 13); len(admitted) < floor {
					t.Errorf("N=%d: only %d admitted under a flood of %v, want at least %d", n, len(admitted), span, floor)
				}
			}
		}
	}
}

func must(r *Rule, err error) func(testing.TB) *Rule {
	return func(t testing.TB) *Rule { return rule(t, r, err) }
}

func TestRetryAfterIsExact(t *testing.T) {
	rules := []*Rule{must(Window("w", 10, time.Minute))(t), must(Window("w", 100, time.Hour))(t), must(Rate("r", 5, 20))(t)}
	for _, r := range rules {
		m := New(1000)
		key := m.Key(r, "k")
		now, rng := start, rand.New(rand.NewPCG(3, 4))
		for range 2000 {
			now = now.Add(time.Duration(rng.Int64N(int64(time.Second))))
			d := m.Take(now, []Demand{{r, key, 1}})
			if d.Allowed {
				continue
			}
			if d.RetryAfter <= 0 {
				t.Fatalf("%s: refused, but may retry after %v", r.Name, d.RetryAfter)
			}
			if m.Take(now.Add(d.RetryAfter-1), []Demand{{r, key, 0}}).Allowed {
				t.Fatalf("%s: passes before %v", r.Name, d.RetryAfter)
			}
			if !m.Take(now.Add(d.RetryAfter), []Demand{{r, key, 0}}).Allowed {
				t.Fatalf("%s: does not pass after %v", r.Name, d.RetryAfter)
			}
		}
	}
}

func TestRateAdmitsBurstPlusRate(t *testing.T) {
	r := must(Rate("r", 5, 20))(t)
	m := New(10)
	n := 0
	for i := range 6001 {
		if m.Take(start.Add(time.Duration(i)*10*time.Millisecond), []Demand{{r, m.Key(r), 1}}).Allowed {
			n++
		}
	}
	if n != 20+60*5 {
		t.Errorf("admitted %d in 60 s, want %d", n, 320)
	}
}

func TestAllOrNothing(t *testing.T) {
	a, b := must(Window("a", 5, time.Minute))(t), must(Window("b", 2, time.Minute))(t)
	m := New(10)
	demands := []Demand{{a, m.Key(a, "x"), 1}, {b, m.Key(b, "x"), 1}}
	for i, want := range []bool{true, true, false, false} {
		if d := m.Take(start, demands); d.Allowed != want || !want && d.Index != 1 {
			t.Fatalf("%d: %+v", i, d)
		}
	}
	if d := m.Take(start, demands[:1]); d.Remaining != 2 {
		t.Errorf("a refused request was debited: %+v", d)
	}
}

func TestConcurrentlyExactlyN(t *testing.T) {
	r := must(Window("w", 100, time.Hour))(t)
	m := New(10)
	var wg sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for range 100 {
		wg.Go(func() {
			for range 10 {
				if m.Take(start, []Demand{{r, m.Key(r, "k"), 1}}).Allowed {
					mu.Lock()
					n++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if n != 100 {
		t.Errorf("admitted %d, want 100", n)
	}
}

func TestAFloodOfKeysFreesNobody(t *testing.T) {
	r := must(Window("w", 3, time.Hour))(t)
	m := New(2048)
	victim := m.Key(r, "victim")
	for range 3 {
		m.Take(start, []Demand{{r, victim, 1}})
	}
	shared := 0
	for i := range 40_000 {
		if !m.Take(start, []Demand{{r, m.Key(r, "flood", string(rune(i))), 1}}).Allowed {
			shared++
		}
	}
	if m.Take(start, []Demand{{r, victim, 1}}).Allowed {
		t.Error("the flood freed a live key")
	}
	keys := 0
	for i := range m.shard {
		keys += len(m.shard[i].state)
	}
	if keys > 2048+shards {
		t.Errorf("%d keys are held", keys)
	}
	if shared == 0 {
		t.Error("newcomers do not share a limit when the table is full")
	}
	if !m.Take(start.Add(2*time.Hour), []Demand{{r, m.Key(r, "later"), 1}}).Allowed {
		t.Error("expired keys were not dropped")
	}
}

//threat:42 IPv4 in IPv6, zones, networks → one key each
func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"::ffff:1.2.3.4": "1.2.3.4/32", "::ffff:102:304": "1.2.3.4/32", "64:ff9b::1.2.3.4": "1.2.3.4/32", "fe80::1%eth0": "fe80::/64",
		"2001:db8::1.2.3.4": "2001:db8::/64", "2001:db8:0:1::9": "2001:db8:0:1::/64", "1.2.3.4": "1.2.3.4/32",
	} {
		if got := Address(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestFields(t *testing.T) {
	r := must(Window("principal", 100, time.Hour))(t)
	m := New(10)
	d := m.Take(start, []Demand{{r, m.Key(r, "k"), 1}})
	if got := string(r.AppendPolicy(nil)); got != `"principal";q=100;w=3600` {
		t.Error(got)
	}
	if got := string(r.AppendState(nil, d)); got != `"principal";r=99;t=3700` {
		t.Error(got)
	}
}

func TestTakeDoesNotAllocate(t *testing.T) {
	r := must(Window("w", 1000, time.Hour))(t)
	g := must(Rate("g", 1000, 1000))(t)
	m := New(100)
	demands := []Demand{{r, m.Key(r, "k"), 1}, {g, m.Key(g, "k"), 1}}
	if n := testing.AllocsPerRun(100, func() { m.Take(start, demands); m.Key(r, "principal", "alice") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTake(b *testing.B) {
	r := must(Window("w", 1_000_000, time.Hour))(b)
	m := New(1000)
	d := []Demand{{r, m.Key(r, "k"), 1}}
	b.ReportAllocs()
	for b.Loop() {
		m.Take(start, d)
	}
}
