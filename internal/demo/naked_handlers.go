package demo

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
)

// FAULT in all of these: nobody is asked who they are or what they may do, and every column is returned.

func (n *naked) listUsers(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, n.query(r, "SELECT * FROM users ORDER BY id"))
}

func (n *naked) getUser(w http.ResponseWriter, r *http.Request) {
	n.caller(r)
	one(w, http.StatusOK, n.query(r, "SELECT * FROM users WHERE id = ?", number(r, "user_id")))
}

func one(w http.ResponseWriter, status int, rows []map[string]any) {
	if len(rows) == 0 {
		complain(w, http.StatusNotFound, "no such row")
		return
	}
	reply(w, status, rows[0])
}

// body reads a JSON object, whatever its size, its type or its members. FAULT: of a name that stands twice the last
// counts, of a body with a second value only the first.
func body(r *http.Request) map[string]any {
	var m map[string]any
	check(json.NewDecoder(r.Body).Decode(&m))
	return m
}

// columns makes an assignment of every member. FAULT: the client names the columns (mass assignment).
func columns(m map[string]any) (names []string, values []any) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		column := name
		if name == "username" {
			column = "name"
		}
		names, values = append(names, column), append(values, m[name])
	}
	return names, values
}

func (n *naked) insert(r *http.Request, table string, m map[string]any) int64 {
	names, values := columns(m)
	result := n.exec(r, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+") VALUES (?"+strings.Repeat(", ?", len(names)-1)+")", values...)
	id, err := result.LastInsertId()
	check(err)
	return id
}

func (n *naked) createUser(w http.ResponseWriter, r *http.Request) {
	id := n.insert(r, "users", body(r)) // FAULT: direct use without validation
	one(w, http.StatusCreated, n.query(r, "SELECT * FROM users WHERE id = ?", id))
}

func (n *naked) updateUser(w http.ResponseWriter, r *http.Request) {
	names, values := columns(body(r))
	id := number(r, "user_id")
	n.exec(r, "UPDATE users SET "+strings.Join(names, " = ?, ")+" = ? WHERE id = ?", append(values, id)...)
	one(w, http.StatusOK, n.query(r, "SELECT * FROM users WHERE id = ?", id))
}

func (n *naked) deleteUser(w http.ResponseWriter, r *http.Request) {
	n.exec(r, "DELETE FROM users WHERE id = ?", number(r, "user_id"))
	w.WriteHeader(http.StatusNoContent)
}

// listPosts is the guide's injection: the statement is a string, and a part of it is the client's.
func (n *naked) listPosts(w http.ResponseWriter, r *http.Request) {
	statement := fmt.Sprintf("SELECT * FROM posts WHERE user_id = %s", r.PathValue("user_id"))
	reply(w, http.StatusOK, n.query(r, statement))
}

// search writes its question into the page. FAULT: as markup, unless JSON is asked for.
func (n *naked) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query().Get("q")
	results := n.query(r, "SELECT * FROM users WHERE name LIKE '%' || ? || '%' ORDER BY id", q)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		reply(w, http.StatusOK, map[string]any{"query": q, "results": results})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<div>Search results for %s: %v</div>", q, results)
}

func (n *naked) getReport(w http.ResponseWriter, r *http.Request) {
	one(w, http.StatusOK, n.query(r, "SELECT * FROM reports WHERE id = ?", number(r, "report_id"))) // FAULT: whoever owns it
}

// login tells which of name and password was wrong, as often as anybody asks, and gives a token that never ends.
func (n *naked) login(w http.ResponseWriter, r *http.Request) {
	m := body(r)
	rows := n.query(r, "SELECT * FROM users WHERE name = ?", m["username"])
	if len(rows) == 0 {
		complain(w, http.StatusUnauthorized, fmt.Sprintf("there is no user %v", m["username"]))
		return
	}
	user := rows[0]
	if user["password"] != m["password"] { // FAULT: passwords are kept as they are
		complain(w, http.StatusUnauthorized, fmt.Sprintf("wrong password for user %v", m["username"]))
		return
	}
	reply(w, http.StatusOK, map[string]any{"user": user, "token": generateToken(user["id"])})
}

// getData gives the data of whoever was last seen at the address. FAULT: everybody behind one address is one person.
func (n *naked) getData(w http.ResponseWriter, r *http.Request) {
	n.caller(r)
	n.mu.Lock()
	user := n.sessions[address(r)]
	n.mu.Unlock()
	if user == "" {
		complain(w, http.StatusUnauthorized, "nobody was seen at "+address(r))
		return
	}
	items := []any{}
	for _, row := range n.query(r, "SELECT item FROM data WHERE user_id = ?", user) {
		items = append(items, row["item"])
	}
	reply(w, http.StatusOK, map[string]any{"user_id": json.Number(user), "items": items})
}

// getProtected asks for a credential, and not for whose it is or what it permits.
func (n *naked) getProtected(w http.ResponseWriter, r *http.Request) {
	if _, shown := n.caller(r); !shown {
		complain(w, http.StatusUnauthorized, "log in first")
		return
	}
	reply(w, http.StatusOK, map[string]string{"message": "the north gate is opened with the old key"})
}

// rounds is some milliseconds of work.
const rounds = 10_000

func work() string {
	key, err := pbkdf2.Key(sha256.New, "expensive", []byte("operation"), rounds, 32)
	check(err)
	return hex.EncodeToString(key)
}

func (n *naked) expensive(w http.ResponseWriter, r *http.Request) {
	if _, shown := n.caller(r); !shown {
		complain(w, http.StatusUnauthorized, "log in first")
		return
	}
	reply(w, http.StatusOK, map[string]string{"digest": work()}) // FAULT: as often as anybody likes
}

func (n *naked) listPayments(w http.ResponseWriter, r *http.Request) {
	if owner := r.URL.Query().Get("owner_id"); owner != "" {
		reply(w, http.StatusOK, n.query(r, "SELECT * FROM payments WHERE owner_id = ? ORDER BY id", owner))
		return
	}
	reply(w, http.StatusOK, n.query(r, "SELECT * FROM payments ORDER BY id"))
}

func (n *naked) createPayment(w http.ResponseWriter, r *http.Request) {
	m := body(r)
	if m["owner_id"] == nil { // FAULT: who pays is the client's to say
		m["owner_id"], _ = n.caller(r)
	}
	id := n.insert(r, "payments", m) // FAULT: the card's number and code are kept in clear
	one(w, http.StatusCreated, n.query(r, "SELECT * FROM payments WHERE id = ?", id))
}

func (n *naked) getPayment(w http.ResponseWriter, r *http.Request) {
	one(w, http.StatusOK, n.query(r, "SELECT * FROM payments WHERE id = ?", number(r, "payment_id")))
}

func (n *naked) debugVars(w http.ResponseWriter, r *http.Request) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	n.mu.Lock()
	sessions := maps.Clone(n.sessions)
	n.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{"pid": os.Getpid(), "go": runtime.Version(), "jwt_secret": secret, "heap": mem.HeapAlloc, "sessions": sessions})
}
