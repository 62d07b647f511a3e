package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/secret"
)

// Reference returns docs/config.md: every key with what it means and its default.
func Reference() []byte {
	var b strings.Builder
	b.WriteString("# portreeve.yaml\n\nGenerated from the configuration's own types; a test keeps it so. Unknown and repeated keys are errors with their line.\n" +
		"Secrets come as `{env: NAME}` or `{file: PATH}`. A machine-readable schema stands beside this file: `config.schema.json`.\n\n" +
		"| key | form | default | meaning |\n|---|---|---|---|\n")
	rows(&b, reflect.TypeFor[Config](), "")
	return []byte(b.String())
}

func rows(b *strings.Builder, t reflect.Type, path string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("key")
		if key == "" {
			continue
		}
		def := f.Tag.Get("default")
		switch {
		case f.Tag.Get("required") == "true":
			def = "*compulsory*"
		case def != "":
			def = "`" + def + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", join(path, key), form(f.Type, f.Tag.Get("enum")), def, strings.ReplaceAll(f.Tag.Get("doc"), "|", `\|`))
		if inner, suffix := section(f.Type); inner != nil {
			rows(b, inner, join(path, key)+suffix)
		}
	}
}

// section returns the struct whose keys stand below a field, and how its path goes on.
func section(t reflect.Type) (reflect.Type, string) {
	switch {
	case t.Kind() == reflect.Pointer:
		return section(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && t.Elem() != reflect.TypeFor[netip.Prefix]():
		return t.Elem(), "[]"
	case t.Kind() == reflect.Struct && !leaf(t):
		return t, ""
	}
	return nil, ""
}

func leaf(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[Limit](), reflect.TypeFor[secret.Ref](), reflect.TypeFor[Header](), reflect.TypeFor[netip.Prefix]():
		return true
	}
	return false
}

func form(t reflect.Type, enum string) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[Bytes]():
		return "size"
	case reflect.TypeFor[Limit]():
		return "`N/W` or `{rate, burst}`"
	case reflect.TypeFor[secret.Ref]():
		return "secret"
	case reflect.TypeFor[Header]():
		return "string or secret"
	case reflect.TypeFor[netip.Prefix]():
		return "address range"
	case reflect.TypeFor[Requirement]():
		return "security requirement"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return form(t.Elem(), enum)
	case reflect.Slice:
		return "list of " + form(t.Elem(), "")
	case reflect.Map:
		return "map to " + form(t.Elem(), "")
	case reflect.Struct:
		return "section"
	case reflect.Int:
		return "number"
	}
	if enum != "" {
		return "`" + strings.ReplaceAll(enum, ",", "` `") + "`"
	}
	return t.Kind().String()
}

// Schema returns docs/config.schema.json: what Parse takes by shape (JSON Schema 2020-12).
func Schema() []byte {
	s := shape(reflect.TypeFor[Config](), "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "portreeve.yaml"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("config: " + err.Error()) // plain maps of strings
	}
	return append(b, '\n')
}

const durationPattern = `^([0-9]+d|([0-9]+(\.[0-9]+)?(h|m|s|ms))+)$`

func shape(t reflect.Type, enum string) map[string]any {
	text := func(extra ...any) map[string]any {
		m := map[string]any{"type": "string"}
		for i := 0; i+1 < len(extra); i += 2 {
			m[extra[i].(string)] = extra[i+1]
		}
		return m
	}
	object := func(properties map[string]any, required []string) map[string]any {
		m := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
		if len(required) > 0 {
			m["required"] = required
		}
		return m
	}
	ref := object(map[string]any{"env": text(), "file": text()}, nil)
	ref["minProperties"], ref["maxProperties"] = 1, 1
	switch t {
	case reflect.TypeFor[time.Duration]():
		return text("pattern", durationPattern)
	case reflect.TypeFor[Bytes]():
		return map[string]any{"anyOf": []any{text("pattern", "^[0-9]+(KiB|MiB|GiB)?$"), map[string]any{"type": "integer", "minimum": 1}}}
	case reflect.TypeFor[Limit]():
		return map[string]any{"anyOf": []any{text("pattern", "^[0-9]+/[0-9a-z.]+$"), object(map[string]any{"rate": text("pattern", "^[0-9.]+/[smh]$"), "burst": map[string]any{"type": "integer", "minimum": 1}}, []string{"rate", "burst"})}}
	case reflect.TypeFor[secret.Ref]():
		return ref
	case reflect.TypeFor[Header]():
		return map[string]any{"anyOf": []any{text(), ref}}
	case reflect.TypeFor[netip.Prefix]():
		return text()
	case reflect.TypeFor[Requirement]():
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "array", "items": text()}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shape(t.Elem(), enum)
	case reflect.Slice:
		list := map[string]any{"type": "array", "items": shape(t.Elem(), "")}
		if t.Elem().Kind() == reflect.String {
			return map[string]any{"anyOf": []any{list, text()}}
		}
		return list
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": shape(t.Elem(), "")}
	case reflect.Struct:
		properties, required := map[string]any{}, []string(nil)
		for i := range t.NumField() {
			f := t.Field(i)
			key := f.Tag.Get("key")
			if key == "" {
				continue
			}
			p := shape(f.Type, f.Tag.Get("enum"))
			p["description"] = f.Tag.Get("doc")
			properties[key] = p
			if f.Tag.Get("required") == "true" {
				required = append(required, key)
			}
		}
		return object(properties, required)
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer", "minimum": 0}
	}
	if enum != "" {
		return text("enum", strings.Split(enum, ","))
	}
	return text()
}
