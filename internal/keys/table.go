package keys

import (
	"hash/maphash"
	"maps"
	"sync/atomic"
)

// tableShards bounds what one change copies: of a million keys, about a thousand.
const tableShards = 1024

// table is a map with lock-free reads. A shard is immutable; a change copies it. Changes are serialised by the owner.
type table[K comparable, V any] struct {
	seed  maphash.Seed
	shard [tableShards]atomic.Pointer[map[K]V]
}

func newTable[K comparable, V any]() *table[K, V] { return &table[K, V]{seed: maphash.MakeSeed()} }

func (t *table[K, V]) index(k K) int { return int(maphash.Comparable(t.seed, k) % tableShards) }

func (t *table[K, V]) get(k K) (v V, ok bool) {
	if m := t.shard[t.index(k)].Load(); m != nil {
		v, ok = (*m)[k]
	}
	return v, ok
}

// change adds or replaces the entries of set and drops those of dead, copying each shard they fall into once.
func (t *table[K, V]) change(set map[K]V, dead []K) {
	copies := make(map[int]map[K]V)
	writable := func(k K) map[K]V {
		i := t.index(k)
		if copies[i] == nil {
			copies[i] = make(map[K]V)
			if old := t.shard[i].Load(); old != nil {
				maps.Copy(copies[i], *old)
			}
		}
		return copies[i]
	}
	for k, v := range set {
		writable(k)[k] = v
	}
	for _, k := range dead {
		delete(writable(k), k)
	}
	for i, m := range copies {
		t.shard[i].Store(&m)
	}
}

// all calls f for every entry.
func (t *table[K, V]) all(f func(K, V)) {
	for i := range t.shard {
		if m := t.shard[i].Load(); m != nil {
			for k, v := range *m {
				f(k, v)
			}
		}
	}
}
