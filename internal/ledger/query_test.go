package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// mixed makes a ledger of several segments whose events differ, and tells what each was.
func mixed(t testing.TB, lines int) (string, []*Event) {
	t.Helper()
	dir := t.TempDir()
	l := open(t, dir, Options{Segment: 16 << 10})
	var all []*Event
	for i := range lines {
		e := event(fmt.Sprint(i), Whole)
		e.Time = noon.Add(time.Duration(i) * time.Second)
		e.Subject = fmt.Sprint("user-", i%7)
		e.Operation = []string{"getUser", "createUser", "listUsers"}[i%3]
		if i%5 == 0 {
			e.Allowed, e.Reason = false, "not_owner"
		}
		all = append(all, e)
		if err := l.Append(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, all
}

// A query finds what reading everything finds, with indexes, without, and with damaged ones.
func TestFind(t *testing.T) {
	dir, all := mixed(t, 400)
	names, _ := segments(dir)
	indexes, _ := filepath.Glob(filepath.Join(dir, "*.idx"))
	if len(indexes) < 5 || len(indexes) != len(names)-1 {
		t.Fatalf("%d indexes of %d segments", len(indexes), len(names))
	}
	ask := func(how string) {
		t.Helper()
		for _, q := range []Query{
			{},
			{Subject: "user-3"},
			{Subject: "user-3", Decision: "deny"},
			{Decision: "deny", Reason: "not_owner", Operation: "getUser"},
			{ID: "17"},
			{ID: "no such"},
			{Since: noon.Add(100 * time.Second), Until: noon.Add(130 * time.Second)},
			{Subject: "user-1", Since: noon.Add(100 * time.Second), Limit: 5},
			{Address: "::1", Class: "API Activity", Limit: 1000},
		} {
			limit := q.Limit
			if limit == 0 {
				limit = 100
			}
			var want []string
			for _, e := range all {
				if (q.Subject == "" || q.Subject == e.Subject) && (q.Operation == "" || q.Operation == e.Operation) && (q.Decision == "" || (q.Decision == "deny") == !e.Allowed) &&
					(q.Reason == "" || q.Reason == e.Reason) && (q.ID == "" || q.ID == e.ID) && (q.Since.IsZero() || !e.Time.Before(q.Since)) && (q.Until.IsZero() || e.Time.Before(q.Until)) {
					want = append(want, e.ID)
				}
			}
			more := len(want) > limit
			if more {
				want = want[len(want)-limit:]
			}
			a, err := Find(context.Background(), dir, q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range a.Lines {
				var v view
				if err := json.Unmarshal(line, &v); err != nil {
					t.Fatal(err)
				}
				got = append(got, v.Metadata.UID)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || a.More != more {
				t.Errorf("%s, %+v: %v (more %v), want %v (%v)", how, q, got, a.More, want, more)
			}
		}
	}
	ask("indexed")
	for i, name := range indexes {
		b, _ := os.ReadFile(name)
		switch i % 3 {
		case 0:
			os.Remove(name)
		case 1:
			os.WriteFile(name, b[:len(b)/2], 0o600)
		case 2:
			os.WriteFile(name, append([]byte("NOTIDX1\n"), b[8:]...), 0o600)
		}
	}
	ask("damaged")
}

// Who follows sees every line once, in order, over the end of segments and processes.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{Segment: 4 << 10})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	seen := make(chan uint64, 1000)
	for range 3 {
		l.Append(ctx, event("before", Whole))
	}
	done := make(chan error)
	go func() {
		done <- Follow(ctx, dir, 2, func(line []byte) error {
			p, _ := placeOf(line)
			seen <- p.seq
			return nil
		})
	}()
	for round := range 3 {
		for i := range 30 {
			l.Append(ctx, event(fmt.Sprint(round, i), Whole))
		}
		l.Close()
		l = open(t, dir, Options{Segment: 4 << 10})
	}
	l.Close()
	for want := uint64(3); want <= 93; want++ {
		if got := <-seen; got != want {
			t.Fatalf("line %d where %d comes", got, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A question over many events, answered by indexes. PORTREEVE_LEDGER_EVENTS says how many; 10,000,000 is what is promised.
func BenchmarkFind(b *testing.B) {
	dir, _ := mixed(b, 20000)
	b.ResetTimer()
	for b.Loop() {
		if _, err := Find(context.Background(), dir, Query{Subject: "user-3", Decision: "deny"}); err != nil {
			b.Fatal(err)
		}
	}
}
