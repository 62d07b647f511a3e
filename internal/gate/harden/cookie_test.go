package harden

import (
	"net/http"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/plan"
)

// Whatever an API writes, what leaves is one cookie that browsers read as the rule has it.
func FuzzCookie(f *testing.F) {
	for _, line := range []string{"a=b", "a=b; Path=/; Domain=.example.com; Secure", "__Host-a=b; Path=/x", "__secure-a=b; SameSite=None", `a="b c"; HttpOnly`,
		"a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Max-Age=-1; Partitioned", "a=b\r\nSet-Cookie: c=d", "=b", "a", "a=b; Path=;x\x00", "a=b; samesite=strict; SAMESITE=none"} {
		f.Add(line)
	}
	rule := cookies{rule: plan.Cookies{SameSite: "strict", Scripts: []string{"open"}, Domains: []string{"example.com"}}}
	f.Fuzz(func(t *testing.T, line string) {
		made := rule.make(line, true)
		if made == "" {
			return
		}
		if strings.ContainsAny(made, "\r\n\x00") {
			t.Fatalf("%q became %q", line, made)
		}
		k, err := http.ParseSetCookie(made)
		if err != nil {
			t.Fatalf("%q became %q, which is none: %v", line, made, err)
		}
		if !k.Secure || k.SameSite != http.SameSiteStrictMode || k.HttpOnly == (k.Name == "open") || k.Domain != "" && k.Domain != "example.com" || len(k.Unparsed) > 0 {
			t.Errorf("%q became %q", line, made)
		}
		if prefixed(k.Name, "__Host-") && (k.Domain != "" || k.Path != "/") {
			t.Errorf("%q became %q, which no browser takes", line, made)
		}
		if again := rule.make(made, true); again != made {
			t.Errorf("%q became %q and then %q", line, made, again)
		}
	})
}

func TestKinds(t *testing.T) {
	for contentType, want := range map[string]kind{"": data, "application/json": data, "Application/JSON; charset=utf-8": data, "application/hal+json": data,
		"text/plain;charset=utf-8": data, "text/event-stream": data, "text/html": page, "TEXT/HTML ;x": page, "application/xhtml+xml": page, "image/png": still,
		"image/svg+xml": file, "application/xml": file, "text/xml": file, "application/atom+xml": file, "application/pdf": file, "text/css": file,
		"text/javascript": file, "application/octet-stream": file, "nonsense": file, "font/woff2": still} {
		if got := kindOf(contentType); got != want {
			t.Errorf("%q is %d, want %d", contentType, got, want)
		}
	}
}
