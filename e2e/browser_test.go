package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// page asks the gate as a script does, and reports to its own server what it could see.
const page = `<!doctype html><meta charset=utf-8><title>page</title><script>
const gate = "GATE", got = {};
async function ask(name, path, options) {
  try {
    const r = await fetch(gate + path, options);
    got[name] = r.status + " " + (await r.text()).slice(0, 20) + " " + (r.headers.get("X-Total") ?? "-") + " " + (r.headers.get("X-Inside") ?? "-");
  } catch (e) {
    got[name] = e.name;
  }
}
(async () => {
  await ask("get", "/things");
  await ask("credentials", "/things", {credentials: "include"});
  await ask("put", "/things", {method: "PUT"});
  await ask("json", "/things", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
  await ask("header", "/things", {headers: {"X-Trace": "1"}});
  await ask("undeclared header", "/things", {headers: {"X-Debug": "1"}});
  await ask("undeclared method", "/things", {method: "DELETE"});
  await ask("error", "/private", {headers: {Authorization: "Bearer x"}});
  await ask("not there", "/nothing");
  await fetch("/report", {method: "POST", body: JSON.stringify(got)});
})();
</script>`

// A real browser, on a page of a listed origin and on one of somebody else's, sees of the gate's answers what the table in
// internal/gate says that a browser sees.
func TestABrowserKeepsToTheAllowList(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: chromium is not installed, so no browser looks")
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Total", "3")
		w.Header().Set("X-Inside", "10.0.0.1")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprintf(w, "%s cookie=%q", r.Method, r.Header.Get("Cookie"))
	}))
	defer api.Close()
	address, admin, dir := freeAddress(t), freeAddress(t), t.TempDir()

	site := func() (url string, reports chan map[string]string) {
		reports = make(chan map[string]string, 1)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/":
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, strings.ReplaceAll(page, "GATE", "http://"+address))
			case "/report":
				var got map[string]string
				if err := json.NewDecoder(r.Body).Decode(&got); err == nil {
					reports <- got
				}
			default:
				http.NotFound(w, r)
			}
		})}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
		return "http://" + l.Addr().String(), reports
	}
	listed, fromListed := site()
	other, fromOther := site()

	const answer = `{"200": {description: ok, headers: {X-Total: {schema: {type: string}}, X-Inside: {schema: {type: string}}}, content: {text/plain: {}}}}`
	write(t, filepath.Join(dir, "openapi.yaml"), `openapi: 3.1.0
info: {title: Things, version: "1"}
security: []
paths:
  /things:
    get: {parameters: [{name: X-Trace, in: header, schema: {type: string}}], responses: `+answer+`}
    put: {responses: `+answer+`}
    post: {requestBody: {content: {application/json: {schema: {type: object}}}}, responses: `+answer+`}
  /private:
    get: {security: [{bearer: []}], responses: `+answer+`}
`)
	write(t, filepath.Join(dir, "portreeve.yaml"), fmt.Sprintf(`version: 1
document: openapi.yaml
listen: %q
admin: {listen: %q}
upstream: {url: %q}
cors: {allow_origins: [%q], allow_credentials: true, expose: [X-Total]}
`, address, admin, api.URL, listed))
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	start(t, dir, path, "serve").awaitAnswer(t, "http://"+admin+"/readyz", 200)

	visit := func(url string, reports chan map[string]string) map[string]string {
		t.Helper()
		b := start(t, dir, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
			"--disable-background-networking", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", url)
		select {
		case got := <-reports:
			return got
		case <-b.ended:
			t.Fatalf("the browser ended: %v\n%s", b.err, b.said())
		case <-time.After(patience):
			t.Fatalf("the page reported nothing\n%s", b.said())
		}
		return nil
	}
	const blocked = "TypeError" // what fetch says of an answer that may not be read
	hold := func(who string, got, want map[string]string) {
		t.Helper()
		for name, w := range want {
			if !strings.HasPrefix(got[name], w) {
				t.Errorf("%s, %s: the page saw %q, want %q", who, name, got[name], w)
			}
		}
	}
	hold("a listed origin", visit(listed, fromListed), map[string]string{
		"get": `200 GET cookie="" 3 -`, "credentials": `200 GET cookie="" 3 -`, "put": `200 PUT cookie="" 3 -`, "json": `200 POST cookie="" 3 -`,
		"header": "200 ", "undeclared header": blocked, "undeclared method": blocked, "error": `401 {"type":"urn:portree`, "not there": `404 {"type":"urn:portree`})
	hold("another origin", visit(other, fromOther), map[string]string{
		"get": blocked, "credentials": blocked, "put": blocked, "json": blocked, "header": blocked, "undeclared header": blocked,
		"undeclared method": blocked, "error": blocked, "not there": blocked})
}
