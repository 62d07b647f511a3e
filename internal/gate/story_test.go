package gate_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/cli"
	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/gate"
	"github.com/portreeve/portreeve/internal/gate/exchange"
)

// The order is told in four places: order.go, the package documentation, docs/life-of-a-request.md and explain. The
// tests here draw it from order.go and from the chains that run, and hold the others against the drawing.
//
//	go test ./internal/gate -run TestStory -story
var story = flag.Bool("story", false, "write the drawings of the life of a request anew")

// A document and a configuration that give every stage something to do.
const (
	storyDocument = `openapi: 3.1.0
info: {title: Orders, version: "1"}
paths:
  /orders/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer}}
    get:
      operationId: readOrder
      security: [{bearer: ["orders:read"]}]
      x-portreeve: {permission: "orders:read", object: {type: Order, id: $request.path.id, owner: $response.body#/owner}}
      responses:
        "200":
          description: one order
          content:
            application/json:
              schema: {type: object, properties: {id: {type: integer}, owner: {type: string}}}
    delete:
      operationId: deleteOrder
      security: [{bearer: ["orders:delete"]}]
      responses: {"204": {description: gone}}
  /mine/{user}/orders:
    parameters:
      - {name: user, in: path, required: true, schema: {type: string}}
    get:
      operationId: listMine
      security: [{bearer: []}]
      x-portreeve: {object: {type: Person, id: $request.path.user, owner: $request.path.user}}
      responses: {"200": {description: all, content: {text/plain: {}}}}
`
	storyConfig = `version: 1
listen: "127.0.0.1:8080"
document: openapi.yaml
upstream: {url: "http://127.0.0.1:9000"}
cors: {allow_origins: ["https://app.example.com"]}
limits: {address: 3000/1m, failures: 30/1m, principal: 1000/1m}
`
)

func storyFiles(t *testing.T) (dir, config string) {
	dir = t.TempDir()
	config = filepath.Join(dir, "portreeve.yaml")
	for name, text := range map[string]string{"openapi.yaml": storyDocument, "portreeve.yaml": storyConfig} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, config
}

// deed is one thing a stage does, at one moment of the way.
type deed struct{ stage, what string }

// way is the whole way of a request, in the order of time.
type way struct {
	request []deed // before the API is called
	judged  []deed // the answer, before anything of it leaves
	dressed []deed // the head, just before it leaves
	closed  []deed // when everything is over
}

// walk works out the way from the order and from what the steps of real chains do: a step that has Dress acts when a
// head leaves, one that has Close at the end, one that has only Head or Part when the answer is judged.
func walk(stages []gate.StageInfo, chains []*exchange.Chain) (way, error) {
	type deeds struct{ enter, judge, dress, close bool }
	of := make([]deeds, len(stages))
	for _, c := range chains {
		if len(c.Steps) != len(stages) {
			return way{}, fmt.Errorf("%s has %d steps", c.Op.ID, len(c.Steps))
		}
		for i := range c.Steps {
			s := &c.Steps[i]
			if s.Stage != stages[i].Name {
				return way{}, fmt.Errorf("%s: step %d is %s, not %s", c.Op.ID, i, s.Stage, stages[i].Name)
			}
			of[i].enter = of[i].enter || s.Enter != nil
			of[i].judge = of[i].judge || s.Head != nil || s.Part != nil
			of[i].dress = of[i].dress || s.Dress != nil
			of[i].close = of[i].close || s.Close != nil
		}
	}
	var w way
	at := 0
	for i, s := range stages {
		d := of[i]
		if s.Answers {
			at = i
		}
		if does := d.enter || s.Answers; does != (s.In != "") {
			return way{}, fmt.Errorf("%s acts on the request: %v, but order.go says %q", s.Name, does, s.In)
		}
		if does := d.judge || d.dress || d.close; does != (s.Out != "") {
			return way{}, fmt.Errorf("%s acts on the answer: %v, but order.go says %q", s.Name, does, s.Out)
		}
		switch {
		case s.Answers && d.enter != (s.Before != ""):
			return way{}, fmt.Errorf("%s asks first: %v, but order.go says %q", s.Name, d.enter, s.Before)
		case s.Answers && d.enter:
			w.request = append(w.request, deed{s.Name, s.Before})
		case d.enter:
			w.request = append(w.request, deed{s.Name, s.In})
		}
		if d.dress {
			w.dressed = append(w.dressed, deed{s.Name, s.Out})
		}
		if d.close {
			w.closed = append(w.closed, deed{s.Name, s.Out})
		}
	}
	judged := func(i int) {
		if d := of[i]; d.judge && !d.dress && !d.close {
			w.judged = append(w.judged, deed{stages[i].Name, stages[i].Out})
		}
	}
	w.request = append(w.request, deed{stages[at].Name, stages[at].In})
	for i := at; i >= 0; i-- { // nearest the API first, as exchange.NewChain has it
		judged(i)
	}
	for i := at + 1; i < len(stages); i++ {
		judged(i)
	}
	return w, nil
}

// draw draws the way from the top to the bottom.
func draw(w way) string {
	var b strings.Builder
	leg := func(from string, deeds ...[]deed) {
		fmt.Fprintf(&b, "%s\n  │\n", from)
		for _, some := range deeds {
			for _, d := range some {
				fmt.Fprintf(&b, "  │  %-8s  %s\n", d.stage, d.what)
			}
		}
		b.WriteString("  ▼\n")
	}
	leg("client: the request", w.request)
	leg("the API, or the wrapped handler: the answer", w.judged, w.dressed)
	b.WriteString("client\n")
	for _, d := range w.closed {
		fmt.Fprintf(&b, "     %-8s  %s, whatever happened above\n", d.stage, d.what)
	}
	return b.String()
}

// table lists the stages as the order has them.
func table(stages []gate.StageInfo) string {
	var b strings.Builder
	b.WriteString("| # | stage | going in | coming back |\n|---|---|---|---|\n")
	for i, s := range stages {
		name := fmt.Sprintf("[%s](../internal/gate/%s)", s.Name, s.Name)
		in := s.In
		if s.Before != "" {
			in = s.Before + "; " + in
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", i, name, in, s.Out)
	}
	return b.String()
}

// block is a part of a file that is drawn, between two lines of that file.
type block struct{ file, after, before, text string }

// blocks are all places where the drawings stand.
func blocks(stages []gate.StageInfo, w way) []block {
	const doc, page = "doc.go", "../../docs/life-of-a-request.md"
	comment := "//\n"
	for line := range strings.Lines(draw(w)) {
		comment += "//\t" + line
	}
	return []block{
		{doc, "the very values that run.", "// A step that refuses", comment + "//\n"},
		{page, "<!-- drawn from internal/gate/order.go: way -->\n", "<!-- end of way -->", "```text\n" + draw(w) + "```\n"},
		{page, "<!-- drawn from internal/gate/order.go: table -->\n", "<!-- end of table -->", table(stages)},
	}
}

// replace puts the text between the two lines; same says whether it stood there already.
func (k block) replace(content string) (out string, same bool, err error) {
	i := strings.Index(content, k.after)
	if i < 0 {
		return "", false, fmt.Errorf("%s has no %q", k.file, k.after)
	}
	if !strings.HasSuffix(k.after, "\n") {
		i += strings.IndexByte(content[i:], '\n') + 1
	} else {
		i += len(k.after)
	}
	n := strings.Index(content[i:], k.before)
	if n < 0 {
		return "", false, fmt.Errorf("%s has no %q below %q", k.file, k.before, k.after)
	}
	return content[:i] + k.text + content[i+n:], content[i:i+n] == k.text, nil
}

func storyChains(t *testing.T) []*exchange.Chain {
	dir, _ := storyFiles(t)
	p, err := compile.LoadText("portreeve.yaml", []byte(storyConfig), dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	g, err := deployment.Preview(p, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return g.Chains()
}

func TestStory(t *testing.T) {
	stages := gate.Stages()
	w, err := walk(stages, storyChains(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range blocks(stages, w) {
		content, err := os.ReadFile(k.file)
		if err != nil {
			t.Fatal(err)
		}
		out, same, err := k.replace(string(content))
		switch {
		case err != nil:
			t.Error(err)
		case *story && !same:
			if err := os.WriteFile(k.file, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		case !same:
			t.Errorf("%s tells another story than order.go; compare, then: go test ./internal/gate -run TestStory -story\n%s", k.file, cmp.Diff(string(content), out))
		}
	}
}

// TestExplainTellsTheOrder runs explain as a person does, for people and for programs, for an operation of the document
// and for a request that fits none.
func TestExplainTellsTheOrder(t *testing.T) {
	_, config := storyFiles(t)
	var want []string
	for _, s := range gate.Stages() {
		want = append(want, s.Name)
	}
	for _, args := range [][]string{{"GET", "/orders/17"}, {"DELETE", "/orders/{id}"}, {"GET", "/nothing"}} {
		var got []string
		var said struct {
			Steps []struct{ Stage string } `json:"steps"`
		}
		if err := json.Unmarshal(explain(t, config, append(args, "--json")...), &said); err != nil {
			t.Fatal(err)
		}
		for _, s := range said.Steps {
			got = append(got, s.Stage)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("explain %v --json tells another order (-order.go +explain):\n%s", args, diff)
		}
		got = nil
		for line := range strings.Lines(string(explain(t, config, args...))) {
			f := strings.Fields(line)
			if len(f) > 1 && f[0] == fmt.Sprint(len(got)) {
				got = append(got, f[1])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("explain %v tells another order (-order.go +explain):\n%s", args, diff)
		}
	}
}

func explain(t *testing.T, config string, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"explain", "--config", config}, args...)
	if code := cli.Main(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 {
		t.Fatalf("%v: exit %d\n%s", args, code, &errs)
	}
	return out.Bytes()
}

// TestStoryCanFail changes the story in each way it could go wrong.
func TestStoryCanFail(t *testing.T) {
	stages, chains := gate.Stages(), storyChains(t)
	for _, c := range []struct {
		name   string
		change func([]gate.StageInfo)
	}{
		{"two stages change places", func(s []gate.StageInfo) { s[3], s[4] = s[4], s[3] }},
		{"a deed on the request is not told", func(s []gate.StageInfo) { s[5].In = "" }},
		{"a deed on the answer is not told", func(s []gate.StageInfo) { s[9].Out = "" }},
		{"a deed is told that nobody does", func(s []gate.StageInfo) { s[0].Out = "it sings" }},
		{"a question is not told", func(s []gate.StageInfo) { s[8].Before = "" }},
		{"a stage is missing", func(s []gate.StageInfo) { s[6] = gate.StageInfo{} }},
	} {
		changed := gate.Stages()
		c.change(changed)
		if _, err := walk(changed, chains); err == nil {
			t.Errorf("%s, and nobody notices", c.name)
		}
	}
	w, err := walk(stages, chains)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range blocks(stages, w) {
		content, err := os.ReadFile(k.file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"throttle", "object"} {
			spoiled := strings.Replace(string(content), "  "+name, "  "+strings.ToUpper(name), -1)
			spoiled = strings.Replace(spoiled, "["+name+"]", "["+strings.ToUpper(name)+"]", -1)
			if _, same, err := k.replace(spoiled); err == nil && same {
				t.Errorf("%s: %s was renamed, and nobody notices", k.file, name)
			}
		}
	}
}
