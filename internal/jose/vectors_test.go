package jose

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/portreeve/portreeve/internal/vectors"
)

// defective are Wycheproof's JWS vectors that contradict themselves or each other.
var defective = map[int]string{
	346: "the key says PS256, the token PS384, and it is called valid", 350: "the same",
	347: `the key's alg is "ES521", which does not exist`, 351: "the same",
	367: "called invalid, but byte for byte the valid test 357", 370: "the same",
	372: "called valid, but holds '?', which base64url does not have", 373: "the same",
}

type group struct {
	Comment string          `json:"comment"`
	Private json.RawMessage `json:"private"`
	Public  json.RawMessage `json:"public"`
	Tests   []struct {
		ID      int      `json:"tcId"`
		Comment string   `json:"comment"`
		JWS     string   `json:"jws"`
		Result  string   `json:"result"`
		Flags   []string `json:"flags"`
	} `json:"tests"`
}

func groups(t *testing.T, name string) []group {
	b, err := os.ReadFile(vectors.Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []group `json:"testGroups"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	return file.Groups
}

// holds verifies only the signature, as the vectors do: their payloads are no claims.
func holds(set *KeySet, token string) bool {
	head, payload, signature, ok := segments(token)
	if !ok {
		return false
	}
	h, ok := parseHeader(head)
	_, err := encoding.DecodeString(payload)
	return ok && err == nil && (&Verifier{}).signature(set, h, token[:len(head)+1+len(payload)], signature) == ""
}

//threat:29 Wycheproof's signatures → its verdicts
func TestWycheproofSignatures(t *testing.T) {
	n := 0
	for _, g := range groups(t, "jose/json_web_signature_test.json") {
		key := g.Public
		if key == nil {
			key = g.Private
		}
		set, _, err := ParseJWKS([]byte(`{"keys":[` + string(key) + `]}`))
		for _, tc := range g.Tests {
			n++
			got := err == nil && holds(set, tc.JWS)
			if why := defective[tc.ID]; why != "" {
				if got == (tc.Result == "valid") {
					t.Errorf("tc %d is listed as defective, but passes: %s", tc.ID, why)
				}
				continue
			}
			if got != (tc.Result == "valid") {
				t.Errorf("%s tc %d (%s): got %v, want %s; set: %v", g.Comment, tc.ID, tc.Comment, got, tc.Result, err)
			}
		}
	}
	t.Logf("%d vectors, %d of them defective", n, len(defective))
}

func TestWycheproofKeys(t *testing.T) {
	n := 0
	for _, g := range groups(t, "jose/json_web_key_test.json") {
		key := g.Public
		if key == nil {
			key = g.Private
		}
		set, _, err := ParseJWKS(key)
		for _, tc := range g.Tests {
			n++
			if got := err == nil && holds(set, tc.JWS); got != (tc.Result == "valid") {
				t.Errorf("%s tc %d (%s %v): got %v, want %s; set: %v", g.Comment, tc.ID, tc.Comment, tc.Flags, got, tc.Result, err)
			}
		}
	}
	t.Logf("%d vectors", n)
}
