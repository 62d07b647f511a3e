package keys

import (
	"sync"
	"sync/atomic"
	"time"
)

// use is when one key was last used, as this process knows it. It outlives replacements of the key's row.
type use struct {
	id     string
	last   atomic.Int64 // Unix seconds
	queued atomic.Bool
}

// uses collects what to write with the next batch: each key at most once, however often it was used.
type uses struct {
	mu    sync.Mutex
	queue []*use
}

// note records a use. In the common case, a key used again within the second, it only reads.
func (q *uses) note(u *use, now time.Time) {
	at := now.Unix()
	for {
		last := u.last.Load()
		if last >= at {
			return
		}
		if u.last.CompareAndSwap(last, at) {
			break
		}
	}
	q.enqueue(u)
}

func (q *uses) enqueue(u *use) {
	if !u.queued.Load() && u.queued.CompareAndSwap(false, true) {
		q.mu.Lock()
		q.queue = append(q.queue, u)
		q.mu.Unlock()
	}
}

// take empties the queue.
func (q *uses) take() map[string]time.Time {
	q.mu.Lock()
	taken := q.queue
	q.queue = nil
	q.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	used := make(map[string]time.Time, len(taken))
	for _, u := range taken {
		u.queued.Store(false) // before reading: a use in between queues the key again
		used[u.id] = time.Unix(u.last.Load(), 0).UTC()
	}
	return used
}
