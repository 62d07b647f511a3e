package gate_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// styleRow is one cell of OpenAPI's "Style Examples" (3.2.0 §4.12.6; 3.1.2 and 3.0.4 have the same but for the style
// cookie): a parameter, what a request carries, and what of it the API gets. A row without want is refused, with the
// code; sent and want are a path behind the operation's own, a query, or a field, as the parameter stands.
type styleRow struct {
	in, style, explode, of string
	sent, want, code       string
}

// The table's rows, each with what fits and what does not. An empty explode is not said.
var styleRows = []styleRow{
	// in           explode  of
	{"path", "matrix", "false", "empty", ";color", ";color", ""},
	{"path", "matrix", "false", "empty", "color", "", "style"},
	{"path", "matrix", "false", "string", ";color=blue", ";color=blue", ""},
	{"path", "matrix", "false", "string", ";colour=blue", "", "style"},
	{"path", "matrix", "false", "array", ";color=blue,black,brown", ";color=blue,black,brown", ""},
	{"path", "matrix", "false", "array", ";color=blue;color=black", "", "enum"},
	{"path", "matrix", "false", "object", ";color=R,100,G,200,B,150", ";color=R,100,G,200,B,150", ""},
	{"path", "matrix", "false", "object", ";color=R,100,G", "", "style"},
	{"path", "matrix", "true", "empty", ";color", ";color", ""},
	{"path", "matrix", "true", "empty", ";color=x", "", "max_length"},
	{"path", "matrix", "true", "string", ";color=blue", ";color=blue", ""},
	{"path", "matrix", "true", "string", ";color=blue;color=black", "", "pattern"},
	{"path", "matrix", "true", "array", ";color=blue;color=black;color=brown", ";color=blue;color=black;color=brown", ""},
	{"path", "matrix", "true", "array", ";color=blue,black", "", "enum"},
	{"path", "matrix", "true", "object", ";R=100;G=200;B=150", ";R=100;G=200;B=150", ""},
	{"path", "matrix", "true", "object", ";R=100;R=200", "", "duplicate"},

	{"path", "label", "false", "empty", ".", "", "dots"}, // the table's form is a dot segment (RFC 3986 §5.2.4): nobody gets it
	{"path", "label", "false", "string", ".blue", ".blue", ""},
	{"path", "label", "false", "string", "blue", "", "style"},
	{"path", "label", "false", "array", ".blue,black,brown", ".blue,black,brown", ""},
	{"path", "label", "false", "array", ".blue.black", "", "enum"},
	{"path", "label", "false", "object", ".R,100,G,200,B,150", ".R,100,G,200,B,150", ""},
	{"path", "label", "false", "object", ".R=100", "", "style"},
	{"path", "label", "true", "empty", ".", "", "dots"},
	{"path", "label", "true", "string", ".blue", ".blue", ""},
	{"path", "label", "true", "string", ".blue.black", "", "pattern"},
	{"path", "label", "true", "array", ".blue.black.brown", ".blue.black.brown", ""},
	{"path", "label", "true", "array", ".blue,black", "", "enum"},
	{"path", "label", "true", "object", ".R=100.G=200.B=150", ".R=100.G=200.B=150", ""},
	{"path", "label", "true", "object", ".R,100", "", "style"},

	{"path", "simple", "false", "empty", "", "", "unmatched"}, // the operation's path, and another, is what the form would be
	{"path", "simple", "false", "string", "blue", "blue", ""},
	{"path", "simple", "false", "string", "blue,black", "", "pattern"},
	{"path", "simple", "false", "array", "blue,black,brown", "blue,black,brown", ""},
	{"path", "simple", "false", "array", "blue.black", "", "enum"},
	{"path", "simple", "false", "object", "R,100,G,200,B,150", "R,100,G,200,B,150", ""},
	{"path", "simple", "false", "object", "R=100,G=200", "", "undeclared"},
	{"path", "simple", "true", "empty", "", "", "unmatched"},
	{"path", "simple", "true", "string", "blue", "blue", ""},
	{"path", "simple", "true", "string", "bl%2Cue", "", "pattern"},
	{"path", "simple", "true", "array", "blue,black,brown", "blue,black,brown", ""},
	{"path", "simple", "true", "array", "blue,red", "", "enum"},
	{"path", "simple", "true", "object", "R=100,G=200,B=150", "R=100,G=200,B=150", ""},
	{"path", "simple", "true", "object", "R,100,G,200", "", "style"},
	{"header", "simple", "false", "empty", "", "", ""},
	{"header", "simple", "false", "string", "blue", "blue", ""},
	{"header", "simple", "false", "string", "blue, black", "", "pattern"},
	{"header", "simple", "false", "array", "blue,black,brown", "blue,black,brown", ""},
	{"header", "simple", "false", "array", "blue;black", "", "enum"},
	{"header", "simple", "false", "object", "R,100,G,200,B,150", "R,100,G,200,B,150", ""},
	{"header", "simple", "false", "object", "R,blue", "", "type"},
	{"header", "simple", "true", "array", "blue, black, brown", "blue, black, brown", ""},
	{"header", "simple", "true", "array", "blue%2Cblack", "", "enum"}, // a header is not percent-encoded
	{"header", "simple", "true", "object", "R=100,G=200,B=150", "R=100,G=200,B=150", ""},
	{"header", "simple", "true", "object", "R,100", "", "style"},

	{"query", "form", "false", "empty", "color=", "color=", ""},
	{"query", "form", "false", "empty", "color=x", "", "max_length"},
	{"query", "form", "false", "string", "color=blue", "color=blue", ""},
	{"query", "form", "false", "string", "color=blue&color=black", "", "duplicate"},
	{"query", "form", "false", "array", "color=blue,black,brown", "color=blue,black,brown", ""},
	{"query", "form", "false", "array", "color=blue&color=black", "", "duplicate"},
	{"query", "form", "false", "object", "color=R,100,G,200,B,150", "color=R,100,G,200,B,150", ""},
	{"query", "form", "false", "object", "R=100&G=200&B=150", "", "undeclared"},
	{"query", "form", "true", "empty", "color", "color=", ""},
	{"query", "form", "true", "empty", "color=%20", "", "max_length"},
	{"query", "form", "true", "string", "color=blue", "color=blue", ""},
	{"query", "form", "true", "string", "color=Blue", "", "pattern"},
	{"query", "form", "true", "array", "color=blue&color=black&color=brown", "color=blue&color=black&color=brown", ""},
	{"query", "form", "true", "array", "color=blue,black,brown", "", "enum"},
	{"query", "form", "true", "object", "R=100&G=200&B=150", "R=100&G=200&B=150", ""},
	{"query", "form", "true", "object", "color=R,100", "", "undeclared"},
	{"query", "", "", "array", "color=blue&color=black", "color=blue&color=black", ""},
	{"query", "", "", "array", "color[]=blue", "", "undeclared"},

	{"query", "spaceDelimited", "false", "array", "color=blue%20black%20brown", "color=blue%20black%20brown", ""},
	{"query", "spaceDelimited", "false", "array", "color=blue+black", "color=blue+black", ""},
	{"query", "spaceDelimited", "false", "array", "color=blue,black", "", "enum"},
	{"query", "spaceDelimited", "false", "object", "color=R%20100%20G%20200%20B%20150", "color=R%20100%20G%20200%20B%20150", ""},
	{"query", "spaceDelimited", "false", "object", "color=R%20100%20G", "", "style"},
	{"query", "pipeDelimited", "false", "array", "color=blue%7Cblack%7Cbrown", "color=blue%7Cblack%7Cbrown", ""},
	{"query", "pipeDelimited", "false", "array", "color=blue|black", "color=blue%7Cblack", ""},
	{"query", "pipeDelimited", "false", "array", "color=blue%20black", "", "enum"},
	{"query", "pipeDelimited", "false", "object", "color=R%7C100%7CG%7C200%7CB%7C150", "color=R%7C100%7CG%7C200%7CB%7C150", ""},
	{"query", "pipeDelimited", "false", "object", "color=R%7C100%7CR%7C200", "", "duplicate"},
	{"query", "deepObject", "", "object", "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150", "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150", ""},
	{"query", "deepObject", "", "object", "color[R]=100&color[G]=200", "color%5BR%5D=100&color%5BG%5D=200", ""},
	{"query", "deepObject", "", "object", "color%5BR%5D%5Bx%5D=100", "", "undeclared"},
	{"query", "deepObject", "true", "object", "color[Q]=1", "", "undeclared"},

	{"cookie", "form", "false", "empty", "color=", "color=", ""},
	{"cookie", "form", "false", "empty", "color=x", "", "max_length"},
	{"cookie", "form", "false", "string", "color=blue", "color=blue", ""},
	{"cookie", "form", "false", "string", `color="blue"`, "", "style"}, // net/http would take the quotes off, others not
	{"cookie", "form", "false", "array", "color=blue,black,brown", "color=blue,black,brown", ""},
	{"cookie", "form", "false", "array", "color=blue; color=black", "", "duplicate"},
	{"cookie", "form", "false", "object", "color=R,100,G,200,B,150", "color=R,100,G,200,B,150", ""},
	{"cookie", "form", "false", "object", "color=R,100,G", "", "style"},
	{"cookie", "cookie", "false", "empty", "color=", "color=", ""},
	{"cookie", "cookie", "false", "empty", "color=x", "", "max_length"},
	{"cookie", "cookie", "false", "string", "color=blue", "color=blue", ""},
	{"cookie", "cookie", "false", "string", "color=%62lue", "", "pattern"}, // nothing is decoded
	{"cookie", "cookie", "false", "array", "color=blue,black,brown", "color=blue,black,brown", ""},
	{"cookie", "cookie", "false", "array", "color=blue; color=black", "", "duplicate"},
	{"cookie", "cookie", "false", "object", "color=R,100,G,200,B,150", "color=R,100,G,200,B,150", ""},
	{"cookie", "cookie", "false", "object", "color=R,x", "", "type"},
	{"cookie", "cookie", "true", "string", "color=blue", "color=blue", ""},
	{"cookie", "cookie", "true", "string", "color=blue; color=black", "", "duplicate"},
	{"cookie", "cookie", "true", "array", "color=blue; color=black; color=brown", "color=blue; color=black; color=brown", ""},
	{"cookie", "cookie", "true", "array", "color=blue; color=red", "", "enum"},
	{"cookie", "cookie", "true", "object", "R=100; G=200; B=150", "R=100; G=200; B=150", ""},
	{"cookie", "cookie", "true", "object", "R=100; R=200", "", "duplicate"},

	// OpenAPI 3.2: the whole query string, in: querystring.
	{"querystring", "", "", "form", "R=100&G=200", "R=100&G=200", ""},
	{"querystring", "", "", "form", "R=100&admin=1", "", "undeclared"},
	{"querystring", "", "", "form", "R=x", "", "type"},
	{"querystring", "", "", "form", "R=1&R=2", "", "duplicate"},
	{"querystring", "", "", "json", "%7B%22R%22%3A100%7D", "%7B%22R%22%3A100%7D", ""},
	{"querystring", "", "", "json", `{"R":100}`, "%7B%22R%22:100%7D", ""},
	{"querystring", "", "", "json", "%7B%22R%22%3A100%7D=1", "", "style"},
	{"querystring", "", "", "json", "%7B%22R%22%3A1,%22R%22%3A2%7D", "", "duplicate"},
	{"querystring", "", "", "json", "%7B%22Q%22%3A1%7D", "", "undeclared"},
}

// styleSchemas are what the rows are of. None of them is wide enough to let a value pass that was read otherwise.
var styleSchemas = map[string]string{
	"empty":  "{type: string, maxLength: 0}",
	"string": "{type: string, pattern: '^[a-z]+$'}",
	"array":  "{type: array, items: {enum: [blue, black, brown]}}",
	"object": "{type: object, properties: {R: {type: integer}, G: {type: integer}, B: {type: integer}}}",
}

// document declares an operation for each row.
func (r styleRow) document(n int) string {
	path := fmt.Sprintf("/%d", n)
	if r.in == "path" {
		path += "/{color}"
	}
	p := "{name: color, in: " + r.in
	if r.in == "path" || r.in == "header" {
		p += ", required: true"
	}
	if r.style != "" {
		p += ", style: " + r.style
	}
	if r.explode != "" {
		p += ", explode: " + r.explode
	}
	switch r.of {
	case "form":
		p += ", content: {application/x-www-form-urlencoded: {schema: " + styleSchemas["object"] + "}}"
	case "json":
		p += ", content: {application/json: {schema: " + styleSchemas["object"] + "}}"
	default:
		p += ", schema: " + styleSchemas[r.of]
	}
	return fmt.Sprintf("  %s:\n    get:\n      parameters: [%s}]\n      responses: {'204': {description: ok}}\n", path, p)
}

// request is a request that carries text as the parameter stands.
func (r styleRow) request(n int, text string) (target, field string) {
	target = fmt.Sprintf("/%d", n)
	switch r.in {
	case "path":
		return target + "/" + text, ""
	case "query", "querystring":
		return target + "?" + text, ""
	case "header":
		return target, "Color: " + text
	}
	return target, "Cookie: " + text
}

func TestStyles(t *testing.T) {
	document := "openapi: 3.2.0\ninfo: {title: Styles, version: '1'}\nsecurity: []\npaths:\n"
	var answers strings.Builder
	for n, r := range styleRows {
		document += r.document(n)
		target, _ := r.request(n, r.want)
		fmt.Fprintf(&answers, "GET %s\n204\n---\n", target)
	}
	w := newWorld(t, settings{document: document, answers: answers.String(),
		config: "version: 1\ndocument: openapi.yaml\nupstream: {url: $UPSTREAM, forward: [cookie]}\nlimits: {address: 100000/1m}\n"})
	for n, r := range styleRows {
		target, field := r.request(n, r.sent)
		if field != "" {
			field += "\r\n"
		}
		status, _, body := w.exchange("GET " + target + " HTTP/1.1\r\nHost: a\r\n" + field + "\r\n")
		arrived := w.upstream.arrivals()
		name := fmt.Sprintf("row %d: %s %s explode %s, %s: %s", n, r.in, r.style, r.explode, r.of, r.sent)
		if r.code != "" {
			refused := status == http.StatusBadRequest && strings.Contains(body, `"code":"`+r.code+`"`)
			switch r.code {
			case "dots", "unmatched": // before a parameter is read at all
				refused = status == http.StatusBadRequest || status == http.StatusNotFound
			}
			if !refused || len(arrived) > 0 {
				t.Errorf("%s: got %d %s, want it refused with %s; arrived %v", name, status, body, r.code, arrived)
			}
			continue
		}
		if status != http.StatusNoContent || len(arrived) != 1 {
			t.Errorf("%s: got %d %s; arrived %v", name, status, body, arrived)
			continue
		}
		line, kept := r.request(n, r.want)
		got := ""
		switch r.in {
		case "header":
			got = "Color: " + arrived[0].header.Get("Color")
		case "cookie":
			got = "Cookie: " + arrived[0].header.Get("Cookie")
		}
		if arrived[0].line != "GET "+line || got != kept {
			t.Errorf("%s: %s %s arrived, want %s %s", name, arrived[0].line, got, line, kept)
		}
	}
}
