package html

import (
	"reflect"
	"strings"
	"testing"

	nethtml "golang.org/x/net/html"

	"github.com/portreeve/portreeve/internal/finding"
)

// elements parses a page as a browser does and returns its elements by name, and every attribute's name.
func elements(t *testing.T, page string) (names, attributes map[string]int) {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	names, attributes = map[string]int{}, map[string]int{}
	for n := range root.Descendants() {
		if n.Type == nethtml.ElementNode {
			names[n.Data]++
			for _, a := range n.Attr {
				attributes[a.Key]++
			}
		}
	}
	return names, attributes
}

// poison fills every text of a value.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		poison(v.Elem(), text)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]byte]() {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		poison(v.Index(0), text)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				poison(v.Field(i), text)
			}
		}
	case reflect.Int:
		v.SetInt(200)
	}
}

// TestHostile puts hostile text into every field there is, and holds that a browser sees the elements of the page alone.
func TestHostile(t *testing.T) {
	page := func(text string) string {
		r := new(finding.Report)
		poison(reflect.ValueOf(r), text)
		r.Outcomes = append(r.Outcomes, finding.Outcome{Rule: text, Operation: text, Verdict: finding.Inconclusive, Reason: text})
		return written(t, r)
	}
	wantNames, wantAttributes := elements(t, page("plain"))
	for _, hostile := range []string{"<script>alert(1)</script>", "</style></title></pre><img src=x onerror=alert(1)>", `" onmouseover="alert(1)`, "' autofocus onfocus='alert(1)", "javascript:alert(1)",
		"<!--", "]]>", "{{.}}", "</details></article></main><form action=http://a><input>"} {
		got := page(hostile)
		names, attributes := elements(t, got)
		if !reflect.DeepEqual(names, wantNames) || !reflect.DeepEqual(attributes, wantAttributes) {
			t.Errorf("%s changes the page: %v %v", hostile, names, attributes)
		}
		root, _ := nethtml.Parse(strings.NewReader(got))
		seen := 0
		for n := range root.Descendants() {
			if n.Type == nethtml.TextNode && strings.Contains(n.Data, hostile) {
				seen++
			}
		}
		if seen < 10 {
			t.Errorf("%s is seen in %d places only", hostile, seen)
		}
	}
	if wantNames["article"] != 1 || wantNames["table"] < 3 {
		t.Errorf("the page is not whole: %v", wantNames)
	}
}

func TestSelfContained(t *testing.T) {
	page := written(t, sample(t))
	names, attributes := elements(t, page)
	for _, n := range []string{"script", "link", "img", "iframe", "object", "form"} {
		if names[n] > 0 {
			t.Errorf("the page has <%s>", n)
		}
	}
	for _, a := range []string{"src", "href", "style", "onclick"} {
		if attributes[a] > 0 {
			t.Errorf("the page has the attribute %s", a)
		}
	}
	if !strings.Contains(page, `content="default-src &#39;none&#39;; style-src &#39;sha256-`) && !strings.Contains(page, `content="default-src 'none'; style-src 'sha256-`) {
		t.Error("the page has no policy")
	}
}
