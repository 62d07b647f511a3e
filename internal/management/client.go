package management

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/keys"
)

// Client speaks the management API.
type Client struct{ http *http.Client }

// Dial returns a client of the gate that serves a data directory. It fails with ErrNotRunning when none does.
func Dial(ctx context.Context, dir string) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	first, err := connect(ctx, dir)
	if err != nil {
		return nil, err
	}
	first.Close()
	return &Client{&http.Client{
		Timeout: actTimeout + 15*time.Second,
		Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return connect(ctx, dir) },
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// InProcess returns a client of a state that this process owns. Its actor is the process's own user.
func InProcess(s *deployment.State) *Client {
	return &Client{&http.Client{Transport: direct{New(s, nil)}}}
}

// direct calls a handler where a connection would be.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil { // as it is on the other side of a connection
		r.Body = http.NoBody
	}
	w := &held{header: http.Header{}, status: http.StatusOK}
	d.ServeHTTP(w, r.WithContext(WithActor(r.Context(), uid(os.Getuid()))))
	return &http.Response{StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header, Body: io.NopCloser(&w.body), Request: r}, nil
}

// held is an answer in memory.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }

// Error is an answer that is not what was asked for.
type Error struct {
	Status int
	Detail string
}

func (e *Error) Error() string { return e.Detail }

// BadInput marks the error as the user's to mend.
func (e *Error) BadInput() bool { return e.Status == http.StatusUnprocessableEntity }

// maxAnswer bounds what is read: a page of keys at their largest.
const maxAnswer = 64 << 20

func call[T any](ctx context.Context, c *Client, method, path string, body any) (out T, err error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return out, fmt.Errorf("encoding request: %w", err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://portreeve"+path, in)
	if err != nil {
		return out, fmt.Errorf("making request: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the URL says nothing to anybody
		}
		if method == http.MethodPost && !errors.Is(err, ErrNotRunning) {
			return out, fmt.Errorf("asking the gate, which may have done it all the same: %w", err)
		}
		return out, fmt.Errorf("asking the gate: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return out, fmt.Errorf("reading the gate's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return out, problemOf(resp, b)
	}
	if json.Unmarshal(b, &out) != nil {
		return out, errors.New("the gate's answer cannot be read: is it of another version?")
	}
	return out, nil
}

// CreateKey makes a key.
func (c *Client) CreateKey(ctx context.Context, n NewKey) (Key, error) {
	return call[Key](ctx, c, "POST", "/v1/keys", n)
}

// Keys lists all keys of an owner, of everybody when it is empty.
func (c *Client) Keys(ctx context.Context, owner string) (KeyList, error) {
	all := KeyList{Keys: []Key{}}
	q := url.Values{"owner": {owner}, "limit": {strconv.Itoa(page)}}
	for {
		l, err := call[KeyList](ctx, c, "GET", "/v1/keys?"+q.Encode(), nil)
		if err != nil {
			return KeyList{}, err
		}
		all.Schema, all.Keys = l.Schema, append(all.Keys, l.Keys...)
		if !l.More || len(l.Keys) == 0 {
			return all, nil
		}
		q.Set("after", l.Keys[len(l.Keys)-1].ID)
	}
}

// RotateKey makes a key's successor.
func (c *Client) RotateKey(ctx context.Context, id string, overlap time.Duration) (Key, error) {
	return c.key(ctx, id, "rotate", Rotation{int64(overlap / time.Second)})
}

// RevokeKey ends a key for good.
func (c *Client) RevokeKey(ctx context.Context, id string) (Key, error) {
	return c.key(ctx, id, "revoke", nil)
}

// key acts on one key. What cannot be an id does not become a path.
func (c *Client) key(ctx context.Context, id, verb string, body any) (Key, error) {
	if err := keys.CheckID(id); err != nil {
		return Key{}, err
	}
	return call[Key](ctx, c, "POST", "/v1/keys/"+id+"/"+verb, body)
}

// AddUser makes a user.
func (c *Client) AddUser(ctx context.Context, n NewUser) (User, error) {
	return call[User](ctx, c, "POST", "/v1/users", n)
}

// Users lists all users.
func (c *Client) Users(ctx context.Context) (UserList, error) {
	return call[UserList](ctx, c, "GET", "/v1/users", nil)
}

// DisableUser ends a user's tokens and stops their keys.
func (c *Client) DisableUser(ctx context.Context, name string) (User, error) {
	return c.user(ctx, name, "disable", nil)
}

// EnableUser undoes DisableUser.
func (c *Client) EnableUser(ctx context.Context, name string) (User, error) {
	return c.user(ctx, name, "enable", nil)
}

// SetPassword replaces a user's password and ends all their tokens.
func (c *Client) SetPassword(ctx context.Context, name, password string) (User, error) {
	return c.user(ctx, name, "password", NewPassword{password})
}

func (c *Client) user(ctx context.Context, name, verb string, body any) (User, error) {
	if err := keys.CheckName(name); err != nil {
		return User{}, err
	}
	return call[User](ctx, c, "POST", "/v1/users/"+url.PathEscape(name)+"/"+verb, body)
}

// IssueToken signs a token.
func (c *Client) IssueToken(ctx context.Context, n NewToken) (Token, error) {
	return call[Token](ctx, c, "POST", "/v1/tokens", n)
}

// InspectToken tells what a token says and whether it would be believed now.
func (c *Client) InspectToken(ctx context.Context, token string) (Inspection, error) {
	return call[Inspection](ctx, c, "POST", "/v1/tokens/inspect", Presented{token})
}

// RevokeTokens ends tokens before they expire.
func (c *Client) RevokeTokens(ctx context.Context, r Revocation) (Revocation, error) {
	return call[Revocation](ctx, c, "POST", "/v1/revocations", r)
}

// Reload makes the gate read its configuration anew.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	return call[Reloaded](ctx, c, "POST", "/v1/reload", nil)
}

// Events asks the ledger; the question becomes an event of it.
func (c *Client) Events(ctx context.Context, q EventQuery) (EventList, error) {
	return call[EventList](ctx, c, "POST", "/v1/audit/query", q)
}

// Seal makes a checkpoint of all that the ledger holds.
func (c *Client) Seal(ctx context.Context) (Sealed, error) {
	return call[Sealed](ctx, c, "POST", "/v1/audit/checkpoint", nil)
}

// Prove makes the proof of an event.
func (c *Client) Prove(ctx context.Context, event string) (Proven, error) {
	return call[Proven](ctx, c, "POST", "/v1/audit/prove", ProofOf{event})
}

// Tail calls f with the newest lines of the ledger, and then, if it is to follow, with those that come until ctx ends.
func (c *Client) Tail(ctx context.Context, q TailOf, f func(line []byte) error) error {
	b, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encoding request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://portreeve/v1/audit/tail", bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("making request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	endless := *c.http
	endless.Timeout = 0
	resp, err := endless.Do(r)
	if err != nil {
		return fmt.Errorf("asking the gate: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refused(resp)
	}
	lines := bufio.NewReaderSize(resp.Body, 1<<20)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the gate's answer: %w", err)
		}
		if err := f(line[:len(line)-1]); err != nil {
			return err
		}
	}
}

// refused reads why an answer is not what was asked for.
func refused(resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the gate's answer: %w", err)
	}
	return problemOf(resp, b)
}

func problemOf(resp *http.Response, b []byte) error {
	var p struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(b, &p) != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("the gate answered %s", resp.Status)
	}
	return &Error{resp.StatusCode, p.Detail}
}
