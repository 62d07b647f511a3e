package object

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/schema"
)

type place uint8

const (
	nowhere place = iota
	inPath
	inQuery
	inHeader
	inBody
	inAnswer
	inAnswerHeader
)

// expression is an OpenAPI runtime expression (OpenAPI 3.1 §4.8.20.3) as far as ownership needs it. In a pointer into a
// body, * stands for each element of an array.
type expression struct {
	where place
	name  string // of a parameter or header, or a JSON pointer into the body
}

var places = []struct {
	prefix string
	where  place
}{
	{"$request.path.", inPath}, {"$request.query.", inQuery}, {"$request.header.", inHeader}, {"$request.body#", inBody},
	{"$response.body#", inAnswer}, {"$response.header.", inAnswerHeader},
}

func parseExpression(s string) (expression, error) {
	for _, p := range places {
		name, ok := strings.CutPrefix(s, p.prefix)
		if ok && name != "" && (p.where != inBody && p.where != inAnswer || name[0] == '/') {
			return expression{p.where, name}, nil
		}
	}
	return expression{}, fmt.Errorf("expression %q is not one of $request.path.NAME, $request.query.NAME, $request.header.NAME, $request.body#/POINTER, $response.body#/POINTER, $response.header.NAME", s)
}

// starred reports whether the expression speaks of each element of an array.
func (e expression) starred() bool {
	return strings.HasSuffix(e.name, "/*") || strings.Contains(e.name, "/*/")
}

// ofRequest reports whether the request alone says what it is.
func (e expression) ofRequest() bool { return e.where >= inPath && e.where <= inBody }

// one evaluates an expression that stands for one value of the request, decoded.
func (e expression) one(x *exchange.Exchange) (string, bool) {
	switch e.where {
	case inPath:
		v, ok := x.PathParam(e.name)
		if !ok {
			return "", false
		}
		d, err := url.PathUnescape(v)
		return d, err == nil
	case inQuery:
		found, n := "", 0
		for _, q := range x.Query {
			if name, err := url.QueryUnescape(q.Name); err == nil && name == e.name {
				d, err := url.QueryUnescape(q.Value)
				if err != nil {
					return "", false
				}
				found, n = d, n+1
			}
		}
		return found, n == 1
	case inHeader:
		v := x.Request.Header.Values(e.name)
		if len(v) != 1 {
			return "", false
		}
		return v[0], true
	case inBody:
		v, _ := schema.Lookup(x.Body, e.name)
		return identifier(v)
	}
	return "", false
}

// maxReferences bounds how many objects one request may name in one place: each may cost a question.
const maxReferences = 32

// all evaluates an expression of the request that may stand for several values, or for none. ok is false where something
// stands there that is no identifier, or too many do.
func (e expression) all(x *exchange.Exchange) (ids []string, ok bool) {
	switch e.where {
	case inBody:
		if x.Body == nil {
			return nil, bodiless(x.Request) // one that was let pass unread could name anything
		}
		ok = true
		read := schema.Every(x.Body, e.name, func(v schema.Value) {
			if v.Kind == 0 || v.Kind == schema.Null {
				return // it names none
			}
			id, is := identifier(v)
			if ok = ok && is && len(ids) < maxReferences; ok {
				ids = append(ids, id)
			}
		})
		return ids, ok && read
	case inQuery, inHeader:
		if !e.given(x) {
			return nil, true
		}
	}
	id, ok := e.one(x)
	return []string{id}, ok
}

func bodiless(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0
}

// given reports whether an optional parameter is there, once or oftener.
func (e expression) given(x *exchange.Exchange) bool {
	if e.where == inHeader {
		return len(x.Request.Header.Values(e.name)) > 0
	}
	for _, q := range x.Query {
		if name, err := url.QueryUnescape(q.Name); err != nil || name == e.name {
			return true
		}
	}
	return false
}

// identifier is the text of what can be one: a string, or a whole number in its one plain form. 7.0 and 7e0 are 7 to one
// reader and something else to another.
func identifier(v schema.Value) (string, bool) {
	if v.Kind == schema.Number && strings.ContainsAny(string(v.Raw), ".eE") || v.Kind == schema.Number && string(v.Raw) == "-0" {
		return "", false
	}
	return v.Text()
}

// maxID bounds an identifier, in bytes.
const maxID = 256

// segment reports whether an id can stand as one segment of a path and mean the same to every reader.
func segment(id string) bool {
	if id == "" || id == "." || id == ".." || len(id) > maxID {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '/' || r == '\\' || r == 0xfffd })
}

// made evaluates an expression of the answer to a creation: the header's last segment of a path, or what the body names.
func (e expression) made(h http.Header, body []byte) (string, bool) {
	switch e.where {
	case inAnswerHeader:
		values := h.Values(e.name)
		if len(values) != 1 {
			return "", false
		}
		u, err := url.Parse(values[0])
		if err != nil {
			return "", false
		}
		id, err := url.PathUnescape(path.Base(u.EscapedPath()))
		return id, err == nil && segment(id)
	case inAnswer:
		v, _ := schema.Lookup(body, e.name)
		id, ok := identifier(v)
		return id, ok && segment(id)
	}
	return "", false
}
