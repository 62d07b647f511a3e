package exchange

import "sync/atomic"

// Budget bounds the bytes that all exchanges together may hold in memory.
type Budget struct {
	left atomic.Int64
}

// NewBudget returns a budget of n bytes.
func NewBudget(n int64) *Budget {
	b := new(Budget)
	b.left.Store(n)
	return b
}

// Take takes n bytes if they are left. A nil budget has none.
func (b *Budget) Take(n int64) bool {
	if b == nil {
		return false
	}
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

// Give gives n bytes back.
func (b *Budget) Give(n int64) { b.left.Add(n) }

// Left returns the bytes nobody holds now.
func (b *Budget) Left() int64 { return b.left.Load() }
