package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
)

var sinkName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// sinkSchemes are those of a sink's address; the second one is for this machine only.
var sinkSchemes = map[string][2]string{"syslog": {"tls", "tcp"}, "otlp": {"https", "http"}, "webhook": {"https", "http"}, "s3": {"https", "http"}}

func (d *decoder) sinks(c *Config) {
	names := map[string]bool{}
	for i := range c.Audit.Sinks {
		s := &c.Audit.Sinks[i]
		at := c.At("audit", "sinks")
		bad := func(hint, format string, args ...any) {
			d.fault(at, hint, "audit.sinks[%d]: %s", i, fmt.Sprintf(format, args...))
		}
		if names[s.Name] || !sinkName.MatchString(s.Name) {
			bad("lower-case letters, digits and dashes", "the name %q is taken, or is none", s.Name)
		}
		names[s.Name] = true
		kind, where, given := s.Target()
		if given != 1 {
			bad("give one of file, stdout, syslog, otlp, webhook, s3", "it has %d targets", given)
			continue
		}
		if schemes, ok := sinkSchemes[kind]; ok {
			u, err := url.Parse(where)
			switch {
			case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != schemes[0] && u.Scheme != schemes[1]:
				bad("", "%s is not a %s:// address without credentials", kind, schemes[0])
			case u.Scheme == schemes[1] && !Loopback(net.JoinHostPort(u.Hostname(), "0")):
				bad("events name people: use "+schemes[0]+"://", "%s goes in clear to another machine", kind)
			case kind == "syslog" && (u.Port() == "" || u.Path != ""):
				bad("tls://logs.example.com:6514", "syslog needs a host and a port")
			case kind == "s3" && strings.Trim(u.Path, "/") == "":
				bad("https://s3.example.com/bucket/prefix", "s3 names no bucket")
			}
		}
		if (kind == "webhook") == s.Secret.IsZero() {
			bad("secret: {env: NAME}", "a webhook has a secret, and nothing else has")
		}
		if keys := !s.Access.IsZero() && !s.Private.IsZero(); keys != (kind == "s3") || s.Access.IsZero() != s.Private.IsZero() {
			bad("access_key: {env: NAME}, secret_key: {env: NAME}", "s3 has an access_key and a secret_key, and nothing else has")
		}
		if len(s.Headers) > 0 && kind != "otlp" {
			bad("", "headers are for otlp")
		}
		for name, h := range s.Headers {
			if h.Value != "" && credential(name) {
				bad("write {env: NAME} or {file: PATH}", "headers.%s is a literal secret", name)
			}
		}
		if (s.CA != "" || s.Cert != "") && (kind == "file" || kind == "stdout") || (s.Cert == "") != (s.Key == "") {
			bad("", "ca, cert and key are for TLS, cert with key")
		}
		if s.Format != "ocsf" && (kind == "s3" || kind == "otlp") {
			bad("leave format out", "%s takes ocsf", kind)
		}
	}
}
