package edge

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
)

func testStage(t testing.TB, templates ...string) *Stage {
	t.Helper()
	p := &plan.Plan{Unmatched: &plan.Operation{ID: "unmatched"}, Edge: plan.Edge{MaxHeaders: 100, MaxTarget: 8 << 10}}
	for i, tm := range templates {
		method, path, _ := strings.Cut(tm, " ")
		p.Operations = append(p.Operations, &plan.Operation{Index: i, ID: tm, Method: method, Path: path})
	}
	s, err := New(p, func(op *plan.Operation) *exchange.Chain { return exchange.NewChain(op, nil, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a raw target through the stage as net/http's server would read it.
func ask(s *Stage, method, target string, header ...string) *exchange.Exchange {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil // net/http answers 400 by itself
	}
	r := &http.Request{Method: method, URL: u, RequestURI: target, Host: "api.example.com", Header: http.Header{}, Body: http.NoBody}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
	}
	x := &exchange.Exchange{Request: r}
	x.Open(httptest.NewRecorder(), nil)
	s.enter(x)
	return x
}

// Threats 1–6, 8, 9: what two parsers could read as two paths is refused, or matched as the operation it means.
func TestTargetsThatParsersReadDifferently(t *testing.T) {
	s := testStage(t, "GET /public/{x}", "GET /public", "GET /admin", "GET /admin/users", "GET /files/{name}.json", "GET /health")
	for _, c := range []struct{ target, want string }{
		{"/admin", "GET /admin"},
		{"/%61dmin", "GET /admin"},
		{"/adm%69n", "GET /admin"},
		{"/ADMIN", "404"},
		{"/ADM%49N", "404"},
		{"/admin/", "404"},
		{"/public/%2e%2e", "target_dot_segment"},
		{"/public/..", "target_dot_segment"},
		{"/public/../admin", "target_dot_segment"},
		{"/public/.%2e/admin", "target_dot_segment"},
		{"/public/%2e/admin", "target_dot_segment"},
		{"/public/..%2fadmin", "target_encoded_separator"},
		{"/public/a%2Fb", "target_encoded_separator"},
		{"/public/a%5cb", "target_encoded_separator"},
		{"/public/a\\b", "target_encoded_separator"},
		{"/public/a%00", "target_control_character"},
		{"/public/a%0d%0aX: y", "target_control_character"},
		{"/public/a;b=1", "target_forbidden_character"},
		{"/public/..;/admin", "target_forbidden_character"},
		{"/public/%2561dmin", "target_double_encoding"},
		{"/%2561dmin", "target_double_encoding"},
		{"/public/100%25", "GET /public/{x}"},
		{"/public/a%3Fb", "GET /public/{x}"},
		{"/public/a%23b", "GET /public/{x}"},
		{"/public/a#b", "target_forbidden_character"},
		{"//admin", "target_empty_segment"},
		{"///admin", "target_empty_segment"},
		{"/public//admin", "target_empty_segment"},
		{"/public/%c0%af", "target_not_utf8"},
		{"/public/%ff", "target_not_utf8"},
		{"/public/%C3%A9", "GET /public/{x}"},
		{"/public/é", "target_not_utf8"},
		{"/admin?x=/health", "GET /admin"},
		{"/admin?a=%zz", "target_bad_escape"},
		{"/admin?a=1;b=2", "target_forbidden_character"},
		{"/admin?a=1&&b=2", "target_empty_segment"},
		{"/admin?a=%00", "target_control_character"},
		{"/files/report.json", "GET /files/{name}.json"},
		{"/files/.json", "404"},
		{"/", "404"},
	} {
		x := ask(s, "GET", c.target)
		got := "400 by net/http"
		if x != nil {
			switch {
			case x.Allowed():
				got = x.Op.ID
			case x.No.Status == 404:
				got = "404"
			default:
				got = string(x.No.Fine)
			}
		}
		if got != c.want {
			t.Errorf("%q: got %s, want %s", c.target, got, c.want)
		}
	}
}

func TestTheCanonicalFormIsSentOn(t *testing.T) {
	s := testStage(t, "GET /a/{x}")
	for target, want := range map[string]string{
		"/%61/%7euser":         "/a/~user",
		"/a/x%2cy":             "/a/x%2Cy",
		"/a/x,y?q=%e2%82%ac&b": "/a/x,y?q=%E2%82%AC&b=",
		"/a/1?f[x]=1":          "/a/1?f%5Bx%5D=1",
	} {
		x := ask(s, "GET", target)
		if !x.Allowed() || x.Request.RequestURI != want || x.Request.URL.RequestURI() != want {
			t.Errorf("%s: got %q and %q, want %q", target, x.Request.RequestURI, x.Request.URL.RequestURI(), want)
		}
	}
}

func TestLeftmostLiteralWins(t *testing.T) {
	s := testStage(t, "GET /a/{x}/lit", "GET /a/lit/{y}", "GET /pets/{id}", "GET /pets/mine", "GET /pets/{id}/toys", "DELETE /pets/{id}")
	for target, want := range map[string]string{
		"/a/lit/lit":      "GET /a/lit/{y}",
		"/a/b/lit":        "GET /a/{x}/lit",
		"/pets/mine":      "GET /pets/mine",
		"/pets/%6dine":    "GET /pets/mine",
		"/pets/7":         "GET /pets/{id}",
		"/pets/mine/toys": "GET /pets/{id}/toys",
	} {
		if x := ask(s, "GET", target); !x.Allowed() || x.Op.ID != want {
			t.Errorf("%s: got %s", target, x.Op.ID)
		}
	}
	if x := ask(s, "DELETE", "/pets/mine"); x.No.Status != 405 || x.No.Allow != "GET, HEAD" {
		t.Errorf("a method of another template was lent: %+v", x.No)
	}
	if x := ask(s, "HEAD", "/pets/7"); !x.Allowed() || x.Op.Method != "GET" {
		t.Error("HEAD does not follow GET")
	}
	if x := ask(s, "OPTIONS", "/pets/7"); x.No.Status != 405 || x.No.Allow != "DELETE, GET, HEAD" {
		t.Errorf("OPTIONS: %+v", x.No)
	}
	if x := ask(s, "TRACE", "/pets/7"); x.No.Status != 405 || x.No.Allow != "DELETE, GET, HEAD" {
		t.Errorf("TRACE: %+v", x.No)
	}
}

// Threats 12–17: nobody but the gate speaks in the gate's name.
func TestHeadersInOthersNames(t *testing.T) {
	s := testStage(t, "GET /a")
	for _, name := range []string{"Portreeve-Subject", "portreeve-subject", "PORTREEVE_ROLES", "Portreeve_Subject", "X-Forwarded-For",
		"X_forwarded_host", "X.Forwarded.For", "Portreeve~Subject", "X-Forwarded-" + strings.Repeat("a", 100), "Forwarded", "X-Real-Ip", "X_Real_IP", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "X_HTTP_Method_Override"} {
		if x := ask(s, "GET", "/a", name, "admin"); !x.Allowed() || len(x.Request.Header) != 0 {
			t.Errorf("%s was kept: %v", name, x.Request.Header)
		}
	}
	for _, pair := range [][]string{
		{"Authorization", "Bearer a", "Authorization", "Bearer b"},
		{"Content_type", "application/json"},
		{"Transfer_encoding", "chunked"},
		{"Content.length", "5"},
		{"Content-Type", "a/b", "Content-Type", "c/d"},
	} {
		if x := ask(s, "GET", "/a", pair...); x.No.Status != 400 {
			t.Errorf("%v: %+v", pair, x.No)
		}
	}
	many := []string{}
	for range 101 {
		many = append(many, "X-A", "1")
	}
	if x := ask(s, "GET", "/a", many...); x.No.Status != 431 {
		t.Errorf("101 headers: %+v", x.No)
	}
	if x := ask(s, "GET", "/a", "Upgrade", "h2c"); x.No.Status != 400 {
		t.Errorf("upgrade: %+v", x.No)
	}
}

func TestHosts(t *testing.T) {
	s := testStage(t, "GET /a")
	s.rule.Hosts = []string{"api.example.com", "api.example.com:443"}
	for host, want := range map[string]int{"api.example.com": 0, "API.Example.com": 0, "api.example.com:443": 0, "evil.example": 421,
		"api.example.com.": 421, "": 421, "api.example.com:444": 421, "[::1]:443": 421, "api.example.com@evil": 400, "user@api.example.com": 400,
		"api.example.com:443:443": 400, "api.example.com:": 400, "api.example.com:x": 400, ":443": 400, "[::1": 400, "[::1%25eth0]": 400,
		"a%2eb": 400, "a b": 400, "a/b": 400, "a,b": 400, "é": 400} {
		u, _ := url.ParseRequestURI("/a")
		x := &exchange.Exchange{Request: &http.Request{Method: "GET", URL: u, RequestURI: "/a", Host: host, Header: http.Header{}}}
		x.Open(httptest.NewRecorder(), nil)
		s.enter(x)
		if x.No.Status != want {
			t.Errorf("%q: got %d, want %d", host, x.No.Status, want)
		}
		if x.Request.Host != strings.ToLower(host) && want == 0 {
			t.Errorf("%q is sent on as %q", host, x.Request.Host)
		}
	}
}

// HTTP/2 carries what HTTP/1.1's parser never gives: an absolute form in :path, a Host beside :authority.
//
//threat:7 an absolute form in :path, a Host beside :authority → refused
func TestFormsOfHTTP2(t *testing.T) {
	s := testStage(t, "GET /a")
	for _, c := range []struct {
		target, host, beside string
		major, want          int
	}{
		{"/a", "api.test", "", 2, 0},
		{"/a", "api.test", "API.test", 2, 0},
		{"/a", "api.test", "evil.test", 2, 400},
		{"http://api.test/a", "api.test", "", 1, 0},
		{"http://api.test/a", "api.test", "", 2, 400},
		{"http://api.test/a", "other.test", "", 1, 400},
		{"http://user@api.test/a", "api.test", "", 1, 400},
		{"ftp://api.test/a", "api.test", "", 1, 400},
		{"http:/a", "", "", 1, 400},
	} {
		u, err := url.ParseRequestURI(c.target)
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange.Exchange{Request: &http.Request{Method: "GET", URL: u, RequestURI: c.target, Host: c.host, Header: http.Header{}, ProtoMajor: c.major}}
		if c.beside != "" {
			x.Request.Header["Host"] = []string{c.beside}
		}
		x.Open(httptest.NewRecorder(), nil)
		s.enter(x)
		if x.No.Status != c.want {
			t.Errorf("%+v: got %d", c, x.No.Status)
		}
		if c.want == 0 && x.Request.Header["Host"] != nil {
			t.Errorf("%+v: Host is sent on", c)
		}
	}
}

// An encoded slash passes where the parameter's schema speaks of slashes, and where nobody who decodes first is led
// elsewhere (threat 1).
//
//threat:1 %2F in path parameters whose schema speaks of slashes and in others, upwards, and where decoding leads to another operation → only the first passes
func TestEncodedSlashes(t *testing.T) {
	s := testStage(t, "GET /files/{path}", "GET /users/{name}", "GET /files/{path}/versions", "GET /x/{path}.json", "DELETE /files/{path}")
	var ops []*plan.Operation
	for _, target := range []string{"/files/a", "/users/a", "/files/a/versions", "/x/a.json"} {
		ops = append(ops, ask(s, "GET", target).Op)
	}
	for _, op := range []int{0, 2, 3} {
		ops[op].Request.Parameters = []plan.Parameter{{Name: "path", In: "path", Slash: true}}
	}
	for target, want := range map[string]string{
		"/files/a%2fb":          "GET /files/{path}",
		"/files/a%2Fb%2Fc":      "GET /files/{path}",
		"/files/a%2Fb/versions": "GET /files/{path}/versions",
		"/files/a%2Fversions":   "target_encoded_separator", // decoded first, it is another operation's
		"/files/..%2Fa":         "target_encoded_separator",
		"/files/a%2F..%2Fb":     "target_encoded_separator",
		"/files/a%2F%2e%2e":     "target_encoded_separator",
		"/files/%2Fetc":         "target_encoded_separator",
		"/files/a%2F":           "target_encoded_separator",
		"/files/a%2F%2Fb":       "target_encoded_separator",
		"/files/a%5Cb":          "target_encoded_separator",
		"/files/a%252Fb":        "target_double_encoding",
		"/users/a%2Fb":          "target_encoded_separator",
		"/nothing/a%2Fb":        "target_encoded_separator",
		"/x/a%2Fb.json":         "target_encoded_separator",
		"/files%2Fa":            "target_encoded_separator",
		"/files%2Fa%2Fversions": "target_encoded_separator",
	} {
		x := ask(s, "GET", target)
		got := string(x.No.Fine)
		if x.Allowed() {
			got = x.Op.ID
			if want := strings.ToUpper(target[len("/files/"):]); strings.ToUpper(x.Request.URL.EscapedPath()[len("/files/"):]) != want {
				t.Errorf("%s: sent on as %s", target, x.Request.URL.EscapedPath())
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
	if x := ask(s, "DELETE", "/files/a%2Fb"); x.Allowed() {
		t.Error("another method's parameter lent its slash")
	}
}

// FuzzCanonical holds that the canonical form is a fixed point: reading it again gives the same operation and the same
// form, so the upstream cannot read what was sent as anything but what was judged.
//
//threat:3 any target → what passes is a fixed point: read again it is the same operation and the same bytes, and net/url reads the same path
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"/a/b?c=d", "/%61/%2e%2e", "/a/%25%32%66", "/a//b", "/a/b;c", "/x?%5B=%5D&a[b]=c%20d", "/é"} {
		f.Add(s)
	}
	s := testStage(f, "GET /{a}", "GET /{a}/{b}", "GET /a/b", "GET /{a}/{b}/{c}")
	f.Fuzz(func(t *testing.T, target string) {
		if !strings.HasPrefix(target, "/") {
			return
		}
		first := ask(s, "GET", target)
		if first == nil || !first.Allowed() {
			return
		}
		again := ask(s, "GET", first.Request.RequestURI)
		if again == nil || !again.Allowed() {
			t.Fatalf("%q became %q, which is refused", target, first.Request.RequestURI)
		}
		if again.Request.RequestURI != first.Request.RequestURI || again.Op != first.Op {
			t.Fatalf("%q became %q became %q", target, first.Request.RequestURI, again.Request.RequestURI)
		}
		path := first.Request.URL.Path
		if strings.Contains(path, "..") && strings.Contains(path+"/", "/../") || strings.Contains(path, "//") || !utf8.ValidString(path) {
			t.Fatalf("%q passed as %q", target, path)
		}
		if u, err := url.Parse(first.Request.RequestURI); err != nil || u.Path != path {
			t.Fatalf("net/url reads %q as %q", first.Request.RequestURI, u.Path)
		}
	})
}
