// Package certificate reads what TLS is proven with: the certificates that a listener or a client shows, with their keys,
// and the roots by which others are judged. It refuses at once what would fail later, at somebody's handshake, and takes
// renewed files over while the program runs.
//
// It never logs a key and never judges a peer without roots.
package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Pair names the two PEM files of one certificate: the chain, leaf first, and its private key.
type Pair struct{ Cert, Key string }

// Use is what a certificate is shown for.
type Use x509.ExtKeyUsage

const (
	Server = Use(x509.ExtKeyUsageServerAuth)
	Client = Use(x509.ExtKeyUsageClientAuth)
)

// Error says why a file cannot be used, and how to mend it. It is the owner's to mend.
type Error struct {
	Problem, Hint string
	Err           error // of the file system, or nil
}

func (e *Error) Error() string {
	text := e.Problem
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		text += "\nhint: " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// BadInput marks the fault as the user's to mend.
func (e *Error) BadInput() bool { return true }

// maxFile bounds what is read: a bundle of all public roots has a third of it.
const maxFile = 1 << 20

// read returns a file's bytes, at most maxFile.
func read(what, file string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, 0, &Error{"reading " + what, "", err}
	case !info.Mode().IsRegular():
		return nil, 0, &Error{what + " " + file + " is no file", "", nil}
	case info.Size() > maxFile:
		return nil, 0, &Error{fmt.Sprintf("%s %s is larger than %d bytes", what, file, maxFile), "", nil}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, 0, &Error{"reading " + what, "", err}
	}
	return b, info.Mode(), nil
}

// Load reads a pair and holds it to what clients will: that the two belong together, that it is valid now, for this use,
// and with a key of today's strength. A private key that everybody on the machine may read is refused.
func Load(p Pair, use Use, now time.Time) (*tls.Certificate, error) {
	chain, _, err := read("certificate", p.Cert)
	if err != nil {
		return nil, err
	}
	key, mode, err := read("private key", p.Key)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if mode.Perm()&0o007 != 0 {
		return nil, &Error{fmt.Sprintf("private key %s may be used by everybody on this machine (mode %04o)", p.Key, mode.Perm()), "chmod 600 " + p.Key, nil}
	}
	if err := readable(p, chain, key); err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(chain, key)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return nil, &Error{fmt.Sprintf("private key %s does not belong to the first certificate of %s", p.Key, p.Cert), "the server's own certificate stands first in the file, those of the authorities after it", nil}
	case err != nil:
		return nil, &Error{fmt.Sprintf("certificate %s and private key %s cannot be used", p.Cert, p.Key), "", err}
	}
	return &c, judge(p.Cert, c.Leaf, use, now)
}

// readable tells the faults that crypto/tls has no clear words for.
func readable(p Pair, chain, key []byte) error {
	if !bytes.Contains(chain, []byte("-----BEGIN CERTIFICATE-----")) {
		return &Error{fmt.Sprintf("certificate %s holds no certificate in PEM form", p.Cert), "", nil}
	}
	b, _ := pem.Decode(key)
	switch {
	case b == nil:
		return &Error{fmt.Sprintf("private key %s holds no key in PEM form", p.Key), "", nil}
	case strings.Contains(b.Type, "ENCRYPTED") || b.Headers["DEK-Info"] != "":
		return &Error{fmt.Sprintf("private key %s is encrypted", p.Key), "openssl pkey -in " + p.Key + " -out plain.pem", nil}
	}
	return nil
}

// judge holds a leaf to what every client asks of it.
func judge(file string, leaf *x509.Certificate, use Use, now time.Time) error {
	bad := func(hint, format string, args ...any) error {
		return &Error{"certificate " + file + " " + fmt.Sprintf(format, args...), hint, nil}
	}
	switch k := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return bad("make a key of 2048 bits, or one of P-256", "has a key of %d bits, which nobody trusts", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return bad("make a key of P-256", "has a key of %d bits, which nobody trusts", k.Curve.Params().BitSize)
		}
	}
	switch {
	case now.After(leaf.NotAfter):
		return bad("renew it", "expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return bad("look at this machine's clock", "is valid only from %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsage(use)) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny):
		return bad("ask for another one", "is not made for %s (extended key usage)", map[Use]string{Server: "servers", Client: "clients"}[use])
	case use == Server && len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
		return bad("ask for one with a subject alternative name; clients do not read the common name", "names no host")
	}
	return nil
}

// Pool reads a file of roots. One that holds anything but certificates that may sign others is refused: a root that was
// skipped would be missed only when its clients are turned away.
func Pool(what, file string) (*x509.CertPool, []*x509.Certificate, error) {
	b, _, err := read(what, file)
	if err != nil {
		return nil, nil, err
	}
	var all []*x509.Certificate
	pool := x509.NewCertPool()
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, nil, &Error{fmt.Sprintf("%s %s holds a %s", what, file, strings.ToLower(block.Type)), "only certificates of authorities belong there", nil}
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, &Error{fmt.Sprintf("%s %s: certificate %d cannot be read", what, file, len(all)+1), "", err}
		}
		all = append(all, c)
		pool.AddCert(c)
	}
	if len(all) == 0 {
		return nil, nil, &Error{fmt.Sprintf("%s %s holds no certificate in PEM form", what, file), "", nil}
	}
	return pool, all, nil
}

// Warn is how long before its end a certificate is spoken of, where it lasts for months.
const Warn = 14 * 24 * time.Hour

// Word says how a certificate stands.
type Word string

const (
	Good     Word = "ok"
	Expiring Word = "expiring" // it should have been renewed by now
	Expired  Word = "expired"
	Missing  Word = "missing" // it is being asked for
)

// State is one certificate as people should see it.
type State struct {
	Name  string    `json:"name"`  // the first name it stands for
	Names []string  `json:"names"` // all of them
	Until time.Time `json:"not_after"`
	Word  Word      `json:"state"`
}

// StateOf judges a leaf. One that lives for less than six weeks is expiring in the last third of its life: it is renewed
// then (RFC 9773 would say when).
func StateOf(leaf *x509.Certificate, now time.Time) State {
	s := State{Names: names(leaf), Until: leaf.NotAfter.UTC(), Word: Good}
	if len(s.Names) > 0 {
		s.Name = s.Names[0]
	}
	left := leaf.NotAfter.Sub(now)
	switch {
	case left <= 0:
		s.Word = Expired
	case left < min(Warn, leaf.NotAfter.Sub(leaf.NotBefore)/3):
		s.Word = Expiring
	}
	return s
}

func names(leaf *x509.Certificate) []string {
	out := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}
