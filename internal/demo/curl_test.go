package demo

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The commands that are printed do what Run does: pasted into a shell in the same order, they get the same statuses, and
// breaking them into lines changes nothing.
func TestCommandsArePasteable(t *testing.T) {
	for _, program := range []string{"sh", "curl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is not installed", program)
		}
	}
	w := newTown(t)
	ids := w.identities(t)
	dir := t.TempDir()
	if err := (File{Identities: ids}).Write(dir); err != nil {
		t.Fatal(err)
	}
	forged, err := Forge(issuer, audience, w.signer.Sign, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	side := func() Endpoints {
		db := scratch(t)
		if err := SeedNaked(t.Context(), db, ids); err != nil {
			t.Fatal(err)
		}
		url := serve(t, Naked(db))
		return Endpoints{Naked: url, Guarded: url, Around: url, File: filepath.Join(dir, FileName), Identities: ids}
	}
	pasted := side()
	client := newClient(nil)
	asked := side()
	for _, d := range Demonstrations(forged) {
		d.Calls = slices.Clone(d.Calls)
		for i := range d.Calls {
			d.Calls[i].Times = min(d.Calls[i].Times, 3) // enough of a loop
		}
		want := d.run(t.Context(), client, &asked, false)
		var got []string
		for i := range d.Calls {
			c := &d.Calls[i]
			command := wrap(c.Curl(&pasted, pasted.base(c, true)), width)
			out, err := exec.CommandContext(t.Context(), "sh", "-c", command).Output()
			if err != nil {
				t.Fatalf("%s: %v\n%s", d.ID, err, command)
			}
			for line := range strings.SplitSeq(string(out), "\n") {
				if status, ok := strings.CutPrefix(line, "HTTP/1.1 "); ok && !strings.HasPrefix(status, "100") {
					got = append(got, status[:3])
				}
			}
			for _, id := range ids {
				if strings.Contains(command, id.Token) || strings.Contains(command, id.Password) || strings.Contains(command, id.APIKey) {
					t.Errorf("%s: a secret of %s stands in the command", d.ID, id.Name)
				}
			}
		}
		var wanted []string
		for i := range d.Calls {
			for range d.Calls[i].times() {
				wanted = append(wanted, strconv.Itoa(want.Answers[want.last[i]].Status))
			}
		}
		if !slices.Equal(got, wanted) {
			t.Errorf("%s: pasted %v, asked %v", d.ID, got, wanted)
		}
	}
}

func TestWrap(t *testing.T) {
	long := "'" + strings.Repeat("x", 250) + "'"
	for _, command := range []string{"printf %s a b c", "printf %s -d " + long + " z", `printf %s "$(printf '%s' 'a b' | tr a "b")" ` + long, `printf %s 'it'\''s' "q ' q" $(echo 'x y')`} {
		wrapped := wrap(command, 60)
		plain, err := exec.Command("sh", "-c", command).Output()
		if err != nil {
			t.Fatal(err)
		}
		broken, err := exec.Command("sh", "-c", wrapped).Output()
		if err != nil || string(broken) != string(plain) {
			t.Errorf("%s\nbecame\n%s\nand says %q, not %q (%v)", command, wrapped, broken, plain, err)
		}
		for line := range strings.SplitSeq(wrapped, "\n") {
			if len(line) > 60 && !strings.Contains(line, "$(") {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
	}
}
