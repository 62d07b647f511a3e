// Package schema_test holds the schema engine beside others: the same schema, the same bodies, one run.
package schema_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/portreeve/portreeve/internal/schema"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed orders.json
var document []byte

// order is one order of about 950 bytes.
const order = `{"id":"3f2b8c1e-9d47-4c6a-8e5f-%012x","status":"paid","customer":{"id":%d,"name":"Zoë Example","email":"zoe.example%d@example.com",` +
	`"phone":"+4930123456","tax_id":"DE136695976"},"address":{"street":"Hauptstraße 12","city":"Berlin","postcode":"10115","country":"DE"},` +
	`"lines":[{"sku":"ABC-1234","title":"A thing of some length","quantity":2,"price":19.90,"cost":7.25},` +
	`{"sku":"XYZ-9876","title":"Another \"thing\"","quantity":1,"price":249,"cost":110.5},{"sku":"QRS-0042","title":"A third","quantity":12,"price":0.99,"cost":0.25},` +
	`{"sku":"TUV-5555","title":"A fourth, longer than the others were","quantity":3,"price":12.5,"cost":4},{"sku":"JKL-1000","quantity":1,"price":1050,"cost":800}],` +
	`"tags":["gift","europe","first order"],"currency":"EUR","express":false,"margin":131.25,"remark":"Call before delivery, please.","created_at":"2026-11-02T10:15:30Z"}`

// page is a body of so many orders.
func page(orders int) []byte {
	var list []string
	for i := range orders {
		list = append(list, fmt.Sprintf(order, i, i+1, i))
	}
	return fmt.Appendf(nil, `{"orders":[%s],"total":%d,"page":1}`, strings.Join(list, ","), orders)
}

var bodies = []struct {
	name string
	body []byte
}{{"1kB", page(1)}, {"50kB", page(52)}}

// nobody has no permission.
type nobody struct{}

func (nobody) May(string) bool { return false }
func (nobody) Owns() bool      { return false }

func ours(t testing.TB, u schema.Undeclared) *schema.Program {
	set, err := schema.NewSet(document, schema.OpenAPI30)
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Compile("/components/schemas/Page", schema.Options{Direction: schema.Response, Undeclared: u})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func santhosh(t testing.TB) *jsonschema.Schema {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:orders", v); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:orders#/components/schemas/Page")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// contender judges a body from its bytes on.
type contender struct {
	name     string
	validate func(body []byte) error
}

func contenders(t testing.TB) []contender {
	p := ours(t, schema.Refuse)

	openapi3.DefineStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC4122))
	openapi3.DefineStringFormatValidator("email", openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForEmail))
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatal(err)
	}
	kin := doc.Components.Schemas["Page"].Value

	low, err := libopenapi.NewDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	model, err := low.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	proxy, _ := model.Model.Components.Schemas.Get("Page")
	page, lov := proxy.Schema(), schema_validation.NewSchemaValidator(config.WithFormatAssertions())

	compiled := santhosh(t)
	return []contender{
		{"portreeve", p.Validate},
		{"kin-openapi", func(body []byte) error {
			var v any
			if err := json.Unmarshal(body, &v); err != nil {
				return err
			}
			return kin.VisitJSON(v)
		}},
		{"santhosh", func(body []byte) error {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
			if err != nil {
				return err
			}
			return compiled.Validate(v)
		}},
		{"libopenapi-validator", func(body []byte) error {
			ok, found := lov.ValidateSchemaBytes(page, body)
			if !ok {
				return fmt.Errorf("%d errors", len(found))
			}
			return nil
		}},
	}
}

// filter makes of a body what nobody may see of it.
type filter struct {
	name   string
	filter func(dst, body []byte) ([]byte, error)
}

// withheld are the members that stand behind a permission.
var withheld = map[string]bool{"margin": true, "remark": true, "phone": true, "tax_id": true, "cost": true}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			if withheld[name] {
				delete(v, name)
				continue
			}
			strip(child)
		}
	case []any:
		for _, child := range v {
			strip(child)
		}
	}
}

func filters(t testing.TB) []filter {
	p, compiled := ours(t, schema.Drop), santhosh(t)
	return []filter{
		{"portreeve", func(dst, body []byte) ([]byte, error) {
			out, _, err := p.Project(dst, body, nobody{})
			return out, err
		}},
		{"decode-delete-encode", func(_, body []byte) ([]byte, error) { // nothing is validated
			var v any
			if err := json.Unmarshal(body, &v); err != nil {
				return nil, err
			}
			strip(v)
			return json.Marshal(v)
		}},
		{"santhosh+delete-encode", func(_, body []byte) ([]byte, error) {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
			if err != nil {
				return nil, err
			}
			if err := compiled.Validate(v); err != nil {
				return nil, err
			}
			strip(v)
			return json.Marshal(v)
		}},
	}
}

// faults are changes that make a body invalid.
var faults = [][2]string{
	{`"status":"paid"`, `"status":"lost"`}, {`"quantity":2`, `"quantity":0`}, {`"quantity":2`, `"quantity":2.5`}, {`"price":19.90`, `"price":-1`},
	{`"sku":"ABC-1234"`, `"sku":"ABC-123"`}, {`"postcode":"10115"`, `"postcode":"1011x"`}, {`"currency":"EUR"`, `"currency":"EURO"`}, {`"express":false`, `"express":"no"`},
	{`"europe"`, `"gift"`}, {`"total":`, `"totals":`}, {`"city":"Berlin",`, ``}, {`T10:15:30Z`, `T10:65:30Z`}, {`3f2b8c1e-`, `3f2b8c1-`}, {`"page":1`, `"page":1,"extra":1`}, {`"page":1}`, `"page":1`},
}

// ambiguous are changes after which two readers would read a body differently.
var ambiguous = [][2]string{{`"page":1`, `"page":2,"page":1`}, {`"page":1`, `"page":2,"p\u0061ge":1`}, {`A third`, `A \ud800 third`}, {`A third`, "A \xff third"}}

func TestOnlyOursRefusesWhatIsReadTwoWays(t *testing.T) {
	for i, c := range contenders(t) {
		for _, f := range ambiguous {
			err := c.validate([]byte(strings.Replace(string(bodies[0].body), f[0], f[1], 1)))
			if i == 0 && err == nil {
				t.Errorf("%s takes %q", c.name, f[1])
			}
			t.Logf("%s on %q: %v", c.name, f[1], err)
		}
	}
}

func TestContendersDoTheSameWork(t *testing.T) {
	for _, c := range contenders(t) {
		for _, b := range bodies {
			if err := c.validate(b.body); err != nil {
				t.Errorf("%s refuses the body of %s: %v", c.name, b.name, err)
			}
			for _, f := range faults {
				bad := strings.Replace(string(b.body), f[0], f[1], 1)
				if bad == string(b.body) {
					t.Fatalf("%s is not in the body", f[0])
				}
				if c.validate([]byte(bad)) == nil {
					t.Errorf("%s takes the body of %s with %s", c.name, b.name, f[1])
				}
			}
		}
	}
	for _, b := range bodies {
		var want any
		for i, f := range filters(t) {
			out, err := f.filter(nil, b.body)
			var got any
			if err == nil {
				err = json.Unmarshal(out, &got)
			}
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			if i == 0 {
				want = got
			}
			if !reflect.DeepEqual(got, want) || len(out) >= len(b.body) {
				t.Errorf("%s leaves something else of the body of %s: %s", f.name, b.name, out)
			}
		}
	}
}

// measure counts the process's own CPU time, collector included: on a machine that others use too the clock says less.
func measure(b *testing.B, body []byte, f func() error) {
	b.SetBytes(int64(len(body)))
	begin := cpu(b)
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	us := float64(cpu(b)-begin) / float64(time.Microsecond)
	b.ReportMetric(us/float64(b.N), "cpu-us/op")
	b.ReportMetric(us/float64(b.N)/(float64(len(body))/1000), "cpu-us/kB")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkValidate(b *testing.B) {
	for _, size := range bodies {
		for _, c := range contenders(b) {
			b.Run(size.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				measure(b, size.body, func() error { return c.validate(size.body) })
			})
		}
	}
}

func BenchmarkValidateAndProject(b *testing.B) {
	for _, size := range bodies {
		for _, f := range filters(b) {
			dst := make([]byte, 0, len(size.body))
			b.Run(size.name+"/"+f.name, func(b *testing.B) {
				b.ReportAllocs()
				measure(b, size.body, func() error {
					_, err := f.filter(dst, size.body)
					return err
				})
			})
		}
	}
}
