package harden

import (
	"net/http"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/plan"
)

// cookies is the plan's rule for what an API may set. A Set-Cookie that the document does not declare was taken away
// before; one that cannot be made to follow the rule is.
type cookies struct {
	rule   plan.Cookies
	secure bool // clients reach the gate over TLS, whoever ends it
}

// maxCookie is RFC 6265bis's bound for name and value together.
const maxCookie = 4096

var sameSite = map[string]http.SameSite{"none": http.SameSiteNoneMode, "lax": http.SameSiteLaxMode, "strict": http.SameSiteStrictMode}

// judge writes each Set-Cookie anew, and returns how many were taken away.
func (c *cookies) judge(h http.Header, tls bool) (dropped int) {
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return 0
	}
	var kept []string
	for _, line := range lines {
		if made := c.make(line, tls || c.secure); made != "" {
			kept = append(kept, made)
		} else {
			dropped++
		}
	}
	if kept == nil {
		delete(h, "Set-Cookie")
	} else {
		h["Set-Cookie"] = kept
	}
	return dropped
}

// make returns a cookie as it may leave; "" for none. What its line says beyond RFC 6265bis is gone.
func (c *cookies) make(line string, secure bool) string {
	k, err := http.ParseSetCookie(line)
	if err != nil || len(k.Name)+len(k.Value) > maxCookie {
		return ""
	}
	k.Raw, k.RawExpires, k.Unparsed = "", "", nil
	k.HttpOnly = !slices.Contains(c.rule.Scripts, k.Name)
	if least := sameSite[c.rule.SameSite]; strictness(k.SameSite) < strictness(least) {
		k.SameSite = least
	} else if strictness(k.SameSite) == 0 {
		k.SameSite = http.SameSiteLaxMode // what browsers take it for, said to those that do not
	}
	host, named := prefixed(k.Name, "__Host-"), prefixed(k.Name, "__Secure-")
	// A cookie that is to be only of this host, and says otherwise, is one that no browser takes (RFC 6265bis §4.1.3).
	if host && (k.Domain != "" || k.Path != "" && k.Path != "/") {
		return ""
	}
	if host {
		k.Path = "/"
	}
	if k.Path != "" && !strings.HasPrefix(k.Path, "/") {
		k.Path = ""
	}
	if d := strings.TrimPrefix(strings.ToLower(k.Domain), "."); d != "" && !slices.Contains(c.rule.Domains, d) {
		k.Domain = "" // of this host alone: a cookie of the whole domain is read, and overwritten, by every other host in it
	}
	k.Secure = k.Secure || secure || host || named || k.Partitioned || k.SameSite == http.SameSiteNoneMode
	return k.String()
}

// prefixed compares as browsers do, in any case.
func prefixed(name, prefix string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

func strictness(s http.SameSite) int {
	switch s {
	case http.SameSiteNoneMode:
		return 1
	case http.SameSiteLaxMode:
		return 2
	case http.SameSiteStrictMode:
		return 3
	}
	return 0
}
