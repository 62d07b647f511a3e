package schema

import (
	"errors"
	"strings"
)

// ErrMultipart is why a multipart body cannot be judged: whoever compiles an operation with one refuses or reports it.
var ErrMultipart = errors.New("multipart bodies cannot be judged by their schema")

// JudgeableMedia reports, with an error, media types whose bodies would have a schema here but no judge.
func JudgeableMedia(mediaType string) error {
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(mediaType)), "multipart/") {
		return ErrMultipart
	}
	return nil
}

// maxFormFields bounds the pairs of a form.
const maxFormFields = 1000

// ValidateForm judges an application/x-www-form-urlencoded body as the object it encodes; fields of one name are the
// items of an array, where the schema has one. Members that are objects themselves have no form here and fail. Undeclared
// fields are refused under Drop too, because the body is not rewritten: see ProjectForm. It returns nil or a *Failure.
func (p *Program) ValidateForm(body []byte) error {
	f, err := p.form(string(body))
	if err == nil && f.dropped() {
		err = fault("undeclared", "has a field that is not declared")
	}
	return err
}

// ProjectForm judges a form and appends to dst what is declared of it, each field as it was written.
func (p *Program) ProjectForm(dst, body []byte) (out []byte, pr Projection, err error) {
	f, err := p.form(string(body))
	if err != nil {
		return nil, Projection{}, err
	}
	first := true
	for i, pair := range f.pairs {
		if f.left[f.of[i]] {
			continue
		}
		if !first {
			dst = append(dst, '&')
		}
		first = false
		dst = append(dst, pair...)
	}
	return dst, f.did, nil
}

// form is a form read: its pairs as written, of which member each is, and which members leave.
type form struct {
	*fields
	pairs []string
	of    []int
	left  []bool
	did   Projection
}

func (f *form) dropped() bool { return f.did.Dropped > 0 }

func (p *Program) form(body string) (*form, error) {
	f := &form{fields: newFields(decoder{plus: true}, shapeOf(p.root, 0))}
	if body != "" {
		f.pairs = strings.Split(body, "&")
	}
	if len(f.pairs) > maxFormFields {
		return nil, fault("max_properties", "has too many fields")
	}
	for _, pair := range f.pairs {
		name, value, _ := strings.Cut(pair, "=")
		member, err := f.put(name, value)
		if err != nil {
			return nil, err
		}
		f.of = append(f.of, member)
	}
	w, err := p.judge(f.json(), nil)
	if err != nil {
		return nil, err
	}
	defer w.release()
	for i, end := ref(1), w.tree.after(0); i < end; i = w.tree.after(i + 1) {
		f.left = append(f.left, w.tree.at(i+1).fate() != kept)
	}
	f.did = w.did
	return f, nil
}
