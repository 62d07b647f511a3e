package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestFilterTakesOutWhatIsNotKept(t *testing.T) {
	for _, c := range []struct{ pointer, totals, body, want string }{
		{"/*/o", "", `[{"o":1,"x":"a"},{"o":2},{"o":1}]`, `[{"o":1,"x":"a"},{"o":1}]`},
		{"/*/o", "", `[]`, `[]`},
		{"/*/o", "", ` [ {"o":2} , {"o":"1"} ] `, ` [{"o":"1"}] `},
		{"/*/o", "", `[{},{"o":null},{"o":[1]},{"o":{"o":1}},1,"1",[1]]`, `[]`},
		{"/*", "", `[1,2,1]`, `[1,1]`},
		{"/*/a~1b/c", "", `[{"a/b":{"c":1}},{"a/b":{"c":2}}]`, `[{"a/b":{"c":1}}]`},
		{"/data/*/o", "/total /meta/count /absent", `{"total":99,"data":[{"o":2},{"o":1}],"meta":{"count":2,"next":"abc"}}`, `{"total":1,"data":[{"o":1}],"meta":{"count":1,"next":"abc"}}`},
		{"/data/*/o", "/total", `{"total":"99","data":[]}`, `{"total":"99","data":[]}`},
		{"/data/*/o", "/data/0/o", `{"data":[{"o":1}]}`, `{"data":[{"o":1}]}`},
		{"/*/o", "", `[{"\u006f":1},{"o":2}]`, `[{"\u006f":1}]`},
	} {
		f, ok := NewFilter(c.pointer, strings.Fields(c.totals))
		if !ok {
			t.Fatalf("%s is no filter", c.pointer)
		}
		out, left, gone, err := f.Run(nil, []byte(c.body), isOne)
		if err != nil || string(out) != c.want {
			t.Errorf("%s of %s: %s, %v; want %s", c.pointer, c.body, out, err, c.want)
		}
		if n := strings.Count(c.want, "1"); left+gone == 0 && n > 0 && c.body != c.want {
			t.Errorf("%s: counted nothing", c.body)
		}
	}
}

func isOne(v Value) bool {
	text, ok := v.Text()
	return ok && text == "1"
}

func TestFilterRefusesWhatItCannotRead(t *testing.T) {
	f, _ := NewFilter("/data/*/o", nil)
	for _, body := range []string{``, `[]`, `{}`, `{"data":{}}`, `{"data":null}`, `{"data":[{"o":1}]`, `{"data":[{"o":1,"o":1}]}`, `{"data":[],"data":[{"o":1}]}`,
		`{"data":[{"o":1}]} x`, `{"data":[{"o":1},]}`, "{\"data\":[\"\xff\"]}", `{"data":[` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `]}`} {
		if out, _, _, err := f.Run(nil, []byte(body), func(Value) bool { return true }); err == nil || out != nil {
			t.Errorf("%s: %s, %v", body, out, err)
		}
	}
	for _, pointer := range []string{"/a", "", "/*/x/*/y", "/a*"} {
		if _, ok := NewFilter(pointer, nil); ok {
			t.Errorf("%q is a filter", pointer)
		}
	}
}

func TestEveryFindsAllOfThem(t *testing.T) {
	for _, c := range []struct {
		pointer, body, want string
		ok                  bool
	}{
		{"/a", `{"a":1}`, "1", true},
		{"/a", `{}`, "-", true},
		{"/*/a", `[{"a":1},{},{"a":"2"}]`, `1 - "2"`, true},
		{"/x/*/y/*/a", `{"x":[{"y":[{"a":1},{"a":2}]},{"y":[{"a":3}]}]}`, "1 2 3", true},
		{"/x/*", `{"x":[1,2]}`, "1 2", true},
		{"/x/*", `{}`, "", true},
		{"/x/*", `{"x":1}`, "", false},
		{"/*", `{"x":1}`, "", false},
		{"/x/*/y/*", `{"x":[{"y":[1]},{"y":{"z":2}}]}`, "1", false},
		{"/a", `{"a":1,"a":2}`, "", false},
	} {
		var got []string
		ok := Every([]byte(c.body), c.pointer, func(v Value) {
			if v.Kind == 0 {
				got = append(got, "-")
			} else {
				got = append(got, string(v.Raw))
			}
		})
		if text := strings.Join(got, " "); ok != c.ok || text != c.want {
			t.Errorf("%s in %s: %q, %v; want %q, %v", c.pointer, c.body, text, ok, c.want, c.ok)
		}
	}
}

// FuzzFilter holds that what leaves is strict JSON whose elements all pass, whatever came in.
func FuzzFilter(f *testing.F) {
	f.Add(`{"total":3,"data":[{"o":1},{"o":2,"x":[1,"]"]}]}`)
	f.Add(`{"data":[]}`)
	f.Add(`{"data":[{"\u006f":"1"},null,{"o":{"o":1}}],"total":1e3}`)
	fl, _ := NewFilter("/data/*/o", []string{"/total"})
	f.Fuzz(func(t *testing.T, body string) {
		out, left, _, err := fl.Run(nil, []byte(body), isOne)
		if err != nil {
			return
		}
		if err := Strict(out); err != nil {
			t.Fatalf("%q became %q: %v", body, out, err)
		}
		var v struct{ Data []json.RawMessage }
		if err := json.Unmarshal(out, &v); err != nil || len(v.Data) > left {
			t.Fatalf("%q became %q: %d of %d, %v", body, out, len(v.Data), left, err)
		}
		Every(out, "/data/*/o", func(v Value) {
			if !isOne(v) {
				t.Fatalf("%q became %q", body, out)
			}
		})
	})
}

func BenchmarkFilter(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"total":50,"data":[`)
	for i := range 50 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":%d,"owner_id":%d,"title":"report %d","body":"%s"}`, i, i%2, i, strings.Repeat("x", 120))
	}
	body.WriteString(`]}`)
	f, _ := NewFilter("/data/*/owner_id", []string{"/total"})
	text, dst := []byte(body.String()), make([]byte, 0, 16<<10)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, left, _, err := f.Run(dst[:0], text, isOne); err != nil || left != 25 {
			b.Fatal(left, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50, "ns/item")
}
