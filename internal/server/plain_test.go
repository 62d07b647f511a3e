package server

import (
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/certificate/certtest"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
)

// Beside TLS, plain HTTP is refused whatever is asked and by whom; a credential that was sent is recorded as exposed, by
// the id under which it can be revoked and never by itself.
//
//threat:19 a credential over plain HTTP beside TLS → refused, recorded as exposed by its id, never by itself
func TestPlainHTTPIsRefused(t *testing.T) {
	ca := certtest.NewCA(t, "root")
	cert, key := ca.Issue(t, certtest.Hosts("127.0.0.1")).Write(t, t.TempDir(), "server")
	s := serveDocument(t, strings.Replace(document, "paths:\n", "paths:\n  /mine:\n    get:\n      security: [{bearer: []}, {api_key: []}]\n      responses: {\"200\": {description: ok}}\n", 1),
		"http://127.0.0.1:1", "tls: {cert: "+cert+", key: "+key+"}\nplain: {listen: \"127.0.0.1:0\"}\nroles: {employee: [\"a:b\"]}\nlimits: {failures: 1000/1m}\n")
	k, _, err := s.d.Manager.CreateKey(t.Context(), keys.NewKey{Owner: "billing", Purpose: "test", Roles: []string{"employee"}, Expires: time.Now().AddDate(0, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.d.Manager.AddUser(t.Context(), keys.NewUser{Name: "alice", Subject: "1001", Roles: []string{"employee"}}); err != nil {
		t.Fatal(err)
	}
	token, err := s.d.IssueToken(deployment.NewToken{User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string, header ...string) {
		t.Helper()
		req, err := http.NewRequest(method, s.Plain()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 403 || resp.Header.Get("Content-Type") != "application/problem+json" || !resp.Close || method != "HEAD" && !strings.Contains(string(b), `"reason":"forbidden"`) {
			t.Errorf("%s %s: %d %q %s", method, path, resp.StatusCode, resp.Header, b)
		}
		if resp.Header.Get("Strict-Transport-Security") != "" || resp.Header.Get("Location") != "" {
			t.Errorf("%s %s: %q", method, path, resp.Header)
		}
	}
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "DELETE"} {
		ask(method, "/slow")
	}
	ask("GET", "/nothing")
	ask("GET", "/.portreeve/health")
	ask("GET", "/mine", "X-API-Key", k.Secret)
	ask("GET", "/mine", "Authorization", "Bearer "+token.Text)
	ask("GET", "/slow", "X-API-Key", k.Secret+"x")
	ask("GET", "/slow", "Authorization", "Basic YTpi")
	ask("GET", "/slow", "Cookie", "session=abc")

	var exposed []string
	eventually(t, "five credentials are told", func() bool {
		exposed = exposed[:0]
		_ = ledger.Read(s.plan.Audit.Dir, func(_ string, _ int, line []byte) error {
			if strings.Contains(string(line), `"credential_exposed"`) {
				exposed = append(exposed, string(line))
			}
			return nil
		})
		return len(exposed) == 5
	})
	all := strings.Join(exposed, "\n")
	if n := strings.Count(all, `"severity_id":4`); n != 5 {
		t.Errorf("%d of 5 are grave", n)
	}
	if !strings.Contains(all, `"credential_uid":"`+k.Key.ID+`"`) || !strings.Contains(all, `"credential_uid":"`+token.ID+`"`) {
		t.Errorf("what must be revoked is not named:\n%s", all)
	}
	for _, secret := range []string{k.Secret, token.Text, "YTpi", "session=abc"} {
		if strings.Contains(all, secret) {
			t.Errorf("the event repeats %q", secret)
		}
	}
	eventually(t, "the others are told as well", func() bool { return slices.Contains(s.reasons(t), "plaintext") })
	if m := s.get(t, "/metrics"); !strings.Contains(m, `portreeve_requests_total{decision="forbidden",operation="plaintext"} 12`) {
		t.Error("the metric does not count them")
	}
	// Over TLS the same is served, with HSTS.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	resp, err := client.Get(s.URL() + "/.portreeve/health")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %q", resp.StatusCode, resp.Header)
	}
}
