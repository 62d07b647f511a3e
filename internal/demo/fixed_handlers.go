package demo

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
)

func (f *fixed) send(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
	return nil
}

// maxBody bounds a request's body.
const maxBody = 64 << 10

// read decodes a JSON body strictly: no unknown member, none twice, nothing behind it.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	types := r.Header.Values("Content-Type")
	if len(types) != 1 {
		return errType
	}
	if t, _, err := mime.ParseMediaType(types[0]); err != nil || t != "application/json" {
		return errType
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errTooLarge
	}
	if err != nil || jsonv2.Unmarshal(b, into, jsonv2.RejectUnknownMembers(true)) != nil {
		return errRequest
	}
	return nil
}

// canonical is a positive whole number written the one way there is.
var canonical = regexp.MustCompile(`^[1-9][0-9]{0,15}$`)

func id(text string) (int64, error) {
	if !canonical.MatchString(text) {
		return 0, errRequest
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v > 1<<53-1 { // the document's maximum: what every reader of JSON keeps exactly (RFC 8259 §6)
		return 0, errRequest
	}
	return v, nil
}

// user is a row of users, less its password.
type user struct {
	id             int64
	name           string
	email, ssn     sql.NullString
	salary         sql.NullInt64
	address, phone sql.NullString
}

const userColumns = `id, name, email, ssn, salary, address, phone`

func (u *user) scan(s interface{ Scan(...any) error }) error {
	return s.Scan(&u.id, &u.name, &u.email, &u.ssn, &u.salary, &u.address, &u.phone)
}

// view is what a caller may see of a user.
func (u *user) view(c Caller) map[string]any {
	own := c.owns(u.id)
	out := map[string]any{"id": u.id, "name": u.name}
	show := func(name string, allowed bool, v any) {
		if allowed {
			out[name] = v
		}
	}
	show("email", own || c.May("users:read:email"), text(u.email))
	show("address", own || c.May("users:read:address"), text(u.address))
	show("ssn", c.May("users:read:ssn"), text(u.ssn))
	if u.salary.Valid {
		show("salary", c.May("users:read:salary"), u.salary.Int64)
	}
	if u.phone.Valid {
		phone := u.phone.String
		if !c.May("users:read:phone:full") {
			phone = last4(phone)
		}
		show("phone", own || c.May("users:read:phone"), phone)
	}
	return out
}

func text(s sql.NullString) any {
	if s.Valid {
		return s.String
	}
	return nil
}

func last4(s string) string {
	if len(s) < 8 {
		return "****"
	}
	return "****" + s[len(s)-4:]
}

func (f *fixed) users(ctx context.Context, where string, args ...any) ([]user, error) {
	rows, err := f.db.QueryContext(ctx, `SELECT `+userColumns+` FROM users `+where+` ORDER BY id LIMIT 1000`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading users: %w", err)
	}
	defer rows.Close()
	var out []user
	for rows.Next() {
		var u user
		if err := u.scan(rows); err != nil {
			return nil, fmt.Errorf("reading users: %w", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

func (f *fixed) user(ctx context.Context, id int64) (*user, error) {
	us, err := f.users(ctx, `WHERE id = ?`, id)
	if err != nil {
		return nil, err
	}
	if len(us) == 0 {
		return nil, errNotFound
	}
	return &us[0], nil
}

func (f *fixed) listUsers(w http.ResponseWriter, r *http.Request, c Caller) error {
	us, err := f.users(r.Context(), ``)
	if err != nil {
		return err
	}
	out := []any{}
	for i := range us {
		out = append(out, us[i].view(c))
	}
	return f.send(w, http.StatusOK, out)
}

func (f *fixed) getUser(w http.ResponseWriter, r *http.Request, c Caller) error {
	which, err := id(r.PathValue("user_id"))
	if err != nil {
		return err
	}
	u, err := f.user(r.Context(), which)
	if err != nil {
		return err
	}
	return f.send(w, http.StatusOK, u.view(c))
}

// userCreate is the guide's UserCreate.
type userCreate struct {
	Username *string `json:"username"`
	Email    *string `json:"email"`
	Age      *int    `json:"age"`
	Role     *string `json:"role"`
}

var alphanumeric = regexp.MustCompile(`^[A-Za-z0-9]{3,50}$`)

func (u *userCreate) valid() bool {
	return u.Username != nil && u.Email != nil && u.Age != nil && u.Role != nil && alphanumeric.MatchString(*u.Username) && bareAddress(*u.Email) &&
		*u.Age >= 18 && *u.Age <= 120 && grants[*u.Role] != nil
}

// bareAddress reports whether s is an e-mail address and nothing beside it.
func bareAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && len(s) <= 254
}

func (f *fixed) createUser(w http.ResponseWriter, r *http.Request, c Caller) error {
	var in userCreate
	if err := read(w, r, &in); err != nil {
		return err
	}
	if !in.valid() {
		return errRequest
	}
	result, err := f.db.ExecContext(r.Context(), `INSERT INTO users (name, email, age, role) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
		*in.Username, *in.Email, *in.Age, *in.Role)
	if err != nil {
		return fmt.Errorf("creating user: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errConflict
	}
	made, err := result.LastInsertId()
	if err != nil {
		return fmt.Errorf("creating user: %w", err)
	}
	u, err := f.user(r.Context(), made)
	if err != nil {
		return err
	}
	return f.send(w, http.StatusCreated, u.view(c))
}

type userUpdate struct {
	Email   *string `json:"email"`
	Address *string `json:"address"`
	Phone   *string `json:"phone"`
}

var telephone = regexp.MustCompile(`^\+[0-9][0-9-]{6,20}$`)

func (u *userUpdate) valid() bool {
	return (u.Email != nil || u.Address != nil || u.Phone != nil) && (u.Email == nil || bareAddress(*u.Email)) &&
		(u.Address == nil || *u.Address != "" && utf8.RuneCountInString(*u.Address) <= 200) && (u.Phone == nil || telephone.MatchString(*u.Phone))
}

func (f *fixed) updateUser(w http.ResponseWriter, r *http.Request, c Caller) error {
	which, err := id(r.PathValue("user_id"))
	if err != nil {
		return err
	}
	if !c.owns(which) && !c.May("users:update:any") {
		return errNotFound
	}
	var in userUpdate
	if err := read(w, r, &in); err != nil {
		return err
	}
	if !in.valid() {
		return errRequest
	}
	if _, err := f.db.ExecContext(r.Context(), `UPDATE users SET email = coalesce(?, email), address = coalesce(?, address), phone = coalesce(?, phone) WHERE id = ?`,
		in.Email, in.Address, in.Phone, which); err != nil {
		return fmt.Errorf("updating user: %w", err)
	}
	u, err := f.user(r.Context(), which)
	if err != nil {
		return err
	}
	return f.send(w, http.StatusOK, u.view(c))
}

func (f *fixed) deleteUser(w http.ResponseWriter, r *http.Request, _ Caller) error {
	which, err := id(r.PathValue("user_id"))
	if err != nil {
		return err
	}
	result, err := f.db.ExecContext(r.Context(), `DELETE FROM users WHERE id = ?`, which)
	if err != nil {
		return fmt.Errorf("deleting user: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errNotFound
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (f *fixed) listPosts(w http.ResponseWriter, r *http.Request, _ Caller) error {
	which, err := id(r.PathValue("user_id"))
	if err != nil {
		return err
	}
	rows, err := f.db.QueryContext(r.Context(), `SELECT id, user_id, title, body FROM posts WHERE user_id = ? ORDER BY id LIMIT 1000`, which)
	if err != nil {
		return fmt.Errorf("reading posts: %w", err)
	}
	defer rows.Close()
	type post struct {
		ID     int64  `json:"id"`
		UserID int64  `json:"user_id"`
		Title  string `json:"title"`
		Body   string `json:"body"`
	}
	out := []post{}
	for rows.Next() {
		var p post
		if err := rows.Scan(&p.ID, &p.UserID, &p.Title, &p.Body); err != nil {
			return fmt.Errorf("reading posts: %w", err)
		}
		out = append(out, p)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading posts: %w", err)
	}
	return f.send(w, http.StatusOK, out)
}

var like = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

func (f *fixed) search(w http.ResponseWriter, r *http.Request, _ Caller) error {
	q := r.URL.Query()["q"]
	if len(q) != 1 || q[0] == "" || utf8.RuneCountInString(q[0]) > 100 {
		return errRequest
	}
	us, err := f.users(r.Context(), `WHERE name LIKE '%' || ? || '%' ESCAPE '\'`, like.Replace(q[0]))
	if err != nil {
		return err
	}
	results := []any{}
	for i := range us {
		results = append(results, map[string]any{"id": us[i].id, "name": us[i].name})
	}
	return f.send(w, http.StatusOK, map[string]any{"query": q[0], "results": results, "safe_output": html.EscapeString("Search results for " + q[0])})
}

func (f *fixed) getReport(w http.ResponseWriter, r *http.Request, c Caller) error {
	which, err := id(r.PathValue("report_id"))
	if err != nil {
		return err
	}
	var owner int64
	var title, body string
	err = f.db.QueryRowContext(r.Context(), `SELECT owner_id, title, body FROM reports WHERE id = ?`, which).Scan(&owner, &title, &body)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && !c.owns(owner) && !c.May("reports:read:any"):
		return errNotFound // what is not yours does not exist
	case err != nil:
		return fmt.Errorf("reading report: %w", err)
	}
	return f.send(w, http.StatusOK, map[string]any{"id": which, "owner_id": owner, "title": title, "body": body})
}

// login answers the same, after the same work, whether it is the name or the password that is wrong.
func (f *fixed) login(w http.ResponseWriter, r *http.Request, _ Caller) error {
	var in struct {
		Username *string `json:"username"`
		Password *string `json:"password"`
	}
	if err := read(w, r, &in); err != nil {
		return err
	}
	if in.Username == nil || in.Password == nil || *in.Username == "" || len(*in.Username) > 50 || *in.Password == "" || len(*in.Password) > 512 {
		return errRequest
	}
	var who int64
	var hash sql.NullString
	err := f.db.QueryRowContext(r.Context(), `SELECT id, password FROM users WHERE name = ?`, *in.Username).Scan(&who, &hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("looking up user: %w", err)
	}
	ok, err := f.hasher.Verify(r.Context(), hash.String, *in.Password)
	if err != nil {
		return fmt.Errorf("verifying password: %w", err)
	}
	// The name is the client's text: only its hash is logged, for people type passwords where names belong.
	name := sha256.Sum256([]byte(*in.Username))
	f.Log.InfoContext(r.Context(), "login attempt", "user", hex.EncodeToString(name[:8]), "address", r.RemoteAddr, "success", ok)
	if !ok {
		return errCredential
	}
	return f.send(w, http.StatusOK, map[string]any{"user": map[string]any{"id": who, "name": *in.Username}}) // no token of the API's own: the document calls it secret
}

// getData knows who asks by the credential of this very request.
func (f *fixed) getData(w http.ResponseWriter, r *http.Request, c Caller) error {
	who, err := id(c.Subject)
	if err != nil {
		return errForbidden
	}
	rows, err := f.db.QueryContext(r.Context(), `SELECT item FROM data WHERE user_id = ? LIMIT 1000`, who)
	if err != nil {
		return fmt.Errorf("reading data: %w", err)
	}
	defer rows.Close()
	items := []string{}
	for rows.Next() {
		var item string
		if err := rows.Scan(&item); err != nil {
			return fmt.Errorf("reading data: %w", err)
		}
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading data: %w", err)
	}
	return f.send(w, http.StatusOK, map[string]any{"user_id": who, "items": items})
}

func (f *fixed) getProtected(w http.ResponseWriter, r *http.Request, c Caller) error {
	f.Log.InfoContext(r.Context(), "protected data accessed", "subject", c.Subject, "address", r.RemoteAddr)
	return f.send(w, http.StatusOK, map[string]string{"message": "the north gate is opened with the old key"})
}

func (f *fixed) expensiveOperation(w http.ResponseWriter, _ *http.Request, _ Caller) error {
	return f.send(w, http.StatusOK, map[string]string{"digest": work()})
}

// payment keeps of a card the last four digits. Its code is never kept (PCI DSS 3.3.1).
type payment struct {
	ID          int64  `json:"id"`
	OwnerID     int64  `json:"owner_id"`
	Amount      int64  `json:"amount"`
	Currency    string `json:"currency"`
	CardNumber  string `json:"card_number"`
	Description string `json:"description"`
}

func (f *fixed) payments(ctx context.Context, where string, args ...any) ([]payment, error) {
	rows, err := f.db.QueryContext(ctx, `SELECT id, owner_id, amount, currency, card_number, coalesce(description, '') FROM payments `+where+` ORDER BY id LIMIT 1000`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading payments: %w", err)
	}
	defer rows.Close()
	out := []payment{}
	for rows.Next() {
		var p payment
		if err := rows.Scan(&p.ID, &p.OwnerID, &p.Amount, &p.Currency, &p.CardNumber, &p.Description); err != nil {
			return nil, fmt.Errorf("reading payments: %w", err)
		}
		p.CardNumber = last4(p.CardNumber)
		out = append(out, p)
	}
	return out, rows.Err()
}

func (f *fixed) listPayments(w http.ResponseWriter, r *http.Request, c Caller) error {
	own := r.URL.Query()["owner_id"]
	where, args := ``, []any(nil)
	switch {
	case len(own) > 1:
		return errRequest
	case len(own) == 1:
		which, err := id(own[0])
		if err != nil {
			return err
		}
		if !c.owns(which) && !c.May("payments:read:any") {
			return errNotFound
		}
		where, args = `WHERE owner_id = ?`, []any{which}
	case !c.May("payments:read:any"):
		return errNotFound
	}
	list, err := f.payments(r.Context(), where, args...)
	if err != nil {
		return err
	}
	return f.send(w, http.StatusOK, list)
}

func (f *fixed) getPayment(w http.ResponseWriter, r *http.Request, c Caller) error {
	which, err := id(r.PathValue("payment_id"))
	if err != nil {
		return err
	}
	list, err := f.payments(r.Context(), `WHERE id = ?`, which)
	if err != nil {
		return err
	}
	if len(list) == 0 || !c.owns(list[0].OwnerID) && !c.May("payments:read:any") {
		return errNotFound
	}
	return f.send(w, http.StatusOK, list[0])
}

type paymentCreate struct {
	Amount      *int64  `json:"amount"`
	Currency    *string `json:"currency"`
	CardNumber  *string `json:"card_number"`
	CVV         *string `json:"cvv"`
	Description string  `json:"description"`
}

var (
	cardNumber = regexp.MustCompile(`^[0-9]{12,19}$`)
	cardCode   = regexp.MustCompile(`^[0-9]{3,4}$`)
)

func (p *paymentCreate) valid() bool {
	return p.Amount != nil && p.Currency != nil && p.CardNumber != nil && p.CVV != nil && *p.Amount >= 1 && *p.Amount <= 1_000_000 &&
		slices.Contains([]string{"EUR", "USD", "GBP"}, *p.Currency) && cardNumber.MatchString(*p.CardNumber) && cardCode.MatchString(*p.CVV) &&
		utf8.RuneCountInString(p.Description) <= 200
}

func (f *fixed) createPayment(w http.ResponseWriter, r *http.Request, c Caller) error {
	var in paymentCreate
	if err := read(w, r, &in); err != nil {
		return err
	}
	who, err := id(c.Subject)
	if err != nil || !in.valid() {
		return errRequest
	}
	kept := last4(*in.CardNumber)
	result, err := f.db.ExecContext(r.Context(), `INSERT INTO payments (owner_id, amount, currency, card_number, description) VALUES (?, ?, ?, ?, ?)`,
		who, *in.Amount, *in.Currency, kept, in.Description)
	if err != nil {
		return fmt.Errorf("creating payment: %w", err)
	}
	made, err := result.LastInsertId()
	if err != nil {
		return fmt.Errorf("creating payment: %w", err)
	}
	return f.send(w, http.StatusCreated, payment{made, who, *in.Amount, *in.Currency, kept, in.Description})
}

func (f *fixed) securityTxt(w http.ResponseWriter, _ *http.Request, _ Caller) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "Contact: %s\nExpires: %s\n", f.Contact, f.Now().Add(180*24*time.Hour).UTC().Format(time.RFC3339))
	return nil
}
