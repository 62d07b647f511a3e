package mutant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/attack"
	"github.com/portreeve/portreeve/internal/compile"
	"github.com/portreeve/portreeve/internal/demo"
	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/store/sqlite"
)

// Demonstration returns the options for the plan of the demonstration, whose API stands behind each mutant with every
// fault it has: nothing but the gate keeps them from being found. dir is for its files and databases.
func Demonstration(dir string) (Options, error) {
	// Nothing listens at these addresses: mutants have their own.
	path, err := demo.Settings{URL: "http://127.0.0.1:8080", Hosts: []string{}, Listen: "127.0.0.1:8080", Admin: "127.0.0.1:9443", Upstream: "http://127.0.0.1:9000"}.WriteFiles(dir)
	if err != nil {
		return Options{}, err
	}
	now := time.Now()
	p, err := compile.Load(path, now)
	if err != nil {
		return Options{}, err
	}
	promise, err := attack.Load("", path, now)
	if err != nil {
		return Options{}, err
	}
	o := Options{Plan: p, Promise: promise, API: naked(dir), Store: OpenStore}
	for _, d := range demo.People() {
		password, err := demo.NewPassword(rand.Reader)
		if err != nil {
			return Options{}, err
		}
		o.People = append(o.People, Person{Name: d.Name, Role: d.Role, UserID: d.Subject(), Password: password, AMR: d.AMR})
	}
	return o, nil
}

// OpenStore opens the store of a stand.
func OpenStore(ctx context.Context, path string) (deployment.Store, error) {
	return sqlite.Open(ctx, path, sqlite.Options{Create: true})
}

// naked starts the demonstration's API, each time on a database of its own.
func naked(dir string) API {
	var count atomic.Int64
	return func(ctx context.Context, ids []attack.Identity) (string, func(), error) {
		path := filepath.Join(dir, fmt.Sprintf("naked-%d.db", count.Add(1)))
		db, err := sqlite.OpenScratch(ctx, path)
		if err != nil {
			return "", nil, err
		}
		stop := func() {
			db.Close()
			for _, suffix := range []string{"", "-wal", "-shm"} {
				os.Remove(path + suffix) // the directory goes at the end, too
			}
		}
		var people []demo.Identity
		for _, id := range ids {
			if id.Password == "" {
				continue // the API does not know the outsider
			}
			n, err := strconv.Atoi(id.UserID)
			if err != nil {
				stop()
				return "", nil, fmt.Errorf("reading the user id of %s: %w", id.Name, err)
			}
			people = append(people, demo.Identity{Name: id.Name, Role: id.Role, UserID: n, Password: id.Password})
		}
		if err := demo.SeedNaked(ctx, db, people); err != nil {
			stop()
			return "", nil, err
		}
		if _, err := db.ExecContext(ctx, outsiders, outsiderID); err != nil {
			stop()
			return "", nil, fmt.Errorf("seeding: %w", err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			stop()
			return "", nil, fmt.Errorf("listening: %w", err)
		}
		s := &http.Server{Handler: talkative(demo.Naked(db)), ReadHeaderTimeout: 10 * time.Second}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Serve(l)
		}()
		return "http://" + l.Addr().String(), func() {
			s.Close()
			<-done
			stop()
		}, nil
	}
}

// outsiders makes the API know the outsider, who owns something in it: that nobody granted them anything is the gate's
// to hold.
const outsiders = `
INSERT INTO users (id, name, email) VALUES (?1, 'outsider', 'outsider@example.com');
INSERT INTO data (user_id, item) VALUES (?1, 'outsider: a key to nothing');`

// talkative makes an API worse, so that what a gate lets pass shows whatever the API would make of it by itself: each
// object of a success has one member more than anybody declared, an id that cannot be read is taken for 1, and PATCH,
// which nobody declared, does what PUT does.
func talkative(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{head: http.Header{}, status: http.StatusOK}
		if r.Method == http.MethodPatch {
			r.Method = http.MethodPut
		}
		r.URL.Path, r.URL.RawPath = generous(r.URL.Path), ""
		next.ServeHTTP(a, r)
		body := a.body.Bytes()
		if a.status/100 == 2 && a.head.Get("Content-Type") == "application/json" {
			if more, ok := withOneMore(body); ok {
				body = more
			}
		}
		for name, values := range a.head {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(a.status)
		if a.status != http.StatusNoContent {
			w.Write(body)
		}
	})
}

// generous reads a path's id, or takes it for 1. Those of posts stay: they are the way to the database.
func generous(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) != 4 {
		return path
	}
	if n, err := strconv.ParseInt(parts[3], 10, 64); err != nil || n < 1 || n > 1<<53-1 {
		parts[3] = "1"
	}
	return strings.Join(parts, "/")
}

func withOneMore(body []byte) ([]byte, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	add := func(v any) {
		if m, ok := v.(map[string]any); ok {
			m["inner_note"] = "nobody outside should read this"
		}
	}
	add(v)
	if items, ok := v.([]any); ok {
		for _, item := range items {
			add(item)
		}
	}
	b, err := json.Marshal(v)
	return b, err == nil
}

// answer holds what a handler writes.
type answer struct {
	head   http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.head }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
