package spec

import (
	"slices"

	"github.com/portreeve/portreeve/internal/tree"
)

// streams are the sequential media types whose items are judged one by one (OpenAPI 3.2 §4.14.2).
var streams = []string{"application/jsonl", "application/x-ndjson", "application/json-seq", "application/geo+json-seq", "text/event-stream"}

// stream finds the schema of a sequential body's items, as OpenAPI 3.2 says it: itemSchema, or schema, which there
// describes all items as one array. What could be judged only when the stream has ended is refused, for by then it has
// been sent.
func (r *reader) stream(m Media, n *tree.Node, at string) string {
	item, whole := n.Get("itemSchema"), n.Get("schema")
	pointer := at + "/itemSchema"
	switch {
	case item == nil && (whole == nil || !slices.Contains(streams, m.Type)):
		return m.Schema
	case item == nil:
		array := tree.At(r.root, m.Schema)
		if array.Get("type").Str() != "array" || array.Get("items") == nil || slices.ContainsFunc(array.Members, func(k tree.Member) bool {
			return k.Name != "type" && k.Name != "items" && !aside(k.Name)
		}) {
			r.add(whole.At, "use itemSchema", "schema describes all items of %s at once, and each is judged by itself", m.Type)
			return ""
		}
		item, pointer = array.Get("items"), m.Schema+"/items"
	case whole != nil:
		r.add(whole.At, "remove it, or itemSchema", "schema beside itemSchema could be judged only when the stream has ended")
		return ""
	case !slices.Contains(streams, m.Type):
		r.add(item.At, "use application/jsonl or text/event-stream, or describe the whole with schema", "items of %s are not judged one by one", m.Type)
		return ""
	}
	if m.Type == "text/event-stream" {
		return r.event(item, pointer)
	}
	return r.refs.schema(item, pointer, r.version)
}

// event finds the schema of an event's data (OpenAPI 3.2 §4.14.3): the one part of an event that is judged.
func (r *reader) event(item *tree.Node, pointer string) string {
	at := r.refs.schema(item, pointer, r.version)
	n := tree.At(r.root, at)
	refuse := func(where *tree.Node, format string, args ...any) string {
		r.add(where.At, "an event is {type: object, properties: {data: {type: string, contentMediaType: application/json, contentSchema: …}}}", format, args...)
		return ""
	}
	for _, k := range n.Members {
		if k.Name != "type" && k.Name != "properties" && k.Name != "required" && k.Name != "additionalProperties" && !aside(k.Name) {
			return refuse(k.Value, "nothing here would enforce %q of an event", k.Name)
		}
	}
	properties := n.Get("properties")
	if properties == nil || properties.Get("data") == nil {
		return refuse(n, "the schema of the event says nothing of its data")
	}
	for _, p := range properties.Members {
		for _, k := range p.Value.Members {
			if k.Name != "type" && !aside(k.Name) && (p.Name != "data" || k.Name != "contentMediaType" && k.Name != "contentSchema") {
				return refuse(k.Value, "nothing here would enforce %q of %q of an event", k.Name, p.Name)
			}
		}
	}
	data := properties.Get("data")
	if mediaType(data.Get("contentMediaType").Str()) != "application/json" || data.Get("contentSchema") == nil {
		return refuse(data, "the data of the event is not JSON with a contentSchema")
	}
	return r.refs.schema(data.Get("contentSchema"), at+"/properties/data/contentSchema", r.version)
}

// aside reports keywords that say nothing about a value.
func aside(keyword string) bool {
	return slices.Contains([]string{"title", "description", "example", "examples", "default", "deprecated", "externalDocs", "$comment"}, keyword)
}
