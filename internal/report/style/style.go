// Package style is the look of the reports that open in a browser: one style sheet, held within each report, readable on
// a telephone, a wide screen and paper, with contrasts of at least 4.5:1 (WCAG 2.2, 1.4.3). It fetches nothing.
package style

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
)

//go:embed style.css
var css string

// Sheet is the style sheet, to be written between <style> and </style> as it is.
func Sheet() template.CSS { return template.CSS(css) }

// Policy is the content security policy of a report (CSP 3): this style sheet and nothing else, so that hostile text
// which got past the escaping would still load and run nothing.
func Policy() string {
	sum := sha256.Sum256([]byte(css))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}
