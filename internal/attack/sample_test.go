package attack

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/portreeve/portreeve/internal/spec"
)

// sampleDocument is what the sample API promises.
const sampleDocument = `
openapi: 3.1.0
info: {title: Notes, version: "1"}
security: [{bearer: []}, {key: []}]
x-portreeve: {undeclared: {request: refuse}}
paths:
  /login:
    post:
      operationId: login
      security: []
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Login"}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {name: {type: string}, session: {type: string}}}}}}, 4XX: {description: no}}
  /notes:
    get:
      x-portreeve: {permission: "notes:read"}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Note"}}}}}, 4XX: {description: no}}
    post:
      x-portreeve: {permission: "notes:write"}
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/NewNote"}}}}
      responses: {"201": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Note"}}}}, 4XX: {description: no}}
  /notes/{note_id}:
    parameters: [{name: note_id, in: path, required: true, schema: {type: integer, minimum: 1, maximum: 1000000}}]
    get:
      x-portreeve: {permission: "notes:read", object: {type: Note, id: $request.path.note_id, owner: "$response.body#/owner_id", unless: "notes:any"}}
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Note"}}}}, 4XX: {description: no}}
    put:
      x-portreeve: {permission: "notes:write", object: {type: Note, id: $request.path.note_id, owner: "$response.body#/owner_id", unless: "notes:any"}}
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/NewNote"}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Note"}}}}, 4XX: {description: no}}
    delete:
      x-portreeve: {permission: "notes:write"}
      responses: {"204": {description: gone}, 4XX: {description: no}}
  /invoices:
    get:
      x-portreeve: {permission: "notes:read", object: {type: Invoice, id: $request.query.owner_id, owner: $request.query.owner_id, unless: "notes:any"}}
      parameters: [{name: owner_id, in: query, schema: {type: integer, minimum: 1, maximum: 1000000}}]
      responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {type: object, properties: {id: {type: integer}, owner_id: {type: integer}, amount: {type: integer}}}}}}}, 4XX: {description: no}}
  /me:
    get:
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Profile"}}}}, 4XX: {description: no}}
  /search:
    get:
      x-portreeve: {permission: "notes:read"}
      parameters: [{name: q, in: query, required: true, schema: {type: string, minLength: 1, maxLength: 40}}]
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {q: {type: string}, found: {type: array, items: {type: string}}}}}}}, 4XX: {description: no}}
  /stats:
    get:
      x-portreeve: {permission: "stats:read"}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {notes: {type: integer}}}}}}, 4XX: {description: no}}
  /vault:
    get:
      x-portreeve: {permission: "stats:read", mfa: true, max_age: 1h}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {vault: {type: string}}}}}}, 4XX: {description: no}}
  /export:
    get:
      x-portreeve: {permission: "notes:read", limit: 60/1h}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {export: {type: string}}}}}}, 4XX: {description: no}}
components:
  securitySchemes:
    bearer: {type: http, scheme: bearer, bearerFormat: JWT}
    key: {type: apiKey, in: header, name: X-API-Key}
  schemas:
    Login:
      type: object
      additionalProperties: false
      required: [username, password]
      properties: {username: {type: string, minLength: 1, maxLength: 60}, password: {type: string, minLength: 1, maxLength: 100}}
    NewNote:
      type: object
      additionalProperties: false
      required: [title, stars]
      properties:
        title: {type: string, minLength: 1, maxLength: 60}
        stars: {type: integer, minimum: 1, maximum: 5}
        color: {type: string, enum: [red, green]}
        mail: {type: string, format: email, maxLength: 100}
    Note:
      type: object
      properties: {id: {type: integer}, owner_id: {type: integer}, title: {type: string}, stars: {type: integer}, color: {type: string}, mail: {type: string}}
    Profile:
      type: object
      properties:
        user_id: {type: integer}
        name: {type: string}
        phone: {type: string, x-portreeve: {class: personal, mask: last4, unmask: "phone:full"}}
        salary: {type: integer, x-portreeve: {class: sensitive, permission: "salary:read"}}
        pin: {type: string, x-portreeve: {class: secret}}
`

// bend is one fault that a sample API may have; the zero value is an API without any.
type bend string

// sampleFriend is the one foreign origin that is let in.
const sampleFriend = "https://app.example.com"

const soundSecret = "9f1c-sample-secret-of-a-generator-7b20e4"

// sample is a small API of notes over real handlers, sound but for one bend.
type sample struct {
	bent bend
	db   *sql.DB
	url  string

	routes *http.ServeMux

	mu       sync.Mutex
	notes    map[int]map[string]any
	last     int
	calls    map[string]int
	lastSeen string
}

type sampleUser struct {
	id         int
	name, role string
	amr        []string
}

var sampleUsers = []sampleUser{{1, "alice", "user", nil}, {2, "bob", "user", nil}, {3, "carol", "admin", []string{"pwd", "otp"}}, {4, "dora", "guest", nil}}

var sampleRoles = map[string][]string{"user": {"notes:read", "notes:write"}, "admin": {"notes:*", "stats:read"}, "guest": {"notes:read"}}

func (s *sample) is(b bend) bool { return s.bent == b }

func (s *sample) secret() string {
	if s.is("token-weak-secret") {
		return "secret123"
	}
	return soundSecret
}

func rawToken(secret string, header, claims map[string]any) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	m := hmac.New(sha256.New, []byte(secret))
	io.WriteString(m, text)
	return text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func (s *sample) token(u sampleUser, life time.Duration, aud string) string {
	now := time.Now()
	return rawToken(s.secret(), map[string]any{"alg": "HS256", "typ": "JWT"},
		map[string]any{"sub": strconv.Itoa(u.id), "aud": aud, "iat": now.Unix(), "exp": now.Add(life).Unix(), "amr": u.amr, "auth_time": now.Unix()})
}

// stale is a token in force whose holder proved who they are a day ago.
func (s *sample) stale(u sampleUser) string {
	now := time.Now()
	return rawToken(s.secret(), map[string]any{"alg": "HS256", "typ": "JWT"}, map[string]any{"sub": strconv.Itoa(u.id), "aud": "notes", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"amr": u.amr, "auth_time": now.Add(-24 * time.Hour).Unix()})
}

func sampleKey(u sampleUser) string { return "key-of-" + u.name + "-4711" }

func samplePassword(u sampleUser) string { return "pass-word-of-" + u.name }

// who proves the caller; ok is false for a credential that is not believed, and nil with ok nobody.
func (s *sample) who(r *http.Request) (u *sampleUser, strong, ok bool) {
	byID := func(id string) *sampleUser {
		for i := range sampleUsers {
			if strconv.Itoa(sampleUsers[i].id) == id {
				return &sampleUsers[i]
			}
		}
		return nil
	}
	if key := r.Header.Get("X-API-Key"); key != "" {
		for i := range sampleUsers {
			if sampleKey(sampleUsers[i]) == key {
				return &sampleUsers[i], s.is("single-factor"), true
			}
		}
		return nil, false, false
	}
	bearer, shown := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !shown {
		return nil, false, true
	}
	parts := strings.Split(bearer, ".")
	if len(parts) != 3 {
		return nil, false, false
	}
	h, _ := base64.RawURLEncoding.DecodeString(parts[0])
	c, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var head struct{ Alg string }
	var claims struct {
		Sub, Aud string
		Exp      int64
		AMR      []string
		AuthTime int64 `json:"auth_time"`
	}
	if json.Unmarshal(h, &head) != nil || json.Unmarshal(c, &claims) != nil {
		return nil, false, false
	}
	m := hmac.New(sha256.New, []byte(s.secret()))
	io.WriteString(m, parts[0]+"."+parts[1])
	signed := head.Alg == "HS256" && hmac.Equal([]byte(base64.RawURLEncoding.EncodeToString(m.Sum(nil))), []byte(parts[2]))
	switch {
	case s.is("token-alg-none") && strings.EqualFold(head.Alg, "none"):
	case s.is("token-signature") && head.Alg == "HS256":
	case !signed:
		return nil, false, false
	}
	if !s.is("token-expired") && time.Now().Unix() > claims.Exp || !s.is("token-audience") && claims.Aud != "notes" {
		return nil, false, false
	}
	u = byID(claims.Sub)
	if v := r.Header.Get("X-User-Id"); s.is("identity-header") && v != "" {
		u = byID(v)
	}
	fresh := time.Now().Unix()-claims.AuthTime <= 3600 || s.is("stale-factor")
	return u, len(claims.AMR) > 1 && fresh, u != nil
}

func (s *sample) problem(w http.ResponseWriter, status int, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if status == http.StatusUnauthorized && !s.is("missing-challenge") {
		h.Set("WWW-Authenticate", `Bearer realm="notes"`)
	}
	if status == http.StatusTooManyRequests && !s.is("retry-after") {
		h.Set("Retry-After", "3600")
	}
	p := map[string]any{"title": http.StatusText(status), "status": status, "instance": "urn:uuid:00000000-0000-4000-8000-000000000000"}
	if s.is("untraceable-refusal") {
		delete(p, "instance")
	}
	if detail != "" {
		p["detail"] = detail
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(p)
}

func (s *sample) send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// counted reports whether a counter is beyond its limit.
func (s *sample) counted(key string, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[key]++
	return s.calls[key] > limit
}

// beyond reports whether one was already counted beyond its limit.
func (s *sample) beyond(key string, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[key] >= limit
}

type sampleHandler func(w http.ResponseWriter, r *http.Request, u *sampleUser)

// guarded is what stands before every operation but the sign-in.
func (s *sample) guarded(permission string, strong bool, query []string, next sampleHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		failures := "failures"
		if s.is("guessing-evasion") {
			failures += r.Header.Get("X-Forwarded-For")
		}
		if s.beyond(failures, 60) && !s.is("credential-guessing") {
			s.problem(w, http.StatusTooManyRequests, "")
			return
		}
		u, proven, ok := s.who(r)
		if u == nil && ok && (s.is("missing-credential") || s.is("head-unguarded") && r.Method == http.MethodHead) {
			u, ok = &sampleUsers[0], true
		}
		if !ok && s.is("garbage-credential") {
			u, ok = &sampleUsers[0], true
		}
		if u == nil || !ok || strong && !proven {
			if !ok {
				s.counted(failures, 60)
			}
			s.problem(w, http.StatusUnauthorized, "")
			return
		}
		who := "user " + u.name
		if s.is("limit-evasion") {
			who += r.Header.Get("X-Forwarded-For")
		}
		if s.counted(who, 300) && !s.is("principal-limit") {
			s.problem(w, http.StatusTooManyRequests, "")
			return
		}
		if permission != "" && !slices.ContainsFunc(sampleRoles[u.role], func(g string) bool { return covers(g, permission) }) && !s.is("bfla-role") {
			s.problem(w, http.StatusForbidden, "")
			return
		}
		for name := range r.URL.Query() {
			if !slices.Contains(query, name) && !s.is("undeclared-parameter") {
				s.problem(w, http.StatusBadRequest, "")
				return
			}
		}
		next(w, r, u)
	}
}

func (s *sample) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /login", s.login)
	m.HandleFunc("GET /notes", s.guarded("notes:read", false, nil, s.listNotes))
	m.HandleFunc("POST /notes", s.guarded("notes:write", false, nil, s.makeNote))
	m.HandleFunc("GET /notes/{id}", s.guarded("notes:read", false, nil, s.readNote))
	m.HandleFunc("PUT /notes/{id}", s.guarded("notes:write", false, nil, s.writeNote))
	m.HandleFunc("DELETE /notes/{id}", s.guarded("notes:write", false, nil, s.removeNote))
	m.HandleFunc("GET /invoices", s.guarded("notes:read", false, []string{"owner_id"}, s.invoices))
	m.HandleFunc("GET /me", s.guarded("", false, nil, s.me))
	m.HandleFunc("GET /search", s.guarded("notes:read", false, []string{"q"}, s.search))
	m.HandleFunc("GET /stats", s.guarded("stats:read", false, nil, func(w http.ResponseWriter, _ *http.Request, _ *sampleUser) {
		s.send(w, 200, map[string]any{"notes": 7})
	}))
	m.HandleFunc("GET /vault", s.guarded("stats:read", true, nil, func(w http.ResponseWriter, _ *http.Request, _ *sampleUser) {
		s.send(w, 200, map[string]any{"vault": "open"})
	}))
	m.HandleFunc("GET /export", s.guarded("notes:read", false, nil, func(w http.ResponseWriter, _ *http.Request, u *sampleUser) {
		if s.counted("export "+u.name, 60) && !s.is("rate-limit") {
			s.problem(w, http.StatusTooManyRequests, "")
			return
		}
		s.send(w, 200, map[string]any{"export": "all"})
	}))
	switch s.bent {
	case "bfla-verb":
		m.HandleFunc("PATCH /notes/{id}", s.guarded("", false, nil, s.readNote))
	case "undocumented-endpoint":
		m.HandleFunc("GET /actuator/env", func(w http.ResponseWriter, _ *http.Request) { s.send(w, 200, map[string]string{"DATABASE_URL": "x"}) })
	case "old-version":
		m.HandleFunc("GET /v1/notes", s.guarded("notes:read", false, nil, s.listNotes))
	}
	m.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := m.Handler(&http.Request{Method: "GET", URL: r.URL, Host: r.Host}); pattern != "/" {
			s.problem(w, http.StatusMethodNotAllowed, "")
			return
		}
		s.problem(w, http.StatusNotFound, "")
	})
	s.routes = m
	return s.dressed(m)
}

// dressed puts on the headers and keeps panics inside.
func (s *sample) dressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if !s.is("missing-headers") {
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Cache-Control", "no-store")
		}
		if !s.is("missing-csp") {
			h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		} else {
			h.Set("X-Frame-Options", "DENY")
		}
		if r.TLS != nil && !s.is("missing-hsts") {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if s.is("banner") {
			h.Set("Server", "notes/2.4.1")
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			preflight := r.Method == http.MethodOptions
			if s.is("cors-origin") && !preflight && origin != "null" || s.is("cors-null") && !preflight && origin == "null" || s.is("cors-preflight") && preflight {
				h.Set("Access-Control-Allow-Origin", origin)
				h.Set("Access-Control-Allow-Credentials", "true")
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
			}
			if s.is("cors-wildcard") && !preflight {
				h.Set("Access-Control-Allow-Origin", "*")
			}
			if preflight && origin == sampleFriend {
				h.Set("Access-Control-Allow-Origin", origin)
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
				h.Set("Access-Control-Allow-Headers", "authorization, content-type")
				switch _, pattern := s.routes.Handler(&http.Request{Method: r.Header.Get("Access-Control-Request-Method"), URL: r.URL, Host: r.Host}); {
				case s.is("cors-method"):
					h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, PATCH")
				case pattern == "/":
					h.Del("Access-Control-Allow-Methods")
				}
				if s.is("cors-header") {
					h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
				}
			}
			if preflight {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		defer func() {
			if cause := recover(); cause != nil {
				detail := ""
				if s.is("error-leak") {
					detail = fmt.Sprintf("%v\n%s", cause, debug.Stack())
				}
				s.problem(w, http.StatusInternalServerError, detail)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// body reads JSON strictly.
func (s *sample) body(w http.ResponseWriter, r *http.Request, into any, loose bool) bool {
	if t := r.Header.Get("Content-Type"); t != "application/json" && !s.is("ambiguous-body") {
		s.problem(w, http.StatusUnsupportedMediaType, "")
		return false
	}
	limit := int64(64 << 10)
	if s.is("oversized-body") || s.is("padded-body") {
		limit = 64 << 20
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		s.problem(w, http.StatusRequestEntityTooLarge, "")
		return false
	}
	if s.is("ambiguous-body") {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		err = d.Decode(into)
	} else {
		err = jsonv2.Unmarshal(b, into, jsonv2.RejectUnknownMembers(!loose))
	}
	if err != nil && s.is("error-leak") {
		panic(err)
	}
	if err != nil {
		s.problem(w, http.StatusBadRequest, "")
	}
	return err == nil
}

func (s *sample) login(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Username *string `json:"username"`
		Password *string `json:"password"`
	}
	if !s.body(w, r, &in, false) {
		return
	}
	if in.Username == nil || in.Password == nil || len(*in.Username) < 1 || len(*in.Username) > 60 || len(*in.Password) < 1 || len(*in.Password) > 100 {
		s.problem(w, http.StatusBadRequest, "")
		return
	}
	for _, u := range sampleUsers {
		if u.name != *in.Username {
			continue
		}
		if samplePassword(u) == *in.Password {
			out := map[string]any{"name": u.name}
			if s.is("token-endless") {
				out["session"] = rawToken(s.secret(), map[string]any{"alg": "HS256"}, map[string]any{"sub": "1"})
			}
			s.send(w, 200, out)
			return
		}
		if s.is("user-enumeration") {
			s.problem(w, http.StatusUnauthorized, "wrong password")
			return
		}
	}
	if s.counted("login "+*in.Username, 10) && !s.is("login-limit") {
		s.problem(w, http.StatusTooManyRequests, "")
		return
	}
	s.problem(w, http.StatusUnauthorized, "")
}

func (s *sample) listNotes(w http.ResponseWriter, _ *http.Request, u *sampleUser) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []any{}
	for i := 1; i <= s.last; i++ {
		if n := s.notes[i]; n != nil && n["owner_id"] == u.id {
			out = append(out, s.shown(n))
		}
	}
	s.send(w, 200, out)
}

// shown is a note as it leaves.
func (s *sample) shown(n map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range n {
		if k != "internal" || s.is("undeclared-field") {
			out[k] = v
		}
	}
	return out
}

var sampleMail = regexp.MustCompile(`^[a-z]+@example\.com$`)

func (s *sample) note(w http.ResponseWriter, r *http.Request) map[string]any {
	if s.is("mass-assignment") {
		var m map[string]any
		if !s.body(w, r, &m, true) {
			return nil
		}
		if m["title"] == nil || m["stars"] == nil {
			s.problem(w, http.StatusBadRequest, "")
			return nil
		}
		return m
	}
	var in struct {
		Title *string `json:"title"`
		Stars *int    `json:"stars"`
		Color *string `json:"color"`
		Mail  *string `json:"mail"`
	}
	if !s.body(w, r, &in, false) {
		return nil
	}
	long := in.Title != nil && len(*in.Title) > 60
	bad := in.Title == nil || len(*in.Title) < 1 || long && !s.is("oversized-body") || in.Stars == nil || *in.Stars < 1 || *in.Stars > 5 ||
		in.Color != nil && *in.Color != "red" && *in.Color != "green" || in.Mail != nil && !sampleMail.MatchString(*in.Mail)
	if bad && !(s.is("negative-input") && in.Title != nil && in.Stars != nil) {
		s.problem(w, http.StatusBadRequest, "")
		return nil
	}
	out := map[string]any{"title": *in.Title, "stars": *in.Stars}
	if in.Color != nil {
		out["color"] = *in.Color
	}
	if in.Mail != nil {
		out["mail"] = *in.Mail
	}
	return out
}

func (s *sample) makeNote(w http.ResponseWriter, r *http.Request, u *sampleUser) {
	n := s.note(w, r)
	if n == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	if n["owner_id"] == nil {
		n["owner_id"] = u.id
	}
	n["id"], n["internal"] = s.last, "not for you"
	s.notes[s.last] = n
	s.send(w, 201, s.shown(n))
}

// find returns a note that the caller may have.
func (s *sample) find(w http.ResponseWriter, r *http.Request, u *sampleUser, careless bool) map[string]any {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 || id > 1_000_000 {
		s.problem(w, http.StatusBadRequest, "")
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.notes[id]
	if n == nil || fmt.Sprint(n["owner_id"]) != strconv.Itoa(u.id) && u.role != "admin" && !careless {
		s.problem(w, http.StatusNotFound, "")
		return nil
	}
	return n
}

func (s *sample) readNote(w http.ResponseWriter, r *http.Request, u *sampleUser) {
	if n := s.find(w, r, u, s.is("bola-read")); n != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.send(w, 200, s.shown(n))
	}
}

func (s *sample) writeNote(w http.ResponseWriter, r *http.Request, u *sampleUser) {
	n := s.find(w, r, u, s.is("bola-write"))
	if n == nil {
		return
	}
	in := s.note(w, r)
	if in == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range in {
		n[k] = v
	}
	s.send(w, 200, s.shown(n))
}

func (s *sample) removeNote(w http.ResponseWriter, r *http.Request, u *sampleUser) {
	if n := s.find(w, r, u, s.is("bola-write")); n != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.notes, n["id"].(int))
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *sample) invoices(w http.ResponseWriter, r *http.Request, u *sampleUser) {
	want := u.id
	if v := r.URL.Query().Get("owner_id"); v != "" {
		id, err := strconv.Atoi(v)
		if err != nil || id < 1 || id > 1_000_000 {
			s.problem(w, http.StatusBadRequest, "")
			return
		}
		want = id
	} else if s.is("bola-list") {
		want = 0
	}
	if want != u.id && u.role != "admin" && want != 0 {
		s.problem(w, http.StatusNotFound, "")
		return
	}
	out := []any{}
	for _, o := range sampleUsers {
		if want == 0 || o.id == want {
			out = append(out, map[string]any{"id": 100 + o.id, "owner_id": o.id, "amount": 10 * o.id})
		}
	}
	s.send(w, 200, out)
}

func (s *sample) me(w http.ResponseWriter, _ *http.Request, u *sampleUser) {
	out := map[string]any{"user_id": u.id, "name": u.name, "phone": "****0101"}
	switch s.bent {
	case "unmasked-field":
		out["phone"] = "+1-202-555-0101"
	case "forbidden-field":
		out["salary"] = 61000
	case "secret-field":
		out["pin"] = "9931"
	}
	s.send(w, 200, out)
}

func (s *sample) search(w http.ResponseWriter, r *http.Request, _ *sampleUser) {
	q := r.URL.Query().Get("q")
	if len(q) < 1 || len(q) > 40 {
		s.problem(w, http.StatusBadRequest, "")
		return
	}
	statement, args := `SELECT word FROM words WHERE word = ? ORDER BY word`, []any{q}
	if s.is("sql-injection") {
		statement, args = `SELECT word FROM words WHERE word = '`+q+`' ORDER BY word`, nil
	}
	found := []string{}
	rows, err := s.db.QueryContext(r.Context(), statement, args...)
	if err != nil {
		s.problem(w, http.StatusBadRequest, "")
		return
	}
	defer rows.Close()
	for rows.Next() {
		var word string
		if rows.Scan(&word) == nil {
			found = append(found, word)
		}
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html")
		if s.is("reflected-xss") {
			fmt.Fprintf(w, "<p>%s</p>", q)
		} else {
			fmt.Fprintf(w, "<p>%s</p>", html.EscapeString(q))
		}
		return
	}
	s.send(w, 200, map[string]any{"q": q, "found": found})
}

// plainly makes a run know nothing but a document that says nothing of permissions, owners and limits.
func plainly(t *testing.T, o Options) Options {
	t.Helper()
	text := regexp.MustCompile(`(?m)^ *x-portreeve: \{.*\}\n`).ReplaceAllString(sampleDocument, "")
	text = regexp.MustCompile(`, x-portreeve: \{[^}]*\}`).ReplaceAllString(text, "")
	d, err := spec.Parse("notes.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "x-portreeve") {
		t.Fatal("the document still says more than it should")
	}
	o.Promise = &Promise{Document: d}
	return o
}

// start serves a sample with a bend and returns what a run needs to attack it.
func start(t *testing.T, b bend, secure bool) Options {
	t.Helper()
	s := &sample{bent: b, db: database(t), notes: map[int]map[string]any{}, calls: map[string]int{}}
	if _, err := s.db.Exec(`CREATE TABLE words (word TEXT); INSERT INTO words VALUES ('alpha'), ('beta'), ('gamma')`); err != nil {
		t.Fatal(err)
	}
	var server *httptest.Server
	if secure {
		server = httptest.NewTLSServer(s.handler())
	} else {
		server = httptest.NewServer(s.handler())
	}
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	d, err := spec.Parse("notes.yaml", []byte(sampleDocument))
	if err != nil {
		t.Fatal(err)
	}
	people := new(People)
	for _, u := range sampleUsers {
		people.Identities = append(people.Identities, Identity{Name: u.name, Role: u.role, UserID: strconv.Itoa(u.id), Password: samplePassword(u), Token: s.token(u, time.Hour, "notes"), APIKey: sampleKey(u)})
	}
	carol := sampleUsers[2]
	people.Tokens = Tokens{Expired: []string{s.token(carol, -time.Hour, "notes")}, Foreign: []string{s.token(carol, time.Hour, "mail")}, Stale: []string{s.stale(carol)}}
	o := Options{Target: server.URL, People: people, Budget: time.Minute, Seed: 5,
		Promise: &Promise{Document: d, Policy: &Policy{Roles: sampleRoles, Origins: []string{sampleFriend}, Refuses: true, Principal: Limit{300, time.Hour}, Failures: Limit{60, time.Hour}, Operations: map[string]Limit{}}}}
	if secure {
		o.Roots = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	}
	// The API behind the gate, which answers others only where that is the fault.
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.is("gate-bypass") {
			r.Header.Set("X-API-Key", sampleKey(carol))
			s.handler().ServeHTTP(w, r)
			return
		}
		s.problem(w, http.StatusForbidden, "")
	}))
	t.Cleanup(func() { behind.CloseClientConnections(); behind.Close() })
	o.Direct = behind.URL
	return o
}
