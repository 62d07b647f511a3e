package evidence

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/control/catalogue"
	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/plan"
)

// ManifestSchema is the form of a pack's manifest.
const ManifestSchema = "portreeve/pack/v1"

// The files of a pack. Beside them stands results/, each report as it was given.
const (
	ManifestFile = "manifest.json"
	EvidenceFile = "evidence.json"
	PageFile     = "report.html"
	inputsFile   = "inputs.json"
	planFile     = "plan.json"
	documentFile = "document.json"
	logFile      = "log.json"
	listFile     = "catalogue.yaml"
	readmeFile   = "README.txt"
	resultsDir   = "results/"
)

// Manifest lists the files of a pack. It is written in one form alone, so that each of its bytes is held as well.
type Manifest struct {
	Schema    string    `json:"schema"`
	Collected time.Time `json:"collected"`
	Sum       string    `json:"sum"` // SHA-256 over names, sizes and hashes of all files: the pack's own name
	Files     []File    `json:"files"`
}

// File is one file of a pack.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// saved is what evidence was made of, beside what stands in files of its own.
type saved struct {
	Now      time.Time       `json:"now"`
	Tool     string          `json:"tool"`
	Operator string          `json:"operator"`
	From     time.Time       `json:"from"`
	To       time.Time       `json:"to"`
	Files    []finding.Input `json:"files"`
	Chains   []Chain         `json:"chains"`
	Results  []savedResult   `json:"results"`
}

type savedResult struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Fault  string `json:"fault,omitempty"`
	File   string `json:"file"` // in the pack
}

// Report is the stored report of a file's text. A text that is none is kept with what is wrong about it: leaving it out
// would hide it.
func Report(name string, text []byte) Result {
	r := Result{Name: name, SHA256: Sum(text)}
	d := json.NewDecoder(bytes.NewReader(text))
	report := new(finding.Report)
	switch err := d.Decode(report); {
	case err != nil:
		r.Fault = "it is no report: it is not JSON of that form"
	case d.More():
		r.Fault = "it is no report: something follows it"
	default:
		r.Report = report
	}
	return r
}

// Source is the text of a stored report.
type Source struct {
	Name string
	Text []byte
}

// Write makes a pack in a new directory: what the evidence is made of, the evidence, and the page that shows it. Nobody
// else may read it, and a directory that holds something is not written into.
func Write(dir string, in *Inputs, e *Evidence, page []byte, results []Source, readme string) (*Manifest, error) {
	files := map[string][]byte{PageFile: page, listFile: catalogue.Text(), readmeFile: []byte(readme), documentFile: in.Plan.Document}
	s := saved{Now: in.Now, Tool: in.Tool, Operator: in.Operator, From: in.From, To: in.To, Files: in.Files, Chains: in.Chains, Results: []savedResult{}}
	for i, r := range in.Results {
		name := fmt.Sprintf("%s%03d.json", resultsDir, i+1)
		files[name] = results[i].Text
		s.Results = append(s.Results, savedResult{r.Name, r.SHA256, r.Fault, name})
	}
	bare := *in.Plan
	bare.Document = nil // it stands in its own file, byte by byte
	for name, v := range map[string]any{EvidenceFile: e, inputsFile: s, planFile: bare, logFile: in.Log} {
		b, err := encode(v)
		if err != nil {
			return nil, fmt.Errorf("writing pack: %s: %w", name, err)
		}
		files[name] = b
	}
	m := manifest(in.Now, files)
	text, err := encode(m)
	if err != nil {
		return nil, fmt.Errorf("writing pack: %w", err)
	}
	if err := fresh(dir); err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		if err := put(dir, f.Path, files[f.Path]); err != nil {
			return nil, err
		}
	}
	return m, put(dir, ManifestFile, text) // last: a pack without it was never finished
}

// fresh makes a directory, or takes one that is empty.
func fresh(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making pack: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("making pack: %w", err)
	}
	if len(entries) > 0 {
		return &OccupiedError{dir}
	}
	return nil
}

// OccupiedError is a directory that holds something already.
type OccupiedError struct{ Dir string }

func (e *OccupiedError) Error() string { return fmt.Sprintf("%s is not empty", e.Dir) }

func put(dir, name string, b []byte) error {
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		return fmt.Errorf("writing pack: %w", err)
	}
	if err := os.WriteFile(p, b, 0o600); err != nil {
		return fmt.Errorf("writing pack: %w", err)
	}
	return nil
}

// encode writes JSON in the one form that packs hold.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(v)
	return b.Bytes(), err
}

func manifest(at time.Time, files map[string][]byte) *Manifest {
	m := &Manifest{Schema: ManifestSchema, Collected: at}
	for name, b := range files {
		m.Files = append(m.Files, File{name, int64(len(b)), Sum(b)})
	}
	slices.SortFunc(m.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	m.Sum = m.sum()
	return m
}

func (m *Manifest) sum() string {
	h := sha256.New()
	for _, f := range m.Files {
		fmt.Fprintf(h, "%d:%s %d %s\n", len(f.Path), f.Path, f.Size, f.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Tampered is a pack that is not what was written.
type Tampered struct{ Problems []string }

func (t *Tampered) Error() string {
	return "the pack is not what was written: " + strings.Join(t.Problems, "; ")
}

// Verified is what verifying a pack found.
type Verified struct {
	Manifest   *Manifest
	Evidence   *Evidence
	Recomputed bool   // everything was computed again from the inputs, and is the same
	Why        string // or why not: another edition of the catalogue
}

// Verify holds a pack against its manifest, byte by byte, and computes all of its evidence again from its inputs. A pack
// that was altered is a *Tampered error. It cannot see that a whole pack was made anew: for that its sum must be known from
// elsewhere, and then it is held against it.
func Verify(dir, sum string) (*Verified, error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, fmt.Errorf("verifying pack: %w", err)
	}
	m := new(Manifest)
	if err := strict(text, m); err != nil || m.Schema != ManifestSchema {
		return nil, &Tampered{[]string{"the manifest is not readable as it was written"}}
	}
	var bad []string
	if m.Sum != m.sum() {
		bad = append(bad, "the manifest's sum is not that of its files")
	}
	if sum != "" && m.Sum != sum {
		bad = append(bad, "it is another pack: its sum is "+m.Sum)
	}
	files, problems, err := load(dir, m)
	if err != nil {
		return nil, err
	}
	if bad = append(bad, problems...); len(bad) > 0 {
		return nil, &Tampered{bad}
	}
	v := &Verified{Manifest: m, Evidence: new(Evidence)}
	if err := strict(files[EvidenceFile], v.Evidence); err != nil {
		return nil, &Tampered{[]string{EvidenceFile + " is not readable as it was written"}}
	}
	if !v.Evidence.Collected.Equal(m.Collected) {
		return nil, &Tampered{[]string{"evidence and manifest name different times"}}
	}
	if v.Evidence.Catalogue.SHA256 != catalogue.Builtin().Hash {
		v.Why = "it was made with another edition of the catalogue, sha256 " + v.Evidence.Catalogue.SHA256
		return v, nil
	}
	again, err := recompute(files)
	if err != nil {
		return nil, &Tampered{[]string{"its evidence cannot be computed again: " + err.Error()}}
	}
	b, err := encode(again)
	if err != nil {
		return nil, fmt.Errorf("verifying pack: %w", err)
	}
	if !bytes.Equal(b, files[EvidenceFile]) {
		return nil, &Tampered{[]string{"computed again from its inputs, its evidence is another"}}
	}
	v.Recomputed = true
	return v, nil
}

// load reads every file of a pack and says what is not as the manifest has it.
func load(dir string, m *Manifest) (files map[string][]byte, bad []string, err error) {
	files = map[string][]byte{}
	for _, f := range m.Files {
		if f.Path != path.Clean(f.Path) || !filepath.IsLocal(filepath.FromSlash(f.Path)) || f.Path == ManifestFile || files[f.Path] != nil {
			return nil, []string{fmt.Sprintf("the manifest names %q", f.Path)}, nil
		}
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			bad = append(bad, f.Path+" is missing")
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("verifying pack: %w", err)
		case int64(len(b)) != f.Size || Sum(b) != f.SHA256:
			bad = append(bad, f.Path+" was changed")
		}
		files[f.Path] = b
	}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if _, known := files[rel]; !d.IsDir() && !known && rel != ManifestFile && !slices.ContainsFunc(m.Files, func(f File) bool { return f.Path == rel }) {
			bad = append(bad, rel+" is not of the pack")
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("verifying pack: %w", err)
	}
	for _, name := range []string{EvidenceFile, PageFile, inputsFile, planFile, documentFile, logFile, listFile} {
		if !slices.ContainsFunc(m.Files, func(f File) bool { return f.Path == name }) {
			bad = append(bad, "the manifest lacks "+name)
		}
	}
	return files, bad, nil
}

// strict reads JSON of the one form that encode writes: what it would write otherwise is not what was written.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	again, err := encode(into)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return errors.New("it is not in the form in which it is written")
	}
	return nil
}

// recompute makes the evidence of a pack's inputs.
func recompute(files map[string][]byte) (*Evidence, error) {
	var s saved
	p := new(plan.Plan)
	var l *Log
	for name, into := range map[string]any{inputsFile: &s, planFile: p, logFile: &l} {
		if err := strict(files[name], into); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	p.Document = files[documentFile]
	p.Hash = p.Sum()
	in := &Inputs{Now: s.Now, Tool: s.Tool, Operator: s.Operator, From: s.From, To: s.To, Plan: p, Files: s.Files, Chains: s.Chains, Log: l, Catalogue: catalogue.Builtin()}
	for _, r := range s.Results {
		text, ok := files[r.File]
		if !ok || !strings.HasPrefix(r.File, resultsDir) {
			return nil, fmt.Errorf("the report %s is missing", r.File)
		}
		got := Report(r.Name, text)
		if got.SHA256 != r.SHA256 || got.Fault != r.Fault {
			return nil, fmt.Errorf("the report %s is another", r.File)
		}
		in.Results = append(in.Results, got)
	}
	return Collect(in)
}
