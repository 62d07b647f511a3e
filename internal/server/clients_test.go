package server

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/certificate/certtest"
	"github.com/portreeve/portreeve/internal/gate/authn"
	"github.com/portreeve/portreeve/internal/ledger"
)

const mutual = `openapi: 3.1.0
info: {title: T, version: "1"}
components:
  securitySchemes: {client: {type: mutualTLS}}
paths:
  /mine:
    get:
      operationId: mine
      security: [{client: []}]
      responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}
    post:
      operationId: change
      security: [{client: []}]
      responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}
  /staff:
    get:
      operationId: staff
      security: [{client: []}]
      x-portreeve: {permission: "staff:read"}
      responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}
  /either:
    get:
      operationId: either
      security: [{client: []}, {}]
      responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}
  /key:
    get:
      operationId: key
      security: [{api_key: []}]
      responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}
`

// clientele is a gate that believes the clients of one root.
type clientele struct {
	*running
	t      *testing.T
	server *certtest.Signed // root of the gate's own certificate
	root   *certtest.Signed // of its clients
	dir    string
}

func newClientele(t *testing.T, more string) *clientele {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "for "+r.Header.Get("Portreeve-Subject")+" "+r.Header.Get("Portreeve-Roles"))
	}))
	t.Cleanup(api.Close)
	c := &clientele{t: t, server: certtest.NewCA(t, "servers"), root: certtest.NewCA(t, "clients"), dir: t.TempDir()}
	cert, key := c.server.Issue(t, certtest.Hosts("127.0.0.1", "api.example.com", "other.example.com")).Write(t, c.dir, "server")
	roots, _ := c.root.Write(t, c.dir, "clients")
	if !strings.Contains(more, "identity:") {
		more += "identity: {certificates: {roles: {billing.internal: employee}}}\n"
	}
	c.running = serveDocument(t, mutual, api.URL, "tls: {cert: "+cert+", key: "+key+", client_ca: "+roots+"}\nroles: {employee: [\"staff:read\"]}\n"+more)
	return c
}

func dns(names ...string) certtest.Change {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

// as returns a client that shows a certificate; nil shows none.
func (c *clientele) as(s *certtest.Signed) *tls.Config {
	conf := &tls.Config{RootCAs: c.server.Pool()}
	if s != nil {
		own := s.TLS()
		// Shown whatever the gate says it believes.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	return conf
}

type reply struct {
	status    int
	body      string
	challenge []string
	resumed   bool
	proto     string
}

func (c *clientele) ask(conf *tls.Config, path string, change ...func(*http.Request)) reply {
	c.t.Helper()
	tr := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}
	return c.over(tr, path, change...)
}

func (c *clientele) over(tr *http.Transport, path string, change ...func(*http.Request)) reply {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodGet, c.URL()+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{resp.StatusCode, string(b), resp.Header["Www-Authenticate"], resp.TLS.DidResume, resp.Proto}
}

// reasons returns the fine reasons of refusals in the ledger, sorted, once each.
func (r *running) reasons(t *testing.T) []string {
	t.Helper()
	var out []string
	err := ledger.Read(r.plan.Audit.Dir, func(_ string, _ int, line []byte) error {
		var e struct{ Unmapped struct{ Reason string } }
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if r := e.Unmapped.Reason; r != "" && !slices.Contains(out, r) {
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// A browser shows its user's certificate by itself, as it does cookies: a foreign page changes nothing by it.
//
//threat:41 a page of a foreign origin that has a browser show its user's certificate → 403
func TestAForeignPageHasNoCertificate(t *testing.T) {
	c := newClientele(t, "")
	conf := c.as(c.root.Issue(t, dns("a.internal")))
	post := func(headers ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.Method = http.MethodPost
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
		}
	}
	for _, x := range []struct {
		what    string
		headers []string
		want    int
	}{
		{"a program", nil, 200},
		{"its own page", []string{"Sec-Fetch-Site", "same-origin", "Origin", c.URL()}, 200},
		{"a foreign page", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"}, 403},
		{"a foreign page in an old browser", []string{"Origin", "https://evil.test"}, 403},
		{"one that hides its origin", []string{"Sec-Fetch-Site", "same-site"}, 403},
	} {
		if got := c.ask(conf, "/mine", post(x.headers...)); got.status != x.want {
			t.Errorf("%s: %d %s", x.what, got.status, got.body)
		}
	}
}

// Who shows what, and what comes of it: 401 for what proves nobody, 403 for somebody who may not, and never a handshake
// that fails.
//
//threat:41 expired, foreign, self-signed, constrained and misnamed client certificates; none at all → 401 where one is asked for, and never for somebody else
func TestClientCertificates(t *testing.T) {
	c := newClientele(t, "limits: {failures: 1000/1m}\n")
	below := c.root.Intermediate(t, "teams")
	hidden := below.Issue(t, dns("hidden.internal"))
	hidden.Chain = hidden.Chain[:1]
	bounded := c.root.Intermediate(t, "bounded", func(x *x509.Certificate) {
		x.PermittedDNSDomainsCritical, x.PermittedDNSDomains = true, []string{"internal"}
	})
	short := c.root.Intermediate(t, "no further", func(x *x509.Certificate) { x.MaxPathLenZero = true })
	endedCA := c.root.Intermediate(t, "ended", certtest.Valid(time.Now().AddDate(0, -2, 0), time.Now().Add(-time.Hour)))
	impostor := certtest.NewCA(t, "clients") // the same name, another key
	leafAsCA := c.root.Issue(t, dns("leaf.internal")).Intermediate(t, "born of a leaf")
	for name, x := range map[string]struct {
		who    *certtest.Signed
		mine   int
		staff  int
		either int
		says   string
		reason string
	}{
		"nobody":                     {nil, 401, 401, 200, "", "credential_missing"},
		"somebody with a role":       {c.root.Issue(t, dns("billing.internal")), 200, 200, 200, `for "billing.internal" "employee"`, ""},
		"the same, in capitals":      {c.root.Issue(t, dns("BILLING.internal")), 200, 200, 200, `for "billing.internal" "employee"`, ""},
		"somebody without":           {c.root.Issue(t, dns("other.internal")), 200, 403, 200, `for "other.internal"`, ""},
		"below an intermediate":      {below.Issue(t, dns("team.internal")), 200, 403, 200, `for "team.internal"`, ""},
		"the intermediate not shown": {hidden, 401, 401, 401, "", "certificate_authority"},
		"self-signed":                {certtest.SelfSigned(t, dns("billing.internal")), 401, 401, 401, "", "certificate_authority"},
		"of another root":            {certtest.NewCA(t, "others").Issue(t, dns("billing.internal")), 401, 401, 401, "", "certificate_authority"},
		"of a root of that name":     {impostor.Issue(t, dns("billing.internal")), 401, 401, 401, "", "certificate_authority"},
		"of the gate's own root":     {c.server.Issue(t, dns("billing.internal")), 401, 401, 401, "", "certificate_authority"},
		"expired":                    {c.root.Issue(t, dns("billing.internal"), certtest.Valid(time.Now().AddDate(0, -2, 0), time.Now().Add(-time.Minute))), 401, 401, 401, "", "certificate_expired"},
		"not yet valid":              {c.root.Issue(t, dns("billing.internal"), certtest.Valid(time.Now().Add(time.Hour), time.Now().AddDate(0, 1, 0))), 401, 401, 401, "", "certificate_expired"},
		"of an authority that ended": {endedCA.Issue(t, dns("billing.internal")), 401, 401, 401, "", "certificate_expired"},
		"a server's": {c.root.Issue(t, dns("billing.internal"), func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
			401, 401, 401, "", "certificate_constraints"},
		"within its constraints": {bounded.Issue(t, dns("a.internal")), 200, 403, 200, `for "a.internal"`, ""},
		"beyond its constraints": {bounded.Issue(t, dns("a.example.com")), 401, 401, 401, "", "certificate_constraints"},
		"below a path too long":  {short.Intermediate(t, "further").Issue(t, dns("billing.internal")), 401, 401, 401, "", "certificate_constraints"},
		"below a leaf":           {leafAsCA.Issue(t, dns("billing.internal")), 401, 401, 401, "", "certificate_"},
		"a wildcard":             {c.root.Issue(t, dns("*.internal")), 401, 401, 401, "", "certificate_name"},
		"two names":              {c.root.Issue(t, dns("billing.internal", "a.internal")), 401, 401, 401, "", "certificate_name"},
		"a common name alone":    {c.root.Issue(t, func(x *x509.Certificate) { x.Subject = pkix.Name{CommonName: "billing.internal"} }), 401, 401, 401, "", "certificate_name"},
	} {
		conf := c.as(x.who)
		for path, want := range map[string]int{"/mine": x.mine, "/staff": x.staff, "/either": x.either} {
			got := c.ask(conf, path)
			if got.status != want || want == 200 && x.says != "" && !strings.HasPrefix(got.body, x.says) {
				t.Errorf("%s: %s answered with %d %s, want %d %s", name, path, got.status, got.body, want, x.says)
			}
			if want == 401 && (len(got.challenge) != 1 || got.challenge[0] != `ClientCertificate realm="T"`) {
				t.Errorf("%s: %s: challenge %q", name, path, got.challenge)
			}
		}
		// What is not asked for is not judged: an API key's operation sees no key.
		if got := c.ask(conf, "/key"); got.status != 401 || strings.Contains(strings.Join(got.challenge, ""), "ClientCertificate") {
			t.Errorf("%s: %d %q where no certificate counts", name, got.status, got.challenge)
		}
		if x.reason != "" {
			eventually(t, name+" has its reason "+x.reason, func() bool {
				return slices.ContainsFunc(c.reasons(t), func(r string) bool { return strings.HasPrefix(r, x.reason) })
			})
		}
	}
}

// Each kind of name can be the caller's.
func TestCertificateSubjects(t *testing.T) {
	uri, err := url.Parse("spiffe://example.com/billing")
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{"uri": "spiffe://example.com/billing", "email": "Billing@example.com", "common_name": "billing", "subject": "CN=billing,O=Example"} {
		c := newClientele(t, "identity: {certificates: {subject: "+kind+", roles: {\""+want+"\": employee}}}\n")
		who := c.root.Issue(t, func(x *x509.Certificate) {
			x.Subject = pkix.Name{CommonName: "billing", Organization: []string{"Example"}}
			x.URIs, x.EmailAddresses = []*url.URL{uri}, []string{"Billing@EXAMPLE.com"}
		})
		if got := c.ask(c.as(who), "/staff"); got.status != 200 || got.body != `for "`+want+`" "employee"` {
			t.Errorf("%s: %d %s", kind, got.status, got.body)
		}
	}
}

// A session that goes on keeps the certificate it began with, and loses it where it is not believed any more: when its
// root leaves the file, and when it is revoked.
//
//threat:41 a session resumed under another certificate, or after its root has left → it stays the first one's, and is refused with its root
func TestResumedClients(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := newClientele(t, "limits: {failures: 1000/1m}\n")
		who := c.root.Issue(t, dns("billing.internal"))
		conf := c.as(who)
		conf.ClientSessionCache, conf.MaxVersion = tls.NewLRUClientSessionCache(8), version
		if got := c.ask(conf, "/mine"); got.status != 200 || got.resumed {
			t.Fatal(got)
		}
		if got := c.ask(conf, "/mine"); got.status != 200 || !got.resumed || !strings.Contains(got.body, "billing.internal") {
			t.Errorf("%x: resumed: %+v", version, got)
		}
		// The session cannot be given to another certificate: it stays the first one's, or is not resumed at all.
		other := c.as(c.root.Issue(t, dns("other.internal")))
		other.ClientSessionCache, other.MaxVersion = conf.ClientSessionCache, version
		if got := c.ask(other, "/mine"); got.resumed != strings.Contains(got.body, "billing.internal") {
			t.Errorf("%x: another's session: %+v", version, got)
		}
		// Nor does a session without a certificate gain one.
		none := c.as(nil)
		none.ClientSessionCache, none.MaxVersion = tls.NewLRUClientSessionCache(8), version
		c.ask(none, "/either")
		if got := c.ask(none, "/mine"); got.status != 401 || !got.resumed {
			t.Errorf("%x: a session of nobody: %+v", version, got)
		}
		// The connection that stays open is judged as well.
		kept := &http.Transport{TLSClientConfig: c.as(who), ForceAttemptHTTP2: version == tls.VersionTLS13}
		defer kept.CloseIdleConnections()
		if got := c.over(kept, "/mine"); got.status != 200 {
			t.Fatal(got)
		}
		if err := os.WriteFile(filepath.Join(c.dir, "clients.pem"), certtest.NewCA(t, "others").PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the roots are taken over", func() bool { return strings.Contains(c.happened(t), "6002 trust.renewed") })
		conf.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		if got := c.ask(conf, "/mine"); got.status != 401 {
			t.Errorf("%x: its root left, and it is still believed: %+v", version, got)
		}
		if got := c.over(kept, "/mine"); got.status != 401 {
			t.Errorf("%x: its root left, and its connection is still believed: %+v", version, got)
		}
	}
}

func TestRevokedClient(t *testing.T) {
	c := newClientele(t, "limits: {failures: 1000/1m}\n")
	who, other := c.root.Issue(t, dns("billing.internal")), c.root.Issue(t, dns("billing.internal"))
	kept := &http.Transport{TLSClientConfig: c.as(who)}
	defer kept.CloseIdleConnections()
	if got := c.over(kept, "/mine"); got.status != 200 {
		t.Fatal(got)
	}
	if _, err := c.d.Manager.RevokeToken(t.Context(), authn.CertificatesIssuer, authn.Thumbprint(who.Cert), who.Cert.NotAfter); err != nil {
		t.Fatal(err)
	}
	if got := c.over(kept, "/mine"); got.status != 401 {
		t.Errorf("revoked, and believed: %+v", got)
	}
	if got := c.ask(c.as(other), "/mine"); got.status != 200 {
		t.Errorf("another certificate of the same caller went with it: %+v", got)
	}
	if _, err := c.d.Manager.RevokeSubject(t.Context(), authn.CertificatesIssuer, "billing.internal"); err != nil {
		t.Fatal(err)
	}
	if got := c.ask(c.as(other), "/mine"); got.status != 401 {
		t.Errorf("all of a caller's certificates were revoked, and one is believed: %+v", got)
	}
}

// A connection made to one name serves that name alone, whatever its certificate stands for: requests for another come
// back with 421, over HTTP/2 too, where clients join names on one connection.
//
//threat:41 a Host that is not the name the connection was made to, in any case, over HTTP/1.1 and HTTP/2 → 421
func TestServerNameIsTheHost(t *testing.T) {
	c := newClientele(t, "url: https://api.example.com\nhosts: [other.example.com, \"127.0.0.1\"]\n")
	who := c.root.Issue(t, dns("billing.internal"))
	for _, x := range []struct {
		sni, host string
		want      int
	}{
		{"api.example.com", "api.example.com", 200}, {"API.example.com", "api.EXAMPLE.com", 200}, {"api.example.com", "api.example.com:443", 200},
		{"other.example.com", "other.example.com", 200}, {"other.example.com", "api.example.com", 421}, {"api.example.com", "other.example.com", 421},
		{"api.example.com", "127.0.0.1", 421}, {"api.example.com", "elsewhere.example.com", 421}, {"", "api.example.com", 200},
	} {
		for _, h2 := range []bool{false, true} {
			conf := c.as(who)
			conf.ServerName = x.sni
			if x.sni == "" {
				conf.ServerName = "127.0.0.1" // an address is never sent as a name
			}
			tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: h2, DisableKeepAlives: true}
			got := c.over(tr, "/mine", func(r *http.Request) { r.Host = x.host })
			if got.status != x.want || (got.proto == "HTTP/2.0") != h2 {
				t.Errorf("made to %q, asked for %q over %s: %d %s", x.sni, x.host, got.proto, got.status, got.body)
			}
		}
	}
}
