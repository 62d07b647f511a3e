package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/secret"
	"github.com/portreeve/portreeve/internal/tree"
)

// Identity is somebody the attack may call as. It needs one of Token, APIKey, Header and Login.
type Identity struct {
	Name, Role string
	UserID     string // how the API names this user in its objects
	Password   string // for the API's own sign-in operation
	Token      string // Authorization: Bearer
	APIKey     string
	Header     map[string]string
	Login      *Login
}

// Login is a request whose answer holds a token. It is made again when the token is refused.
type Login struct {
	Method, Path string
	Body         map[string]any
	Token        string // JSON pointer into the answer
}

// Tokens are real ones that must not be believed, if there are any to try.
type Tokens struct {
	Expired []string
	Foreign []string // of the same issuer, for another API
	Stale   []string // in force, of somebody who proved two factors long ago
}

// People is an identities file.
type People struct {
	Identities []Identity
	Tokens     Tokens
	Warnings   []string
}

// ReadPeople reads an identities file, JSON or YAML: a list of identities, or an object that holds one as
// "identities". Everything secret may be {env: NAME} or {file: PATH} instead.
func ReadPeople(path string) (*People, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &tree.Error{At: tree.Position{File: path}, Problem: "reading the identities: " + plainError(err)}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, &tree.Error{At: tree.Position{File: path}, Problem: "reading the identities: " + plainError(err)}
	}
	root, err := tree.Parse(path, b)
	if err != nil {
		return nil, err
	}
	r := new(peopleReader)
	list := root
	if root.Kind == tree.Object {
		list = root.Get("identities")
		if t := root.Get("tokens"); t != nil {
			r.tokens(t)
		}
	}
	if list == nil || list.Kind != tree.Array {
		return nil, &tree.Error{At: root.At, Problem: "there is no list of identities", Hint: "identities: [{name: alice, token: {env: ALICE_TOKEN}}]"}
	}
	for _, item := range list.Items {
		r.identity(item)
	}
	if r.err != nil {
		return nil, r.err
	}
	if r.literal && info.Mode().Perm()&0o077 != 0 {
		r.people.Warnings = append(r.people.Warnings, fmt.Sprintf("%s holds secrets and others may read it (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path))
	}
	return &r.people, nil
}

// plainError drops what repeats the path.
func plainError(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

type peopleReader struct {
	people  People
	literal bool // some secret stands in the file itself
	err     error
}

func (r *peopleReader) fail(n *tree.Node, hint, format string, args ...any) {
	if r.err == nil {
		r.err = &tree.Error{At: n.At, Problem: fmt.Sprintf(format, args...), Hint: hint}
	}
}

var identityKeys = []string{"name", "role", "user_id", "password", "token", "api_key", "header", "login"}

func (r *peopleReader) identity(n *tree.Node) {
	if n.Kind != tree.Object {
		r.fail(n, "", "an identity is %s, not an object", n.Kind)
		return
	}
	var id Identity
	for _, m := range n.Members {
		switch v := m.Value; m.Name {
		case "name":
			id.Name = r.text(v, "name")
		case "role":
			id.Role = r.text(v, "role")
		case "user_id":
			if v.Kind != tree.Number && v.Kind != tree.String {
				r.fail(v, "", "user_id is %s", v.Kind)
			}
			id.UserID = v.Text
		case "password":
			id.Password = r.secret(v, "password")
		case "token":
			id.Token = r.secret(v, "token")
		case "api_key":
			id.APIKey = r.secret(v, "api_key")
		case "header":
			id.Header = map[string]string{}
			for _, h := range v.Members {
				id.Header[h.Name] = r.secret(h.Value, "header."+h.Name)
			}
		case "login":
			id.Login = r.login(v)
		default:
			near := tree.Nearest(m.Name, identityKeys)
			hint := "it has " + strings.Join(identityKeys, ", ")
			if near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			r.fail(&tree.Node{At: m.At}, hint, "an identity has no member %q", m.Name)
		}
	}
	switch {
	case id.Name == "":
		r.fail(n, "", "an identity has no name")
	case slices.ContainsFunc(r.people.Identities, func(o Identity) bool { return o.Name == id.Name }):
		r.fail(n, "", "two identities are called %q", id.Name)
	case id.Token == "" && id.APIKey == "" && len(id.Header) == 0 && id.Login == nil:
		r.fail(n, "give it a token, an api_key, a header or a login", "the identity %q has nothing that proves it", id.Name)
	}
	r.people.Identities = append(r.people.Identities, id)
}

func (r *peopleReader) text(n *tree.Node, name string) string {
	if n.Kind != tree.String {
		r.fail(n, "", "%s is %s, not a string", name, n.Kind)
	}
	return n.Text
}

// secret reads a value that may be elsewhere. It is no secret of this deployment's: a weak one is the finding, not an error.
func (r *peopleReader) secret(n *tree.Node, name string) string {
	switch n.Kind {
	case tree.String:
		r.literal = true
		return n.Text
	case tree.Object:
		ref := secret.Ref{Env: n.Get("env").Str(), File: n.Get("file").Str()}
		if len(n.Members) != 1 || ref.IsZero() {
			break
		}
		if ref.Env != "" {
			v, ok := os.LookupEnv(ref.Env)
			if !ok || v == "" {
				r.fail(n, "", "environment variable %s is not set", ref.Env)
			}
			return v
		}
		b, err := ref.Fetch()
		if err != nil {
			r.fail(n, "", "%v", err)
		}
		return string(b)
	}
	r.fail(n, "a string, {env: NAME} or {file: PATH}", "%s is %s", name, n.Kind)
	return ""
}

func (r *peopleReader) login(n *tree.Node) *Login {
	l := &Login{Method: "POST"}
	if n.Kind != tree.Object {
		r.fail(n, "", "login is %s, not an object", n.Kind)
		return l
	}
	for _, m := range n.Members {
		switch m.Name {
		case "method":
			l.Method = strings.ToUpper(r.text(m.Value, "login.method"))
		case "path":
			l.Path = r.text(m.Value, "login.path")
		case "token":
			l.Token = r.text(m.Value, "login.token")
		case "body":
			l.Body = map[string]any{}
			for _, b := range m.Value.Members {
				if b.Value.Kind == tree.String || b.Value.Kind == tree.Object {
					l.Body[b.Name] = r.secret(b.Value, "login.body."+b.Name)
				} else {
					l.Body[b.Name] = toAny(b.Value)
				}
			}
		default:
			r.fail(&tree.Node{At: m.At}, "it has method, path, body, token", "a login has no member %q", m.Name)
		}
	}
	if !strings.HasPrefix(l.Path, "/") {
		r.fail(n, "path: /login, below the target", "the login's path does not begin with /")
	}
	if !strings.HasPrefix(l.Token, "/") {
		r.fail(n, "token: /access_token", "the login's token is no JSON pointer")
	}
	return l
}

func (r *peopleReader) tokens(n *tree.Node) {
	for _, m := range n.Members {
		var list []string
		for _, item := range m.Value.Items {
			list = append(list, r.secret(item, "tokens."+m.Name))
		}
		switch m.Name {
		case "expired":
			r.people.Tokens.Expired = list
		case "foreign":
			r.people.Tokens.Foreign = list
		case "stale":
			r.people.Tokens.Stale = list
		default:
			r.fail(&tree.Node{At: m.At}, "it has expired, foreign and stale", "tokens has no member %q", m.Name)
		}
	}
}

// person is an identity on its way through a run.
type person struct {
	Identity
	token string    // of the last sign-in
	used  int       // requests made in this name
	until time.Time // a limit refuses this identity until then
}

// secrets are what a report must never hold, with what stands for them.
func (p *person) secrets() map[string]string {
	out := map[string]string{}
	add := func(v, what string) {
		if len(v) >= 4 {
			out[v] = "‹" + what + " of " + p.Name + "›"
		}
	}
	add(p.Password, "password")
	add(p.Token, "token")
	add(p.token, "token")
	add(p.APIKey, "API key")
	for name, v := range p.Header {
		add(v, name)
	}
	if p.Login != nil {
		for name, v := range p.Login.Body {
			if s, ok := v.(string); ok && s != p.Name {
				add(s, name)
			}
		}
	}
	return out
}

// redactor replaces every secret of a run.
type redactor struct{ people []*person }

func (r redactor) text(s string) string {
	all := map[string]string{}
	for _, p := range r.people {
		maps.Copy(all, p.secrets())
	}
	found := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return len(b) - len(a) }) // a token before its parts
	for _, v := range found {
		s = strings.ReplaceAll(s, v, all[v])
		if escaped, err := json.Marshal(v); err == nil {
			s = strings.ReplaceAll(s, strings.Trim(string(escaped), `"`), all[v])
		}
	}
	return jwtForm.ReplaceAllString(s, "$1.‹signature›")
}
