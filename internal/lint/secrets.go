package lint

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// kind is one kind of secret, known by its shape. Shapes are published by whoever issues them. A larger list, gitleaks,
// would bring more than sixty modules along for what these lines do.
type kind struct {
	name    string
	hint    string // a part without which it cannot be there, so that most lines cost one search
	shape   *regexp.Regexp
	spread  float64 // bits a character its first group must have at least, so that fillers are let pass
	another func(string) bool
}

var kinds = []kind{
	{name: "a private key", hint: "PRIVATE KEY", shape: regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----()(?:\s*$|\\n[A-Za-z0-9+/]{16})`)},
	{name: "an AWS access key", hint: "A", shape: regexp.MustCompile(`\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b`), spread: 3},
	{name: "a GitHub token", hint: "gh", shape: regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{36,255})\b`), spread: 3},
	{name: "a GitHub token", hint: "github_pat_", shape: regexp.MustCompile(`\b(github_pat_[A-Za-z0-9_]{60,255})\b`), spread: 3},
	{name: "a GitLab token", hint: "glpat-", shape: regexp.MustCompile(`\b(glpat-[A-Za-z0-9_-]{20,})`), spread: 3},
	{name: "a Slack token", hint: "xox", shape: regexp.MustCompile(`\b(xox[abeoprs]-[A-Za-z0-9-]{10,})`), spread: 3},
	{name: "a Slack webhook", hint: "hooks.slack.com", shape: regexp.MustCompile(`hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/+]{40,})`), spread: 3},
	{name: "a Stripe key", hint: "k_", shape: regexp.MustCompile(`\b([sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,})\b`), spread: 3},
	{name: "an API key", hint: "sk-", shape: regexp.MustCompile(`\b(sk-(?:proj-|svcacct-|ant-|or-v1-)?[A-Za-z0-9_-]{20,})`), spread: 3, another: hasDigit},
	{name: "a Google API key", hint: "AIza", shape: regexp.MustCompile(`\b(AIza[A-Za-z0-9_-]{35})`), spread: 3.5},
	{name: "a Google OAuth secret", hint: "GOCSPX-", shape: regexp.MustCompile(`\b(GOCSPX-[A-Za-z0-9_-]{28})`), spread: 3},
	{name: "an npm token", hint: "npm_", shape: regexp.MustCompile(`\b(npm_[A-Za-z0-9]{36})\b`), spread: 3},
	{name: "a PyPI token", hint: "pypi-", shape: regexp.MustCompile(`\b(pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,})`), spread: 3},
	{name: "a SendGrid key", hint: "SG.", shape: regexp.MustCompile(`\b(SG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50})`), spread: 3},
	{name: "a DigitalOcean token", hint: "do", shape: regexp.MustCompile(`\b(do[opr]_v1_[a-f0-9]{64})\b`), spread: 3},
	{name: "a Telegram bot token", hint: ":AA", shape: regexp.MustCompile(`\b([0-9]{8,10}:AA[A-Za-z0-9_-]{33})\b`), spread: 3},
	{name: "a Twilio key", hint: "SK", shape: regexp.MustCompile(`\b(SK[0-9a-f]{32})\b`), spread: 3},
	{name: "a Hugging Face token", hint: "hf_", shape: regexp.MustCompile(`\b(hf_[A-Za-z0-9]{34,})\b`), spread: 3},
	{name: "a Vault token", hint: "hvs.", shape: regexp.MustCompile(`\b(hvs\.[A-Za-z0-9_-]{24,})`), spread: 3},
	{name: "an age key", hint: "AGE-SECRET-KEY-1", shape: regexp.MustCompile(`\b(AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})\b`)},
	{name: "a signed token (JWT)", hint: "eyJ", shape: regexp.MustCompile(`\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{20,})`), another: isToken},
	{name: "a password in a URL", hint: "://", shape: regexp.MustCompile(`\b[a-z][a-z0-9+.-]*://[^\s:/@"'<>{}$]*:([^\s:/@"'<>{}$]{3,})@[A-Za-z0-9.-]`), another: isNoFiller},
}

// assigned is what a line gives to a name that says secret: NAME = "value", "name": "value", name: value.
var assigned = regexp.MustCompile(`(?i)\b([A-Za-z0-9_.-]*(?:secret|passwd|password|pwd|api[_-]?key|apikey|access[_-]?key|auth[_-]?token|access[_-]?token|private[_-]?key|signing[_-]?key|encryption[_-]?key|client[_-]?secret)[A-Za-z0-9_]*)["']?\s*(?::=|=>|[:=])\s*["'` + "`" + `]([^"'` + "`" + `\s]{8,256})["'` + "`" + `]`)

// unquoted is the same in files whose values need no quotes, .env and .properties.
var unquoted = regexp.MustCompile(`(?i)^\s*(?:export\s+)?([A-Za-z0-9_.-]*(?:secret|password|passwd|api_?key|access_?key|auth_?token|access_?token|private_?key)[A-Za-z0-9_]*)\s*=\s*([^"'\s#$]{8,256})\s*$`)

// well-known words that stand where a secret will be, and those that only speak of one.
var fillers = []string{"example", "sample", "dummy", "placeholder", "changeme", "change-me", "change_me", "redacted", "your", "insert", "todo", "xxxx", "****", "....", "<", "${", "{{", "env(", "getenv",
	"environ", "process.", "config.", "secrets.", "vault:", "file:", "http://", "https://", "1234567890", "abcdefgh", "fake", "not-a-", "notreal", "test"}

func isNoFiller(v string) bool {
	lower := strings.ToLower(v)
	return !slices.ContainsFunc(fillers, func(f string) bool { return strings.Contains(lower, f) }) && lower != "password" && lower != "secret" && lower != "pass"
}

// hasDigit tells keys from names that only begin like one.
func hasDigit(v string) bool { return strings.ContainsAny(v, "0123456789") }

// isToken reports whether a text is a JWS whose header says so: many words begin with eyJ in base64.
func isToken(v string) bool {
	head, _, _ := strings.Cut(v, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	var h struct {
		Algorithm string `json:"alg"`
	}
	return err == nil && json.Unmarshal(b, &h) == nil && h.Algorithm != ""
}

// spread is the Shannon entropy of a text, in bits a character.
func spread(v string) float64 {
	counts := map[byte]float64{}
	for i := range len(v) {
		counts[v[i]]++
	}
	h := 0.0
	for _, n := range counts {
		p := n / float64(len(v))
		h -= p * math.Log2(p)
	}
	return h
}

// spelled is a name made of words, as code and style sheets have them, not a value.
var spelled = regexp.MustCompile(`^[#.$@/]*[A-Za-z]+[0-9]?(?:[-_./:][A-Za-z]*[0-9]{0,3})+$`)

// random reports whether a value looks drawn, not written: letters and digits mixed, and spread.
func random(v string) bool {
	digits, letters := 0, 0
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letters++
		case c > 126 || strings.ContainsRune("(){}[];,", c):
			return false // code, or prose
		}
	}
	return digits > 0 && letters > 0 && len(v) >= 8 && spread(v) >= 2.7 && !spelled.MatchString(v)
}

// leak is where a secret stands, and of what kind it is. The secret itself is forgotten.
type leak struct {
	line, column int
	kind, name   string
}

// leaks finds the secrets of a text. In source a name that says secret and a value that looks drawn are enough.
func leaks(t Text) []leak {
	var out []leak
	dotted := strings.HasPrefix(filepath.Base(t.File), ".env") || strings.HasSuffix(t.File, ".env") || strings.HasSuffix(t.File, ".properties") || strings.HasSuffix(t.File, ".ini")
	in := bufio.NewScanner(bytes.NewReader(t.Body))
	in.Buffer(make([]byte, 0, 64<<10), tree.MaxSize+1)
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		if l, ok := inLine(line, dotted); ok && !strings.Contains(line, allowance) {
			l.line = n
			out = append(out, l)
		}
	}
	return out
}

// allowance on a line says that what looks like a secret there is none.
const allowance = "portreeve:allow-secret"

func inLine(line string, dotted bool) (leak, bool) {
	for _, k := range kinds {
		if !strings.Contains(line, k.hint) {
			continue
		}
		for _, m := range k.shape.FindAllStringSubmatchIndex(line, -1) {
			v := line[m[2]:m[3]]
			if v != "" && k.spread > 0 && spread(v) < k.spread || k.another != nil && !k.another(v) || strings.HasPrefix(v, "AKIA") && strings.HasSuffix(v, "EXAMPLE") {
				continue
			}
			return leak{column: m[0] + 1, kind: k.name}, true
		}
	}
	m := assigned.FindStringSubmatchIndex(line)
	if m == nil && dotted {
		m = unquoted.FindStringSubmatchIndex(line)
	}
	if m != nil {
		if name, v := line[m[2]:m[3]], line[m[4]:m[5]]; isNoFiller(v) && random(v) {
			return leak{column: m[2] + 1, kind: "a secret", name: name}, true
		}
	}
	return leak{}, false
}

// secretsIn searches the texts of a kind.
func secretsIn(kind TextKind) func(*search) {
	return func(s *search) {
		for _, t := range s.Texts {
			if t.Kind != kind {
				continue
			}
			s.look()
			nth := map[string]int{}
			first := true
			for _, l := range leaks(t) {
				nth[l.kind+l.name]++
				what := l.kind
				if l.name != "" {
					what += " (" + l.name + ")"
				}
				f := found{at: tree.Position{File: t.File, Line: l.line, Column: l.column}, key: t.File + " " + what + " " + itoa(nth[l.kind+l.name])}
				s.find(f, "%s stands here for everybody to read", what)
				if !first {
					s.faulty-- // one file, however many it holds
				}
				first = false
			}
		}
	}
}

// personalExample finds values of examples that could be somebody's.
func personalExample(s *search) {
	judge := func(x *tree.Node, pointer string) {
		var walk func(n *tree.Node, depth int)
		walk = func(n *tree.Node, depth int) {
			if depth > 32 {
				return
			}
			if n.Kind == tree.String || n.Kind == tree.Number {
				s.look()
				if what := somebodys(n.Text); what != "" {
					s.find(found{at: n.At, pointer: pointer, key: what}, "an example holds %s", what)
				}
			}
			for _, m := range n.Members {
				walk(m.Value, depth+1)
			}
			for _, i := range n.Items {
				walk(i, depth+1)
			}
		}
		walk(x, 0)
	}
	seen := map[*tree.Node]bool{}
	for _, x := range append(append([]*schema{}, s.requests()...), s.answers()...) {
		for _, name := range []string{"example", "examples", "default"} {
			if n := x.n.Get(name); n != nil && !seen[n] {
				seen[n] = true
				judge(n, x.pointer+"/"+name)
			}
		}
	}
}

var (
	social = regexp.MustCompile(`^\d{3}-\d{2}-\d{4}$`)
	iban   = regexp.MustCompile(`^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$`)
)

// testCards are numbers that card schemes and payment providers publish for tests.
var testCards = []string{"4111111111111111", "4242424242424242", "5555555555554444", "378282246310005", "6011111111111117", "4012888888881881", "5105105105105100", "371449635398431",
	"6011000990139424", "30569309025904", "38520000023237", "3530111333300000", "3566002020360505", "4000056655665556", "2223003122003222", "4000000000000002"}

// somebodys says whose a value could be, "" when nobody's.
func somebodys(v string) string {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(v)
	switch {
	case len(digits) >= 13 && len(digits) <= 19 && allDigits(digits) && strings.ContainsAny(digits[:1], "3456") && cardLength(digits) && luhn(digits) && !slices.Contains(testCards, digits):
		return "what may be a card number"
	case social.MatchString(v) && v[:3] != "000" && v[:3] != "666" && v[0] != '9' && !slices.Contains([]string{"123-45-6789", "078-05-1120", "987-65-4321", "111-11-1111"}, v):
		return "what may be a social security number"
	case iban.MatchString(v) && mod97(v) && !slices.Contains([]string{"DE89370400440532013000", "GB82WEST12345698765432", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NL91ABNA0417164300"}, v):
		return "what may be a bank account (IBAN)"
	}
	return ""
}

// cardLength holds the lengths that the schemes use, by the first digit.
func cardLength(d string) bool {
	switch d[0] {
	case '3':
		return (len(d) == 15 && (d[1] == '4' || d[1] == '7')) || len(d) == 14 && (d[1] == '0' || d[1] == '6' || d[1] == '8') || len(d) == 16 && d[1] == '5'
	case '4':
		return len(d) == 16
	case '5':
		return len(d) == 16 && d[1] >= '1' && d[1] <= '5'
	}
	return len(d) == 16 && (strings.HasPrefix(d, "6011") || strings.HasPrefix(d, "65"))
}

func allDigits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

func luhn(d string) bool {
	sum := 0
	for i := range len(d) {
		n := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

func mod97(v string) bool {
	r := 0
	for _, c := range v[4:] + v[:4] {
		if c >= 'A' {
			r = (r*100 + int(c-'A') + 10) % 97
		} else {
			r = (r*10 + int(c-'0')) % 97
		}
	}
	return r == 1
}
