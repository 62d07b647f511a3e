package config

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/secret"
	"github.com/portreeve/portreeve/internal/tree"
)

// Load reads a configuration file. now bounds unsafe_observe.
func Load(path string, now time.Time) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		text := err.Error()
		return nil, &tree.Error{At: tree.Position{File: path}, Problem: "reading the configuration: " + text[strings.LastIndex(text, ": ")+2:],
			Hint: "portreeve init openapi.yaml writes one"}
	}
	return Parse(path, b, now)
}

// Parse reads a configuration. Its error joins every fault that was found, up to 20.
func Parse(file string, b []byte, now time.Time) (*Config, error) {
	root, err := tree.Parse(file, b)
	if err != nil {
		return nil, err
	}
	d := &decoder{}
	c := &Config{file: file, root: root}
	d.value(root, reflect.ValueOf(c).Elem(), "", "")
	if len(d.faults) == 0 {
		d.judge(c, now)
	}
	switch len(d.faults) {
	case 0:
		return c, nil
	case 1:
		return nil, d.faults[0]
	}
	return nil, d.faults
}

// Default is the configuration of a document and an upstream alone.
func Default(document, upstream string) *Config {
	c := &Config{Version: 1, Document: document, root: &tree.Node{Kind: tree.Object}}
	d := &decoder{}
	d.defaults(reflect.ValueOf(c).Elem())
	c.Upstream.URL = upstream
	return c
}

// Errors are several faults at once.
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

type decoder struct{ faults Errors }

const maxFaults = 20

func (d *decoder) fault(at tree.Position, hint, format string, args ...any) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, &tree.Error{At: at, Problem: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// defaults fills a struct from its tags.
func (d *decoder) defaults(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Tag.Get("key") == "" {
			continue
		}
		if text := f.Tag.Get("default"); text != "" {
			d.value(&tree.Node{Kind: tree.String, Text: text}, v.Field(i), f.Tag.Get("key"), f.Tag.Get("enum"))
		} else if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[secret.Ref]() && f.Type != reflect.TypeFor[Limit]() {
			d.defaults(v.Field(i))
		}
	}
}

// value decodes a node into a value; path names it for people.
func (d *decoder) value(n *tree.Node, v reflect.Value, path, enum string) {
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		d.duration(n, p, path)
	case *Bytes:
		d.bytes(n, p, path)
	case *Limit:
		d.limit(n, p, path)
	case *secret.Ref:
		d.secret(n, p, path)
	case *Header:
		if n.Kind == tree.Object {
			d.secret(n, &p.Secret, path)
		} else {
			d.value(n, reflect.ValueOf(&p.Value).Elem(), path, "")
		}
	case *netip.Prefix:
		d.prefix(n, p, path)
	case *Requirement:
		d.requirement(n, p, path)
	default:
		d.plain(n, v, path, enum)
	}
}

func (d *decoder) plain(n *tree.Node, v reflect.Value, path, enum string) {
	switch v.Kind() {
	case reflect.String:
		if n.Kind != tree.String {
			d.fault(n.At, "", "%s is %s, not a string", path, n.Kind)
			return
		}
		if enum != "" && !slices.Contains(strings.Split(enum, ","), n.Text) {
			d.fault(n.At, "one of "+strings.ReplaceAll(enum, ",", ", "), "%s cannot be %q", path, n.Text)
			return
		}
		v.SetString(n.Text)
	case reflect.Bool:
		if n.Kind != tree.Bool {
			d.fault(n.At, "true or false", "%s is %s, not a boolean", path, n.Kind)
			return
		}
		v.SetBool(n.Text == "true")
	case reflect.Int:
		i, err := strconv.Atoi(n.Text)
		if n.Kind != tree.Number && n.At.Line != 0 || err != nil || i < 0 {
			d.fault(n.At, "", "%s is not a whole number", path)
			return
		}
		v.SetInt(int64(i))
	case reflect.Pointer:
		e := reflect.New(v.Type().Elem())
		d.value(n, e.Elem(), path, enum)
		v.Set(e)
	case reflect.Slice:
		d.list(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Struct:
		d.object(n, v, path)
	}
}

func (d *decoder) list(n *tree.Node, v reflect.Value, path string) {
	if n.Kind == tree.String && v.Type().Elem().Kind() == reflect.String {
		n = &tree.Node{Kind: tree.Array, At: n.At, Items: []*tree.Node{n}} // one may stand for a list of one
	}
	if n.Kind != tree.Array {
		d.fault(n.At, "", "%s is %s, not a list", path, n.Kind)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		d.value(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i), "")
	}
	v.Set(out)
}

func (d *decoder) mapping(n *tree.Node, v reflect.Value, path string) {
	if n.Kind != tree.Object {
		d.fault(n.At, "", "%s is %s, not an object", path, n.Kind)
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Members))
	for _, m := range n.Members {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(m.Value, e, path+"."+m.Name, "")
		out.SetMapIndex(reflect.ValueOf(m.Name), e)
	}
	v.Set(out)
}

func (d *decoder) object(n *tree.Node, v reflect.Value, path string) {
	if n.Kind != tree.Object {
		d.fault(n.At, "", "%s is %s, not an object", orWhole(path), n.Kind)
		return
	}
	d.defaults(v)
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("key"); key != "" {
			fields[key] = i
			names = append(names, key)
		}
	}
	sort.Strings(names)
	for _, m := range n.Members {
		i, known := fields[m.Name]
		if !known {
			hint := ""
			if near := tree.Nearest(m.Name, names); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			d.fault(m.At, hint, "unknown key %q", join(path, m.Name))
			continue
		}
		d.value(m.Value, v.Field(i), join(path, m.Name), v.Type().Field(i).Tag.Get("enum"))
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("required") == "true" && n.Get(f.Tag.Get("key")) == nil {
			d.fault(n.At, f.Tag.Get("doc"), "%s is missing", join(path, f.Tag.Get("key")))
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func orWhole(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

func (d *decoder) duration(n *tree.Node, p *time.Duration, path string) {
	v, ok := parseDuration(n.Text)
	if n.Kind != tree.String || !ok {
		d.fault(n.At, "write 10s, 1m, 1h or 7d", "%s is not a duration", path)
		return
	}
	*p = v
}

func parseDuration(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	v, err := time.ParseDuration(s)
	return v, err == nil && v > 0
}

func (d *decoder) bytes(n *tree.Node, p *Bytes, path string) {
	text, factor := n.Text, int64(1)
	for unit, f := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			text, factor = rest, f
		}
	}
	v, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil || v <= 0 || n.Kind != tree.String && n.Kind != tree.Number {
		d.fault(n.At, "write 1024, 64KiB or 1MiB", "%s is not a size", path)
		return
	}
	*p = Bytes(v * factor)
}

// limit reads "100/1h" or {rate: 5/s, burst: 20}.
func (d *decoder) limit(n *tree.Node, p *Limit, path string) {
	l, err := ReadLimit(n)
	if err != nil {
		d.fault(n.At, "write 100/1h, or {rate: 5/s, burst: 20}", "%s: %v", path, err)
		return
	}
	*p = l
}

// ReadLimit reads a limit as it stands in a configuration or a document.
func ReadLimit(n *tree.Node) (Limit, error) {
	if n.Kind == tree.Object {
		for _, m := range n.Members {
			if m.Name != "rate" && m.Name != "burst" {
				return Limit{}, fmt.Errorf("a limit has no field %q", m.Name)
			}
		}
		count, per, ok := strings.Cut(n.Get("rate").Str(), "/")
		unit := map[string]float64{"s": 1, "m": 60, "h": 3600}[per]
		rate, err := strconv.ParseFloat(count, 64)
		if !ok || unit == 0 || err != nil || !(rate > 0) {
			return Limit{}, fmt.Errorf("rate is not like 5/s")
		}
		burst := n.Get("burst")
		if burst == nil || burst.Kind != tree.Number {
			return Limit{}, fmt.Errorf("burst is missing")
		}
		b, err := strconv.Atoi(burst.Text)
		if err != nil || b < 1 {
			return Limit{}, fmt.Errorf("burst is not a positive number")
		}
		return Limit{Text: n.Get("rate").Str() + " burst " + burst.Text, Rate: rate / unit, Burst: b}, nil
	}
	count, window, ok := strings.Cut(n.Text, "/")
	c, err := strconv.Atoi(count)
	w, sound := parseDuration(window)
	if n.Kind != tree.String || !ok || err != nil || c < 1 || c > 1e9 || !sound || w < time.Second || w > 400*24*time.Hour {
		return Limit{}, fmt.Errorf("%q is not a limit", n.Text)
	}
	return Limit{Text: n.Text, Count: c, Window: w}, nil
}

// secret reads a source. A literal is an error that does not repeat it.
func (d *decoder) secret(n *tree.Node, p *secret.Ref, path string) {
	if n.Kind != tree.Object {
		d.fault(n.At, "write {env: NAME} or {file: PATH}", "%s: a secret must not stand in the configuration", path)
		return
	}
	for _, m := range n.Members {
		switch {
		case m.Value.Kind != tree.String || m.Value.Text == "":
			d.fault(m.Value.At, "", "%s.%s is not a name", path, m.Name)
		case m.Name == "env":
			p.Env = m.Value.Text
		case m.Name == "file":
			p.File = m.Value.Text
		default:
			d.fault(m.At, "env or file", "unknown key %q", join(path, m.Name))
		}
	}
	if (p.Env == "") == (p.File == "") {
		d.fault(n.At, "write {env: NAME} or {file: PATH}", "%s needs exactly one source", path)
	}
}

func (d *decoder) prefix(n *tree.Node, p *netip.Prefix, path string) {
	v, err := netip.ParsePrefix(n.Text)
	if err != nil {
		var a netip.Addr
		if a, err = netip.ParseAddr(n.Text); err == nil {
			v = netip.PrefixFrom(a, a.BitLen())
		}
	}
	if err != nil || n.Kind != tree.String {
		d.fault(n.At, "write 10.0.0.0/8 or 10.1.2.3", "%s is not an address or a range", path)
		return
	}
	*p = v.Masked()
}

func (d *decoder) requirement(n *tree.Node, p *Requirement, path string) {
	if n.Kind != tree.Object {
		d.fault(n.At, "write {bearer: []}", "%s is %s, not an object", path, n.Kind)
		return
	}
	for _, m := range n.Members {
		s := SchemeScopes{Scheme: m.Name}
		for _, scope := range m.Value.Items {
			s.Scopes = append(s.Scopes, scope.Text)
		}
		*p = append(*p, s)
	}
}
