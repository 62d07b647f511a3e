// Package report is the list of forms in which a search for weaknesses can be written down, and how a command line names
// one with its file. What a form looks like is its own package's; what was found is finding's.
package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/report/html"
	"github.com/portreeve/portreeve/internal/report/jsonreport"
	"github.com/portreeve/portreeve/internal/report/junit"
	"github.com/portreeve/portreeve/internal/report/sarif"
	"github.com/portreeve/portreeve/internal/report/terminal"
)

// Format is one form of a report.
type Format struct {
	Name  string
	Write func(w io.Writer, r *finding.Report) error
}

// Formats are all there are.
var Formats = []Format{
	{"text", terminal.Write},
	{"json", jsonreport.Write},
	{"html", html.Write},
	{"sarif", sarif.Write},
	{"junit", junit.Write},
}

// Names lists the formats for a message or a help text.
func Names() string {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// ByName returns the format of that name.
func ByName(name string) (Format, error) {
	for _, f := range Formats {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, fmt.Errorf("there is no report format %q: it is one of %s", name, Names())
}

// Output is a format and the file it goes to: what --report FORMAT=FILE names.
type Output struct {
	Format Format
	Path   string
}

// ParseOutput reads FORMAT=FILE.
func ParseOutput(s string) (Output, error) {
	name, path, ok := strings.Cut(s, "=")
	if !ok || path == "" {
		return Output{}, fmt.Errorf("a report is FORMAT=FILE, %q is not: FORMAT is one of %s", s, Names())
	}
	f, err := ByName(name)
	return Output{f, path}, err
}

// ParseOutputs reads several, before anything is done for which they would be written. A file named twice is an error.
func ParseOutputs(list []string) ([]Output, error) {
	var out []Output
	taken := map[string]bool{}
	for _, s := range list {
		o, err := ParseOutput(s)
		if err != nil {
			return nil, err
		}
		if path := filepath.Clean(o.Path); taken[path] {
			return nil, fmt.Errorf("two reports go to %s", o.Path)
		} else {
			taken[path] = true
		}
		out = append(out, o)
	}
	return out, nil
}

// Write puts the report into its file, whole or not at all. Only its owner may read it: it holds answers of the API.
func (o Output) Write(r *finding.Report) error {
	var b bytes.Buffer
	if err := o.Format.Write(&b, r); err != nil {
		return fmt.Errorf("writing %s report: %w", o.Format.Name, err)
	}
	f, err := os.CreateTemp(filepath.Dir(o.Path), ".report-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("writing %s report: %w", o.Format.Name, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b.Bytes())
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), o.Path)
	}
	if err != nil {
		return fmt.Errorf("writing %s report: %w", o.Format.Name, err)
	}
	return nil
}
