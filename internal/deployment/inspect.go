package deployment

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/portreeve/portreeve/access"
	"github.com/portreeve/portreeve/internal/gate/authn"
	"github.com/portreeve/portreeve/internal/gate/exchange"
	"github.com/portreeve/portreeve/internal/jose"
	"github.com/portreeve/portreeve/internal/keys"
)

// Inspection is what a token says, and what the gate makes of it now. The signature is not in it.
type Inspection struct {
	Header, Claims json.RawMessage  // as the token says them, ASCII only
	Refusal        string           // the fine reason why the gate would not believe it; "": it would
	Principal      access.Principal // whom it proves, where it is believed
}

// maxToken is what the gate reads of a token at most.
const maxToken = 16 << 10

// InspectToken asks the gate's own prover. Keys of foreign issuers may be fetched for it.
func (s *State) InspectToken(ctx context.Context, text string) (Inspection, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxToken || len(parts) != 3 {
		return Inspection{}, notToken()
	}
	head, ok1 := decode(parts[0])
	claims, ok2 := decode(parts[1])
	if !ok1 || !ok2 {
		return Inspection{}, notToken()
	}
	i := Inspection{Header: head, Claims: claims}
	prover, ids, err := s.prover(text)
	if err != nil {
		return Inspection{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspecting token: %w", err)
	}
	p, err := prover.Token(&exchange.Exchange{Request: r, Now: s.Clock()}, ids, text)
	if err != nil {
		i.Refusal = err.Error()
		return i, nil
	}
	i.Principal = p
	return i, nil
}

// prover believes whom the plan believes. A foreign issuer that the token does not claim to be from is left out: its keys
// are not needed.
func (s *State) prover(token string) (*authn.Issuers, []string, error) {
	var d authn.Directory
	if s.Directory != nil {
		d = s.Directory
	}
	t, ids := authn.NewIssuers(d), []string{}
	id := &s.Plan().Identity
	if id.Embedded != nil && s.Signer != nil {
		if err := t.Embedded(*id.Embedded, s.Signer); err != nil {
			return nil, nil, err
		}
		ids = append(ids, authn.EmbeddedIssuer)
	}
	claimed, _ := jose.PeekIssuer(token)
	for _, is := range id.Issuers {
		if is.URL != claimed {
			continue
		}
		v, err := authn.NewVerifier(is, s.Clock)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: issuer %s: %w", is.Source, is.ID, err)
		}
		t.Foreign(is, v)
		ids = append(ids, is.ID)
	}
	return t, ids, nil
}

func notToken() error {
	return &keys.InvalidError{Field: "token", Problem: "is not a signed token in compact form (three parts, the first two JSON objects)"}
}

// decode reads a part that must be a JSON object, and writes it so that a terminal can show it: a token is somebody
// else's text until it is proven.
func decode(part string) (json.RawMessage, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || !utf8.Valid(raw) {
		return nil, false
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil || compact.Bytes()[0] != '{' {
		return nil, false
	}
	// Outside of strings JSON is ASCII; what does not print in a string is written as an escape.
	var out []byte
	for _, r := range compact.String() {
		switch {
		case r < utf8.RuneSelf && unicode.IsPrint(r):
			out = append(out, byte(r))
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		}
	}
	return out, true
}
