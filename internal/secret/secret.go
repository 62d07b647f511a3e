// Package secret says where a secret comes from and fetches it; a secret never stands in the configuration, in a
// plan, in an argument of a process or in an error.
package secret

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// Ref names the source of a secret: exactly one of Env and File. It is safe to print and to hash.
type Ref struct {
	Env  string `json:"env,omitempty" yaml:"env,omitempty"`
	File string `json:"file,omitempty" yaml:"file,omitempty"`
}

// IsZero reports whether no source is named.
func (r Ref) IsZero() bool { return r == Ref{} }

// String returns the source for people, "env:NAME" or "file:PATH"; never the secret.
func (r Ref) String() string {
	switch {
	case r.Env != "":
		return "env:" + r.Env
	case r.File != "":
		return "file:" + r.File
	}
	return "none"
}

// Error says why a secret cannot be used. It is the owner's to mend, and never holds the secret.
type Error struct {
	Ref     Ref
	Problem string
	Err     error // of the file system, or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Problem + ": " + e.Err.Error()
	}
	return e.Problem
}

func (e *Error) Unwrap() error { return e.Err }

// BadInput marks the fault as the user's to mend.
func (e *Error) BadInput() bool { return true }

// maxFile bounds a secret file: certificates bundles are the largest lawful content.
const maxFile = 1 << 20

// Fetch returns the secret's bytes, one trailing line break removed. It fails on a missing, empty or well-known
// secret: an unset variable must stop the start, never weaken it (CVE-2026-54762's class).
func (r Ref) Fetch() ([]byte, error) {
	bad := func(err error, format string, args ...any) ([]byte, error) {
		return nil, &Error{r, fmt.Sprintf(format, args...), err}
	}
	var b []byte
	switch {
	case r.Env != "" && r.File != "":
		return bad(nil, "a secret has one source: env or file, not both")
	case r.Env != "":
		v, ok := os.LookupEnv(r.Env)
		if !ok {
			return bad(nil, "environment variable %s is not set", r.Env)
		}
		b = []byte(v)
	case r.File != "":
		info, err := os.Stat(r.File)
		if err != nil {
			return bad(err, "reading secret file")
		}
		if info.Size() > maxFile {
			return bad(nil, "secret file %s is larger than %d bytes", r.File, maxFile)
		}
		if b, err = os.ReadFile(r.File); err != nil {
			return bad(err, "reading secret file")
		}
	default:
		return bad(nil, "no source given for the secret: use {env: NAME} or {file: PATH}")
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 {
		return bad(nil, "the secret from %s is empty", r)
	}
	if WellKnown(string(b)) {
		return bad(nil, "the secret from %s is a well-known word\nhint: generate one, e.g. openssl rand -base64 32", r)
	}
	return b, nil
}

// WellKnown reports whether the value is a word everybody tries first. Comparison ignores case and surrounding space.
func WellKnown(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "secret", "changeme", "change-me", "change_me", "password", "passw0rd", "admin", "test", "default", "example",
		"letmein", "qwerty", "123456", "12345678", "1234567890", "supersecret", "super-secret", "your-secret",
		"your-256-bit-secret", "your-secret-key", "secretkey", "secret-key", "secret_key", "mysecret", "my-secret",
		"jwtsecret", "jwt-secret", "jwt_secret", "s3cr3t", "key", "token", "development", "dev", "replace-me", "replaceme",
		"todo", "none", "null", "undefined":
		return true
	}
	return false
}
