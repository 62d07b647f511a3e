package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Sum returns the hex SHA-256 of everything the plan says. Plans hold no maps, so the encoding is canonical.
func (p *Plan) Sum() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("plan: not serialisable: " + err.Error()) // a programming error: every field is plain data
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// Lookup returns the operation with that method and template, nil when there is none.
func (p *Plan) Lookup(method, path string) *Operation {
	for _, op := range p.Operations {
		if op.Method == method && op.Path == path {
			return op
		}
	}
	return nil
}

// Screens reports whether some operation's free text is screened.
func (p *Plan) Screens() bool {
	for _, op := range p.Operations {
		if op.Screen {
			return true
		}
	}
	return false
}
