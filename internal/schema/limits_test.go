package schema

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// A number that no double holds is Infinity to one reader and itself to another (RFC 7493 §2.2).
func TestNumbersBeyondADoubleAreRefused(t *testing.T) {
	set, err := NewSet([]byte(`{"n":{"type":"number","minimum":0}}`), OpenAPI31)
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Compile("/n", Options{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("9", 309)
	for body, finite := range map[string]bool{`1e308`: true, `1e309`: false, `1e400`: false, `1E+400`: false, `-1e400`: false, `0.1e309`: true, `10e308`: false,
		`1.7976931348623157e308`: true, `1.7976931348623159e308`: false, `17976931348623157e292`: true, long: false, long[1:]: true, long[1:] + ".5e1": false,
		`0e309`: true, `1e-300`: true, `0.` + strings.Repeat("0", 100) + `1e400`: true} {
		var f *Failure
		strict := Strict([]byte(body))
		if (strict == nil) != finite || !finite && (!errors.As(strict, &f) || f.Violations[0].Code != "number") {
			t.Errorf("%s: strict said %v", body, strict)
		}
		if err := p.Validate([]byte(body)); body[0] != '-' && (err == nil) != finite {
			t.Errorf("%s: validated as %v", body, err)
		}
		if _, _, err := p.Project(nil, []byte(body), nil); body[0] != '-' && (err == nil) != finite {
			t.Errorf("%s: projected as %v", body, err)
		}
		if _, ok := Lookup([]byte(`{"a":1,"b":`+body+`}`), "/a"); ok != finite {
			t.Errorf("%s: looked up beside: %v", body, ok)
		}
	}
}

// Card numbers are as bare of permission as what is called sensitive.
func TestCardholderDataNeedsAPermissionOrAMask(t *testing.T) {
	const document = `{"o":{"type":"object","properties":{"id":{"type":"integer"},
	 "bare":{"type":"string","x-portreeve":{"class":"cardholder"}},
	 "masked":{"type":"string","x-portreeve":{"class":"cardholder","mask":"last4","unmask":"cards:unmask"}},
	 "permitted":{"type":"string","x-portreeve":{"class":"cardholder","permission":"cards:read"}}}}}`
	const body = `{"id":1,"bare":"4111111111111111","masked":"4111111111111111","permitted":"4111111111111111"}`
	set, err := NewSet([]byte(document), OpenAPI31)
	if err != nil {
		t.Fatal(err)
	}
	for _, undeclared := range [...]Undeclared{Drop, Ignore} {
		p, err := set.Compile("/o", Options{Direction: Response, Undeclared: undeclared})
		if err != nil {
			t.Fatal(err)
		}
		if p.Plain() {
			t.Error("a program with card numbers calls itself plain")
		}
		for _, c := range []struct {
			who  Viewer
			want string
		}{
			{nil, `{"id":1,"masked":"****1111"}`},
			{seer{owns: true}, `{"id":1,"masked":"****1111"}`},
			{seer{may: "cards:read"}, `{"id":1,"masked":"****1111","permitted":"4111111111111111"}`},
			{seer{may: "*"}, `{"id":1,"masked":"4111111111111111","permitted":"4111111111111111"}`},
		} {
			if got, _, err := p.Project(nil, []byte(body), c.who); err != nil || string(got) != c.want {
				t.Errorf("%+v: got %s %v, want %s", c.who, got, err, c.want)
			}
		}
	}
	bare, err := NewSet([]byte(`{"o":{"properties":{"bare":{"x-portreeve":{"class":"cardholder"}}}}}`), OpenAPI31)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := bare.Compile("/o", Options{Direction: Response, Undeclared: Ignore}); err != nil || p.Plain() {
		t.Errorf("a bare card number does not alter: %v", err)
	}
}

// Nothing of an event stream but its data is judged: what stands around it has no room for a secret.
func TestEventFieldsAreTokens(t *testing.T) {
	split := func(stream string) (string, error) {
		s := NewSplitter(SSE, 1<<16)
		var out []byte
		emit := func(item []byte) error { out = s.Frame(out, item, len(out) == 0); return nil }
		err := s.Split([]byte(stream), emit)
		if err == nil {
			err = s.End(emit)
		}
		return string(out), err
	}
	for in, want := range map[string]string{
		"event: user.created\nid: 2026-01:7_a\nretry: 3000\ndata: 1\n\n": "event: user.created\nid: 2026-01:7_a\nretry: 3000\ndata: 1\n\n",
		"event:x\ndata:1\n\n":                               "event: x\ndata: 1\n\n",
		"id\nevent:\ndata: 1\n\n":                           "id: \nevent: \ndata: 1\n\n", // empty ones reset (WHATWG HTML §9.2.6)
		"retry: soon\ndata: 1\n\n":                          "data: 1\n\n",
		"retry: 4111111111111111\ndata: 1\n\n":              "data: 1\n\n",
		"retry:\ndata: 1\n\n":                               "data: 1\n\n",
		": SECRET\ndata: 1\n\n":                             "data: 1\n\n",
		"note: SECRET\ndata: 1\n\n":                         "data: 1\n\n",
		"id: " + strings.Repeat("a", 128) + "\ndata: 1\n\n": "id: " + strings.Repeat("a", 128) + "\ndata: 1\n\n",
	} {
		if got, err := split(in); err != nil || got != want {
			t.Errorf("%q: got %q %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"event: SECRET IN EVENT\ndata: 1\n\n", "event: a@b.cd\ndata: 1\n\n", "id: {\"ssn\":1}\ndata: 1\n\n", "id: ä\ndata: 1\n\n",
		"event:  x\ndata: 1\n\n", "id: " + strings.Repeat("a", 129) + "\ndata: 1\n\n", "data: 1\nevent: a b\n\n"} {
		if got, err := split(in); !errors.Is(err, ErrFraming) || got != "" {
			t.Errorf("%q: got %q %v", in, got, err)
		}
	}
}

// Numbers are compared and divided as exactly as rationals are.
func TestDecimalsAgreeWithRationals(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	number := func() string {
		text := [...]string{"", "-"}[rng.IntN(2)] + strconv.Itoa(rng.IntN([...]int{1, 10, 1000, 1 << 40}[rng.IntN(4)]+1))
		if rng.IntN(2) == 0 {
			text += "." + [...]string{"0", "5", "25", "500", "125", "333"}[rng.IntN(6)]
		}
		if rng.IntN(3) == 0 {
			text += "e" + strconv.Itoa(rng.IntN(60)-30)
		}
		if rng.IntN(20) == 0 {
			text = "123456789012345678901234567890" + text[1:]
		}
		return text
	}
	for range 20_000 {
		a, b := number(), number()
		if strings.Count(a, "-") > 1 && strings.HasPrefix(a, "1234") || strings.Count(a, ".") > 1 {
			continue
		}
		x, okX := new(big.Rat).SetString(a)
		y, okY := new(big.Rat).SetString(b)
		if !okX || !okY {
			continue
		}
		d, unit := decimalOf(a), boundOf(b)
		if got, want := d.compare(unit.decimal), x.Cmp(y); (got < 0) != (want < 0) || (got > 0) != (want > 0) {
			t.Fatalf("%s to %s: got %d, want %d", a, b, got, want)
		}
		if y.Sign() > 0 {
			if got, want := d.isMultipleOf(unit.decimal), new(big.Rat).Quo(x, y).IsInt(); got != want {
				t.Fatalf("%s of %s: got %v, want %v", a, b, got, want)
			}
		}
	}
}

// What was compiled lives on when the document is forgotten; nothing more can be.
func TestASealedSetCompilesNothing(t *testing.T) {
	set, err := NewSet([]byte(`{"a":{"required":["b"]},"c":{}}`), OpenAPI31)
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Compile("/a", Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Seal()
	var fault *CompileError
	if _, err := set.Compile("/c", Options{}); !errors.As(err, &fault) {
		t.Errorf("compiled after the end: %v", err)
	}
	if p.Validate([]byte(`{}`)) == nil || p.Validate([]byte(`{"b":1}`)) != nil {
		t.Error("a program lost its rules")
	}
}

// A pattern that cannot be enforced stops the start unless the document says why not; one that can is enforced either way.
func TestUnsafePattern(t *testing.T) {
	const switched = `"x-portreeve":{"unsafe_pattern":{"reason":"it came so"}}`
	for text, want := range map[string]string{
		`{"pattern":"^(a)\\1"}`:                                          "cannot be enforced",
		`{"pattern":"^(a)\\1",` + switched + `}`:                         "",
		`{"patternProperties":{"^(a)\\1":{}},` + switched + `}`:          "cannot be enforced",
		`{"pattern":"^(a)\\1","x-portreeve":{"unsafe_pattern":{}}}`:      "wants a reason",
		`{"items":{"pattern":"^(a)\\1"},` + switched + `}`:               "cannot be enforced",
		`{"pattern":"^b$","minLength":9,"maxLength":9,` + switched + `}`: "",
	} {
		set, err := NewSet([]byte(text), OpenAPI31)
		if err != nil {
			t.Fatal(err)
		}
		p, err := set.Compile("", Options{Direction: Response, Undeclared: Drop})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if err == nil && (!p.Plain() || len(p.Fields()) > 0) {
			t.Errorf("%s: the switch became a field rule", text)
		}
		if err == nil && (p.Validate([]byte(`"bbbbbbbbb"`)) == nil) != strings.Contains(text, `\\1`) {
			t.Errorf("%s: judged otherwise", text)
		}
	}
}

// A chain of references as long as a document can hold is followed, and costs no more than it is long.
func TestALongChainOfReferences(t *testing.T) {
	const n = 50_000
	var doc strings.Builder
	doc.WriteString(`{"S":{`)
	for i := range n {
		fmt.Fprintf(&doc, `"%d":{"$ref":"#/S/%d"},`, i, i+1)
	}
	fmt.Fprintf(&doc, `"%d":{"type":"integer"},"circle":{"$ref":"#/S/again"},"again":{"allOf":[{"$ref":"#/S/circle"}]}}}`, n)
	set, err := NewSet([]byte(doc.String()), OpenAPI30)
	if err != nil {
		t.Fatal(err)
	}
	var p *Program
	if got := allocated(func() { p, err = set.Compile("/S/0", Options{}) }); err != nil || got > 5000*n {
		t.Fatalf("%d bytes were allocated (%v)", got, err)
	}
	if p.Validate([]byte(`1`)) != nil || p.Validate([]byte(`"1"`)) == nil {
		t.Error("the end of the chain does not judge")
	}
	if _, err := set.Compile("/S/circle", Options{}); err == nil || !strings.Contains(err.Error(), "without end") {
		t.Errorf("a circle: %v", err)
	}
}
