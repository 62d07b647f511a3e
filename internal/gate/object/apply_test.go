package object

import (
	"encoding/json"
	"strings"
)

// applied applies those operations of a JSON Patch that have one token, plainly and as a lenient API would that reads
// member names exactly, and returns the owner afterwards.
func applied(body string) (owner string, ok bool) {
	var operations []map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &operations) != nil {
		return "", false
	}
	object := map[string]json.RawMessage{"owner": json.RawMessage(`7`), "x": json.RawMessage(`8`)}
	text := func(r json.RawMessage) string {
		var s string
		_ = json.Unmarshal(r, &s)
		return s
	}
	name := func(pointer string) (string, bool) {
		rest, ok := strings.CutPrefix(pointer, "/")
		return unescape(rest), ok && !strings.Contains(rest, "/")
	}
	for _, o := range operations {
		at, ok := name(text(o["path"]))
		if !ok {
			continue
		}
		switch text(o["op"]) {
		case "add", "replace":
			object[at] = o["value"]
		case "remove":
			delete(object, at)
		case "move", "copy":
			from, ok := name(text(o["from"]))
			if !ok {
				continue
			}
			object[at] = object[from]
			if text(o["op"]) == "move" && from != at {
				delete(object, from)
			}
		}
	}
	return strings.Trim(string(object["owner"]), `"`), true
}
