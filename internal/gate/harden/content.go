package harden

import (
	"mime"
	"strings"
)

// kind is what a browser would do with a body that somebody opens by its URL.
type kind uint8

const (
	data  kind = iota // shown as text, or read by a program: JSON, problems, streams of events, plain text
	page              // a page of the API's own
	still             // shown, and never run: pictures, sound, fonts
	file              // anything else: SVG and XML that run scripts, PDF, archives, what nobody knows
)

// kindOf reads a Content-Type. No body at all is data.
func kindOf(contentType string) kind {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.TrimSpace(t)
	switch t { // as nearly everybody writes them
	case "", "application/json", "application/problem+json", "text/plain":
		return data
	}
	t = strings.ToLower(t)
	major, minor, _ := strings.Cut(t, "/")
	switch {
	case t == "text/html", t == "application/xhtml+xml":
		return page
	case strings.HasSuffix(minor, "xml"): // SVG and every other XML: its stylesheet is a program
		return file
	case t == "application/json", strings.HasSuffix(minor, "+json"), t == "text/plain", t == "text/event-stream",
		t == "application/x-ndjson", t == "application/jsonl", t == "application/json-seq":
		return data
	case major == "image", major == "audio", major == "video", major == "font":
		return still
	}
	return file
}

// What a page of the answer's own may do. Data and files may do nothing; a file that is opened all the same stands in an
// origin of its own (sandbox), so that what it runs reaches no cookie and no storage.
var policies = [...][]string{
	data:  {"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
	page:  {"default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"},
	still: {"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"},
	file:  {"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"},
}

var attachment = []string{"attachment"}

// disposition makes a file one to be saved, not opened (RFC 6266); the name that the API gave it stays.
func disposition(values []string) []string {
	if len(values) != 1 {
		return attachment
	}
	t, params, err := mime.ParseMediaType(values[0])
	switch {
	case err != nil || t == "":
		return attachment
	case t == "attachment":
		return values
	}
	if v := mime.FormatMediaType("attachment", params); v != "" {
		return []string{v}
	}
	return attachment
}
