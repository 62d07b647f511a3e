package management

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/ledger"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/store"
)

// maxBody bounds a request's body.
const maxBody = 256 << 10

// actTimeout bounds an act. Once begun it does not end with its caller: half an answer is no reason for half an act.
const actTimeout = 30 * time.Second

type handler struct {
	state  *deployment.State
	reload func(context.Context) error
}

// New returns the management API of a state that has a store. reload is what POST /v1/reload does; nil where nothing can
// be reloaded. Requests carry their actor (WithActor); one without is refused.
func New(s *deployment.State, reload func(context.Context) error) http.Handler {
	h := &handler{s, reload}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(context.Context, *http.Request) (any, error){
		"POST /v1/keys":                  h.createKey,
		"GET /v1/keys":                   h.listKeys,
		"POST /v1/keys/{id}/rotate":      h.rotateKey,
		"POST /v1/keys/{id}/revoke":      h.revokeKey,
		"POST /v1/users":                 h.addUser,
		"GET /v1/users":                  h.listUsers,
		"POST /v1/users/{name}/disable":  h.disableUser,
		"POST /v1/users/{name}/enable":   h.enableUser,
		"POST /v1/users/{name}/password": h.setPassword,
		"POST /v1/tokens":                h.issueToken,
		"POST /v1/tokens/inspect":        h.inspectToken,
		"POST /v1/revocations":           h.revokeTokens,
		"POST /v1/reload":                h.doReload,
		"POST /v1/audit/query":           h.queryEvents,
		"POST /v1/audit/prove":           h.prove,
		"POST /v1/audit/checkpoint":      h.seal,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if actor(r.Context()) == "" {
				refuse(w, http.StatusForbidden, problem.Forbidden, "nobody knows who asks")
				return
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actTimeout)
			defer cancel()
			v, err := serve(ctx, r)
			if err != nil {
				fail(w, err)
				return
			}
			answer(w, v)
		})
	}
	mux.HandleFunc("POST /v1/audit/tail", h.tail)
	return mux
}

type actorKey struct{}

// WithActor says who asks, "uid:1000". It must come from the connection or the process itself.
func WithActor(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

func actor(ctx context.Context) string {
	who, _ := ctx.Value(actorKey{}).(string)
	return who
}

// record does an act in the caller's name.
func (h *handler) record(ctx context.Context, verb keys.ActKind, target string, do func() (keys.Act, error)) error {
	return h.state.Record(ctx, actor(ctx), string(verb), target, do)
}

// read decodes a body strictly. Its error shows nothing of the body: there may be a password in it.
func read[T any](r *http.Request) (v T, err error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return v, &keys.InvalidError{Field: "Content-Type", Problem: "must be application/json"}
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return v, fmt.Errorf("reading request: %w", err)
	}
	if len(b) > maxBody {
		return v, &keys.InvalidError{Field: "body", Problem: fmt.Sprintf("is larger than %d bytes", maxBody)}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&v) != nil {
		return v, &keys.InvalidError{Field: "body", Problem: "is not what this operation takes"}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, &keys.InvalidError{Field: "body", Problem: "goes on behind its end"}
	}
	return v, nil
}

func answer(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		fail(w, fmt.Errorf("encoding answer: %w", err))
		return
	}
	header(w, "application/json")
	_, _ = w.Write(append(b, '\n')) // a client that left is nobody's fault
}

func header(w http.ResponseWriter, mediaType string) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// fail gives an error its status. Its text is for the operator, who may know everything but secrets; none is in any
// error of what is called here.
func fail(w http.ResponseWriter, err error) {
	status, reason := http.StatusInternalServerError, problem.Unavailable
	var bad interface{ BadInput() bool }
	var refusal keys.Refusal
	switch {
	case errors.As(err, &bad) && bad.BadInput():
		status, reason = http.StatusUnprocessableEntity, problem.InvalidRequest
	case errors.Is(err, store.ErrNotFound):
		status, reason = http.StatusNotFound, problem.NotFound
	case errors.Is(err, store.ErrConflict):
		status, reason = http.StatusConflict, problem.InvalidRequest
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, ledger.ErrUnavailable), errors.Is(err, deployment.ErrJustRevoked), errors.As(err, &refusal) && refusal.Unavailable():
		status = http.StatusServiceUnavailable
	}
	refuse(w, status, reason, err.Error())
}

func refuse(w http.ResponseWriter, status int, reason problem.Reason, detail string) {
	p := problem.Problem{Status: status, Reason: reason, Detail: detail}
	header(w, problem.ContentType)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write(p.Append(nil))
}

// errNoReload: what serves this has no configuration of its own to read anew.
var errNoReload = fmt.Errorf("%w: nothing is served here that could be reloaded", store.ErrUnavailable)

func (h *handler) doReload(ctx context.Context, _ *http.Request) (any, error) {
	if h.reload == nil {
		return nil, errNoReload
	}
	err := h.record(ctx, "reload", "", func() (keys.Act, error) { return keys.Act{}, h.reload(ctx) })
	if err != nil {
		return nil, err
	}
	return Reloaded{"portreeve/reload/v1", h.state.Plan().Hash}, nil
}

// Reloaded tells the plan that is obeyed after a reload.
type Reloaded struct {
	Schema string `json:"schema"` // "portreeve/reload/v1"
	Plan   string `json:"plan"`
}
