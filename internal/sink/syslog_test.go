package sink

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/certificate/certtest"
)

// rsyslog is a real syslog server that takes TLS on the loopback and writes each message's text into a file.
type rsyslog struct {
	t       *testing.T
	dir     string
	address string
	roots   *x509.CertPool
	process *exec.Cmd
}

func newRsyslog(t *testing.T) *rsyslog {
	t.Helper()
	if _, err := exec.LookPath("rsyslogd"); err != nil {
		t.Skip("SKIPPED: rsyslogd is missing: apt-get install rsyslog rsyslog-openssl")
	}
	if m, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_ossl.so"); len(m) == 0 {
		t.Skip("SKIPPED: rsyslog's TLS is missing: apt-get install rsyslog-openssl")
	}
	r := &rsyslog{t: t, dir: t.TempDir()}
	ca := certtest.NewCA(t, "logs")
	r.roots = ca.Pool()
	cert, key := ca.Issue(t, certtest.Hosts("127.0.0.1")).Write(t, r.dir, "server")
	r.file("ca.pem", string(ca.PEM()))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(r.address)
	r.file("rsyslog.conf", fmt.Sprintf(`global(workDirectory="%[1]s" maxMessageSize="64k" defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="%[1]s/ca.pem" defaultNetstreamDriverCertFile="%[3]s" defaultNetstreamDriverKeyFile="%[4]s")
main_queue(queue.type="Direct")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="text" type="string" string="%%msg%%\n")
input(type="imtcp" address="127.0.0.1" port="%[2]s")
if $app-name == "portreeve" and $syslogfacility == 13 then action(type="omfile" file="%[1]s/events" template="text")
`, r.dir, port, cert, key))
	t.Cleanup(r.kill)
	return r
}

func (r *rsyslog) file(name, text string) {
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rsyslog) start() {
	r.t.Helper()
	os.Remove(filepath.Join(r.dir, "pid"))
	r.process = exec.Command("rsyslogd", "-n", "-f", filepath.Join(r.dir, "rsyslog.conf"), "-i", filepath.Join(r.dir, "pid"))
	var said bytes.Buffer
	r.process.Stdout, r.process.Stderr = &said, &said
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", r.address); err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("rsyslogd does not listen: %s", &said)
		}
	}
}

// kill is kill -9.
func (r *rsyslog) kill() {
	if r.process != nil {
		r.process.Process.Kill()
		r.process.Wait()
		r.process = nil
	}
}

// A real syslog server that is killed and comes back has every event, in order; one whose certificate nobody vouches for
// gets none.
func TestSyslog(t *testing.T) {
	r := newRsyslog(t)
	r.start()
	b := newBook(t)
	trust := &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS12}
	s := b.ship("siem", NewSyslog(r.address, trust, OCSF))
	b.write(200)
	b.await(s, 200)
	for round := range 3 {
		r.kill()
		b.write(100)
		for !s.Status().Failing {
			time.Sleep(time.Millisecond)
		}
		r.start()
		b.await(s, uint64(300+100*round))
	}
	closing(t, s)
	got, err := os.ReadFile(filepath.Join(r.dir, "events"))
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for line := range bytes.Lines(got) {
		text = append(text, bytes.TrimLeft(line, " ")...)
	}
	t.Logf("%d lines came twice over three kills", held(t, numbers(t, text), 500))

	stranger := NewSyslog(r.address, &tls.Config{MinVersion: tls.VersionTLS12}, OCSF)
	if err := stranger.Send(t.Context(), Batch{"o", []Record{{1, []byte("{}")}}}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown server: %v", err)
	}
}
