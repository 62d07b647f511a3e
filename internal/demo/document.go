package demo

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed openapi.yaml
var document []byte

//go:embed portreeve.yaml
var configuration string

// Document returns the OpenAPI document of the API as it should be.
func Document() []byte { return bytes.Clone(document) }

// Names of what WriteFiles writes.
const (
	DocumentName      = "openapi.yaml"
	ConfigurationName = "portreeve.yaml"
)

// Audience is the aud of the assertions that the API behind the gate demands.
const Audience = "demo-api"

// Settings are what a configuration of the gate depends on.
type Settings struct {
	URL      string   // of the gate
	Hosts    []string // further names of it
	Listen   string
	Admin    string
	Upstream string // URL of the API behind it
	TLS      bool   // with what WriteCertificate writes
}

var configurationTemplate = template.Must(template.New(ConfigurationName).Funcs(template.FuncMap{"quote": quote}).Parse(configuration))

// quote writes a JSON string, which is YAML too.
func quote(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// Configuration returns the gate's configuration; it names DocumentName beside it.
func (s Settings) Configuration() ([]byte, error) {
	var b bytes.Buffer
	if err := configurationTemplate.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("writing configuration: %w", err)
	}
	return b.Bytes(), nil
}

// WriteFiles puts document and configuration into a directory and returns the configuration's path.
func (s Settings) WriteFiles(dir string) (string, error) {
	text, err := s.Configuration()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, ConfigurationName)
	for name, b := range map[string][]byte{filepath.Join(dir, DocumentName): document, path: text} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			return "", fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return path, nil
}
