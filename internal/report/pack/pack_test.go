package pack

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	nethtml "golang.org/x/net/html"

	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/evidence"
	"github.com/portreeve/portreeve/internal/finding"
)

// fill puts a text into every string of a value, and something into everything else.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(3)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, text)
		fill(value, text)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	}
}

// full is evidence in which everything is there, and every text is the given one.
func full(text string) *evidence.Evidence {
	e := new(evidence.Evidence)
	fill(reflect.ValueOf(e).Elem(), text)
	e.Integrity.Ledger = "verified"
	one := e.Controls[0]
	e.Controls, e.Counts = nil, nil
	for i, x := range catalogue.Builtin().Controls {
		r := one
		r.ID, r.Severity, r.State = x.ID, x.Severity, control.States[i%len(control.States)]
		e.Controls = append(e.Controls, r)
		e.Counts = append(e.Counts, evidence.Count{Severity: r.Severity, State: r.State, N: 1})
	}
	return e
}

func written(t *testing.T, e *evidence.Evidence) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, e, catalogue.Builtin()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func elements(t *testing.T, page string) (names, attributes map[string]int, texts string, ids, links []string) {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	names, attributes = map[string]int{}, map[string]int{}
	var b strings.Builder
	for n := range root.Descendants() {
		switch n.Type {
		case nethtml.TextNode:
			if n.Parent.Data != "style" {
				b.WriteString(n.Data + " ")
			}
		case nethtml.ElementNode:
			names[n.Data]++
			for _, a := range n.Attr {
				attributes[a.Key]++
				switch a.Key {
				case "id":
					ids = append(ids, a.Val)
				case "href":
					links = append(links, a.Val)
				}
			}
		}
	}
	return names, attributes, b.String(), ids, links
}

// TestHostile puts hostile text into every field there is, and holds that a browser sees the elements of the page alone.
func TestHostile(t *testing.T) {
	wantNames, wantAttributes, _, _, _ := elements(t, written(t, full("plain")))
	for _, hostile := range []string{"<script>alert(1)</script>", "</style></title><img src=x onerror=alert(1)>", `" onmouseover="alert(1)`, "' autofocus onfocus='alert(1)", "javascript:alert(1)", "<!--", "{{.}}"} {
		names, attributes, texts, _, _ := elements(t, written(t, full(hostile)))
		if !reflect.DeepEqual(names, wantNames) || !reflect.DeepEqual(attributes, wantAttributes) {
			t.Errorf("%s changes the page", hostile)
		}
		if n := strings.Count(texts, hostile); n < 500 {
			t.Errorf("%s is seen in %d places only", hostile, n)
		}
	}
	for _, n := range []string{"script", "link", "img", "iframe", "form"} {
		if wantNames[n] > 0 {
			t.Errorf("the page has <%s>", n)
		}
	}
	for _, a := range []string{"src", "style", "onclick"} {
		if wantAttributes[a] > 0 {
			t.Errorf("the page has the attribute %s", a)
		}
	}
	if wantNames["article"] != 121 || wantNames["h1"] != 1 {
		t.Errorf("%d articles", wantNames["article"])
	}
}

// TestClaims holds that the page adds nothing up and promises nothing.
func TestClaims(t *testing.T) {
	_, _, texts, _, _ := elements(t, written(t, full("plain")))
	if m := regexp.MustCompile(`\d\s*%|(?i)percent\b`).FindString(texts); m != "" {
		t.Errorf("the page has %q", m)
	}
	for _, word := range []string{"compliant", "compliance", "guarantee"} {
		if strings.Contains(strings.ToLower(texts), word) {
			t.Errorf("the page says %s", word)
		}
	}
	if !strings.Contains(texts, "It is not an audit, a certification, an ASV scan or a penetration test.") {
		t.Error("the page does not say what it is not")
	}
}

// TestLinks holds that every link leads to a place of the page, and every place has one name.
func TestLinks(t *testing.T) {
	_, _, _, ids, links := elements(t, written(t, full("plain")))
	seen := map[string]bool{}
	for _, id := range ids {
		if seen[id] {
			t.Errorf("two places are called %s", id)
		}
		seen[id] = true
	}
	for _, l := range links {
		if !strings.HasPrefix(l, "#") || !seen[l[1:]] {
			t.Errorf("%s leads nowhere", l)
		}
	}
	if len(links) < 500 {
		t.Errorf("only %d links", len(links))
	}
}

// TestOrder holds that what is missing stands before what is there, the worst first.
func TestOrder(t *testing.T) {
	e := full("plain")
	page := written(t, e)
	open := page[strings.Index(page, `<h2 id="open">`):strings.Index(page, `<h2 id="exceptions">`)]
	last, n := -1, 0
	for _, m := range regexp.MustCompile(`href="#c-([^"]+)"`).FindAllStringSubmatch(open, -1) {
		r := e.Control(control.ID(m[1]))
		rank := int(finding.Critical - r.Severity)
		if r.State == control.NotEvidenced {
			rank += 100
		}
		if r.State != control.Gap && r.State != control.NotEvidenced || rank < last {
			t.Errorf("%s stands where it does not belong", r.ID)
		}
		last = rank
		n++
	}
	if want := e.In(control.Gap) + e.In(control.NotEvidenced); n != want || want == 0 {
		t.Errorf("%d of %d are named", n, want)
	}
}

func TestNatural(t *testing.T) {
	for _, c := range [][2]string{{"A.5.9", "A.5.15"}, {"8.2", "8.10"}, {"API2", "API10"}, {"5(1)(c)", "25(1)"}, {"CC6.1", "CC6.1.1"}, {"1.02", "1.3"}} {
		if natural(c[0], c[1]) >= 0 || natural(c[1], c[0]) <= 0 || natural(c[0], c[0]) != 0 {
			t.Errorf("%s does not come before %s", c[0], c[1])
		}
	}
}

func TestUnknownControl(t *testing.T) {
	e := full("plain")
	e.Controls[0].ID = "no.such"
	if err := Write(&bytes.Buffer{}, e, catalogue.Builtin()); err == nil {
		t.Error("a control that nobody knows is shown")
	}
}
