package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// naked is the API as nobody should write it. Each fault is marked; none of them is an accident.
type naked struct {
	db *sql.DB

	mu       sync.Mutex
	sessions map[string]string // FAULT: who was last seen at a source address
}

// Naked returns the API with every fault the guide warns of. It must listen on loopback only. db must be one that its
// injections cannot leave (no ATTACH), filled by SeedNaked.
func Naked(db *sql.DB) http.Handler {
	n := &naked{db: db, sessions: map[string]string{}}
	m := http.NewServeMux()
	m.HandleFunc("GET /api/users", n.listUsers)
	m.HandleFunc("POST /api/users", n.createUser)
	m.HandleFunc("GET /api/users/{user_id}", n.getUser)
	m.HandleFunc("PUT /api/users/{user_id}", n.updateUser)
	m.HandleFunc("DELETE /api/users/{user_id}", n.deleteUser)
	m.HandleFunc("GET /api/users/{user_id}/posts", n.listPosts)
	m.HandleFunc("GET /api/search", n.search)
	m.HandleFunc("GET /api/reports/{report_id}", n.getReport)
	m.HandleFunc("POST /api/login", n.login)
	m.HandleFunc("GET /api/data", n.getData)
	m.HandleFunc("GET /api/protected", n.getProtected)
	m.HandleFunc("GET /api/expensive-operation", n.expensive)
	m.HandleFunc("GET /api/payments", n.listPayments)
	m.HandleFunc("POST /api/payments", n.createPayment)
	m.HandleFunc("GET /api/payments/{payment_id}", n.getPayment)
	m.HandleFunc("GET /api/v0/users", n.listUsers) // FAULT: the old version, never switched off, in no document
	m.HandleFunc("GET /debug/vars", n.debugVars)   // FAULT: debug in production
	return n.wrap(m)
}

// wrap adds the chatty headers, the open CORS policy and the debug page.
func (n *naked) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer debugPage(w)
		h := w.Header()
		h.Set("Server", "town-api/1.0 ("+runtime.Version()+"; SQLite)") // FAULT: which software, and which version of it
		h.Set("X-Powered-By", "net/http")
		if origin := r.Header.Get("Origin"); origin != "" { // FAULT: every site may read, as whoever is signed in
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
				h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// statementError is a statement that failed, with all that should have stayed inside.
type statementError struct {
	statement string
	err       error
}

func (e *statementError) Error() string { return e.err.Error() }

// debugPage shows a panic to whoever asked. FAULT: the stack, the statement, the versions.
func debugPage(w http.ResponseWriter) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, "Internal Server Error (debug mode)\n\nerror: %v\n", cause)
	if s, ok := cause.(*statementError); ok {
		fmt.Fprintf(w, "sql: %s\n", s.statement)
	}
	fmt.Fprintf(w, "\n%s", debug.Stack())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// query runs a statement and returns every column of every row.
func (n *naked) query(r *http.Request, statement string, args ...any) []map[string]any {
	rows, err := n.db.QueryContext(r.Context(), statement, args...)
	if err != nil {
		panic(&statementError{statement, err})
	}
	defer rows.Close()
	names, err := rows.Columns()
	check(err)
	out := []map[string]any{}
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		check(rows.Scan(into...))
		row := map[string]any{}
		for i, name := range names {
			row[name] = values[i]
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		panic(&statementError{statement, err})
	}
	return out
}

func (n *naked) exec(r *http.Request, statement string, args ...any) sql.Result {
	result, err := n.db.ExecContext(r.Context(), statement, args...)
	if err != nil {
		panic(&statementError{statement, err})
	}
	return result
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	check(json.NewEncoder(w).Encode(v))
}

func complain(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
}

// number reads a path parameter. FAULT: what is no number ends on the debug page.
func number(r *http.Request, name string) int {
	v, err := strconv.Atoi(r.PathValue(name))
	check(err)
	return v
}

// secret signs the API's tokens. FAULT: it is in the source, and the first word anybody would try.
const secret = "secret"

var base64url = base64.RawURLEncoding

// caller says who is calling, and whether any credential was shown at all.
func (n *naked) caller(r *http.Request) (subject string, shown bool) {
	bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.Header.Get("Portreeve-Subject") != "": // FAULT: a proxy would send this, so it is believed of anybody
		subject, shown = strings.Trim(r.Header.Get("Portreeve-Subject"), `"`), true
	case isBearer:
		subject, shown = believe(bearer)
	case r.Header.Get("X-API-Key") != "": // FAULT: a key is looked at, never looked up
		shown = true
	}
	if subject != "" {
		n.mu.Lock()
		n.sessions[address(r)] = subject
		n.mu.Unlock()
	}
	return subject, shown
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	check(err)
	return host
}

// believe reads a token's sub. FAULT: only HS256 is checked, against a known secret; what cannot be checked, none, ES256
// or EdDSA, is trusted; so are expired tokens and those of strangers.
func believe(token string) (subject string, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false
	}
	var head struct {
		Alg string `json:"alg"`
	}
	var body struct {
		Sub any `json:"sub"`
	}
	h, _ := base64url.DecodeString(parts[0])
	b, _ := base64url.DecodeString(parts[1])
	if json.Unmarshal(h, &head) != nil || json.Unmarshal(b, &body) != nil || body.Sub == nil {
		return "", false
	}
	if head.Alg == "HS256" && sign(parts[0]+"."+parts[1]) != parts[2] {
		return "", false
	}
	return fmt.Sprint(body.Sub), true
}

func sign(text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return base64url.EncodeToString(mac.Sum(nil))
}

// generateToken is the guide's: no exp, no iat, no jti, and a secret that everybody knows.
func generateToken(user any) string {
	body, err := json.Marshal(map[string]any{"user_id": user, "sub": fmt.Sprint(user)})
	check(err)
	text := base64url.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64url.EncodeToString(body)
	return text + "." + sign(text)
}
