package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/control"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/wire"
)

// Name is the stage's name in the order.
const Name = "edge"

var controls = []control.ID{"validate.strict-schema", "limit.size", "inventory.documented"}

// Stage is the edge of one plan.
type Stage struct {
	rule   plan.Edge
	router *router
	chains func(*plan.Operation) *exchange.Chain
	none   *plan.Operation
}

// New builds the router of a plan. chains gives the chain of an operation; it is asked only while serving.
func New(p *plan.Plan, chains func(*plan.Operation) *exchange.Chain) (*Stage, error) {
	r, err := newRouter(p.Operations)
	if err != nil {
		return nil, fmt.Errorf("routing: %w", err)
	}
	return &Stage{rule: p.Edge, router: r, chains: chains, none: p.Unmatched}, nil
}

// Bind returns the edge's step. It is the same for every operation, because it runs before one is known.
func (s *Stage) Bind(op *plan.Operation) (exchange.Step, error) {
	host := "any host"
	if len(s.rule.Hosts) > 0 {
		host = "host " + strings.Join(s.rule.Hosts, " or ")
	}
	return exchange.Step{
		Stage:    Name,
		Rule:     fmt.Sprintf("one canonical form; %s; at most %d headers, %d bytes of target", host, s.rule.MaxHeaders, s.rule.MaxTarget),
		Source:   "built in",
		Controls: controls,
		Enter:    s.enter,
	}, nil
}

func refuse(x *exchange.Exchange, status int, fine access.Reason, detail string) exchange.Verdict {
	reason := problem.InvalidRequest
	if status == http.StatusNotFound {
		reason = problem.NotFound
	}
	return x.Refuse(exchange.Refusal{Status: status, Reason: reason, Fine: fine, Detail: detail})
}

// final refuses what would change the protocol and ends the connection: a client, or a proxy before us, that takes it for
// granted goes on in the other one, and what it sends must not be read as requests (CVE-2026-71324, CVE-2022-41721).
func final(x *exchange.Exchange, status int, fine access.Reason, detail string) exchange.Verdict {
	return x.Refuse(exchange.Refusal{Status: status, Reason: problem.InvalidRequest, Fine: fine, Detail: detail, Hangup: true})
}

// enter brings the request to its canonical form and finds its operation.
func (s *Stage) enter(x *exchange.Exchange) exchange.Verdict {
	r := x.Request
	s.unmatched(x)
	if named, ok := r.Header[wire.Header]; ok {
		return misframed(x, named)
	}
	if !sameLength(r) {
		return final(x, http.StatusBadRequest, "length_malformed", "Content-Length is not the body's")
	}
	if r.Header["Upgrade"] != nil {
		return final(x, http.StatusBadRequest, "upgrade_refused", "protocol upgrades are not offered")
	}
	if r.Method == http.MethodConnect {
		return final(x, http.StatusBadRequest, "connect_refused", "tunnels are not offered")
	}
	if len(r.RequestURI) > s.rule.MaxTarget || len(r.URL.RawPath)+len(r.URL.Path)+len(r.URL.RawQuery) > 2*s.rule.MaxTarget {
		return refuse(x, http.StatusRequestURITooLong, "target_too_long", "")
	}
	if !plainHost(r.Host) || !sameHost(r) {
		return refuse(x, http.StatusBadRequest, "host_malformed", "the host is not in its plain form")
	}
	if !s.knownHost(r.Host) {
		return refuse(x, http.StatusMisdirectedRequest, "host_unknown", "this host is not served here")
	}
	if r.TLS != nil && r.TLS.ServerName != "" && !namesHost(r.TLS.ServerName, r.Host) {
		// A connection is made to one name, and what was shown there was shown for it (RFC 9110 §7.4). Clients that
		// join several names on one connection ask again on another (RFC 9113 §9.1.2).
		return refuse(x, http.StatusMisdirectedRequest, "host_not_sni", "this connection was made to another host")
	}
	if why := judgeHeaders(r.Header, s.rule.MaxHeaders); why != "" {
		status := http.StatusBadRequest
		if why == "header_count" {
			status = http.StatusRequestHeaderFieldsTooLarge
		}
		return refuse(x, status, access.Reason(why), "")
	}
	clean(r.Header)
	if err := targetForm(r); err != nil {
		return refuse(x, http.StatusBadRequest, access.Reason(err.Error()), "the request target is not in its plain form")
	}
	var room [16]segment
	segments, err := canonicalPath(r.URL.EscapedPath(), room[:0])
	if err != nil {
		return refuse(x, http.StatusBadRequest, access.Reason(err.Error()), notPlainPath)
	}
	if x.Query, err = canonicalQuery(r.URL.RawQuery, x.Query[:0]); err != nil {
		return refuse(x, http.StatusBadRequest, access.Reason(err.Error()), "the query is not in its plain form")
	}
	canonicalise(r, segments, x.Query)
	return s.match(x, segments)
}

// misframed refuses what stands for a head that could not be read. What follows on the connection cannot be told apart.
func misframed(x *exchange.Exchange, named []string) exchange.Verdict {
	fault, status := wire.Known(strings.Join(named, ","))
	return x.Refuse(exchange.Refusal{Status: status, Reason: problem.InvalidRequest, Fine: access.Reason(fault),
		Detail: "the request is not framed as HTTP/1.1 is (RFC 9112)", Hangup: true})
}

// namesHost reports whether a name of TLS's server name indication is the host of an authority, whatever its port.
func namesHost(sni, authority string) bool {
	host := authority
	if i := strings.LastIndexByte(authority, ':'); i >= 0 {
		host = authority[:i]
	}
	return strings.EqualFold(sni, host)
}

// match finds the operation. A preflight is matched as the request it asks for (Fetch, "CORS-preflight request").
func (s *Stage) match(x *exchange.Exchange, segments []segment) exchange.Verdict {
	var values [8]string
	f, ok := s.router.root.find(segments, values[:0])
	semicolons, slashes := count(segments), slashed(segments)
	switch {
	case slashes > 0 && (!ok || s.decodesToAnother(segments)):
		return refuse(x, http.StatusBadRequest, access.Reason(errSeparator.Error()), notPlainPath)
	case !ok && semicolons > 0:
		return refuse(x, http.StatusBadRequest, access.Reason(errChar.Error()), notPlainPath)
	case !ok:
		return refuse(x, http.StatusNotFound, "path_undeclared", "")
	case f.ambiguous:
		return refuse(x, http.StatusBadRequest, "target_encoded_separator", notPlainPath)
	}
	method := x.Request.Method
	rt, ok := f.route(method)
	if method == http.MethodTrace {
		ok = false // never, whatever a document says: TRACE shows a request's credentials (RFC 9110 §9.3.8)
	}
	if !ok && method == http.MethodOptions && x.Request.Header.Get("Origin") != "" {
		if asked := x.Request.Header.Get("Access-Control-Request-Method"); asked != "" {
			rt, ok = f.route(asked)
		}
	}
	if !ok {
		return x.Refuse(exchange.Refusal{Status: http.StatusMethodNotAllowed, Reason: problem.InvalidRequest,
			Fine: "method_undeclared", Allow: f.allow()})
	}
	if semicolons > 0 && semicolons != inMatrices(f, rt) {
		return refuse(x, http.StatusBadRequest, access.Reason(errChar.Error()), notPlainPath)
	}
	if slashes > 0 && slashes != inSlashed(f, rt) {
		return refuse(x, http.StatusBadRequest, access.Reason(errSeparator.Error()), notPlainPath)
	}
	x.Op, x.Chain = rt.op, s.chains(rt.op)
	x.Path = f.params(rt, x.Path[:0])
	return exchange.Pass
}

const notPlainPath = "the path is not in its plain form"

// slashed counts the segments that hold an encoded slash.
func slashed(segments []segment) (n int) {
	for i := range segments {
		if segments[i].slash {
			n++
		}
	}
	return n
}

// inSlashed counts those that are values of parameters whose schema speaks of slashes.
func inSlashed(f found, rt *route) (n int) {
	for i, name := range rt.names {
		if strings.Contains(f.values[i], "%2F") && slices.ContainsFunc(rt.op.Request.Parameters, func(p plan.Parameter) bool {
			return p.In == "path" && p.Name == name && p.Slash
		}) {
			n++
		}
	}
	return n
}

// decodesToAnother reports whether whoever decodes the path before cutting it is led to an operation: of
// /files/{name} and /files/{name}/versions the path /files/a%2Fversions is both.
func (s *Stage) decodesToAnother(segments []segment) bool {
	var pieces []segment
	for _, seg := range segments {
		if !seg.slash {
			pieces = append(pieces, seg)
			continue
		}
		for piece := range strings.SplitSeq(seg.decoded, "/") {
			pieces = append(pieces, segment{escaped: piece, decoded: piece})
		}
	}
	_, ok := s.router.root.find(pieces, nil)
	return ok
}

// count counts the semicolons of a path. Servers cut a segment there, or do not (CVE-2020-5902's class), so they may stand
// only where an operation declares a parameter in style matrix.
func count(segments []segment) (n int) {
	for i := range segments {
		n += strings.Count(segments[i].escaped, ";")
	}
	return n
}

// inMatrices counts those that parameters in style matrix account for; such a value begins with one.
func inMatrices(f found, rt *route) (n int) {
	for i, name := range rt.names {
		if strings.HasPrefix(f.values[i], ";") && slices.ContainsFunc(rt.op.Request.Parameters, func(p plan.Parameter) bool {
			return p.In == "path" && p.Name == name && p.Style == "matrix"
		}) {
			n += strings.Count(f.values[i], ";")
		}
	}
	return n
}

func (s *Stage) unmatched(x *exchange.Exchange) {
	x.Op, x.Chain = s.none, s.chains(s.none)
}

// plainHost reports whether an authority is a name or an address and perhaps a port, as letters, digits, dots and dashes
// spell them (RFC 3986 §3.2.2 would let nearly everything in: user names, escapes, sub-delimiters). HTTP/1.0 may have none.
func plainHost(host string) bool {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		if name, port = host[:i], host[i+1:]; port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		address, err := netip.ParseAddr(inner)
		return ok && err == nil && address.Is6() && address.Zone() == ""
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c-'0' > 9 && c|0x20-'a' > 25 && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return name != "" || host == ""
}

// sameHost refuses a Host beside another :authority, which HTTP/2 lets clients send (RFC 9113 §8.3.1).
func sameHost(r *http.Request) bool {
	named := r.Header["Host"]
	return len(named) == 0 || len(named) == 1 && strings.EqualFold(named[0], r.Host)
}

// sameLength refuses a Content-Length that is not the length net/http goes by: HTTP/2 ends a stream without data, whatever
// its field says (RFC 9113 §8.1.1).
func sameLength(r *http.Request) bool {
	named := r.Header["Content-Length"]
	return len(named) == 0 || len(named) > 1 || named[0] == strconv.FormatInt(r.ContentLength, 10)
}

// knownHost compares the authority with the configured hosts; a default port may be left out.
func (s *Stage) knownHost(host string) bool {
	if len(s.rule.Hosts) == 0 {
		return true
	}
	h := strings.ToLower(host)
	return slices.Contains(s.rule.Hosts, h)
}

// targetForm refuses what net/url would read generously: fragments, raw controls, other bytes than visible ASCII, what may
// not stand raw in a path, and forms of the target other than a path. The absolute form of HTTP/1.1 is its path (RFC 9112
// §3.2.2); HTTP/2 has none, though net/http reads one (RFC 9113 §8.3.1).
func targetForm(r *http.Request) error {
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") {
		if r.ProtoMajor != 1 || r.URL.Scheme != "http" && r.URL.Scheme != "https" || r.URL.User != nil || r.URL.Host == "" ||
			!strings.EqualFold(r.URL.Host, r.Host) {
			return errForm
		}
		_, uri, _ = strings.Cut(uri, "://")
		uri = uri[min(len(r.URL.Host), len(uri)):]
	}
	path := true
	for i := 0; i < len(uri); i++ {
		switch c := uri[i]; {
		case c == '#':
			return errChar
		case c <= 0x20 || c == 0x7f:
			return errControl
		case c >= utf8.RuneSelf:
			return errUTF8
		case c == '?':
			path = false
		case path && class[c] == tolerated:
			return errChar // url.URL would escape it
		}
	}
	return nil
}

// canonicalise writes the canonical form back, so that every later reader sees what was judged.
func canonicalise(r *http.Request, segments []segment, query []exchange.Param) {
	var escaped, decoded strings.Builder
	for _, s := range segments {
		escaped.WriteByte('/')
		escaped.WriteString(s.escaped)
		decoded.WriteByte('/')
		decoded.WriteString(s.decoded)
	}
	delete(r.Header, "Host")
	if r.Header.Get("User-Agent") == "" {
		delete(r.Header, "User-Agent") // net/http sends none that is empty: it is not judged as one either
	}
	r.Host = strings.ToLower(r.Host)
	u := url.URL{Path: decoded.String(), RawPath: escaped.String()}
	u.RawQuery = EncodeQuery(query)
	*r.URL = u
	r.RequestURI = u.RawPath
	if u.RawQuery != "" {
		r.RequestURI += "?" + u.RawQuery
	}
}

// EncodeQuery writes canonical pairs as a query. A pair without "=" and one with an empty value are the same.
func EncodeQuery(query []exchange.Param) string {
	if len(query) == 0 {
		return ""
	}
	var b strings.Builder
	for i, p := range query {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.Name)
		b.WriteByte('=')
		b.WriteString(p.Value)
	}
	return b.String()
}
