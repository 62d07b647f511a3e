// Package screen judges free text by the OWASP Core Rule Set, run by Coraza: does a text look like an attack on a
// database, a shell, a page? It is a second line for fields that a schema cannot bound, never the first; what it lets
// pass is not safe, and what it refuses may be a lawful sentence. Its expressions are RE2's: no text makes one of them
// run away.
//
// It is the only package that links the rules, and sees texts alone: no header, no path, no name of a field.
package screen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
)

// Version is the release of the rules, and Released when that was; a test holds both against go.mod.
const Version = "4.25.0"

var Released = time.Date(2026, 3, 30, 0, 0, 0, 0, time.UTC)

// files are the rules about what a text says. Those about the protocol are not here: the edge is stricter.
var files = []string{"930-APPLICATION-ATTACK-LFI", "931-APPLICATION-ATTACK-RFI", "932-APPLICATION-ATTACK-RCE", "933-APPLICATION-ATTACK-PHP",
	"934-APPLICATION-ATTACK-GENERIC", "941-APPLICATION-ATTACK-XSS", "942-APPLICATION-ATTACK-SQLI", "944-APPLICATION-ATTACK-JAVA"}

// scores are CRS's anomaly scores by severity.
var scores = map[types.RuleSeverity]int{types.RuleSeverityCritical: 5, types.RuleSeverityError: 4, types.RuleSeverityWarning: 3, types.RuleSeverityNotice: 2}

// Screen is a compiled rule set. It may be used by several goroutines.
type Screen struct{ waf coraza.WAF }

// New compiles the rules of a paranoia level, 1 (few false alarms) to 4 (few misses).
func New(paranoia int) (*Screen, error) {
	if paranoia < 1 || paranoia > 4 {
		return nil, fmt.Errorf("screening has paranoia levels 1 to 4, not %d", paranoia)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecResponseBodyAccess Off
SecAuditEngine Off
SecAction "id:900000,phase:1,nolog,pass,t:none,setvar:tx.blocking_paranoia_level=%d,setvar:tx.detection_paranoia_level=%d"
Include @crs-setup.conf.example
Include @owasp_crs/REQUEST-901-INITIALIZATION.conf
`, paranoia, paranoia)
	for _, f := range files {
		fmt.Fprintf(&b, "Include @owasp_crs/REQUEST-%s.conf\n", f)
	}
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(b.String()))
	if err != nil {
		return nil, fmt.Errorf("compiling the rules for screening: %w", err)
	}
	return &Screen{waf}, nil
}

// Judge returns the anomaly score of the texts together, and the ids of the rules that matched, sorted.
func (s *Screen) Judge(texts []string) (score int, rules []string, err error) {
	tx := s.waf.NewTransaction()
	defer func() {
		if e := tx.Close(); err == nil && e != nil {
			err = fmt.Errorf("screening: %w", e)
		}
	}()
	tx.ProcessURI("/", "POST", "HTTP/1.1")
	for i, text := range texts {
		tx.AddPostRequestArgument("text"+strconv.Itoa(i), text)
	}
	tx.ProcessRequestHeaders()
	if _, err := tx.ProcessRequestBody(); err != nil {
		return 0, nil, fmt.Errorf("screening: %w", err)
	}
	for _, m := range tx.MatchedRules() {
		r := m.Rule()
		if n := scores[r.Severity()]; n > 0 && r.ID() >= 930000 && r.ID() < 945000 && m.Message() != "" {
			score += n
			rules = append(rules, strconv.Itoa(r.ID()))
		}
	}
	slices.Sort(rules)
	return score, slices.Compact(rules), nil
}
