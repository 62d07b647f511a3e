package object

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/plan"
	"github.com/portreeve/portreeve/internal/problem"
	"github.com/portreeve/portreeve/internal/schema"
)

// decisionPoint asks a policy decision point (OpenID AuthZEN Authorization API 1.0 §6, access evaluation). Nothing but a
// plain true in time allows.
type decisionPoint struct {
	url    string
	token  string
	client *http.Client
}

const maxDecision = 64 << 10

func newDecisionPoint(p *plan.DecisionPoint) (*decisionPoint, error) {
	d := &decisionPoint{url: p.URL + "/access/v1/evaluation", client: &http.Client{Timeout: p.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: p.Timeout, ResponseHeaderTimeout: p.Timeout}}}
	if !p.Token.IsZero() {
		b, err := p.Token.Fetch()
		if err != nil {
			return nil, fmt.Errorf("%s: decision_point.token: %w", p.Source, err)
		}
		d.token = string(b)
	}
	return d, nil
}

// evaluation is the request of an access evaluation.
type evaluation struct {
	Subject  entity         `json:"subject"`
	Action   map[string]any `json:"action"`
	Resource entity         `json:"resource"`
	Context  map[string]any `json:"context"`
}

type entity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties,omitempty"`
}

func (d *decisionPoint) decide(ctx context.Context, e evaluation, requestID string) (bool, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Request-ID", requestID)
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return false, fmt.Errorf("asking the decision point: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxDecision+1))
	switch {
	case err != nil:
		return false, fmt.Errorf("asking the decision point: %w", err)
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("asking the decision point: status %d", resp.StatusCode)
	case len(answer) > maxDecision || !plainJSON(resp.Header):
		return false, fmt.Errorf("asking the decision point: its answer is no decision")
	}
	v, found := schema.Lookup(answer, "/decision")
	if !found || v.Kind != schema.Boolean {
		return false, fmt.Errorf("asking the decision point: its answer is no decision")
	}
	return string(v.Raw) == "true", nil
}

// byPoint: the decision point says so.
func (r *rule) byPoint(x *exchange.Exchange, id string) exchange.Verdict {
	p := &x.Principal
	if !p.Authenticated() {
		return r.deny(x, "nobody")
	}
	if id == "" || len(id) > maxID {
		return r.deny(x, "id_malformed")
	}
	allowed, err := r.point.decide(x.Request.Context(), evaluation{
		Subject:  entity{Type: p.Kind.String(), ID: p.Subject, Properties: map[string]any{"issuer": p.Issuer, "roles": p.Roles}},
		Action:   map[string]any{"name": r.op.ID, "properties": map[string]any{"method": r.op.Method}},
		Resource: entity{Type: r.Type, ID: id},
		Context:  map[string]any{"path": r.op.Path, "time": x.Now.UTC().Format(time.RFC3339)},
	}, x.ID)
	switch {
	case err != nil:
		return x.Refuse(exchange.Refusal{Status: http.StatusServiceUnavailable, Reason: problem.Unavailable, Retry: time.Second, Fine: "decision_point", Cause: err})
	case !allowed:
		return r.deny(x, "not_permitted")
	}
	return exchange.Pass
}
