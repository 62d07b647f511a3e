package screen

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza-coreruleset/v4/tests"
	"go.yaml.in/yaml/v3"
)

var compiled = sync.OnceValues(func() (*Screen, error) { return New(1) })

func level1(t testing.TB) *Screen {
	t.Helper()
	s, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// threshold is the configuration's default.
const threshold = 5

// sample is one request of the rule set's own regression tests: what its authors say a rule must, or must not, find.
type sample struct {
	rule  string
	texts []string
	found bool
}

// regression reads the texts that stand in a query or a form; those in headers, paths and names of files are not text
// that a person typed into a field.
func regression(t *testing.T) []sample {
	t.Helper()
	type suite struct {
		Rule  int `yaml:"rule_id"`
		Tests []struct {
			Stages []struct {
				Input struct {
					Method, URI, Data string
					Headers           map[string]string
				}
				Output struct {
					Log struct {
						Expect   []int `yaml:"expect_ids"`
						NoExpect []int `yaml:"no_expect_ids"`
					}
				}
			}
		}
	}
	var out []sample
	err := fs.WalkDir(tests.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		if !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(path, "REQUEST-"+f) }) {
			return nil
		}
		b, err := fs.ReadFile(tests.FS, path)
		if err != nil {
			return err
		}
		var s suite
		if err := yaml.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, test := range s.Tests {
			for _, stage := range test.Stages {
				in := stage.Input
				raw := in.Data
				if in.Method == "GET" {
					_, raw, _ = strings.Cut(in.URI, "?")
				}
				if strings.ContainsAny(raw, "{<") && in.Method != "GET" || len(stage.Output.Log.Expect)+len(stage.Output.Log.NoExpect) == 0 {
					continue // another content type than a form
				}
				form, err := url.ParseQuery(raw)
				if err != nil {
					continue
				}
				x := sample{rule: strconv.Itoa(s.Rule), found: len(stage.Output.Log.Expect) > 0}
				for _, values := range form {
					x.texts = append(x.texts, values...)
				}
				if strings.Join(x.texts, "") != "" {
					out = append(out, x)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// levels reads of each rule from which paranoia level on it is asked.
func levels(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	rule := regexp.MustCompile(`(?s)"id:(\d{6}),.*?paranoia-level/(\d)`)
	for _, f := range files {
		b, err := fs.ReadFile(coreruleset.FS, "@owasp_crs/REQUEST-"+f+".conf")
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(b), "\nSec") {
			if m := rule.FindStringSubmatch(block); m != nil {
				out[m[1]] = m[2]
			}
		}
	}
	if len(out) < 100 {
		t.Fatalf("%d rules have a level", len(out))
	}
	return out
}

// lawful are texts that people write: with quotes, code words, mathematics, other scripts, and talk about attacks.
var lawful = []string{
	"Sinéad O'Brien", "D'Angelo & Söhne GmbH", "Conan O'Brien's show", "Jack's or Jill's?", "rock 'n' roll", "the '90s",
	"SELECT committee of the House", "Please select all from the list where you can", "the union of workers; select members only",
	"drop by the table near the window", "Delete my account, please", "update: the order has arrived", "insert coin into slot",
	"create or replace the broken lamp", "Order by Friday, group by department", "having said that, where do we go?",
	"5 < 6 && 7 > 3", "if a<b then c>d", "x = y -- or is it?", "1 + 1 = 2; 2 + 2 = 4", "50% off!", "C:\\Users\\me is full", "I <3 you", "<- see there",
	"Use <b>bold</b> words sparingly", "a paragraph with a <br> in it", "mail me at alice@example.org; thanks", "https://example.org/page?id=1&lang=en",
	"See https://en.wikipedia.org/wiki/SQL_injection for more", "The script alerts the nurse", "We do OR, not AND", "true or false? 1 or 2?",
	"Tom & Jerry; Laurel & Hardy", "#1 fan", "$100 or ${amount}?", "call me (maybe)", "cat and dog", "ping me tomorrow", "the echo in the hall",
	"who am I?", "My name is Null", "Bobby Tables is a comic", "[link](https://example.org)", "`code` in a sentence", "{\"a\": 1} is JSON",
	"Zażółć gęślą jaźń", "日本語のコメントです。", "مرحبا بالعالم", "🎉 party at 8!", "naïve café — “quoted”", "line one\nline two\n\n- item\n- item",
	"Our WHERE clause is in the contract", "exec summary attached", "sleep(8) hours a night, they say", "char on the grill", "the benchmark was fine",
	"i++; // increment", "for (i = 0; i < n; i++)", "def f(x): return x", "git commit -m 'fix'", "a=b&c=d", "../ means one up", "50/50 chance; take it or leave it",
	"Please print(this) page", "sudo make me a sandwich", "Room 101's window is open", "It's 10 o'clock, isn't it?", "He said: 'no'; she said: 'yes'",
}

// Both are counted: what the rules' authors say must be found, and what people write. The bounds are what this release
// reaches at the lowest level and the default threshold, with a little room.
func TestCorpora(t *testing.T) {
	s := level1(t)
	judge := func(texts ...string) (int, []string) {
		n, rules, err := s.Judge(texts)
		if err != nil {
			t.Fatal(err)
		}
		return n, rules
	}
	level := levels(t)
	var attacks, caught, above, harmless, alarms int
	for i, x := range regression(t) {
		if testing.Short() && i%10 > 0 {
			continue
		}
		n, _ := judge(x.texts...)
		switch {
		case x.found && level[x.rule] != "1": // found by a stricter level alone
			above++
		case x.found:
			attacks++
			if n >= threshold {
				caught++
			}
		default:
			harmless++
			if n >= threshold {
				alarms++
			}
		}
	}
	t.Logf("rule set %s, paranoia level 1, threshold %d: %d of %d attacks refused (%d more are for stricter levels); of the rules' own harmless texts %d of %d", Version, threshold, caught, attacks, above, alarms, harmless)
	if attacks < 500 && !testing.Short() || caught*100 < attacks*75 {
		t.Errorf("%d of %d attacks are refused", caught, attacks)
	}
	refused := 0
	for _, text := range lawful {
		if n, rules := judge(text); n >= threshold {
			refused++
			t.Logf("false alarm %v: %q", rules, text)
		}
	}
	t.Logf("%d of %d lawful texts refused", refused, len(lawful))
	if refused*100 > len(lawful)*11 {
		t.Errorf("%d of %d lawful texts are refused", refused, len(lawful))
	}
}

// Texts are judged together: an attack is found among many, and its score is the sum.
func TestTextsAreJudgedTogether(t *testing.T) {
	s := level1(t)
	one, _, err := s.Judge([]string{"1' UNION SELECT password FROM users--"})
	if err != nil {
		t.Fatal(err)
	}
	many, rules, err := s.Judge([]string{"hello", "1' UNION SELECT password FROM users--", "<script>alert(1)</script>", ""})
	if err != nil || many <= one || !slices.Contains(rules, "941110") || !slices.Contains(rules, "942190") || !slices.IsSorted(rules) {
		t.Errorf("%d and %d, %v %v", one, many, rules, err)
	}
}

// No text makes an expression run away: sixteen times the text takes of the order of sixteen times as long, not of 256.
func TestNoTextRunsAway(t *testing.T) {
	s := level1(t)
	for _, unit := range []string{"a", "'", "<a ", "((", "\\", "/*", "=a;", "../"} {
		took := func(n int) time.Duration {
			best := time.Hour
			for range 2 {
				began := time.Now()
				if _, _, err := s.Judge([]string{strings.Repeat(unit, n/len(unit))}); err != nil {
					t.Fatal(err)
				}
				best = min(best, time.Since(began))
			}
			return best
		}
		short, long := took(512), took(8<<10)
		if long > 160*short && long > 5*time.Second {
			t.Errorf("%q: %v for 512 bytes, %v for 8 KiB", unit, short, long)
		}
	}
}

func TestLevels(t *testing.T) {
	for _, level := range []int{0, 5} {
		if _, err := New(level); err == nil {
			t.Errorf("there is a level %d", level)
		}
	}
}

// The release that is told of is the one that is linked.
func TestVersion(t *testing.T) {
	b, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github.com/corazawaf/coraza-coreruleset/v4 v" + Version; !strings.Contains(string(b), want+"\n") && !strings.Contains(string(b), want+" ") {
		t.Errorf("go.mod has another release than %s; its date is: go list -m -json github.com/corazawaf/coraza-coreruleset/v4", Version)
	}
}

// BenchmarkJudge is what screening costs: a processor's milliseconds for each request that has text.
func BenchmarkJudge(b *testing.B) {
	s := level1(b)
	for _, size := range []int{50, 1 << 10, 16 << 10} {
		text := strings.Repeat("A lawful sentence of some length, by O'Brien & daughters. ", size/58+1)[:size]
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, _, err := s.Judge([]string{text}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
