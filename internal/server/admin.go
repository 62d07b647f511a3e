package server

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/problem"
)

// Admin answers the administrator's endpoints: /livez, /readyz, /health and /metrics. They only read. address is the
// listener's own; a request under any other host, or from a page of any other origin, is refused, so that a browser on
// this machine cannot be made to ask (DNS rebinding, CSRF; Caddy CVE-2026-27589).
func Admin(d *deployment.Deployment, version, address string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if missing := d.Ready(); len(missing) > 0 {
			plain(w, http.StatusServiceUnavailable, strings.Join(missing, "\n")+"\n")
			return
		}
		plain(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		h := d.Health(version)
		w.Header().Set("Content-Type", "application/json")
		if h.Status == "unavailable" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(h) // a client that left is nobody's fault
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.Metrics, promhttp.HandlerOpts{}))
	hosts := ownHosts(address)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if !slices.Contains(hosts, strings.ToLower(r.Host)) {
			refuse(w, http.StatusMisdirectedRequest, "this host is not served here")
			return
		}
		if !sameOrigin(r, hosts) {
			refuse(w, http.StatusForbidden, "requests from pages of another origin are refused")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// ownHosts are the names by which a loopback listener may be called.
func ownHosts(address string) []string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	names := []string{net.JoinHostPort(host, port)}
	for _, h := range []string{"localhost", "127.0.0.1", "::1"} {
		if j := net.JoinHostPort(h, port); !slices.Contains(names, j) {
			names = append(names, j)
		}
	}
	return names
}

// sameOrigin reports whether no page of another origin caused the request: what browsers say in Origin and
// Sec-Fetch-Site (Fetch Metadata); programs say neither.
func sameOrigin(r *http.Request, hosts []string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	o := r.Header.Get("Origin")
	if o == "" {
		return true
	}
	u, err := url.Parse(o)
	return err == nil && slices.Contains(hosts, strings.ToLower(u.Host))
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func refuse(w http.ResponseWriter, status int, detail string) {
	p := problem.Problem{Status: status, Reason: problem.Forbidden, Detail: detail}
	w.Header().Set("Content-Type", problem.ContentType)
	w.WriteHeader(status)
	_, _ = w.Write(p.Append(nil))
}
