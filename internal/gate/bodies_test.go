package gate_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const bodiesDocument = `
openapi: 3.1.0
info: {title: Bodies, version: "1"}
security: []
paths:
  /upload:
    post:
      operationId: upload
      requestBody: {content: {multipart/form-data: {schema: {type: object, required: [name], properties: {name: {type: string}, file: {type: string, format: binary}}}}}}
      responses: {"204": {description: ok}}
  /judged: {get: {operationId: judged, responses: {"200": {description: ok, headers: {X-After: {schema: {type: string}}}, content: {application/json: {schema: {type: object, properties: {id: {type: integer}}}}}}}}}
  /copied: {get: {operationId: copied, responses: {"200": {description: ok, headers: {X-After: {schema: {type: string}}}, content: {text/plain: {}}}}}}
`

// TestAHandlerReadsWhatWasJudged: a wrapped handler finds in a multipart body, with Go's own reader, what the gate found.
func TestAHandlerReadsWhatWasJudged(t *testing.T) {
	var got string
	w := newWorld(t, settings{document: bodiesDocument, config: "version: 1\ndocument: openapi.yaml\n", next: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			got = err.Error()
			return
		}
		f, h, err := r.FormFile("file")
		if err != nil {
			got = err.Error()
			return
		}
		content, _ := io.ReadAll(f)
		got = fmt.Sprintf("%s %s %s %d", r.PostFormValue("name"), h.Filename, content, r.ContentLength)
		rw.WriteHeader(204)
	})})
	body := "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nAnn\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n1\n2\r\n--x--\r\n"
	status, _, text := w.exchange(fmt.Sprintf("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if !strings.HasPrefix(got, "Ann a.txt 1\n2 ") || status != 204 || strings.HasSuffix(got, fmt.Sprint(" ", len(body))) {
		t.Errorf("the handler got %q; %d %s", got, status, text)
	}
}

// TestTrailersStay: what an API sends behind a body, no rule has judged.
func TestTrailersStay(t *testing.T) {
	h := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Trailer", "X-After")
		if r.URL.Path == "/judged" {
			rw.Header().Set("Content-Type", "application/json")
			io.WriteString(rw, `{"id":1}`)
		} else {
			rw.Header().Set("Content-Type", "text/plain")
			io.WriteString(rw, "text")
		}
		rw.(http.Flusher).Flush()
		rw.Header().Set("X-After", "canary")
		rw.Header().Set(http.TrailerPrefix+"X-Unsaid", "canary")
	})
	for _, mode := range []string{"proxy", "wrap"} {
		w := inFrontOf(t, bodiesDocument, mode, h)
		for _, path := range []string{"/judged", "/copied"} {
			resp, err := (&http.Client{Timeout: deadline}).Get("http://" + w.addr + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || len(body) == 0 {
				t.Errorf("%s %s: %d %q %v", mode, path, resp.StatusCode, body, err)
			}
			if len(resp.Trailer) > 0 || strings.Contains(fmt.Sprint(resp.Header), "canary") || resp.Header.Get("Trailer") != "" {
				t.Errorf("%s %s: trailers %v, header %v", mode, path, resp.Trailer, resp.Header)
			}
		}
	}
}
