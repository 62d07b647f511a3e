package portreeve_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/go-chi/chi/v5"

	"github.com/portreeve/portreeve"
	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/sqlite"
)

// A handler of net/http behind the gate. The document says that /hello is public and answers {"message"}; what else the
// handler writes does not leave.
func ExampleGate_Wrap() {
	dir, remove := orders()
	defer remove()
	gate, err := portreeve.Load(filepath.Join(dir, "portreeve.yaml"), portreeve.WithStore(sqlite.Open))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		caller, _ := access.From(r.Context())
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"message": "hello, %s", "debug": "SELECT * FROM users"}`, caller.Kind)
	})

	api := httptest.NewServer(gate.Wrap(mux))
	defer api.Close()
	show(api.URL + "/hello")
	show(api.URL + "/orders/17")
	show(api.URL + "/admin")
	// Output:
	// 200 {"message": "hello, anonymous"}
	// 401 unauthenticated
	// 404 not_found
}

// With chi, Wrap is a middleware like any other; it stands first.
func ExampleGate_Wrap_chi() {
	dir, remove := orders()
	defer remove()
	gate, err := portreeve.Load(filepath.Join(dir, "portreeve.yaml"), portreeve.WithStore(sqlite.Open))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()

	r := chi.NewRouter()
	r.Use(gate.Wrap)
	r.Get("/hello", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"message": "hello from chi"}`)
	})

	api := httptest.NewServer(r)
	defer api.Close()
	show(api.URL + "/hello")
	show(api.URL + "/hello?debug=1")
	// Output:
	// 200 {"message": "hello from chi"}
	// 400 invalid_request
}

// A changed configuration is obeyed from the next request on; a faulty one is refused with its line, and the gate goes on
// as before.
func ExampleGate_Reload() {
	dir, remove := orders()
	defer remove()
	config := filepath.Join(dir, "portreeve.yaml")
	gate, err := portreeve.Load(config, portreeve.WithStore(sqlite.Open))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()

	text, _ := os.ReadFile(config)
	os.WriteFile(config, append(text, "limitz: {}\n"...), 0o600)
	fmt.Println("reloaded:", gate.Reload(context.Background()) == nil)
	os.WriteFile(config, text, 0o600)
	fmt.Println("reloaded:", gate.Reload(context.Background()) == nil)
	// Output:
	// reloaded: false
	// reloaded: true
}
