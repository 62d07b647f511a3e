package spec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

// Bounds of what one document is told.
const (
	maxFaults   = 20
	maxWarnings = 100
)

// Errors are several faults at once, in the order of the document, 20 at most.
type Errors []*tree.Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, f := range e {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// BadInput marks the faults as the user's to mend.
func (e Errors) BadInput() bool { return true }

// Unwrap gives the faults one by one.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, f := range e {
		out[i] = f
	}
	return out
}

// faults collects what is wrong and what is ugly.
type faults struct {
	list, warnings Errors
	said           map[string]bool
}

func (f *faults) add(at tree.Position, hint, format string, args ...any) {
	f.put(&f.list, maxFaults, &tree.Error{At: at, Problem: fmt.Sprintf(format, args...), Hint: hint})
}

func (f *faults) warn(at tree.Position, hint, format string, args ...any) {
	f.put(&f.warnings, maxWarnings, &tree.Error{At: at, Problem: fmt.Sprintf(format, args...), Hint: hint})
}

// put says everything once: what several operations share is met several times.
func (f *faults) put(list *Errors, bound int, e *tree.Error) {
	key := fmt.Sprint(e.At, e.At.Column, e.Problem)
	if len(*list) >= bound || f.said[key] {
		return
	}
	if f.said == nil {
		f.said = map[string]bool{}
	}
	f.said[key] = true
	*list = append(*list, e)
}

func (f *faults) err() error {
	switch len(f.list) {
	case 0:
		return nil
	case 1:
		return f.list[0]
	}
	return f.list
}

// take adds a fault that another package found.
func (f *faults) take(err error) {
	var e *tree.Error
	if !errors.As(err, &e) {
		e = &tree.Error{Problem: err.Error()}
	}
	f.list = append(f.list, e)
}
