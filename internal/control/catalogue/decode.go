package catalogue

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/finding"
	"github.com/portreeve/portreeve/internal/tree"
)

// decode fills a struct by its key tags. Every field that is not optional must be there, and nothing else.
func decode(n *tree.Node, into any) error {
	return value(n, reflect.ValueOf(into).Elem(), "the catalogue")
}

func fault(n *tree.Node, format string, args ...any) error {
	return &tree.Error{At: n.At, Problem: fmt.Sprintf(format, args...)}
}

func value(n *tree.Node, v reflect.Value, name string) error {
	if s, ok := v.Addr().Interface().(*finding.Severity); ok {
		if err := s.UnmarshalText([]byte(n.Str())); err != nil {
			return fault(n, "%s: %v", name, err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		if n.Kind != tree.String || strings.TrimSpace(n.Text) == "" {
			return fault(n, "%s is not text", name) // a number here has lost its quotes: 8.20 would become 8.2
		}
		v.SetString(n.Text)
	case reflect.Int:
		i, err := strconv.Atoi(n.Text)
		if n.Kind != tree.Number || err != nil {
			return fault(n, "%s is not a whole number", name)
		}
		v.SetInt(int64(i))
	case reflect.Slice:
		if n.Kind != tree.Array {
			return fault(n, "%s is %s, not a list", name, n.Kind)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items)))
		for i, item := range n.Items {
			if err := value(item, v.Index(i), name); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return object(n, v, name)
	default:
		panic("catalogue: no form for " + v.Type().String()) // a programming error
	}
	return nil
}

func object(n *tree.Node, v reflect.Value, name string) error {
	if n.Kind != tree.Object {
		return fault(n, "%s is %s, not an object", name, n.Kind)
	}
	read := 0
	for i := range v.NumField() {
		key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("key"), ",")
		if key == "" {
			continue
		}
		m := n.Get(key)
		switch {
		case m != nil:
			read++
			if err := value(m, v.Field(i), key); err != nil {
				return err
			}
		case option != "optional":
			return fault(n, "%s lacks %q", name, key)
		}
	}
	if read == len(n.Members) {
		return nil
	}
	for _, m := range n.Members {
		if !known(v.Type(), m.Name) {
			return &tree.Error{At: m.At, Problem: fmt.Sprintf("%s has no field %q", name, m.Name)}
		}
	}
	return nil
}

func known(t reflect.Type, name string) bool {
	for i := range t.NumField() {
		if key, _, _ := strings.Cut(t.Field(i).Tag.Get("key"), ","); key == name {
			return true
		}
	}
	return false
}
