package keys

import (
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a row may hold.
const (
	maxText  = 200 // bytes of an owner, a purpose, a role, a scope
	maxItems = 64  // roles, scopes or addresses of one row
	maxName  = 128
)

func checkKey(k *APIKey, now time.Time) error {
	if k.Environment != Live && k.Environment != Test {
		return invalid("environment", "must be live or test, not %q", k.Environment)
	}
	if err := checkText("owner", k.Owner, maxText); err != nil {
		return err
	}
	if err := checkText("purpose", k.Purpose, maxText); err != nil {
		return err
	}
	switch latest := now.AddDate(0, maxLifetimeMonths, 0); {
	case k.Expires.IsZero():
		return invalid("expiry", "is compulsory")
	case !k.Expires.After(now):
		return invalid("expiry", "%s is past", k.Expires.Format(time.RFC3339))
	case k.Expires.After(latest):
		return invalid("expiry", "%s is more than %d months away", k.Expires.Format(time.RFC3339), maxLifetimeMonths)
	}
	if err := CheckScopes("scope", k.Scopes); err != nil {
		return err
	}
	if err := checkRoles(k.Roles); err != nil {
		return err
	}
	return checkAddresses(k.AllowIPs)
}

// CheckID tells what can be the id of a key from what cannot. Its error shows nothing of the text: it may be a whole key.
func CheckID(id string) error {
	if len(id) != idLen || !digits(id) {
		return invalid("key id", "must be %d letters and digits: what stands behind ptr_live_ or ptr_test_", idLen)
	}
	return nil
}

// CheckName tells what can be a user's name from what cannot.
func CheckName(name string) error {
	if name == "" || len(name) > maxName || !letter(name[0]) {
		return invalid("name", "must begin with a lower-case letter or digit and have at most %d characters", maxName)
	}
	for i := range len(name) {
		if c := name[i]; !letter(c) && !strings.ContainsRune("._@+-", rune(c)) {
			return invalid("name", "%q must hold only lower-case letters, digits and ._@+-", name)
		}
	}
	return nil
}

func checkUser(u *User) error {
	if err := CheckName(u.Name); err != nil {
		return err
	}
	if err := checkText("subject", u.Subject, maxText); err != nil {
		return err
	}
	return checkRoles(u.Roles)
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func checkRoles(roles []string) error {
	return checkList("role", roles, func(s string) error { return checkText("role", s, maxText) })
}

// CheckScopes holds each scope to RFC 6749 §3.3: printable ASCII without space, quote and backslash. field names the list.
func CheckScopes(field string, scopes []string) error {
	return checkList(field, scopes, func(s string) error {
		if s == "" || len(s) > maxText {
			return invalid(field, "must have 1 to %d characters", maxText)
		}
		for i := range len(s) {
			if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
				return invalid(field, "%q holds a character that none may (RFC 6749 §3.3)", s)
			}
		}
		return nil
	})
}

func checkList(name string, list []string, check func(string) error) error {
	if len(list) > maxItems {
		return invalid(name, "list is longer than %d", maxItems)
	}
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if err := check(s); err != nil {
			return err
		}
		if seen[s] {
			return invalid(name, "%q stands there twice", s)
		}
		seen[s] = true
	}
	return nil
}

func checkAddresses(list []netip.Prefix) error {
	if len(list) > maxItems {
		return invalid("address list", "is longer than %d", maxItems)
	}
	for _, p := range list {
		if !p.IsValid() {
			return invalid("address", "is not an IP prefix")
		}
		if p.Masked() != p {
			return invalid("address", "%s has bits beyond its prefix; %s is meant?", p, p.Masked())
		}
	}
	return nil
}

// plain writes ::ffff:192.0.2.0/120 as 192.0.2.0/24: callers are compared unmapped.
func plain(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// checkText wants one printable line: what is stored here is shown in terminals, logs and headers.
func checkText(field, s string, most int) error {
	switch {
	case s == "":
		return invalid(field, "must not be empty")
	case len(s) > most:
		return invalid(field, "is longer than %d bytes", most)
	case !utf8.ValidString(s):
		return invalid(field, "is not valid UTF-8")
	case strings.TrimSpace(s) != s:
		return invalid(field, "%q begins or ends with a space", s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return invalid(field, "%q holds a character that does not print", s)
		}
	}
	return nil
}
