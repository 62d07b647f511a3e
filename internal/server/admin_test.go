package server

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A browser on this machine cannot be made to ask: its requests name the page's host, or the page's origin.
//
//threat:47 /metrics, /health and the probes under other hosts, from pages of other origins, by other methods and near paths → 421, 403, 405, 404
func TestAdminHostsAndOrigins(t *testing.T) {
	s := start(t, "http://127.0.0.1:1", "")
	_, port, err := net.SplitHostPort(s.admin.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, host, header, value string
		want                              int
	}{
		{"GET", "/livez", "127.0.0.1:9443", "", "", 200},
		{"GET", "/metrics", "localhost:9443", "Sec-Fetch-Site", "none", 200},
		{"GET", "/livez", "[::1]:9443", "Sec-Fetch-Site", "same-origin", 200},
		{"GET", "/metrics", "evil.test", "", "", 421},
		{"GET", "/metrics", "evil.test:9443", "", "", 421},
		{"GET", "/metrics", "127.0.0.1", "", "", 421},
		{"GET", "/metrics", "127.0.0.1.:9443", "", "", 421},
		{"GET", "/metrics", "127.0.0.1:9443", "Origin", "https://evil.test", 403},
		{"GET", "/metrics", "127.0.0.1:9443", "Origin", "null", 403},
		{"GET", "/metrics", "127.0.0.1:9443", "Sec-Fetch-Site", "cross-site", 403},
		{"GET", "/metrics", "127.0.0.1:9443", "Sec-Fetch-Site", "same-site", 403},
		{"POST", "/metrics", "127.0.0.1:9443", "", "", 405},
		{"GET", "/metrics/x", "127.0.0.1:9443", "", "", 404},
		{"GET", "/healthy", "127.0.0.1:9443", "", "", 404},
	} {
		req, err := http.NewRequest(c.method, s.Admin()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if req.Host = strings.Replace(c.host, "9443", port, 1); c.header != "" {
			req.Header.Set(c.header, c.value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.want {
			t.Errorf("%s %s at %q, %s %q: %d, want %d", c.method, c.path, c.host, c.header, c.value, resp.StatusCode, c.want)
		}
		if got := resp.Header; got.Get("Access-Control-Allow-Origin") != "" || resp.StatusCode != http.StatusOK && len(body) > 300 {
			t.Errorf("%s at %q says too much: %v", c.path, c.host, got)
		}
	}
}
