package spec

import (
	"errors"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/tree"
)

func (p *queryParser) or() (filter, error) {
	return p.joined("||", func() (filter, error) {
		return p.joined("&&", p.term, func(f []filter) filter { return all(f) })
	}, func(f []filter) filter { return some(f) })
}

func (p *queryParser) joined(by string, part func() (filter, error), join func([]filter) filter) (filter, error) {
	var parts []filter
	for {
		f, err := part()
		if err != nil {
			return nil, err
		}
		parts = append(parts, f)
		p.space()
		if !p.take(by) {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return join(parts), nil
}

func (p *queryParser) term() (filter, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, errors.New("filters are nested too deeply")
	}
	defer func() { p.depth-- }()
	p.space()
	if p.take("!") {
		f, err := p.term()
		if _, comparison := f.(equal); comparison {
			return nil, errors.New("! stands before a comparison without parentheses")
		}
		return negated{f}, err
	}
	if p.take("(") {
		f, err := p.or()
		if err == nil && !p.take(")") {
			err = p.unexpected()
		}
		return f, err
	}
	return p.comparison()
}

func (p *queryParser) comparison() (filter, error) {
	a, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.space()
	not := p.take("!=")
	if !not && !p.take("==") {
		if a.literal != nil {
			return nil, p.unexpected()
		}
		return exists{a}, nil
	}
	p.space()
	b, err := p.operand()
	if err != nil {
		return nil, err
	}
	if !a.singular() || !b.singular() {
		return nil, errors.New("a comparison needs single values on both sides")
	}
	if not {
		return negated{equal{a, b}}, nil
	}
	return equal{a, b}, nil
}

func (p *queryParser) operand() (operand, error) {
	switch {
	case p.take("@"), p.take("$"):
		absolute := p.s[p.i-1] == '$'
		q, err := p.segments()
		return operand{absolute: absolute, path: q}, err
	case p.take("true"):
		return operand{literal: &tree.Node{Kind: tree.Bool, Text: "true"}}, nil
	case p.take("false"):
		return operand{literal: &tree.Node{Kind: tree.Bool, Text: "false"}}, nil
	case p.take("null"):
		return operand{literal: &tree.Node{}}, nil
	case strings.HasPrefix(p.rest(), "'") || strings.HasPrefix(p.rest(), `"`):
		s, err := p.quoted()
		return operand{literal: &tree.Node{Kind: tree.String, Text: s}}, err
	}
	start := p.i
	for p.i < len(p.s) && strings.IndexByte("+-.0123456789eE", p.s[p.i]) >= 0 {
		p.i++
	}
	if _, err := strconv.ParseFloat(p.s[start:p.i], 64); err != nil {
		p.i = start
		return operand{}, p.unexpected()
	}
	return operand{literal: &tree.Node{Kind: tree.Number, Text: p.s[start:p.i]}}, nil
}

func (o operand) singular() bool {
	for _, s := range o.path {
		if s.deep || len(s.selectors) != 1 || s.selectors[0].kind > byIndex {
			return false
		}
	}
	return true
}
