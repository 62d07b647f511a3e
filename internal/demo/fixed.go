package demo

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/meter"
)

// Authority proves credentials for the API that does its own guarding.
type Authority interface {
	Token(ctx context.Context, token string) (Caller, error)
	Key(ctx context.Context, key string, from netip.Addr) (Caller, error)
}

// FixedOptions are what Fixed stands on.
type FixedOptions struct {
	Authority Authority
	Origin    string // the one foreign origin that may read answers
	Contact   string // for security.txt
	Log       *slog.Logger
	Now       func() time.Time
}

// fixed is the same API as its GOOD examples say: it needs no gate.
type fixed struct {
	FixedOptions
	db     *sql.DB
	hasher *keys.Hasher
	meter  *meter.Meter

	address, principal, failures, logins, expensive *meter.Rule
}

// Fixed returns the API with every fault of Naked mended. db is one that SeedFixed filled.
func Fixed(db *sql.DB, o FixedOptions) (http.Handler, error) {
	if o.Authority == nil || o.Log == nil || o.Now == nil || o.Origin == "" || o.Contact == "" {
		return nil, errors.New("the API needs an authority, an origin, a contact, a log and a clock")
	}
	f := &fixed{FixedOptions: o, db: db, meter: meter.New(1 << 16)}
	var err error
	if f.hasher, err = keys.NewHasher(rand.Reader); err != nil {
		return nil, err
	}
	for _, l := range []struct {
		to     **meter.Rule
		name   string
		limit  int
		window time.Duration
	}{{&f.address, "address", 3000, time.Minute}, {&f.principal, "principal", 100, time.Hour}, {&f.failures, "failures", 30, time.Minute},
		{&f.logins, "login", 10, time.Minute}, {&f.expensive, "expensive", 10, time.Minute}} {
		if *l.to, err = meter.Window(l.name, l.limit, l.window); err != nil {
			return nil, err
		}
	}
	m := http.NewServeMux()
	for pattern, op := range map[string]operation{
		"GET /api/users":                 {permission: "users:read", serve: f.listUsers},
		"POST /api/users":                {permission: "users:create", strong: true, serve: f.createUser},
		"GET /api/users/{user_id}":       {permission: "users:read", serve: f.getUser},
		"PUT /api/users/{user_id}":       {permission: "users:update", serve: f.updateUser},
		"DELETE /api/users/{user_id}":    {permission: "users:delete", strong: true, serve: f.deleteUser},
		"GET /api/users/{user_id}/posts": {permission: "posts:read", serve: f.listPosts},
		"GET /api/search":                {permission: "users:read", query: []string{"q"}, serve: f.search},
		"GET /api/reports/{report_id}":   {permission: "reports:read", serve: f.getReport},
		"POST /api/login":                {public: true, limit: f.logins, serve: f.login},
		"GET /api/data":                  {permission: "data:read", serve: f.getData},
		"GET /api/protected":             {permission: "admin:read", serve: f.getProtected},
		"GET /api/expensive-operation":   {permission: "operations:run", limit: f.expensive, serve: f.expensiveOperation},
		"GET /api/payments":              {permission: "payments:read", query: []string{"owner_id"}, serve: f.listPayments},
		"POST /api/payments":             {permission: "payments:create", serve: f.createPayment},
		"GET /api/payments/{payment_id}": {permission: "payments:read", serve: f.getPayment},
		"GET /.well-known/security.txt":  {public: true, serve: f.securityTxt},
	} {
		m.Handle(pattern, f.guard(op))
	}
	return f.wrap(m), nil
}

// operation is one handler with what must hold before it runs.
type operation struct {
	permission string
	strong     bool // more than one factor, lately
	public     bool
	limit      *meter.Rule
	query      []string // parameters it knows
	serve      func(http.ResponseWriter, *http.Request, Caller) error
}

// grants are the roles' permissions.
var grants = map[string][]string{
	"admin": {"users:read", "users:read:email", "users:read:address", "users:read:phone", "users:read:phone:full", "users:read:ssn", "users:read:salary",
		"users:create", "users:update", "users:update:any", "users:delete", "posts:read", "reports:read", "payments:read", "data:read", "admin:read", "operations:run"},
	"manager": {"users:read", "users:read:email", "users:read:address", "users:read:phone", "users:update", "posts:read", "reports:read", "reports:read:any",
		"payments:read", "payments:read:any", "payments:create", "data:read", "operations:run"},
	"employee": {"users:read", "users:update", "posts:read", "reports:read", "payments:read", "payments:create", "data:read", "operations:run"},
	"readonly": {"users:read", "posts:read", "reports:read", "payments:read", "data:read", "operations:run"},
}

// May reports whether one of the caller's roles grants a permission.
func (c Caller) May(permission string) bool {
	return slices.ContainsFunc(c.Roles, func(role string) bool { return slices.Contains(grants[role], permission) })
}

// owns reports whether an object of that owner is the caller's.
func (c Caller) owns(owner int64) bool {
	return c.Subject != "" && c.Subject == strconv.FormatInt(owner, 10)
}

// refusal is an answer that says no; nothing else of an error reaches the client.
type refusal struct {
	status int
	title  string
	retry  time.Duration
}

func (r *refusal) Error() string { return r.title }

var (
	errCredential = &refusal{status: http.StatusUnauthorized, title: "Valid credentials are needed"}
	errForbidden  = &refusal{status: http.StatusForbidden, title: "This is not permitted"}
	errNotFound   = &refusal{status: http.StatusNotFound, title: "There is no such resource"}
	errRequest    = &refusal{status: http.StatusBadRequest, title: "The request is not acceptable"}
	errTooLarge   = &refusal{status: http.StatusRequestEntityTooLarge, title: "The request is too large"}
	errType       = &refusal{status: http.StatusUnsupportedMediaType, title: "The request is not JSON"}
	errConflict   = &refusal{status: http.StatusConflict, title: "That name is taken"}
)

// wrap dresses every answer, and turns a panic into an answer that says nothing.
func (f *fixed) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Vary": "Origin"} {
			h.Set(name, value)
		}
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler {
					panic(cause)
				}
				f.refuse(w, r, fmt.Errorf("panic: %v", cause))
			}
		}()
		if f.cors(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// cors answers preflights of the one allowed origin; every other origin gets nothing to read by.
func (f *fixed) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	switch {
	case origin == f.Origin:
		w.Header().Set("Access-Control-Allow-Origin", f.Origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		if preflight {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-API-Key")
			w.Header().Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
		}
		return preflight
	case preflight:
		f.refuse(w, r, errForbidden)
		return true
	}
	return false
}

// guard is what stands before every handler: who, how often, whether at all.
func (f *fixed) guard(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := f.admit(r, op)
		if err == nil {
			err = op.serve(w, r, caller)
		}
		if err != nil {
			f.refuse(w, r, err)
			return
		}
		f.Log.InfoContext(r.Context(), "request allowed", "method", r.Method, "route", r.Pattern, "subject", caller.Subject, "address", r.RemoteAddr)
	})
}

func (f *fixed) admit(r *http.Request, op operation) (Caller, error) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return Caller{}, errRequest
	}
	where := meter.Address(from.Addr()).String()
	if err := f.limit("address", where, f.address); err != nil {
		return Caller{}, err
	}
	failed := []meter.Demand{{Rule: f.failures, Key: f.meter.Key(f.failures, where)}}
	if d := f.meter.Take(f.Now(), failed); !d.Allowed {
		return Caller{}, tooMany(d)
	}
	for name := range r.URL.Query() {
		if !slices.Contains(op.query, name) {
			return Caller{}, errRequest
		}
	}
	if op.public {
		if op.limit == nil {
			return Caller{}, nil
		}
		return Caller{}, f.limit(r.Pattern, where, op.limit)
	}
	caller, err := f.caller(r, from.Addr())
	if err != nil {
		if !errors.Is(err, errMissing) {
			failed[0].Cost = 1
			f.meter.Take(f.Now(), failed)
		}
		return Caller{}, errCredential
	}
	if err := f.limit("", caller.Subject, f.principal); err != nil {
		return caller, err
	}
	if op.limit != nil {
		if err := f.limit(r.Pattern, caller.Subject, op.limit); err != nil {
			return caller, err
		}
	}
	switch {
	case !caller.May(op.permission):
		return caller, errForbidden
	case op.strong && !caller.Strong:
		return caller, errCredential
	}
	return caller, nil
}

func (f *fixed) limit(what, who string, rule *meter.Rule) error {
	d := f.meter.Take(f.Now(), []meter.Demand{{Rule: rule, Key: f.meter.Key(rule, what, who), Cost: 1}})
	if d.Allowed {
		return nil
	}
	return tooMany(d)
}

func tooMany(d meter.Decision) error {
	return &refusal{status: http.StatusTooManyRequests, title: "Too many requests", retry: d.RetryAfter}
}

var errMissing = errors.New("no credential was shown")

// caller proves the one credential of a request; behind the gate it has been proven already.
func (f *fixed) caller(r *http.Request, from netip.Addr) (Caller, error) {
	if c, ok := r.Context().Value(callerKey{}).(Caller); ok {
		return c, nil
	}
	tokens, shownKeys := r.Header.Values("Authorization"), r.Header.Values("X-API-Key")
	switch {
	case len(tokens)+len(shownKeys) == 0:
		return Caller{}, errMissing
	case len(tokens)+len(shownKeys) > 1:
		return Caller{}, ErrUnproven
	case len(shownKeys) == 1:
		return f.Authority.Key(r.Context(), shownKeys[0], from)
	}
	token, ok := strings.CutPrefix(tokens[0], "Bearer ")
	if !ok {
		return Caller{}, ErrUnproven
	}
	return f.Authority.Token(r.Context(), token)
}

// refuse answers with a problem (RFC 9457) and logs what it was about. The instance leads from one to the other.
func (f *fixed) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var no *refusal
	if !errors.As(err, &no) {
		no = &refusal{status: http.StatusInternalServerError, title: "The service cannot answer now"}
	}
	id := instance()
	f.Log.WarnContext(r.Context(), "request refused", "status", no.status, "method", r.Method, "route", r.Pattern, "address", r.RemoteAddr,
		"cause", err.Error(), "instance", id)
	h := w.Header()
	switch no.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="Town API"`)
	case http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(int((no.retry+time.Second-1)/time.Second)))
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(no.status)
	json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": no.title, "status": no.status, "instance": id})
}

// instance returns a random UUID as a URN (RFC 9562 §5.4).
func instance() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
