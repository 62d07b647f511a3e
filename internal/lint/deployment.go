package lint

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/tree"
)

// refusedRule is the one whose findings others may have said better.
const refusedRule = "plan-refused"

func planRefused(s *search) {
	s.look()
	if s.Refused == nil {
		return
	}
	for _, e := range faults(s.Refused) {
		s.find(found{at: e.At, key: e.Problem}, "the gate does not start with this: %s", e.Problem)
	}
}

// faults are the single faults an error joins.
func faults(err error) []*tree.Error {
	var out []*tree.Error
	switch e := err.(type) {
	case *tree.Error:
		out = append(out, e)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = append(out, faults(inner)...)
		}
	default:
		out = append(out, &tree.Error{Problem: err.Error()})
	}
	return out
}

// unsafeSwitch lists one of the configuration's switch-offs, with its reason.
func unsafeSwitch(name string) func(*search) {
	return func(s *search) {
		s.look()
		for _, x := range s.Config.Unsafe() {
			if x.Name != name {
				continue
			}
			until := ""
			if !x.Until.IsZero() {
				until = ", until " + x.Until.Add(-time.Second).Format(time.DateOnly)
			}
			s.find(found{at: x.At, key: x.Name}, "%s switches a protection off%s: %q", x.Name, until, x.Reason)
		}
	}
}

// unsafePattern lists the patterns of the document that may pass where they cannot be enforced.
func unsafePattern(s *search) {
	s.look()
	for _, u := range s.Document.Patterns {
		s.find(found{at: u.At, key: u.At.String()}, "unsafe_pattern lets a text pass unjudged: %q", u.Reason)
	}
}

func unsafeUnjudged(s *search) {
	s.look()
	for _, op := range s.Document.Operations {
		if op.Ext.Unjudged != "" {
			s.find(found{at: op.Ext.UnjudgedAt, pointer: op.Pointer + "/x-portreeve/unsafe_unjudged", op: op}, "unsafe_unjudged lets bodies pass unjudged: %q", op.Ext.Unjudged)
		}
	}
}

func connectionsUnshared(s *search) {
	s.look()
	if c := s.Config.Limits.Connections; c.Address > c.Total/2 {
		s.find(found{at: s.Config.At("limits", "connections", "address")}, "%d of %d connections may be of one address", min(c.Address, c.Total), c.Total)
	}
}

func timeoutsEndless(s *search) {
	s.look()
	const slowest = 64 // bytes a second
	t := s.Config.Timeouts
	if t.Header > 30*time.Second {
		s.find(found{at: s.Config.At("timeouts", "header"), key: "header"}, "a header may take %s to arrive", t.Header)
	}
	if t.Idle > 5*time.Minute {
		s.find(found{at: s.Config.At("timeouts", "idle"), key: "idle"}, "a connection on which nothing happens is kept for %s", t.Idle)
	}
	if t.Rate < slowest {
		s.find(found{at: s.Config.At("timeouts", "rate"), key: "rate"}, "a body may come with %d bytes a second", t.Rate)
	}
}

func undeclaredIgnored(s *search) {
	s.look()
	if s.Config.Undeclared.Request == "ignore" {
		s.find(found{at: s.Config.At("undeclared", "request"), key: "configuration"}, "members of requests that the document does not declare reach the API")
	}
	if x := s.Document.Ext; x.Undeclared.Request == "ignore" {
		s.find(found{at: x.At, pointer: "/x-portreeve", key: "document"}, "members of requests that the document does not declare reach the API")
	}
	for _, op := range s.Document.Operations {
		if op.Ext.Undeclared.Request == "ignore" {
			s.find(found{at: op.Ext.At, pointer: op.Pointer + "/x-portreeve", op: op}, "members of requests that the document does not declare reach the API")
		}
	}
}

func undeclaredPassed(s *search) {
	s.look()
	if s.Config.Undeclared.Response == "pass" {
		s.find(found{at: s.Config.At("undeclared", "response"), key: "configuration"}, "members of answers that the document does not declare leave")
	}
	if x := s.Document.Ext; x.Undeclared.Response == "pass" {
		s.find(found{at: x.At, pointer: "/x-portreeve", key: "document"}, "members of answers that the document does not declare leave")
	}
	for _, op := range s.Document.Operations {
		if op.Ext.Undeclared.Response == "pass" {
			s.find(found{at: op.Ext.At, pointer: op.Pointer + "/x-portreeve", op: op}, "members of answers that the document does not declare leave")
		}
	}
}

func corsPlaintextOrigin(s *search) {
	for _, origin := range s.Config.CORS.AllowOrigins {
		s.look()
		if u, err := url.Parse(origin); err == nil && u.Scheme == "http" && (!loopback(u) || s.Config.Environment == "production") {
			s.find(found{at: s.Config.At("cors", "allow_origins"), key: origin}, "pages of %s may read answers, and whoever sits on the way can change those pages", origin)
		}
	}
}

func upstreamPlaintext(s *search) {
	u, err := url.Parse(s.Config.Upstream.URL)
	if err != nil || s.Config.Upstream.URL == "" {
		return
	}
	s.look()
	if u.Scheme == "http" && !loopback(u) {
		s.find(found{at: s.Config.At("upstream", "url")}, "the way to the API at %s is plain http", u.Host)
	}
}

func upstreamUnassured(s *search) {
	u, err := url.Parse(s.Config.Upstream.URL)
	if err != nil || s.Config.Upstream.URL == "" || loopback(u) {
		return
	}
	s.look()
	if s.Config.Upstream.Assertion == nil {
		s.find(found{at: s.Config.At("upstream")}, "the API at %s cannot tell the gate's requests from those that went around it", u.Host)
	}
}

func tokenLenient(s *search) {
	const longest, widest = 24 * time.Hour, 2 * time.Minute
	for i, is := range s.Config.Identity.Issuers {
		s.look()
		at := s.Config.At("identity", "issuers")
		if is.MaxLifetime > longest {
			s.find(found{at: at, key: is.ID + " lifetime"}, "tokens of the issuer %q (number %d) may live for %s", is.ID, i+1, is.MaxLifetime)
		}
		if is.Leeway > widest {
			s.find(found{at: at, key: is.ID + " leeway"}, "tokens of the issuer %q (number %d) are believed for %s after they end", is.ID, i+1, is.Leeway)
		}
	}
}

func debugOn(s *search) {
	s.look()
	if s.Config.Debug {
		s.find(found{at: s.Config.At("debug"), key: "debug"}, "debug is on")
	}
	if s.Config.Environment == "development" && !config.Loopback(s.Config.Listen) {
		s.find(found{at: s.Config.At("environment"), key: "environment"}, "environment is development, and the gate listens beyond this machine")
	}
}

func contactMissing(s *search) {
	s.look()
	if s.Config.Help.Contact == "" {
		s.find(found{at: s.Config.At("version")}, "who finds a weakness is not told where to report it: help.contact is not set")
	}
}

func documentWarning(s *search) {
	s.look()
	for _, w := range s.Document.Warnings {
		s.find(found{at: w.At, key: w.Problem}, "%s", w.Problem)
	}
}

func operationUnnamed(s *search) {
	for _, op := range s.Document.Operations {
		s.look()
		if s.Document.Node(op.Pointer).Get("operationId") == nil {
			s.find(found{at: op.At, pointer: op.Pointer, op: op}, "the operation has no operationId: limits, policies and records can name it by its path only")
		}
	}
}

func deprecatedWithoutEnd(s *search) {
	for _, op := range s.Document.Operations {
		if !op.Deprecated {
			continue
		}
		s.look()
		n := s.Document.Node(op.Pointer)
		declared := slices.ContainsFunc(op.Responses, func(r spec.Response) bool {
			return slices.ContainsFunc(r.Headers, func(h string) bool { return strings.EqualFold(h, "Sunset") })
		})
		if !declared && n.Get("x-sunset") == nil {
			s.find(found{at: op.At, pointer: op.Pointer, op: op}, "the operation is deprecated, and nothing says when it ends (Sunset, RFC 8594)")
		}
	}
}
