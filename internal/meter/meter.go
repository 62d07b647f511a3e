// Package meter counts: all limits of a request in one decision, in bounded memory, without allocating.
//
// Two algorithms. A window rule N/W admits never more than N in ANY window of length W: exactly where N is small (a log
// of N times), and by sub-windows whose oldest is counted whole where it is large, which admits at least 12/13 of N. A
// rate rule is GCRA: a burst, then one each interval; it admits at most burst + rate·W in any W. There is no fixed
// window, which admits 2N at its edge.
//
// It knows keys, not callers: who a key stands for is the caller's affair. State is dropped only when it has expired,
// so nobody is freed of a limit by flooding the table; when it is full of live keys, newcomers share one.
package meter

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	shards    = 128
	exactUpTo = 64 // windows of at most this many keep a time for each admitted request
	parts     = 12 // sub-windows of a larger window
)

// Key is what is counted: a seeded hash of a rule and whom it counts.
type Key uint64

// Meter holds the counts.
type Meter struct {
	seed  maphash.Seed
	shard [shards]shard
	limit int // keys a shard may hold
}

type shard struct {
	mu    sync.Mutex
	state map[Key]*state
	swept int64    // when expired keys were last looked for
	_     [32]byte // one shard a cache line
}

// state is one key's. Which fields are used is its rule's affair; a key belongs to one rule.
type state struct {
	expires int64 // when it equals an absent one
	last    int64 // the latest time seen: a clock that steps back grants nothing
	tat     int64 // GCRA: theoretical arrival time
	times   []int64
	head, n int
	base    int64 // sub-window number of counts[0 mod len]
	counts  []uint32
}

// New returns a meter for at most about capacity live keys.
func New(capacity int) *Meter {
	m := &Meter{seed: maphash.MakeSeed(), limit: max(16, capacity/shards)}
	for i := range m.shard {
		m.shard[i].state = make(map[Key]*state)
	}
	return m
}

// Key hashes a rule and the parts that name whom it counts. Parts are length-prefixed: no two lists collide by
// concatenation.
func (m *Meter) Key(r *Rule, parts ...string) Key {
	var h maphash.Hash
	h.SetSeed(m.seed)
	number(&h, r.id)
	for _, p := range parts {
		number(&h, uint64(len(p)))
		h.WriteString(p)
	}
	return Key(h.Sum64())
}

func number(h *maphash.Hash, n uint64) {
	var b [8]byte
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	h.Write(b[:])
}

// Demand asks one rule for cost units on one key. Cost 0 asks whether one more would pass, and takes nothing.
type Demand struct {
	Rule *Rule
	Key  Key
	Cost int
}

// Decision is the answer to all demands together.
type Decision struct {
	Allowed    bool
	Index      int           // of the demand that refused, or of the tightest one
	Remaining  int           // what that demand's rule leaves now
	Reset      time.Duration // until its whole quota is there again
	RetryAfter time.Duration // when refused: the earliest time at which all demands would pass
}

// Take decides all demands at once: each is debited, or none is.
func (m *Meter) Take(now time.Time, demands []Demand) Decision {
	if len(demands) == 0 {
		return Decision{Allowed: true, Index: -1}
	}
	t := now.UnixNano()
	locked := m.lock(demands)
	defer m.unlock(locked)
	d := Decision{Allowed: true, Index: -1}
	var states [maxDemands]*state
	for i := range demands {
		q := &demands[i]
		s := m.get(q, t)
		states[i] = s
		free, wait, reset := q.Rule.peek(s, max(t, s.last), max(1, q.Cost))
		if wait > 0 {
			if d.Allowed || wait > d.RetryAfter {
				d = Decision{Index: i, Remaining: max(0, free), Reset: reset, RetryAfter: wait}
			}
			continue
		}
		if d.Allowed && (d.Index < 0 || free < d.Remaining) {
			d.Index, d.Remaining, d.Reset = i, free, reset
		}
	}
	if !d.Allowed {
		return d
	}
	for i := range demands {
		q := &demands[i]
		if q.Cost > 0 {
			s := states[i]
			at := max(t, s.last)
			s.last = at
			q.Rule.take(s, at, q.Cost)
			if i == d.Index {
				d.Remaining, _, d.Reset = q.Rule.peek(s, at, 1)
				d.Remaining = max(0, d.Remaining)
			}
		}
	}
	return d
}

const maxDemands = 8

// lock takes the shards of all demands in one order, each once.
func (m *Meter) lock(demands []Demand) (locked [shards / 64]uint64) {
	if len(demands) > maxDemands {
		panic("meter: more than 8 demands at once")
	}
	for i := range demands {
		n := uint64(demands[i].Key) % shards
		locked[n/64] |= 1 << (n % 64)
	}
	for w := range locked {
		for b := range 64 {
			if locked[w]&(1<<b) != 0 {
				m.shard[w*64+b].mu.Lock()
			}
		}
	}
	return locked
}

func (m *Meter) unlock(locked [shards / 64]uint64) {
	for w := range locked {
		for b := range 64 {
			if locked[w]&(1<<b) != 0 {
				m.shard[w*64+b].mu.Unlock()
			}
		}
	}
}

// get returns a key's state, made if need be. In a shard full of live keys a newcomer gets the one its rule's
// newcomers share there.
func (m *Meter) get(q *Demand, now int64) *state {
	sh := &m.shard[uint64(q.Key)%shards]
	if s := sh.state[q.Key]; s != nil {
		return s
	}
	key := q.Key
	if len(sh.state) >= m.limit {
		if now-sh.swept >= sweepEvery { // a flood of newcomers must not buy a walk each
			sh.swept = now
			sh.sweep(now)
		}
		if len(sh.state) >= m.limit {
			key = Key(q.Rule.id)
			if s := sh.state[key]; s != nil {
				return s
			}
		}
	}
	s := new(state)
	sh.state[key] = s
	return s
}

const sweepEvery = int64(time.Second)

// sweep drops what has expired: it equals what is absent.
func (sh *shard) sweep(now int64) {
	for k, s := range sh.state {
		if s.expires <= now {
			delete(sh.state, k)
		}
	}
}
