package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func event(id string, p Phase) *Event {
	return &Event{Kind: Request, Phase: p, ID: id, Time: noon, Method: "POST", Operation: "createUser", Path: "/users", Actor: "user", Subject: "1", Allowed: true, Status: 201,
		Record: "sync", Roles: []string{"admin"}, Controls: []string{"authz.object"}, Address: "::1"}
}

func open(t testing.TB, dir string, o Options) *Ledger {
	t.Helper()
	l, _, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAppendIsDurableAndChained(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		l := open(t, dir, Options{})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				id := fmt.Sprintf("%d-%d", round, i)
				if err := l.Append(context.Background(), event(id, Intent)); err != nil {
					t.Error(err)
				}
				if i%10 != 0 {
					l.Enqueue(event(id, Outcome))
				}
			})
		}
		wg.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(context.Background(), event("x", Intent)); !errors.Is(err, ErrUnavailable) {
			t.Errorf("after Close: %v", err)
		}
	}
	rep, err := Verify(dir)
	if err != nil || rep.Lines != 3*95 || len(rep.Unresolved) != 15 {
		t.Errorf("%+v %v", rep, err)
	}
}

func TestOneOwner(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	defer l.Close()
	if _, _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "another process owns it") {
		t.Errorf("got %v", err)
	}
}

func TestAFullQueueLosesAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{Queue: 4})
	lost := 0
	for i := range 20000 {
		if !l.Enqueue(event(fmt.Sprint(i), Whole)) {
			lost++
		}
	}
	l.Append(context.Background(), event("end", Whole))
	l.Append(context.Background(), event("end2", Whole))
	if lost == 0 || l.Stats().Lost != uint64(lost) {
		t.Errorf("lost %d, counted %d", lost, l.Stats().Lost)
	}
	l.Close()
	told := false
	Read(dir, func(_ string, _ int, line []byte) error {
		told = told || bytes.Contains(line, []byte("events were lost"))
		return nil
	})
	if !told {
		t.Error("no event tells of the loss")
	}
	if _, err := Verify(dir); err != nil {
		t.Error(err)
	}
}

func TestSegmentsBySizeAndDay(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	clock := noon
	l := open(t, dir, Options{Segment: 2000, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }})
	for i := range 10 {
		l.Append(context.Background(), event(fmt.Sprint(i), Whole))
	}
	mu.Lock()
	clock = clock.Add(24 * time.Hour)
	mu.Unlock()
	l.Append(context.Background(), event("tomorrow", Whole))
	l.Close()
	names, _ := segments(dir)
	if len(names) < 4 {
		t.Errorf("%d segments", len(names))
	}
	for _, n := range names {
		if info, _ := os.Stat(n); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", n, info.Mode())
		}
	}
	if rep, err := Verify(dir); err != nil || rep.Lines != 11 {
		t.Error(rep, err)
	}
}

// A disk that takes no more: the limit on file size stands in for it. What was acknowledged stays, what was not is
// refused, and the file ends with a whole line.
func TestAFullDiskRefuses(t *testing.T) {
	if os.Getenv("LEDGER_CHILD") == "full" {
		syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096})
		l := open(t, os.Getenv("LEDGER_DIR"), Options{})
		for i := range 50 {
			if err := l.Append(context.Background(), event(fmt.Sprint(i), Whole)); err == nil {
				fmt.Println("acknowledged", i)
			} else if !errors.Is(err, ErrUnavailable) {
				fmt.Println("odd error", err)
			} else if !errors.Is(err, syscall.EFBIG) {
				fmt.Println("odd error: it does not say why:", err)
			}
		}
		if l.Stats().Failed {
			fmt.Println("says so")
		}
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run", "TestAFullDiskRefuses")
	cmd.Env = append(os.Environ(), "LEDGER_CHILD=full", "LEDGER_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := strings.Count(string(out), "acknowledged")
	if n == 0 || strings.Contains(string(out), "odd error") {
		t.Errorf("%s", out)
	}
	rep, err := Verify(dir)
	if err != nil || rep.Lines != uint64(n) {
		t.Errorf("%d acknowledged, %d there: %v", n, rep.Lines, err)
	}
}

// kill -9 in the middle: nothing that was acknowledged is lost.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("LEDGER_KILL"); dir != "" {
		l := open(t, dir, Options{})
		for g := range 8 {
			go func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
					if l.Append(context.Background(), event(id, Whole)) == nil {
						fmt.Println(id)
					}
				}
			}()
		}
		select {}
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("PORTREEVE_KILLS")); err == nil {
		kills = n
	}
	for range kills {
		cmd := exec.Command(os.Args[0], "-test.run", "TestKilled")
		cmd.Env = append(os.Environ(), "LEDGER_KILL="+dir)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(20 * time.Millisecond) {
			if names, _ := segments(dir); len(names) > 0 {
				if info, err := os.Stat(names[len(names)-1]); err == nil && info.Size() > 20<<10 {
					break
				}
			}
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		whole := out.String()[:strings.LastIndexByte(out.String(), '\n')+1]
		for id := range strings.FieldsSeq(whole) {
			acknowledged[id] = true
		}
	}
	l, rec, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Verify(dir); err != nil {
		t.Error(err)
	}
	Read(dir, func(_ string, _ int, line []byte) error {
		var c tagged
		json.Unmarshal(line, &c)
		delete(acknowledged, c.Metadata.UID)
		return nil
	})
	t.Logf("%d lines survived %d kills, %d torn bytes were cut off", rec.Lines, kills, rec.Dropped)
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged events are lost", len(acknowledged))
	}
	if rec.Lines == 0 {
		t.Error("nothing was written")
	}
}

func TestEncodeAllocatesOnlyItsBuffer(t *testing.T) {
	e := event("6b1d", Whole)
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { e.Encode(buf) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("a\r\nb\u2028", "\x1b[31m", "\xff\"\\")
	f.Fuzz(func(t *testing.T, subject, agent, object string) {
		e := event("id", Whole)
		e.Subject, e.Agent, e.ObjectType, e.ObjectID, e.Reason = subject, agent, "T", object, agent
		line := e.Encode(nil)
		for _, c := range line {
			if c < 0x20 || c == 0x7f {
				t.Fatalf("byte %#x in %q", c, line)
			}
		}
		var got struct {
			Actor struct {
				User struct{ UID string }
			}
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if utf8.ValidString(subject) && len(subject) <= maxText && got.Actor.User.UID != subject {
			t.Fatalf("%q became %q", subject, got.Actor.User.UID)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64, 512} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			l := open(b, filepath.Join(b.TempDir(), "l"), Options{})
			defer l.Close()
			b.SetParallelism(max(1, writers/2))
			e := event("id", Whole)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Append(context.Background(), e); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
