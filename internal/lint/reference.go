package lint

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
)

// about is what docs/checks.md says before the rules.
const about = `# What portreeve check looks for

Generated from the rules themselves; a test keeps it so.

` + "`portreeve check`" + ` reads the document, the configuration and the plan they make, and searches files for secrets. It runs
nothing and asks nobody: what it finds is there, and what it does not find may still be wrong. What only a running gate
shows is for ` + "`portreeve attack`" + ` and ` + "`portreeve prove`" + `.

Exit codes: 0 clean, 2 findings of at least ` + "`--fail-on`" + ` (medium unless said), 64 when the document or the configuration
cannot be read.

## The score

Each section has a score from 0 to 100. A rule looks at things, operations or fields for instance, and weighs 1 when its
severity is low, 2 when medium, 4 when high, 8 when critical. The score is the sum of weight × share of sound things over
the sum of weights, rounded down, of the rules that had something to look at. One open door is not made up for by many
closed ones: with a finding that is critical a section scores at most %d, with one that is high %d, medium %d, low %d.

## Secrets

A secret is recognised by a shape that its issuer publishes, or by a name that says secret before a value that looks
drawn. It is never repeated: a report says where it stands and of what kind it is. A line that is no secret says
` + "`%s`" + `. Folders of other people's files, such as .git, node_modules and vendor, files of more than 1 MiB
and files that are no text are not searched; those that were passed over are named.

gitleaks knows more shapes. It is not built in, because it would bring more than sixty modules; its results, and
those of other scanners, can stand beside these.

`

// Reference returns docs/checks.md.
func Reference() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, about, caps[finding.Critical], caps[finding.High], caps[finding.Medium], caps[finding.Low], allowance)
	fmt.Fprintf(&b, "## The rules\n\n%d rules. A finding may be less severe than its rule, where the message says why.\n", len(rules))
	for _, section := range Sections {
		fmt.Fprintf(&b, "\n### %s%s\n", strings.ToUpper(string(section[:1])), section[1:])
		for i := range rules {
			if rules[i].section == section {
				describe(&b, &rules[i])
			}
		}
	}
	return b.Bytes()
}

func describe(b *bytes.Buffer, r *rule) {
	fmt.Fprintf(b, "\n#### %s\n\n%s. *%s*\n\n", r.ID, r.Title, r.Severity)
	fmt.Fprintf(b, "- Why: %s\n- Fix: %s\n- Reads: %s\n", r.Why, r.Fix, sources(r.needs))
	var lists []string
	for _, n := range r.CWE {
		lists = append(lists, fmt.Sprintf("CWE-%d", n))
	}
	for _, id := range r.OWASP2023 {
		lists = append(lists, id+":2023")
	}
	for _, id := range r.OWASP2019 {
		lists = append(lists, id+":2019")
	}
	for _, id := range r.Controls {
		lists = append(lists, "`"+string(id)+"`")
	}
	fmt.Fprintf(b, "- About: %s\n", strings.Join(lists, ", "))
}

// sources says what a rule reads.
func sources(n need) string {
	var out []string
	for _, x := range []struct {
		need need
		name string
	}{{document, "document"}, {configuration, "configuration"}, {planned, "plan"}, {texts, "files"}} {
		if n&x.need != 0 {
			out = append(out, x.name)
		}
	}
	return strings.Join(out, ", ")
}
