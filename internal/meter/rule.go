package meter

import (
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"strconv"
	"time"
)

// Rule is one limit. Make it with Window or Rate; its counts belong to its content, so that a reload which keeps the
// rule keeps its counts.
type Rule struct {
	Name string // in the RateLimit fields, "principal"

	limit    int           // N of N/W
	window   time.Duration // W
	part     int64         // length of a sub-window, 0 for an exact log
	interval int64         // GCRA: between two, ns
	burst    int
	id       uint64
}

// Bounds of a lawful rule.
const (
	maxLimit  = 1e9
	minWindow = time.Second
	maxWindow = 400 * 24 * time.Hour
)

// Window returns the rule "never more than limit in any window".
func Window(name string, limit int, window time.Duration) (*Rule, error) {
	if limit < 1 || limit > maxLimit || window < minWindow || window > maxWindow {
		return nil, fmt.Errorf("limit %d/%v: want 1 to 1e9 in 1s to 400d", limit, window)
	}
	r := &Rule{Name: name, limit: limit, window: window}
	if limit > exactUpTo {
		r.part = (int64(window) + parts - 1) / parts
	}
	r.id = r.hash()
	return r, nil
}

// Rate returns the GCRA rule "rate per second, and burst at once".
func Rate(name string, perSecond float64, burst int) (*Rule, error) {
	if !(perSecond > 0) || perSecond > maxLimit || burst < 1 || burst > maxLimit {
		return nil, fmt.Errorf("rate %v/s burst %d: want more than 0 and a burst of at least 1", perSecond, burst)
	}
	interval := int64(math.Ceil(float64(time.Second) / perSecond))
	if float64(interval)*float64(burst) > float64(maxWindow) {
		return nil, fmt.Errorf("rate %v/s burst %d: the burst takes more than 400d to come back", perSecond, burst)
	}
	r := &Rule{Name: name, interval: interval, burst: burst}
	r.id = r.hash()
	return r, nil
}

func (r *Rule) hash() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%d\x00%d\x00%d\x00%d", r.Name, r.limit, r.window, r.interval, r.burst)
	return h.Sum64()
}

// Quota returns the rule as RateLimit-Policy says it: q and w in seconds.
func (r *Rule) Quota() (q int, w time.Duration) {
	if r.interval > 0 {
		return r.burst, time.Duration(r.interval) * time.Duration(r.burst)
	}
	return r.limit, r.window
}

// peek says what the rule leaves at time t: how many more (after cost), how long to wait for cost, and how long until
// the whole quota is back. It changes nothing.
func (r *Rule) peek(s *state, t int64, cost int) (free int, wait, reset time.Duration) {
	switch {
	case r.interval > 0:
		return r.peekRate(s, t, cost)
	case r.part == 0:
		return r.peekLog(s, t, cost)
	}
	return r.peekParts(s, t, cost)
}

func (r *Rule) take(s *state, t int64, cost int) {
	switch {
	case r.interval > 0:
		s.tat = max(s.tat, t) + r.interval*int64(cost)
		s.expires = s.tat
	case r.part == 0:
		r.takeLog(s, t, cost)
	default:
		r.takeParts(s, t, cost)
	}
}

func (r *Rule) peekRate(s *state, t int64, cost int) (int, time.Duration, time.Duration) {
	tat := max(s.tat, t)
	full := r.interval * int64(r.burst)
	free := int((t + full - tat) / r.interval)
	if wait := tat + r.interval*int64(cost) - full - t; wait > 0 {
		return free, time.Duration(wait), time.Duration(tat - t)
	}
	return free, 0, time.Duration(tat - t)
}

// The log: times of the last admitted, oldest at head. One leaves exactly W after it came.
func (r *Rule) peekLog(s *state, t int64, cost int) (int, time.Duration, time.Duration) {
	n, live := 0, 0
	for n < s.n && s.times[(s.head+n)%len(s.times)] <= t-int64(r.window) {
		n++
	}
	live = s.n - n
	free := r.limit - live
	var reset time.Duration
	if live > 0 {
		reset = time.Duration(s.times[(s.head+s.n-1)%len(s.times)] + int64(r.window) - t)
	}
	if cost <= free {
		return free, 0, reset
	}
	if cost > r.limit {
		return free, r.window, reset
	}
	oldest := s.times[(s.head+n+cost-free-1)%len(s.times)] // the one whose leaving makes room
	return free, time.Duration(oldest + int64(r.window) - t), reset
}

func (r *Rule) takeLog(s *state, t int64, cost int) {
	if s.times == nil {
		s.times = make([]int64, r.limit)
	}
	for s.n > 0 && s.times[s.head] <= t-int64(r.window) {
		s.head, s.n = (s.head+1)%len(s.times), s.n-1
	}
	for range cost {
		s.times[(s.head+s.n)%len(s.times)] = t
		s.n++
	}
	s.expires = t + int64(r.window)
}

// Sub-windows: whatever was admitted in a sub-window counts until the whole of it is W old.
func (r *Rule) peekParts(s *state, t int64, cost int) (int, time.Duration, time.Duration) {
	now := t / r.part
	sum := 0
	newest := int64(-1)
	for i, c := range s.counts {
		if n := s.number(i); c > 0 && n >= now-parts {
			sum += int(c)
			newest = max(newest, n)
		}
	}
	free := r.limit - sum
	var reset time.Duration
	if newest >= 0 {
		reset = time.Duration((newest+parts+1)*r.part - t)
	}
	if cost <= free {
		return free, 0, reset
	}
	need := cost - free
	for n := now - parts; n <= now; n++ {
		if c := s.count(n); c > 0 {
			if need -= int(c); need <= 0 {
				return free, time.Duration((n+parts+1)*r.part - t), reset
			}
		}
	}
	return free, r.window, reset
}

// number returns which sub-window slot i holds; base is the newest one written.
func (s *state) number(i int) int64 {
	size := int64(len(s.counts))
	n := s.base - (s.base-int64(i))%size
	if n > s.base {
		n -= size
	}
	return n
}

func (s *state) count(n int64) uint32 {
	size := int64(len(s.counts))
	if size == 0 || n > s.base || n <= s.base-size || n < 0 {
		return 0
	}
	return s.counts[n%size]
}

func (r *Rule) takeParts(s *state, t int64, cost int) {
	now := t / r.part
	if s.counts == nil {
		s.counts, s.base = make([]uint32, parts+1), now
	}
	size := int64(len(s.counts))
	if now-s.base >= size {
		clear(s.counts)
	} else {
		for n := s.base + 1; n <= now; n++ {
			s.counts[n%size] = 0
		}
	}
	s.base = max(s.base, now)
	s.counts[now%size] += uint32(cost)
	s.expires = (now + parts + 1) * r.part
}

// AppendPolicy appends the rule as an item of RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10 §2).
func (r *Rule) AppendPolicy(dst []byte) []byte {
	q, w := r.Quota()
	dst = append(append(append(dst, '"'), r.Name...), `";q=`...)
	dst = strconv.AppendInt(dst, int64(q), 10)
	dst = append(dst, ";w="...)
	return strconv.AppendInt(dst, seconds(w), 10)
}

// AppendState appends what is left as an item of RateLimit (§3).
func (r *Rule) AppendState(dst []byte, d Decision) []byte {
	dst = append(append(append(dst, '"'), r.Name...), `";r=`...)
	dst = strconv.AppendInt(dst, int64(d.Remaining), 10)
	dst = append(dst, ";t="...)
	return strconv.AppendInt(dst, seconds(max(d.Reset, d.RetryAfter)), 10)
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// Address returns what stands for an address when it is counted: IPv4 whole, IPv6 by its /64, mapped and NAT64
// addresses (RFC 6052) as the IPv4 they carry. Zones are dropped.
func Address(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// NewRule returns a window rule where count is given, a rate rule otherwise.
func NewRule(name string, count int, window time.Duration, perSecond float64, burst int) (*Rule, error) {
	if count > 0 {
		return Window(name, count, window)
	}
	return Rate(name, perSecond, burst)
}
