package keys

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"testing"
)

func generate(t testing.TB, env Environment) string {
	t.Helper()
	text, err := Generate(rand.Reader, env)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestGeneratedKeysParse(t *testing.T) {
	pattern := regexp.MustCompile(Pattern())
	seen := map[string]bool{}
	for range 1000 {
		for _, env := range []Environment{Live, Test} {
			text := generate(t, env)
			p, err := Parse(text)
			if err != nil || p.Environment != env || !strings.HasPrefix(text, p.String()+"_") {
				t.Fatalf("%s: %+v, %v", text, p, err)
			}
			if !pattern.MatchString("x=" + text + ";") {
				t.Errorf("the pattern misses %s", text)
			}
			if seen[p.ID] {
				t.Errorf("id %s was made twice", p.ID)
			}
			seen[p.ID] = true
			if out := fmt.Sprintf("%v %+v %#v %s", p, p, p, p); strings.Contains(out, text[secretAt:]) {
				t.Errorf("printing shows the secret: %s", out)
			}
		}
	}
	if _, err := Generate(rand.Reader, "prod"); err == nil {
		t.Error("a key of no known environment was made")
	}
	if _, err := Generate(bytes.NewReader(nil), Live); err == nil {
		t.Error("a key was made without randomness")
	}
}

// The digits are uniform: a byte that favours some would show in 430000 of them.
//
//threat:38 many new keys → every digit as likely as any other
func TestDigitsAreUniform(t *testing.T) {
	b, err := appendDigits(nil, rand.Reader, 430000)
	if err != nil {
		t.Fatal(err)
	}
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	want := len(b) / len(alphabet)
	for _, c := range []byte(alphabet) {
		if n := count[c]; n < want*9/10 || n > want*11/10 {
			t.Errorf("digit %c stands there %d times; %d are expected", c, n, want)
		}
	}
}

// Every single wrong character is found, before anything is looked up.
func TestParseFindsEveryTypingError(t *testing.T) {
	text := generate(t, Live)
	for i := range text {
		for _, c := range []byte{'0', 'z', '_', '-', ' ', 0, 0xff} {
			if text[i] == c {
				continue
			}
			bad := []byte(text)
			bad[i] = c
			if _, err := Parse(string(bad)); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrChecksum) {
				t.Errorf("%q at %d: %v", c, i, err)
			}
		}
	}
	for _, bad := range []string{"", "ptr_", text[:len(text)-1], text + "0", " " + text[1:], strings.ToUpper(text), strings.Replace(text, "live", "Live", 1)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestChecksumIsCRC32(t *testing.T) {
	const text = "ptr_live_0123456789_secret"
	got := checksum(text)
	n := crc32.ChecksumIEEE([]byte(text))
	want := ""
	for range checksumLen {
		want = string(alphabet[n%62]) + want
		n /= 62
	}
	if string(got[:]) != want {
		t.Errorf("got %s, want %s", got[:], want)
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	text := generate(t, Live)
	bad := text[:len(text)-1] + "!"
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(text); _, _ = Parse(bad) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(generate(f, Live))
	f.Add("ptr_live_0123456789_" + strings.Repeat("0", 49))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			if p != (Parsed{}) {
				t.Errorf("an error came with %v", p)
			}
			return
		}
		if sum := checksum(text[:checksumAt]); string(sum[:]) != text[checksumAt:] || p.ID != text[idAt:secretAt-1] || p.signed+text[checksumAt:] != text {
			t.Errorf("%q was read as %q", text, p.ID)
		}
	})
}
