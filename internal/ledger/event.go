package ledger

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Kind is what an event tells of.
type Kind uint8

const (
	Request    Kind = iota // an exchange with the gate: OCSF API Activity 6003
	Act                    // a change of keys, users or tokens: OCSF Entity Management 3004
	Lifecycle              // start, stop, reload: OCSF Application Lifecycle 6002
	Alert                  // what somebody should look at: OCSF Detection Finding 2004
	Connection             // a connection that was refused or cut: OCSF Network Activity 4001
)

// Phase says which of an exchange's events this is.
type Phase string

const (
	Intent  Phase = "intent"  // about to call the upstream; durable first
	Outcome Phase = "outcome" // how that ended
	Whole   Phase = "request" // intent and outcome in one
	Summary Phase = "summary" // many refusals of one kind, counted
)

// Event is one line. What is empty is left out. It has no place for credentials, bodies or raw paths.
type Event struct {
	Kind Kind
	Time time.Time
	ID   string // of the exchange; intent and outcome share it

	// Request
	Phase      Phase
	Operation  string // operationId
	Method     string
	Path       string // the document's template
	Status     int
	Latency    time.Duration
	Address    string
	Agent      string // User-Agent
	Subject    string
	Actor      string // "user", "service", "anonymous"
	Issuer     string
	Credential string // jti or key id
	Roles      []string
	Allowed    bool
	Stage      string // that decided
	Reason     string // fine
	Controls   []string
	ObjectType string
	ObjectID   string
	Source     string // by what it was decided whose the object is: "response", "prefetch"
	Weak       bool   // the object may have changed hands between the look and the act
	Passed     string // the permission that passes without ownership, where it did
	Attribute  string // digest of the owner that was read, hex; "" where none was
	Omitted    int    // elements of a list that left
	Dropped    int    // fields withheld
	Masked     int
	Rules      []string // of the screening that matched, by id
	Observed   []string // refusals that were let pass, "validate: body"
	Record     string   // sync or async
	Count      int      // of a summary
	Plan       string   // hash

	// Act, Lifecycle, Alert
	Verb    string // "key.create", "start", "reload"
	Target  string
	Message string
}

// product is what OCSF's metadata names.
const product = `"metadata":{"version":"1.8.0","profiles":["security_control"],"product":{"name":"Portreeve","vendor_name":"Portreeve"}`

type class struct {
	uid, category int
	name          string
}

var classes = [...]class{
	Request:   {6003, 6, "API Activity"},
	Act:       {3004, 3, "Entity Management"},
	Lifecycle: {6002, 6, "Application Lifecycle"},
	Alert:     {2004, 2, "Detection Finding"},

	Connection: {4001, 4, "Network Activity"},
}

// activity is OCSF's activity_id: what was done, by class.
func (e *Event) activity() int {
	switch e.Kind {
	case Request:
		switch e.Method {
		case "POST":
			return 1 // Create
		case "GET", "HEAD", "OPTIONS":
			return 2 // Read
		case "PUT", "PATCH":
			return 3 // Update
		case "DELETE":
			return 4 // Delete
		}
	case Act:
		switch e.Verb {
		case "key.create", "user.add", "token.issue":
			return 1
		case "key.rotate", "user.passwd", "user.roles", "user.enable", "key.enable":
			return 3
		case "key.revoke", "token.revoke", "user.disable", "key.disable":
			return 4
		}
	case Lifecycle:
		switch e.Verb {
		case "start":
			return 3
		case "stop":
			return 4
		}
	case Alert:
		return 1
	case Connection:
		if e.Verb == Refuse {
			return 5
		}
		return 3 // Reset
	}
	return 99 // Other
}

// Encode appends the event as one JSON object without a line break.
func (e *Event) Encode(dst []byte) []byte {
	c := classes[e.Kind]
	w := writer{dst}
	w.raw(`{"class_uid":`).num(c.uid).raw(`,"class_name":"`).raw(c.name).raw(`","category_uid":`).num(c.category)
	activity := e.activity()
	w.raw(`,"activity_id":`).num(activity).raw(`,"type_uid":`).num(c.uid*100 + activity)
	w.raw(`,"time":`).num64(e.Time.UnixMilli())
	w.raw(`,"severity_id":`).num(e.severity()).raw(`,"status_id":`).num(e.statusID())
	w.raw(`,`).raw(product)
	if e.ID != "" {
		w.raw(`,"correlation_uid":`).str(e.ID)
	}
	w.raw(`}`)
	switch e.Kind {
	case Request:
		e.request(&w)
	case Connection:
		e.connection(&w)
	default:
		e.act(&w)
	}
	w.raw(`}`)
	return w.b
}

func (e *Event) severity() int {
	switch {
	case e.Kind == Alert, e.Reason == "credential_exposed":
		return 4 // High
	case e.Kind == Connection, e.Kind == Request && !e.Allowed && e.Phase != Intent:
		return 2 // Low
	}
	return 1 // Informational
}

func (e *Event) statusID() int {
	switch {
	case e.Kind == Connection:
		return 2 // Failure
	case e.Kind != Request && e.Kind != Act:
		return 1
	case e.Phase == Intent:
		return 0 // Unknown
	case e.Kind == Act && e.Allowed:
		return 1
	case e.Allowed && e.Status < 400:
		return 1 // Success
	}
	return 2 // Failure
}

func (e *Event) request(w *writer) {
	w.raw(`,"actor":{"user":{"type":`).str(e.Actor)
	w.opt(`,"uid":`, e.Subject).opt(`,"domain":`, e.Issuer).opt(`,"credential_uid":`, e.Credential)
	w.list(`,"groups":`, e.Roles, `{"name":`, `}`)
	w.raw(`}},"api":{"operation":`).str(e.Operation).raw(`,"request":{"uid":`).str(e.ID).raw(`}}`)
	w.opt(`,"src_endpoint":{"ip":`, e.Address)
	if e.Address != "" {
		w.raw(`}`)
	}
	w.raw(`,"http_request":{"http_method":`).str(e.Method).raw(`,"url":{"path":`).str(e.Path).raw(`}`)
	w.opt(`,"user_agent":`, e.Agent).raw(`}`)
	if e.Status != 0 {
		w.raw(`,"http_response":{"code":`).num(e.Status).raw(`,"latency":`).num64(e.Latency.Milliseconds()).raw(`}`)
	}
	if e.ObjectType != "" {
		w.raw(`,"resources":[{"type":`).str(e.ObjectType).opt(`,"uid":`, e.ObjectID).raw(`}]`)
	}
	action, disposition := 2, 2 // Denied, Blocked
	decision := "deny"
	switch {
	case e.Phase == Intent:
		action, disposition, decision = 1, 1, "permit"
	case len(e.Observed) > 0 && e.Allowed:
		action, disposition, decision = 3, 17, "observe"
	case e.Allowed && e.Dropped+e.Masked+e.Omitted > 0:
		action, disposition, decision = 4, 11, "permit"
	case e.Allowed:
		action, disposition, decision = 1, 1, "permit"
	}
	w.raw(`,"action_id":`).num(action).raw(`,"disposition_id":`).num(disposition)
	w.raw(`,"authorizations":[{"decision":"`).raw(decision).raw(`"`).opt(`,"policy":{"uid":`, e.Stage)
	if e.Stage != "" {
		w.raw(`}`)
	}
	w.raw(`}]`)
	if e.Count > 0 {
		w.raw(`,"count":`).num(e.Count)
	}
	w.raw(`,"unmapped":{"phase":`).str(string(e.Phase)).opt(`,"record":`, e.Record).opt(`,"stage":`, e.Stage).opt(`,"reason":`, e.Reason)
	w.list(`,"controls":`, e.Controls, "", "").list(`,"observed":`, e.Observed, "", "").list(`,"rules":`, e.Rules, "", "")
	w.opt(`,"object_source":`, e.Source)
	if e.Weak {
		w.raw(`,"object_weak":true`)
	}
	w.opt(`,"object_passed":`, e.Passed).opt(`,"object_owner_sha256":`, e.Attribute)
	if e.Omitted > 0 {
		w.raw(`,"elements_omitted":`).num(e.Omitted)
	}
	if e.Dropped > 0 {
		w.raw(`,"fields_dropped":`).num(e.Dropped)
	}
	if e.Masked > 0 {
		w.raw(`,"fields_masked":`).num(e.Masked)
	}
	w.opt(`,"plan":`, e.Plan).raw(`}`)
}

// What an event of a connection says was done to it.
const (
	Refuse = "connection.refuse" // it was closed before a byte of it was read
	Cut    = "connection.cut"
)

func (e *Event) connection(w *writer) {
	w.raw(`,"action_id":2,"disposition_id":2`) // Denied, Blocked
	w.opt(`,"src_endpoint":{"ip":`, e.Address)
	if e.Address != "" {
		w.raw(`}`)
	}
	if e.Count > 0 {
		w.raw(`,"count":`).num(e.Count)
	}
	w.raw(`,"unmapped":{"phase":`).str(string(e.Phase)).opt(`,"verb":`, e.Verb).opt(`,"stage":`, e.Stage).opt(`,"reason":`, e.Reason)
	w.list(`,"controls":`, e.Controls, "", "").opt(`,"plan":`, e.Plan).raw(`}`)
}

func (e *Event) act(w *writer) {
	w.opt(`,"message":`, e.Message)
	if e.Kind == Act {
		w.raw(`,"entity":{"type":`).str(e.Verb).opt(`,"uid":`, e.Target).raw(`}`)
	}
	if e.Actor != "" || e.Subject != "" {
		w.raw(`,"actor":{"user":{"type":`).str(e.Actor).opt(`,"uid":`, e.Subject).raw(`}}`)
	}
	w.raw(`,"unmapped":{"verb":`).str(e.Verb).opt(`,"phase":`, string(e.Phase)).opt(`,"target":`, e.Target).list(`,"roles":`, e.Roles, "", "").opt(`,"plan":`, e.Plan).raw(`}`)
}

// writer appends JSON.
type writer struct{ b []byte }

func (w *writer) raw(s string) *writer {
	w.b = append(w.b, s...)
	return w
}

func (w *writer) num(n int) *writer {
	w.b = strconv.AppendInt(w.b, int64(n), 10)
	return w
}

func (w *writer) num64(n int64) *writer {
	w.b = strconv.AppendInt(w.b, n, 10)
	return w
}

// opt writes a prefix and a string, or nothing where there is none.
func (w *writer) opt(prefix, s string) *writer {
	if s == "" {
		return w
	}
	return w.raw(prefix).str(s)
}

func (w *writer) list(prefix string, items []string, before, after string) *writer {
	if len(items) == 0 {
		return w
	}
	w.raw(prefix).raw(`[`)
	for i, s := range items {
		if i > 0 {
			w.raw(`,`)
		}
		w.raw(before).str(s).raw(after)
	}
	return w.raw(`]`)
}

const hexDigits = "0123456789abcdef"

// maxText bounds what a client can write into an event.
const maxText = 256

// str writes text so that no text breaks a line or a terminal that shows it: controls, DEL, U+2028/9, what turns
// the direction of writing, and invalid UTF-8 are escaped (threat 21).
func (w *writer) str(s string) *writer {
	if len(s) > maxText {
		s = s[:maxText]
	}
	w.b = append(w.b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\':
				w.b = append(w.b, '\\', c)
			case c < 0x20 || c == 0x7f:
				w.b = append(w.b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				w.b = append(w.b, c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			w.b = append(w.b, `\ufffd`...)
		case r == '\u2028' || r == '\u2029' || r >= 0x80 && r < 0xa0 || r >= '\u200e' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069':
			w.b = append(w.b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			w.b = append(w.b, s[i:i+n]...)
		}
		i += n
	}
	w.b = append(w.b, '"')
	return w
}
