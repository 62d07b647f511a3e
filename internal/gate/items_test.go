package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

const itemsDocument = `
openapi: 3.1.0
info: {title: Items, version: "1"}
security: []
paths:
  /list: {get: {operationId: list, x-portreeve: {delivery: items}, responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Item"}}}}}}}}
  /lines: {get: {operationId: lines, responses: {"200": {description: ok, content: {application/x-ndjson: {schema: {$ref: "#/components/schemas/Item"}}}}}}}
  /seq: {get: {operationId: seq, responses: {"200": {description: ok, content: {application/json-seq: {schema: {$ref: "#/components/schemas/Item"}}}}}}}
  /events: {get: {operationId: events, responses: {"200": {description: ok, content: {text/event-stream: {schema: {$ref: "#/components/schemas/Item"}}}}}}}
components:
  schemas:
    Item: {type: object, required: [id], properties: {id: {type: integer}, name: {type: string}, tags: {type: array, items: {type: string}}, ssn: {type: string, x-portreeve: {class: secret}}}}
`

// inFront is a gate in front of an API, or around it.
func inFront(t *testing.T, mode string, h http.HandlerFunc) *world {
	return inFrontOf(t, itemsDocument, mode, h)
}

func inFrontOf(t *testing.T, document, mode string, h http.HandlerFunc) *world {
	up := httptest.NewServer(h)
	t.Cleanup(up.Close)
	s := settings{document: document, config: "version: 1\ndocument: openapi.yaml\nsizes: {held: 1MiB}\nupstream: {url: \"" + up.URL + "\"}\n"}
	if mode == "wrap" {
		s.next = h
	}
	return newWorld(t, s)
}

// TestLargeList: 100,000 items, about 20 MB, are judged and projected one by one in the memory of a few, within a budget of
// 1 MiB for all that is held.
func TestLargeList(t *testing.T) {
	const (
		count = 100_000
		most  = 8 << 20 // of heap that lives, beside what lived before; what is made while the collector runs counts as living
	)
	item := func(n int) string {
		return fmt.Sprintf(`{"id":%d,"name":"%s","tags":["a","b","c"],"ssn":"078-05-1120","debug":{"x":[1,2,3]}}`, n, strings.Repeat("n", 110))
	}
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before, peak uint64
	sent := 0
	w := inFront(t, "proxy", func(rw http.ResponseWriter, _ *http.Request) {
		before = live()
		rw.Header().Set("Content-Type", "application/json")
		b := bufio.NewWriter(rw)
		for n := range count {
			sep := ","
			if n == 0 {
				sep = "["
			}
			k, _ := b.WriteString(sep + item(n))
			sent += k
			if n%20_000 == 0 {
				peak = max(peak, live())
			}
		}
		b.WriteString("]")
		b.Flush()
	})
	resp, err := http.Get("http://" + w.addr + "/list")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, r := 0, bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		text, err := r.ReadString('}')
		if err == io.EOF {
			if text != "]" {
				t.Errorf("it ends with %q", text)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"id":%d,"name":"%s","tags":["a","b","c"]}`, got, strings.Repeat("n", 110)); text[1:] != want {
			t.Fatalf("item %d is %s", got, text)
		}
		got++
	}
	if got != count {
		t.Errorf("%d items of %d", got, count)
	}
	if sent < 18<<20 {
		t.Errorf("only %d bytes were sent", sent)
	}
	if peak > before+most {
		t.Errorf("the heap grew from %d to %d bytes", before, peak)
	}
	t.Logf("%d bytes were sent; the heap that lived grew by %d", sent, int64(peak)-int64(before))
}

// TestItemsLeaveAtOnce: what the API has flushed is with the client before the API sends more. It waits for that: where an
// item were kept back, both would wait for ever.
func TestItemsLeaveAtOnce(t *testing.T) {
	for _, c := range []struct{ path, mediaType, before, item, after, want string }{
		{"/events", "text/event-stream", "", "id: %d\ndata: {\"id\":%d,\"ssn\":\"x\"}\n\n", "", "id: %d\ndata: {\"id\":%d}\n\n"},
		{"/lines", "application/x-ndjson", "", "{\"ssn\":\"%d\",\"id\":%d}\n", "", "{\"id\":%[2]d}\n"},
		{"/seq", "application/json-seq", "", "\x1e{\"ssn\":\"%d\",\"id\":%d}\n", "", "\x1e{\"id\":%[2]d}\n"},
	} {
		for _, mode := range []string{"proxy", "wrap"} {
			seen := make(chan int)
			w := inFront(t, mode, func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", c.mediaType)
				for n := range 3 {
					fmt.Fprintf(rw, c.item, n, n)
					rw.(http.Flusher).Flush()
					select {
					case <-seen:
					case <-r.Context().Done():
						return
					}
				}
			})
			resp, err := (&http.Client{Timeout: deadline}).Get("http://" + w.addr + c.path)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 3 {
				want := fmt.Sprintf(c.want, n, n)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
					t.Fatalf("%s %s: item %d is %q, %v, want %q", c.path, mode, n, got, err, want)
				}
				seen <- n
			}
			if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
				t.Errorf("%s %s: %q %v behind the last", c.path, mode, rest, err)
			}
			resp.Body.Close()
		}
	}
}
