package lint

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSecretShapes puts each kind together at run time, so that this file holds none.
func TestSecretShapes(t *testing.T) {
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	jwt := b64(`{"alg":"HS256","typ":"JWT"}`) + "." + b64(`{"sub":"1","iat":1}`) + "." + drawn("", 43)
	hex := "0f8e2d7c4b6a195388f0e1d2c3b4a596"
	for _, c := range []struct{ line, kind string }{
		{`API_KEY = "sk-` + `1234567890abcdef1234567890abcdef"`, "an API key"},
		{"key: " + "AK" + "IA" + "Q3EGUZ5T7VHX2WNM", "an AWS access key"},
		{"token = " + drawn("ghp_", 36), "a GitHub token"},
		{drawn("github_"+"pat_", 70), "a GitHub token"},
		{drawn("glpat-", 20), "a GitLab token"},
		{"xox" + "b-2847561930-5738291046-" + drawn("", 24), "a Slack token"},
		{"https://hooks.slack" + ".com/services/T0AB1CD2E/B3FG4HI5J/" + drawn("", 24), "a Slack webhook"},
		{drawn("sk_"+"live_", 24), "a Stripe key"},
		{drawn("AI"+"za", 35), "a Google API key"},
		{drawn("npm_", 36), "an npm token"},
		{drawn("SG.", 22) + "." + drawn("", 43), "a SendGrid key"},
		{"dop_" + "v1_" + hex + hex, "a DigitalOcean token"},
		{drawn("hf_", 34), "a Hugging Face token"},
		{drawn("hvs.", 24), "a Vault token"},
		{"SK" + hex, "a Twilio key"},
		{"Authorization: Bearer " + jwt, "a signed token (JWT)"},
		{"-----BEGIN " + "RSA PRIVATE KEY-----", "a private key"},
		{`"key": "-----BEGIN ` + `PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0"`, "a private key"},
		{"url = postgres://orders:" + "hW7pQz2x@db.internal/orders", "a password in a URL"},
		{`db_password: "` + `hW7pQz2xK9"`, "a secret"},
		{`const clientSecret = '` + drawn("", 30) + `'`, "a secret"},
	} {
		l, ok := inLine(c.line, false)
		if !ok || l.kind != c.kind {
			t.Errorf("%q: found %q, want %q", c.line, l.kind, c.kind)
		}
	}
	if _, ok := inLine("DB_PASSWORD="+"hW7pQz2xK9", true); !ok {
		t.Error("a value without quotes in .env")
	}
	for _, line := range []string{
		`API_KEY = os.getenv("EXTERNAL_API_KEY")`,
		`api_key = "your-api-key-123"`,
		`password: "${DB_PASSWORD_1}"`,
		`password = "changeme123"`,
		`apiKey: {env: ORDERS_API_KEY_2}`,
		`secret = config.get("secret2")`,
		`passwordField = "#password-input-2"`,
		`const passwordPattern = "^[a-z0-9]{8,}$"`,
		`class="sk-toggleable__content-arrow-label"`,
		`const pem = "-----BEGIN PRIVATE KEY-----"`,
		`-----BEGIN PUBLIC KEY-----`,
		`postgres://orders:$PASSWORD@db/orders`,
		`https://user:password@example.com/`,
		"AK" + "IAIOSFODNN7EXAMPLE",
		"glpat-xxxxxxxxxxxxxxxxxxxx",
		`"access_token": "string"`,
		`tokens = ["header.payload.signature"]`,
		"eyJhbG is how most tokens begin",
		`the password is at least 8 characters`,
		`password_hash = hash(password, cost=12)`,
	} {
		if l, ok := inLine(line, false); ok {
			t.Errorf("%q: %q stands there, it says", line, l.kind)
		}
	}
}

// TestSecretsAreForgotten looks for the secrets themselves in everything that is reported.
func TestSecretsAreForgotten(t *testing.T) {
	key, password := drawn("ghp_", 36), "hW7pQz2x"+"K9mN"
	r := build(t, []edit{doc("example: fragile", "example: "+key), file("app.py", "password = \""+password+"\"\n"),
		file("id", "-----BEGIN "+"PRIVATE KEY-----\n"+key+"\n"), file("u.txt", "redis://a:"+password+"@cache/0\n")}, false)
	if n := len(r.Findings); n != 5 { // the key in the file is one as well
		t.Errorf("%d findings: %v", n, r.Findings)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{key, password, key[4:], password[:8]} {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the report repeats a secret")
		}
	}
}

func TestAllowance(t *testing.T) {
	line := "token = " + drawn("ghp_", 36)
	if n := len(leaks(Text{File: "a", Body: []byte(line + "\n" + line + " # " + allowance + "\n")})); n != 1 {
		t.Errorf("%d leaks", n)
	}
}

func TestSomebodys(t *testing.T) {
	for v, want := range map[string]bool{
		"4929123456789015": true, "4111111111111111": false, "1234567890123456": false, "4929123456789016": false, "20260101120000": false,
		"536-90-4399": true, "123-45-6789": false, "000-12-3456": false, "2026-11-01": false,
		"DE02120300000000202051": true, "DE89370400440532013000": false, "DE02120300000000202052": false, "c3a1f0d2-0b1e": false,
	} {
		if got := somebodys(v) != ""; got != want {
			t.Errorf("%s: %t", v, got)
		}
	}
}

func TestNestedRepetition(t *testing.T) {
	for p, want := range map[string]bool{
		`(a+)+`: true, `^([A-Z]+)*$`: true, `(\w*)*`: true, `([a-z0-9]+\s?)*`: true, `((a+)b?)+`: true, `(?:x+)+y`: true, `(a{2,})+`: true, `(a+|b)+`: false,
		`(a+b)+`: false, `^[a-z]+(-[a-z]+)*$`: false, `(a{1,3})+`: false, `[(a+)+]`: false, `\(a+\)+`: false, `^(\d{3})+$`: false, ``: false, `(`: false, `)`: false, `a{`: false, `[`: false, `\`: false,
		`(?<name>a+)+`: true, `(a+)?`: false,
	} {
		if got := nested(p); got != want {
			t.Errorf("%s: %t", p, got)
		}
	}
}

func FuzzNested(f *testing.F) {
	f.Add(`^([A-Z]+)*$`)
	f.Fuzz(func(_ *testing.T, p string) { nested(p) })
}

func FuzzLine(f *testing.F) {
	f.Add("password = \"x\"", true)
	f.Fuzz(func(_ *testing.T, line string, dotted bool) { inLine(line, dotted) })
}

// TestGather walks a folder that is not made for it.
func TestGather(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leak := []byte("token = " + drawn("ghp_", 36) + "\n")
	write("a.txt", leak)
	write("node_modules/b.txt", leak)
	write("deep/er/c.txt", append(bytes.Repeat([]byte("x"), 200_000), append([]byte("\n"), leak...)...))
	write("binary", append([]byte{0}, leak...))
	write("large", bytes.Repeat(leak, maxFile/len(leak)+1))
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(Options{Paths: []string{dir, dir, filepath.Join(dir, "a.txt"), filepath.Join(dir, "pipe")}})
	if err != nil {
		t.Fatal(err)
	}
	r := Check(s, "test", clock)
	var got []string
	for _, f := range r.Findings {
		rel, _ := filepath.Rel(dir, f.Place.File)
		got = append(got, rel+":"+itoa(f.Place.Line))
	}
	if strings.Join(got, " ") != "a.txt:1 deep/er/c.txt:2" {
		t.Errorf("found %v", got)
	}
	passed := strings.Join(s.Passed, "\n")
	for _, want := range []string{"node_modules", "no text", "larger than", "no file"} {
		if !strings.Contains(passed, want) {
			t.Errorf("%q is not said: %s", want, passed)
		}
	}
	for _, o := range r.Outcomes {
		if o.Rule == "security-nowhere" && (o.Verdict != "skipped" || o.Reason == "") {
			t.Errorf("without a document: %+v", o)
		}
	}
	if len(r.Sections) != 1 || r.Sections[0].Score > 25 {
		t.Errorf("sections %+v", r.Sections)
	}
	if _, err := Load(Options{Paths: []string{filepath.Join(dir, "none")}}); err == nil {
		t.Error("a path that is not there was searched")
	}
}
