package attack

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

// hiddenPaths are where software leaves what nobody meant to publish.
var hiddenPaths = []string{
	"/debug/vars", "/debug/pprof/", "/debug", "/actuator", "/actuator/env", "/actuator/heapdump", "/metrics", "/server-status", "/phpinfo.php", "/info.php",
	"/.env", "/.git/HEAD", "/.git/config", "/.aws/credentials", "/config.json", "/config.yaml", "/backup.sql", "/dump.sql", "/swagger.json", "/openapi.json",
	"/v2/api-docs", "/v3/api-docs", "/graphql", "/console", "/admin", "/trace", "/env", "/internal", "/test", "/__debug__/",
}

var undocumentedEndpoint = Attack{
	Rule: finding.Rule{ID: "undocumented-endpoint", Title: "Something answers that the document does not know", Severity: finding.High, CWE: []int{1059, 489, 538},
		OWASP2019: []string{"API9"}, OWASP2023: []string{"API9"}, Controls: ids("inventory.documented", "expose.debug-off"),
		Why: "Debug pages, metrics, settings and backups tell secrets, and nobody guards what nobody knows of.",
		Fix: "Serve only what the document declares; keep debug and metrics on another listener; answer 404 to the rest."},
	once: func(t *trial) result {
		var names []string
		var proof []finding.Exchange
		for _, path := range hiddenPaths {
			if slices.ContainsFunc(t.ops, func(o *operation) bool { return o.Path == path || o.Path == strings.TrimSuffix(path, "/") }) {
				continue
			}
			a := t.send(&call{method: http.MethodGet, path: path})
			if !a.ok() || len(a.body) == 0 || t.soft404(a) || t.alike(a, path) {
				continue
			}
			if names = append(names, path); len(proof) < 3 {
				proof = append(proof, t.proof(path, a))
			}
		}
		if len(names) > 0 {
			return found(strings.Join(names, ", ")+" answer, and are in no document", proof...)
		}
		return passed()
	},
}

// alike reports whether the target says the same to a path beside this one that cannot exist.
func (t *trial) alike(a *answer, path string) bool {
	beside := path[:strings.LastIndexByte(strings.TrimSuffix(path, "/"), '/')+1] + t.gen.canary()
	b := t.run.send(&call{method: http.MethodGet, path: beside})
	return b.ok() && (b.plain(beside) == a.plain(path) || len(a.body) == len(b.body))
}

var versionSegment = regexp.MustCompile(`^v([0-9]+)$`)

// otherVersions are where other versions of a path may be.
func otherVersions(path string) []string {
	segments := strings.Split(path, "/")[1:]
	for i, s := range segments {
		if m := versionSegment.FindStringSubmatch(s); m != nil {
			var out []string
			for _, v := range []string{"v0", "v1", "v2", "beta"} {
				if v != s {
					out = append(out, "/"+strings.Join(slices.Replace(slices.Clone(segments), i, i+1, v), "/"))
				}
			}
			return out
		}
	}
	var out []string
	for _, v := range []string{"v0", "v1", "old", "beta"} {
		if len(segments) > 1 {
			out = append(out, "/"+strings.Join(slices.Insert(slices.Clone(segments), 1, v), "/"))
		}
		out = append(out, "/"+v+path)
	}
	return out
}

var oldVersion = Attack{
	Rule: finding.Rule{ID: "old-version", Title: "A version answers that the document does not know", Severity: finding.High, CWE: []int{1059},
		OWASP2019: []string{"API9"}, OWASP2023: []string{"API9"}, Controls: ids("inventory.retired", "inventory.documented"),
		Why: "The old version still reads and writes the same data, without the checks that the new one got.",
		Fix: "Switch old versions off, or declare and guard them like the others."},
	once: func(t *trial) result {
		tried := 0
		for _, op := range t.ops {
			if !op.reached || !op.safe() || strings.Contains(op.Path, "{") || tried == 2 {
				continue
			}
			tried++
			for _, path := range otherVersions(op.Path) {
				if slices.ContainsFunc(t.ops, func(o *operation) bool { return o.Path == path }) {
					continue
				}
				c := &call{method: http.MethodGet, path: path + query(t.fresh(op).target()), as: credential{who: op.caller, kind: usual}}
				if op.caller == nil {
					c.as = credential{}
				}
				a := t.send(c)
				if !a.ok() || len(a.body) == 0 || t.soft404(a) || t.alike(a, path) {
					continue
				}
				if schema := t.successSchema(op); schema != nil && (!a.hasJSON || !slices.Contains(types(t.gen.choice(schema)), typeOf(a.json)) || t.stranger(schema, a.json)) {
					continue
				}
				return found(path+" answers like "+op.Path+", and is in no document", t.proof(path, a)).at(op)
			}
		}
		if tried == 0 {
			return undecided("no operation without path parameters was reached")
		}
		return passed()
	},
}

func query(target string) string {
	if i := strings.IndexByte(target, '?'); i >= 0 {
		return target[i:]
	}
	return ""
}
