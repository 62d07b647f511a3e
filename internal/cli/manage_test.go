package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal opens a pseudo-terminal: what a person types into, and what the program sees.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return m.Lflag&unix.ECHO != 0
}

// typist answers each prompt once the terminal shows nothing of what is typed.
type typist struct {
	t       *testing.T
	person  *os.File
	program *os.File
	answers []string
	shown   bytes.Buffer
	typing  sync.WaitGroup
}

func (w *typist) Write(b []byte) (int, error) {
	w.shown.Write(b)
	if !bytes.HasSuffix(b, []byte(": ")) || len(w.answers) == 0 {
		return len(b), nil
	}
	answer := w.answers[0]
	w.answers = w.answers[1:]
	w.typing.Go(func() {
		for echoes(w.t, w.program) {
			time.Sleep(time.Millisecond)
		}
		io.WriteString(w.person, answer+"\n")
	})
	return len(b), nil
}

func TestPasswordsAreAskedForWithoutEcho(t *testing.T) {
	person, program := terminal(t)
	w := &typist{t: t, person: person, program: program, answers: []string{"correct horse battery", "correct horse battery"}}
	defer w.typing.Wait()
	got, err := readPassword(t.Context(), Streams{In: program, Err: w}, "alice")
	if err != nil || got != "correct horse battery" {
		t.Errorf("got %q, %v", got, err)
	}
	if s := w.shown.String(); s != "New password of alice: \nAgain: \n" {
		t.Errorf("shown: %q", s)
	}
	if !echoes(t, program) {
		t.Error("the terminal is left without echo")
	}
	w.typing.Wait()
	w.answers = []string{"correct horse battery", "correct horse batterz"}
	if _, err := readPassword(t.Context(), Streams{In: program, Err: w}, "alice"); err == nil || !strings.Contains(err.Error(), "differ") {
		t.Errorf("two different ones: %v", err)
	}
}

// Ctrl-C at the prompt ends the asking, and the terminal is as it was.
func TestInterruptedAsking(t *testing.T) {
	person, program := terminal(t)
	before, err := term.GetState(int(program.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		for echoes(t, program) {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	if _, err := readPassword(ctx, Streams{In: program, Err: io.Discard}, "alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	after, err := term.GetState(int(program.Fd()))
	if err != nil || *after != *before {
		t.Errorf("the terminal changed: %v", err)
	}
	// In a process that ends the read that was given up would end with it; here it gets its line.
	io.WriteString(person, "\n")
	for n := 1; n > 0; time.Sleep(time.Millisecond) {
		if n, err = unix.IoctlGetInt(int(program.Fd()), unix.TIOCINQ); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpans(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"90d":                       now.AddDate(0, 0, 90),
		"2w":                        now.AddDate(0, 0, 14),
		"36h":                       now.Add(36 * time.Hour),
		"1h30m":                     now.Add(90 * time.Minute),
		"2026-12-31":                time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC),
		"2026-12-31T23:59:59+01:00": time.Date(2026, 12, 31, 22, 59, 59, 0, time.UTC),
	} {
		if got, err := moment("expires", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "-3d", "1.5d", "99999999d", "d", "2026-13-01", "90 d", "0x10d"} {
		if got, err := moment("expires", text, now); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestKeyIDs(t *testing.T) {
	for text, want := range map[string]string{"0123456789": "0123456789", "ptr_live_0123456789": "0123456789", "ptr_test_0123456789": "0123456789"} {
		if got, err := keyID(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	const secret = "ptr_live_0123456789_canarycanarycanary"
	if _, err := keyID(secret); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a whole key: %v", err)
	}
}
