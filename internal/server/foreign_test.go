package server

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/certificate/certtest"
)

// openssl speaks to a gate and returns all that it says. A handshake that fails is no error of the test's.
func openssl(t *testing.T, s *running, input string, args ...string) (said string, ok bool) {
	t.Helper()
	cmd := exec.Command("openssl", append([]string{"s_client", "-connect", s.address()}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	b, err := cmd.CombinedOutput()
	return string(b), err == nil
}

// TestOpenSSL has the gate's TLS judged by somebody else's implementation: versions, each suite that it knows,
// renegotiation, compression, early data, and the certificate of each name.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: openssl is not installed (Debian: openssl)")
	}
	dir := t.TempDir()
	ca := certtest.NewCA(t, "root")
	root, _ := ca.Write(t, dir, "ca")
	var more []string
	for _, host := range []string{"a.example.com", "b.example.com"} {
		cert, key := ca.Issue(t, certtest.Hosts(host)).Write(t, dir, host)
		more = append(more, "{cert: "+cert+", key: "+key+"}")
	}
	s := start(t, "http://127.0.0.1:1", "tls: {certificates: ["+strings.Join(more, ", ")+"]}\n")
	weak := []string{"-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"} // the client itself would speak anything

	for version, want := range map[string]bool{"-tls1": false, "-tls1_1": false, "-tls1_2": true, "-tls1_3": true} {
		if said, ok := openssl(t, s, "", append([]string{version}, weak...)...); ok != want {
			t.Errorf("%s: spoken %t\n%s", version, ok, said)
		}
	}

	out, err := exec.Command("openssl", "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").Output()
	if err != nil {
		t.Fatal(err)
	}
	tried, spoken := 0, []string{}
	for suite := range strings.SplitSeq(strings.TrimSpace(string(out)), ":") {
		tried++
		if _, ok := openssl(t, s, "", "-tls1_2", "-cipher", suite+":@SECLEVEL=0"); ok {
			spoken = append(spoken, suite)
		}
	}
	t.Logf("%d suites of TLS 1.2 tried, spoken: %s", tried, strings.Join(spoken, " "))
	good := regexp.MustCompile(`^ECDHE-ECDSA-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)$`)
	for _, suite := range spoken {
		if !good.MatchString(suite) {
			t.Errorf("%s is spoken", suite)
		}
	}
	if tried < 30 || len(spoken) != 3 {
		t.Errorf("%d tried, %d spoken", tried, len(spoken))
	}

	said, _ := openssl(t, s, "R\n", "-tls1_2")
	if !strings.Contains(said, "RENEGOTIATING") || !strings.Contains(said, "no renegotiation") && !strings.Contains(said, "error") {
		t.Errorf("a client may renegotiate:\n%s", said)
	}
	if !strings.Contains(said, "Secure Renegotiation IS supported") { // RFC 5746
		t.Errorf("RFC 5746 is not spoken:\n%s", said)
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		if said, _ := openssl(t, s, "", version, "-comp"); !strings.Contains(said, "Compression: NONE") {
			t.Errorf("%s: compression:\n%s", version, said)
		}
	}
	if said, _ := openssl(t, s, "", "-tls1_3"); strings.Contains(said, "Early data was accepted") || strings.Contains(said, "Max Early Data: ") && !strings.Contains(said, "Max Early Data: 0") {
		t.Errorf("early data, which can be replayed, is offered:\n%s", said)
	}
	for host, want := range map[string]bool{"a.example.com": true, "b.example.com": true, "c.example.com": false} {
		said, ok := openssl(t, s, "", "-servername", host, "-CAfile", root, "-verify_return_error", "-verify_hostname", host)
		if ok != want || want && !strings.Contains(said, "Verify return code: 0 (ok)") {
			t.Errorf("%s: %t\n%s", host, ok, said)
		}
	}
	// Plain HTTP on the port of TLS is not answered as HTTP of the API.
	c, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	c.Write([]byte("GET /slow HTTP/1.1\r\nHost: a.example.com\r\n\r\n"))
	b := make([]byte, 512)
	if n, _ := c.Read(b); bytes.Contains(b[:n], []byte("200 OK")) {
		t.Errorf("%s", b[:n])
	}
}

// TestTestSSL has testssl.sh look at protocols, preferences and known weaknesses. It takes minutes: PORTREEVE_SOAK runs it.
func TestTestSSL(t *testing.T) {
	if os.Getenv("PORTREEVE_SOAK") == "" {
		t.Skip("SKIPPED: testssl.sh takes minutes; PORTREEVE_SOAK=1 runs it")
	}
	program, err := exec.LookPath("testssl")
	if err != nil {
		t.Skip("SKIPPED: testssl is not installed (Debian: testssl.sh)")
	}
	dir := t.TempDir()
	ca := certtest.NewCA(t, "root")
	cert, key := ca.Issue(t, certtest.Hosts("127.0.0.1", "localhost")).Write(t, dir, "server")
	s := start(t, "http://127.0.0.1:1", "tls: {cert: "+cert+", key: "+key+"}\nlimits: {address: 100000/1m}\n")
	root := filepath.Join(dir, "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(dir, "report.json")
	cmd := exec.Command(program, "--quiet", "--color", "0", "--warnings", "off", "--add-ca", root, "-p", "-S", "-U", "--jsonfile", report, s.address())
	out, runErr := cmd.CombinedOutput() // its exit code counts what it found
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v, %v\n%s", err, runErr, out)
	}
	var findings []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(text, &findings); err != nil {
		t.Fatal(err)
	}
	judged := map[string]int{}
	for _, f := range findings {
		if f.ID == "engine_problem" || f.ID == "cert_revocation" {
			continue // of testssl.sh's own openssl, and of the test's own authority
		}
		judged[f.Severity]++
		switch f.Severity {
		case "OK", "INFO", "LOW":
		default:
			t.Errorf("%s %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
	t.Logf("testssl.sh: %v", judged)
	if judged["OK"] < 20 {
		t.Errorf("it judged little: %v\n%s", judged, out)
	}
}
