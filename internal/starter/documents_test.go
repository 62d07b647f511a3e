package starter

import (
	"crypto/rand"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/config"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/spec"
	"github.com/portreeve/portreeve/internal/vectors"
)

// BenchmarkDocuments measures, on documents of other people, what stands between a file and a gate: reading with all that
// is referred to, the plan, and the binding of every step. What is bound is the starter's configuration, so that every
// operation has rules. It counts processor time, which a busy machine does not change much.
func BenchmarkDocuments(b *testing.B) {
	for _, d := range []struct {
		name string
		find func(testing.TB, string) string
		file string
	}{
		{"GitHub", vectors.Fetched, "github.json"},
		{"Stripe", vectors.Fetched, "stripe.yaml"},
		{"DocuSign", vectors.Fetched, "docusign.json"},
		{"Kubernetes", vectors.Fetched, "kubernetes.json"},
		{"Box", vectors.Path, "documents/box.json"},
		{"DigitalOcean", vectors.Path, "documents/digitalocean/specification/DigitalOcean-public.v2.yaml"},
	} {
		b.Run(d.name, func(b *testing.B) {
			path := d.find(b, d.file)
			doc, err := Read(path)
			if err != nil {
				b.Fatal(err)
			}
			p, err := Propose(doc, Options{Document: path})
			if err != nil {
				b.Fatal(err)
			}
			overlay := spec.Overlay{File: OverlayName, Text: p.Overlay()}
			c, err := config.Parse(ConfigName, p.Configuration(), today)
			if err != nil {
				b.Fatal(err)
			}
			var read, compiled, bound time.Duration
			operations, size := 0, 0
			for b.Loop() {
				begun := spent(b)
				doc, err := spec.Load(path)
				if err != nil {
					b.Fatal(err)
				}
				read += spent(b) - begun
				begun = spent(b)
				if doc, err = doc.Overlaid(overlay); err != nil {
					b.Fatal(err)
				}
				made, err := compile.Compile(c, doc, func(s string) string { return s })
				if err != nil {
					b.Fatal(err)
				}
				compiled += spent(b) - begun
				begun = spent(b)
				if _, err := deployment.Preview(made, rand.Reader); err != nil {
					b.Fatal(err)
				}
				bound += spent(b) - begun
				operations, size = len(doc.Operations), len(doc.JSON)
			}
			per := func(d time.Duration) float64 { return float64(d.Milliseconds()) / float64(b.N) }
			b.ReportMetric(per(read), "cpu-ms-read")
			b.ReportMetric(per(compiled), "cpu-ms-plan")
			b.ReportMetric(per(bound), "cpu-ms-bind")
			b.ReportMetric(float64(operations), "operations")
			b.ReportMetric(float64(size)/(1<<20), "MB-JSON")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// spent is the processor time of this process so far.
func spent(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestStarts: what is proposed for the documents people have can be bound. The larger ones are the end-to-end tests'.
func TestStarts(t *testing.T) {
	t.Run("kubernetes", func(t *testing.T) { starts(t, vectors.Fetched(t, "kubernetes.json")) })
	t.Run("digitalocean", func(t *testing.T) {
		starts(t, vectors.Path(t, "documents/digitalocean/specification/DigitalOcean-public.v2.yaml"))
	})
}

func starts(t *testing.T, path string) {
	d, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	p, made := bindable(t, d, Options{Document: path})
	c := p.Counts()
	t.Logf("%+v, %d parameters taken out", c, len(p.Parameters))
	if c.Permissions == 0 || len(made.Operations) < c.Operations-1 {
		t.Errorf("%+v, and %d operations are in the plan", c, len(made.Operations))
	}
}
