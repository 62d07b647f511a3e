package lint

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/certificate"
	"github.com/portreeve/portreeve/internal/tree"
)

// certificateUnusable reads certificates, keys and roots as the gate will. Files that are not here are no finding: a
// configuration is checked where its keys are not.
func certificateUnusable(s *search) {
	judge := func(at tree.Position, err error) {
		s.look()
		var bad *certificate.Error
		if errors.As(err, &bad) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			problem := bad.Problem
			if bad.Err != nil {
				problem += ": " + bad.Err.Error()
			}
			s.find(found{at: at, key: problem}, "%s", problem)
		}
	}
	tls := s.Plan.Server.TLS
	for _, c := range tls.Certificates {
		_, err := certificate.Load(certificate.Pair(c), certificate.Server, s.now)
		judge(s.Config.At("tls"), err)
	}
	if c := s.Plan.Upstream.Client; c.Cert != "" {
		_, err := certificate.Load(certificate.Pair(c), certificate.Client, s.now)
		judge(s.Config.At("upstream", "client_cert"), err)
	}
	for _, roots := range []struct {
		what, file string
		at         tree.Position
	}{{"tls.client_ca", tls.ClientCA, s.Config.At("tls", "client_ca")}, {"upstream.ca", s.Plan.Upstream.CA, s.Config.At("upstream", "ca")}} {
		if roots.file != "" {
			_, _, err := certificate.Pool(roots.what, roots.file)
			judge(roots.at, err)
		}
	}
}

// certificateExpiring reads certificates alone: keys are not needed to see when they end. Those that ended are unusable.
func certificateExpiring(s *search) {
	judge := func(at tree.Position, file string) {
		b, err := os.ReadFile(file)
		if err != nil {
			return
		}
		block, _ := pem.Decode(b)
		if block == nil {
			return
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return
		}
		s.look()
		if state := certificate.StateOf(leaf, s.now); state.Word != certificate.Good {
			s.find(found{at: at, key: strings.Join(state.Names, " ")}, "the certificate of %s ends on %s", strings.Join(state.Names, ", "), state.Until.Format(time.DateOnly))
		}
	}
	for _, c := range s.Plan.Server.TLS.Certificates {
		judge(s.Config.At("tls"), c.Cert)
	}
	if c := s.Plan.Upstream.Client.Cert; c != "" {
		judge(s.Config.At("upstream", "client_cert"), c)
	}
}
