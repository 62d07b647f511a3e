package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Names of what WriteCertificate writes.
const (
	CAName          = "ca.pem"
	CertificateName = "cert.pem"
	KeyName         = "key.pem"
)

// CertificateLifetime is how long a certificate of the demonstration is valid.
const CertificateLifetime = 24 * time.Hour

// Hosts are the names a certificate of the demonstration stands for.
var Hosts = []string{"127.0.0.1", "localhost", "::1"}

// WriteCertificate makes a certificate for Hosts and a CA that has signed it and nothing else, and puts both into a
// directory, with the certificate's key. The CA's key is never written: whoever trusts the CA for the demonstration
// trusts nothing beyond it, and nothing beyond this machine (RFC 5280 §4.2.1.10).
func WriteCertificate(dir string, now time.Time) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the CA's key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the certificate's key: %w", err)
	}
	from, until := now.Add(-time.Minute), now.Add(CertificateLifetime)
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "Portreeve demonstration CA"}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, PermittedDNSDomainsCritical: true}
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "Portreeve demonstration"}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	for _, host := range Hosts {
		ip := net.ParseIP(host)
		if ip == nil {
			ca.PermittedDNSDomains = append(ca.PermittedDNSDomains, host)
			leaf.DNSNames = append(leaf.DNSNames, host)
			continue
		}
		if four := ip.To4(); four != nil {
			ip = four
		}
		ca.PermittedIPRanges = append(ca.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
		leaf.IPAddresses = append(leaf.IPAddresses, ip)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return fmt.Errorf("making the CA: %w", err)
	}
	if ca, err = x509.ParseCertificate(caDER); err != nil { // for its key identifier
		return fmt.Errorf("reading the CA: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return fmt.Errorf("making the certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the certificate's key: %w", err)
	}
	for _, f := range []struct {
		name  string
		block pem.Block
	}{{CAName, pem.Block{Type: "CERTIFICATE", Bytes: caDER}}, {CertificateName, pem.Block{Type: "CERTIFICATE", Bytes: der}}, {KeyName, pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}}} {
		if err := writeFile(dir, f.name, pem.EncodeToMemory(&f.block)); err != nil {
			return err
		}
	}
	return nil
}

// ReadRoots reads the CA of the demonstration: the one to trust, and no other.
func ReadRoots(dir string) (*x509.CertPool, error) {
	path := filepath.Join(dir, CAName)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("reading the CA: %s holds no certificate", path)
	}
	return pool, nil
}
