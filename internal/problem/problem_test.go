package problem

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestAppendIsTheWholeProblem(t *testing.T) {
	p := Problem{Status: 400, Reason: InvalidRequest, Detail: "no \"quotes\" hurt", Instance: "6b1d…",
		Errors: []Violation{{"/age", "minimum", "must be at least 18"}, {"/x<y", "undeclared", "not declared"}}}
	var got struct {
		Type, Title, Detail, Instance, Reason string
		Status                                int
		Errors                                []Violation
	}
	if err := json.Unmarshal(p.Append(nil), &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "urn:portreeve:problem:invalid_request" || got.Status != 400 || got.Reason != "invalid_request" ||
		got.Instance != "urn:uuid:6b1d…" || got.Detail != p.Detail || len(got.Errors) != 2 || got.Errors[1].Pointer != "/x<y" {
		t.Errorf("got %+v", got)
	}
}

func TestEveryReasonHasItsWords(t *testing.T) {
	for r := range reasons {
		if reasons[r].name == "" || reasons[r].title == "" {
			t.Errorf("reason %d has no words", r)
		}
	}
}

func FuzzAppend(f *testing.F) {
	f.Add("detail", "</script>\r\n\x00\u2028")
	f.Fuzz(func(t *testing.T, detail, pointer string) {
		p := Problem{Status: 400, Detail: detail, Errors: []Violation{{Pointer: pointer}}}
		b := p.Append(nil)
		var got struct {
			Detail string
			Errors []Violation
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if utf8.ValidString(detail) && got.Detail != detail {
			t.Errorf("detail %q became %q", detail, got.Detail)
		}
		for _, c := range b {
			if c < 0x20 || c == '<' || c == '>' {
				t.Errorf("byte %#x stands unescaped in %q", c, b)
			}
		}
	})
}
