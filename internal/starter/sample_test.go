package starter

import (
	"os"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/vectors"
)

// TestSampleOfOwners counts how often what is proposed for documents of other people is right, by labels whose making, and
// whose limits, testdata/owners.txt tells: a rule where the label is that rule, and none where it is none. What is only a comment is for a person to
// decide, and is counted by itself.
func TestSampleOfOwners(t *testing.T) {
	text, err := os.ReadFile("testdata/owners.txt")
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string]*Proposal{}
	for name, path := range map[string]string{"box": vectors.Path(t, "documents/box.json"), "github": vectors.Fetched(t, "github.json")} {
		doc, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if documents[name], err = Propose(doc, Options{Document: path}); err != nil {
			t.Fatal(err)
		}
	}
	var n, right, wrong, commented, missed, ruled int
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), " | ")
		if strings.HasPrefix(line, "#") || len(f) != 4 {
			continue
		}
		var o *Operation
		for _, candidate := range documents[f[0]].Operations {
			if candidate.Method+" "+candidate.Path == f[1] {
				o = candidate
				break
			}
		}
		if o == nil {
			t.Errorf("%s has no %s", f[0], f[1])
			continue
		}
		if len(compile.Identifiers(documents[f[0]].doc, o.op)) == 0 {
			t.Errorf("%s: nothing of it looks like an id", f[1])
		}
		n++
		is, active := "none", false
		if o.Object != nil {
			is, active = o.Object.Owner, o.Object.Active
		}
		if f[2] != "none" {
			ruled++
		}
		switch {
		case active && is == f[2], !active && f[2] == "none":
			right++
		case active:
			wrong++
			t.Logf("wrong: %s %s proposes %s; %s, for %s", f[0], f[1], is, f[2], f[3])
		case is == f[2]:
			commented++
			t.Logf("a comment: %s %s", f[0], f[1])
		default:
			missed++
			t.Logf("missed: %s %s: %s", f[0], f[1], f[2])
		}
	}
	t.Logf("of %d operations, %d of which have a rule the document can state: %d right, %d right as a comment, %d missed, %d wrong", n, ruled, right, commented, missed, wrong)
	if n != 60 || right < 57 || wrong > 1 {
		t.Errorf("it has become worse: %d of %d right, %d wrong", right, n, wrong)
	}
}
