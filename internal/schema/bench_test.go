package schema

import (
	"fmt"
	"strings"
	"testing"
)

// benchBody is a list of users of about so many bytes.
func benchBody(size int) []byte {
	var b strings.Builder
	b.WriteByte('[')
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"Al %d","email":"a%d@b.cd","ssn":"078-05-1120","tags":{"k":{"id":2,"name":"b \u00e4"}},"free":{"a":[1,2,3]}}`, i, i, i)
	}
	b.WriteByte(']')
	return []byte(b.String())
}

func benchPets(size int) []byte {
	return []byte("[" + strings.TrimSuffix(strings.Repeat(`{"kind":"cat","lives":9},{"kind":"dog","bark":"w"},`, size/51+1), ",") + "]")
}

func BenchmarkJudge(b *testing.B) {
	set, err := NewSet([]byte(strings.Replace(userDocument, `"List":`, `"Pets":{"type":"array","items":{"$ref":"#/components/schemas/Pet"}},"List":`, 1)), OpenAPI31)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, schema string
		body         func(int) []byte
	}{{"users", "List", benchBody}, {"pets", "Pets", benchPets}} {
		p, err := set.Compile("/components/schemas/"+c.schema, Options{Direction: Response, Undeclared: Drop})
		if err != nil {
			b.Fatal(err)
		}
		for _, size := range []int{1 << 10, 50 << 10} {
			body := c.body(size)
			b.Run(fmt.Sprintf("%s/%dk/validate", c.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := p.Validate(body); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("%s/%dk/project", c.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := p.Project(nil, body, seer{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
