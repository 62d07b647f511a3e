package demo

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Demonstrations returns the table. tokens are those that must not be believed. The order matters: what uses up a limit comes
// last.
func Demonstrations(tokens Forged) []Demonstration {
	return slices.Concat(lawful, forgeries(tokens), unproven, unpermitted, exposed, unvalidated, injected, talkative, crossOrigin, unlimited)
}

// OverTLS adds to the table what can be shown only where the guarded side speaks TLS.
func OverTLS(list []Demonstration) []Demonstration { return slices.Concat(encrypted, list) }

// A judge looks at all answers of one side, in order.

func has(at int, texts ...string) func([]Answer) bool {
	return func(a []Answer) bool {
		return a[at].ok() && !slices.ContainsFunc(texts, func(t string) bool { return !strings.Contains(a[at].Body, t) })
	}
}

// leaks is has for answers of any status.
func leaks(at int, texts ...string) func([]Answer) bool {
	return func(a []Answer) bool {
		return !slices.ContainsFunc(texts, func(t string) bool { return !strings.Contains(a[at].Body, t) })
	}
}

func status(at, want int) func([]Answer) bool {
	return func(a []Answer) bool { return a[at].Status == want }
}

func lacksHeader(at int, name string) func([]Answer) bool {
	return func(a []Answer) bool { return a[at].Header.Get(name) == "" }
}

func all(judges ...func([]Answer) bool) func([]Answer) bool {
	return func(a []Answer) bool {
		return !slices.ContainsFunc(judges, func(j func([]Answer) bool) bool { return !j(a) })
	}
}

func either(judges ...func([]Answer) bool) func([]Answer) bool {
	return func(a []Answer) bool {
		return slices.ContainsFunc(judges, func(j func([]Answer) bool) bool { return j(a) })
	}
}

// fields: the answer is one object with exactly these members that say something.
func fields(at int, names ...string) func([]Answer) bool {
	return func(a []Answer) bool {
		var m map[string]any
		if !a[at].ok() || json.Unmarshal([]byte(a[at].Body), &m) != nil {
			return false
		}
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
		slices.Sort(names)
		return slices.Equal(slices.Sorted(maps.Keys(m)), names)
	}
}

// items: the answer is an array, and every element has exactly these members.
func items(at int, names ...string) func([]Answer) bool {
	return func(a []Answer) bool {
		var list []map[string]any
		if !a[at].ok() || json.Unmarshal([]byte(a[at].Body), &list) != nil || len(list) == 0 {
			return false
		}
		slices.Sort(names)
		return !slices.ContainsFunc(list, func(m map[string]any) bool {
			maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
			return !slices.Equal(slices.Sorted(maps.Keys(m)), names)
		})
	}
}

// unlimitedly: none of many calls was told to come back later.
func unlimitedly(a []Answer) bool {
	return !slices.ContainsFunc(a, func(a Answer) bool { return a.Status == http.StatusTooManyRequests })
}

var wholeSeconds = regexp.MustCompile(`^[1-9][0-9]*$`)

// comeBack: the last answer says when to come back.
func comeBack(a []Answer) bool {
	return wholeSeconds.MatchString(a[len(a)-1].Header.Get("Retry-After"))
}

// granted: exactly n answers were given before the rest was refused.
func granted(n int) func([]Answer) bool {
	return func(a []Answer) bool {
		for i := range a {
			if a[i].ok() != (i < n) {
				return false
			}
		}
		return true
	}
}

var instanceMember = regexp.MustCompile(`"instance":"[^"]*"`)

// differ: two refusals can be told apart.
func differ(a []Answer) bool {
	return a[0].Status != a[1].Status || instanceMember.ReplaceAllString(a[0].Body, "") != instanceMember.ReplaceAllString(a[1].Body, "")
}

// endlessToken: the answer holds a token that never ends.
func endlessToken(a []Answer) bool {
	var m struct {
		Token string `json:"token"`
	}
	if !a[0].ok() || json.Unmarshal([]byte(a[0].Body), &m) != nil {
		return false
	}
	parts := strings.Split(m.Token, ".")
	if len(parts) != 3 {
		return false
	}
	var claims map[string]any
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && json.Unmarshal(b, &claims) == nil && claims["exp"] == nil
}

// allows: a foreign origin may read the answer.
func allows(origin string) func([]Answer) bool {
	return func(a []Answer) bool {
		got := a[0].Header.Get("Access-Control-Allow-Origin")
		return got == origin || got == "*"
	}
}

const (
	asJSON = "Accept: application/json"
	evil   = "Origin: https://evil.example"
	friend = "Origin: https://app.example.com"
)

// find reads again whether a user of that name is there; named is how an answer says so.
func find(name string) Call {
	return Call{As: "dave", Path: "/api/search?q=" + name, Header: []string{asJSON}}
}

func named(at int, name string) func([]Answer) bool { return has(at, `"name":"`+name+`"`) }

// newcomer is a lawful body for a new user.
func newcomer(name string) string {
	return `{"username":"` + name + `","email":"` + name + `@example.com","age":30,"role":"employee"}`
}

var lawful = []Demonstration{
	{ID: "employee-reads-other", Controls: []string{"expose.minimal-fields"}, Title: "an employee reads a colleague: id and name",
		Calls: []Call{{As: "alice", Path: "/api/users/2"}}, Holds: fields(0, "id", "name")},
	{ID: "employee-reads-self", Controls: []string{"expose.field-permissions"}, Title: "an employee reads herself: her contact data too, the phone masked",
		Calls: []Call{{As: "alice", Path: "/api/users/1"}},
		Holds: all(fields(0, "id", "name", "email", "address", "phone"), has(0, "****0101")), Telling: "email"},
	{ID: "readonly-reads-self", Controls: []string{"expose.field-permissions"}, Title: "so does one who may only read",
		Calls: []Call{{As: "erin", Path: "/api/users/5"}}, Holds: fields(0, "id", "name", "email", "address", "phone"), Telling: "email"},
	{ID: "manager-reads-other", Controls: []string{"expose.field-permissions"}, Title: "a manager sees contact data, neither ssn nor salary",
		Calls: []Call{{As: "carol", Path: "/api/users/2"}}, Holds: fields(0, "id", "name", "email", "address", "phone"), Telling: "email"},
	{ID: "admin-reads-other", Controls: []string{"expose.field-permissions"}, Title: "an admin sees all, the phone unmasked",
		Calls: []Call{{As: "dave", Path: "/api/users/2"}},
		Holds: all(fields(0, "id", "name", "email", "address", "phone", "ssn", "salary"), has(0, "555-0102")), Telling: "ssn"},
	{ID: "list-projected", Controls: []string{"expose.field-permissions"}, Title: "the list of users is cut down item by item",
		Calls: []Call{{As: "erin", Path: "/api/users"}}, Holds: func(a []Answer) bool {
			return has(0, `"name":"bob"`, "erin")(a) && !strings.Contains(a[0].Body, "ssn") && !strings.Contains(a[0].Body, "bob@example.com")
		}},
	{ID: "api-key", Controls: []string{"authn.api-key"}, Title: "an API key proves its owner",
		Calls: []Call{{As: "bob", Key: true, Path: "/api/users/2"}}, Holds: fields(0, "id", "name", "email", "address", "phone")},
	{ID: "posts", Controls: []string{"authz.per-operation"}, Title: "posts are for every role",
		Calls: []Call{{As: "erin", Path: "/api/users/1/posts"}}, Holds: items(0, "id", "user_id", "title", "body")},
	{ID: "search", Controls: []string{"inject.output-encoding"}, Title: "a search answers in JSON",
		Calls: []Call{{As: "bob", Path: "/api/search?q=ali", Header: []string{asJSON}}}, Holds: has(0, `"name":"alice"`)},
	{ID: "own-report", Controls: []string{"authz.object"}, Title: "an owner reads her report",
		Calls: []Call{{As: "alice", Path: "/api/reports/1"}}, Holds: fields(0, "id", "owner_id", "title", "body"), Telling: "title"},
	{ID: "managers-report", Controls: []string{"authz.object"}, Title: "a manager reads it as well",
		Calls: []Call{{As: "carol", Path: "/api/reports/1"}}, Holds: fields(0, "id", "owner_id", "title", "body"), Telling: "title"},
	{ID: "own-payments", Controls: []string{"authz.object"}, Title: "an owner lists her payments",
		Calls: []Call{{As: "alice", Path: "/api/payments?owner_id=1"}}, Holds: has(0, "rope", "sail cloth")},
	{ID: "all-payments", Controls: []string{"authz.object"}, Title: "a manager lists everybody's",
		Calls: []Call{{As: "carol", Path: "/api/payments"}}, Holds: has(0, "rope", "flour")},
	{ID: "pay", Controls: []string{"data.pan-masked"}, Title: "an employee pays; the card leaves masked, its code never",
		Calls: []Call{{As: "bob", Method: "POST", Path: "/api/payments",
			Body: `{"amount":700,"currency":"EUR","card_number":"5555555555554444","cvv":"321","description":"candles"}`}, {As: "bob", Path: "/api/payments?owner_id=2"}},
		Holds: func(a []Answer) bool {
			return status(0, 201)(a) && has(1, "candles")(a) && !strings.Contains(a[0].Body, "5555555555554444") && !strings.Contains(a[0].Body, "cvv")
		}, Telling: "candles"},
	{ID: "own-data", Controls: []string{"authn.stateless"}, Title: "each caller gets their own data",
		Calls: []Call{{As: "alice", Path: "/api/data"}, {As: "bob", Path: "/api/data"}}, Holds: all(has(0, "alice: berth 12"), has(1, "bob: mill key"))},
	{ID: "update-self", Controls: []string{"validate.write-properties"}, Title: "an employee changes his own address",
		Calls: []Call{{As: "bob", Method: "PUT", Path: "/api/users/2", Body: `{"address":"12 Mill Lane"}`}, {As: "bob", Path: "/api/users/2"}},
		Holds: has(1, "12 Mill Lane"), Telling: "address"},
	{ID: "admin-updates", Controls: []string{"authz.object"}, Title: "an admin changes anybody's",
		Calls: []Call{{As: "dave", Method: "PUT", Path: "/api/users/8", Body: `{"address":"18 West Gate"}`}, {As: "dave", Path: "/api/users/8"}},
		Holds: has(1, "18 West Gate"), Telling: "address"},
	{ID: "admin-creates", Controls: []string{"authz.function", "authn.mfa-admin"}, Title: "an admin with two factors makes a user",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: newcomer("ivan")}, find("ivan")},
		Holds: all(status(0, 201), named(1, "ivan"))},
	{ID: "admin-deletes", Controls: []string{"authz.function", "authn.mfa-admin"}, Title: "and removes one",
		Calls: []Call{{As: "dave", Method: "DELETE", Path: "/api/users/7"}, {As: "dave", Path: "/api/users/7"}},
		Holds: all(status(0, 204), status(1, 404))},
	{ID: "admin-protected", Controls: []string{"authz.rbac"}, Title: "an admin reads what is protected",
		Calls: []Call{{As: "dave", Path: "/api/protected"}}, Holds: has(0, "north gate")},
	{ID: "login", Controls: []string{"authn.bruteforce"}, Title: "who knows the password signs in",
		Calls: []Call{{Method: "POST", Path: "/api/login", Login: "alice"}}, Holds: has(0, `"name":"alice"`)},
	{ID: "friendly-origin", Controls: []string{"cors.allowlist"}, Title: "the listed origin may read answers",
		Calls: []Call{{As: "alice", Path: "/api/users/1", Header: []string{friend}}},
		Holds: all(has(0, "alice"), allows("https://app.example.com")), Show: "Access-Control-Allow-Origin"},
	{ID: "friendly-preflight", Controls: []string{"cors.methods-headers"}, Title: "and gets its preflight answered",
		Calls: []Call{{Method: "OPTIONS", Path: "/api/users/1", Header: []string{friend, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type"}}},
		Holds: func(a []Answer) bool {
			return a[0].ok() && allows("https://app.example.com")(a) && strings.Contains(a[0].Header.Get("Access-Control-Allow-Methods"), "PUT")
		},
		Show: "Access-Control-Allow-Methods"},
	{ID: "expensive", Controls: []string{"limit.endpoint"}, Title: "the expensive operation runs",
		Calls: []Call{{As: "carol", Path: "/api/expensive-operation"}}, Holds: fields(0, "digest")},
	{ID: "security-contact", Controls: []string{"help.contact"}, Title: "who finds a weakness is told where to report it",
		Calls: []Call{{Path: "/.well-known/security.txt"}}, Holds: has(0, "Contact: ", "Expires: ")},
}

// forgeries are tokens that must not be believed.
func forgeries(t Forged) []Demonstration {
	north := has(0, "north gate")
	return []Demonstration{
		{ID: "token-none", Controls: []string{"token.signature"}, Title: "a token without any signature (alg: none) says it is the admin's",
			Calls: []Call{{Token: t.None, Path: "/api/protected"}}, Fault: north, Refused: []int{401}},
		{ID: "token-known-secret", Controls: []string{"token.key-strength", "secret.no-hardcoded"}, Title: "a token signed with the word \"secret\"",
			Calls: []Call{{Token: t.Secret, Path: "/api/protected"}}, Fault: north, Refused: []int{401}},
		{ID: "token-foreign-key", Controls: []string{"token.signature", "authn.oauth-oidc"}, Title: "a token in the right issuer's name, signed by a stranger's key",
			Calls: []Call{{Token: t.Foreign, Path: "/api/protected"}}, Fault: north, Refused: []int{401}},
		{ID: "token-expired", Controls: []string{"token.expiry"}, Title: "a token that ended yesterday",
			Calls: []Call{{Token: t.Expired, Path: "/api/protected"}}, Fault: north, Refused: []int{401}},
		{ID: "token-audience", Controls: []string{"token.audience", "token.claims"}, Title: "a token for another API",
			Calls: []Call{{Token: t.Audience, Path: "/api/protected"}}, Fault: north, Refused: []int{401}},
		{ID: "token-cut", Controls: []string{"token.signature"}, Title: "the admin's own token with its signature spoilt",
			Calls: []Call{{As: "dave", Cut: true, Path: "/api/protected"}}, Fault: north, Refused: []int{401}},
	}
}

var unproven = []Demonstration{
	{ID: "no-credential", Controls: []string{"authn.required"}, Title: "nobody in particular reads all users",
		Calls: []Call{{Path: "/api/users"}}, Fault: has(0, "alice"), Refused: []int{401}},
	{ID: "no-credential-write", Controls: []string{"authn.required"}, Title: "nobody in particular makes a user",
		Calls: []Call{{Method: "POST", Path: "/api/users", Body: newcomer("nobody1")}, find("nobody1")}, Fault: named(1, "nobody1"), Refused: []int{401}},
	{ID: "any-api-key", Controls: []string{"authn.api-key"}, Title: "an API key that somebody made up",
		Calls: []Call{{Path: "/api/protected", Header: []string{"X-API-Key: let-me-in"}}}, Fault: has(0, "north gate"), Refused: []int{401}},
	{ID: "no-challenge", Controls: []string{"authn.challenge"}, Title: "a 401 that does not say how to authenticate",
		Calls: []Call{{Path: "/api/protected"}}, Fault: lacksHeader(0, "WWW-Authenticate"), Refused: []int{401}, Show: "WWW-Authenticate"},
	{ID: "identity-by-address", Controls: []string{"authn.stateless"}, Title: "who comes from alice's address is taken for alice",
		Calls: []Call{{As: "alice", Path: "/api/data"}, {Path: "/api/data"}}, Fault: has(1, "alice: berth 12"), At: 1, Refused: []int{401}},
	{ID: "identity-by-header", Controls: []string{"authn.stateless", "deploy.no-bypass"}, Title: "bob says in a header that he is dave",
		Calls: []Call{{As: "bob", Path: "/api/data", Header: []string{`Portreeve-Subject: "4"`}}},
		Fault: has(0, "dave:"), Refused: []int{200}, Holds: has(0, "bob: mill key")},
	{ID: "around-the-gate", Controls: []string{"deploy.no-bypass"}, Title: "somebody goes around the gate, straight to the API",
		Calls: []Call{{Path: "/api/users", Around: true, Header: []string{`Portreeve-Subject: "4"`}}}, Fault: has(0, "alice"), Refused: []int{403}},
	{ID: "one-factor-admin", Controls: []string{"authn.mfa-admin"}, Title: "an admin's API key alone makes a user",
		Calls: []Call{{As: "dave", Key: true, Method: "POST", Path: "/api/users", Body: newcomer("onefactor")}, find("onefactor")},
		Fault: named(1, "onefactor"), Refused: []int{401}},
	{ID: "endless-token", Controls: []string{"token.expiry", "expose.classification"}, Title: "signing in gives a home-made token that never ends",
		Calls: []Call{{Method: "POST", Path: "/api/login", Login: "alice"}}, Fault: endlessToken, Refused: []int{200}, Telling: "token"},
	{ID: "enumeration", Controls: []string{"error.uniform-auth"}, Title: "a failed login tells which names exist",
		Calls: []Call{{Method: "POST", Path: "/api/login", Body: `{"username":"nobody","password":"x"}`}, {Method: "POST", Path: "/api/login", Body: `{"username":"alice","password":"x"}`}},
		Fault: differ, Refused: []int{401}},
}

var unpermitted = []Demonstration{
	{ID: "delete-as-employee", Controls: []string{"authz.function"}, Title: "an employee removes a user",
		Calls: []Call{{As: "bob", Method: "DELETE", Path: "/api/users/6"}, {As: "dave", Path: "/api/users/6"}}, Fault: status(1, 404), Refused: []int{403}},
	{ID: "create-as-readonly", Controls: []string{"authz.per-operation", "authz.least-privilege"}, Title: "one who may only read makes a user",
		Calls: []Call{{As: "erin", Method: "POST", Path: "/api/users", Body: newcomer("byerin")}, find("byerin")},
		Fault: named(1, "byerin"), Refused: []int{403}},
	{ID: "update-as-readonly", Controls: []string{"authz.least-privilege"}, Title: "one who may only read writes",
		Calls: []Call{{As: "erin", Method: "PUT", Path: "/api/users/5", Body: `{"address":"elsewhere"}`}, {As: "dave", Path: "/api/users/5"}},
		Fault: has(1, "elsewhere"), Refused: []int{403}, Telling: "address"},
	{ID: "protected-as-employee", Controls: []string{"authz.rbac", "authz.deny-default"}, Title: "an employee reads what is for admins",
		Calls: []Call{{As: "bob", Path: "/api/protected"}}, Fault: has(0, "north gate"), Refused: []int{403}},
	{ID: "other-report", Controls: []string{"authz.object"}, Title: "bob reads alice's report by its number",
		Calls: []Call{{As: "bob", Path: "/api/reports/1"}}, Fault: has(0, "Tolls in spring"), Refused: []int{404}, Telling: "title"},
	{ID: "other-report-as-admin", Controls: []string{"authz.object", "authz.least-privilege"}, Title: "an admin reads a report that is not hers or his",
		Calls: []Call{{As: "dave", Path: "/api/reports/2"}}, Fault: has(0, "Grain in autumn"), Refused: []int{404}, Telling: "title"},
	{ID: "other-payment", Controls: []string{"authz.object"}, Title: "bob reads alice's payment by its number",
		Calls: []Call{{As: "bob", Path: "/api/payments/1"}}, Fault: has(0, "rope"), Refused: []int{404}},
	{ID: "other-payments", Controls: []string{"authz.object"}, Title: "bob lists alice's payments",
		Calls: []Call{{As: "bob", Path: "/api/payments?owner_id=1"}}, Fault: has(0, "rope"), Refused: []int{404}},
	{ID: "everybodys-payments", Controls: []string{"authz.object"}, Title: "bob lists everybody's payments",
		Calls: []Call{{As: "bob", Path: "/api/payments"}}, Fault: has(0, "rope", "sail cloth"), Refused: []int{200, 404}, Telling: "rope"},
	{ID: "update-other", Controls: []string{"authz.object"}, Title: "bob gives alice another e-mail address",
		Calls: []Call{{As: "bob", Method: "PUT", Path: "/api/users/1", Body: `{"email":"bob@evil.example"}`}, {As: "dave", Path: "/api/users/1"}},
		Fault: has(1, "bob@evil.example"), Refused: []int{404}, Telling: "email"},
}

var exposed = []Demonstration{
	{ID: "all-fields", Controls: []string{"expose.minimal-fields"}, Title: "a colleague's ssn and salary",
		Calls: []Call{{As: "alice", Path: "/api/users/2"}}, Fault: has(0, "900-11-0002"), Refused: []int{200}, Telling: "ssn"},
	{ID: "all-fields-list", Controls: []string{"expose.field-permissions"}, Title: "everybody's, at once",
		Calls: []Call{{As: "bob", Path: "/api/users"}}, Fault: has(0, "900-11-0001", "salary"), Refused: []int{200}, Telling: "ssn"},
	{ID: "undeclared-password", Controls: []string{"expose.minimal-fields", "expose.classification"}, Title: "a column nobody meant to show: the password",
		Calls: []Call{{As: "dave", Path: "/api/users/1"}}, Fault: has(0, `"password"`), Refused: []int{200}, Telling: "password"},
	{ID: "undeclared-notes", Controls: []string{"validate.response"}, Title: "a column nobody meant to show: internal notes",
		Calls: []Call{{As: "carol", Path: "/api/reports/1"}}, Fault: has(0, "the auditor was not told"), Refused: []int{200}, Telling: "internal_notes"},
	{ID: "card-number", Controls: []string{"data.pan-masked", "expose.masking"}, Title: "a whole card number",
		Calls: []Call{{As: "alice", Path: "/api/payments/1"}},
		Fault: has(0, "4111111111111111"), Refused: []int{200}, Holds: has(0, "****1111"), Telling: "card_number"},
	{ID: "card-code", Controls: []string{"expose.classification"}, Title: "and the code on its back",
		Calls: []Call{{As: "carol", Path: "/api/payments"}}, Fault: has(0, `"cvv"`), Refused: []int{200}, Telling: "cvv"},
	{ID: "debug-endpoint", Controls: []string{"expose.debug-off", "inventory.documented"}, Title: "a debug endpoint in no document",
		Calls: []Call{{Path: "/debug/vars"}}, Fault: has(0, "jwt_secret"), Refused: []int{404}, Telling: "jwt_secret"},
	{ID: "old-version", Controls: []string{"inventory.retired", "inventory.documented"}, Title: "an old version that was never switched off",
		Calls: []Call{{As: "alice", Path: "/api/v0/users"}}, Fault: has(0, "900-11-0001"), Refused: []int{404}, Telling: "ssn"},
}

var unvalidated = []Demonstration{
	{ID: "bad-username", Controls: []string{"validate.request"}, Title: "a user called x!x!",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: `{"username":"x!x!","email":"x@example.com","age":30,"role":"employee"}`}, find("x%21x%21")},
		Fault: named(1, "x!x!"), Refused: []int{400}},
	{ID: "under-age", Controls: []string{"validate.request"}, Title: "a user who is seven years old",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: `{"username":"child1","email":"child1@example.com","age":7,"role":"employee"}`}, find("child1")},
		Fault: named(1, "child1"), Refused: []int{400}},
	{ID: "bad-email", Controls: []string{"validate.request"}, Title: "a user whose e-mail address is none",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: `{"username":"noaddress1","email":"nope","age":30,"role":"employee"}`}, find("noaddress1")},
		Fault: named(1, "noaddress1"), Refused: []int{400}},
	{ID: "unknown-role", Controls: []string{"validate.request"}, Title: "a user whose role does not exist",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: `{"username":"wizard1","email":"w@example.com","age":30,"role":"wizard"}`}, find("wizard1")},
		Fault: named(1, "wizard1"), Refused: []int{400}},
	{ID: "mass-assignment", Controls: []string{"validate.write-properties"}, Title: "bob raises his own salary with his phone number",
		Calls: []Call{{As: "bob", Method: "PUT", Path: "/api/users/2", Body: `{"phone":"+1-202-555-0122","salary":999999}`}, {As: "dave", Path: "/api/users/2"}},
		Fault: has(1, "999999"), Refused: []int{400}, Telling: "salary"},
	{ID: "payment-for-another", Controls: []string{"validate.write-properties", "authz.object"}, Title: "bob pays in alice's name",
		Calls: []Call{{As: "bob", Method: "POST", Path: "/api/payments", Body: `{"amount":5,"currency":"EUR","card_number":"5555555555554444","cvv":"123","description":"not mine","owner_id":1}`},
			{As: "carol", Path: "/api/payments?owner_id=1"}}, Fault: has(1, "not mine"), Refused: []int{400}, Telling: "not mine"},
	{ID: "negative-payment", Controls: []string{"validate.request"}, Title: "bob pays less than nothing",
		Calls: []Call{{As: "bob", Method: "POST", Path: "/api/payments", Body: `{"amount":-500,"currency":"EUR","card_number":"5555555555554444","cvv":"123","description":"gain"}`},
			{As: "carol", Path: "/api/payments?owner_id=2"}}, Fault: has(1, "gain"), Refused: []int{400}, Telling: "gain"},
	{ID: "member-twice", Controls: []string{"validate.strict-schema"}, Title: "one member twice: which one counts?",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: `{"username":"twice1","email":"t@example.com","age":30,"role":"employee","role":"admin"}`}, find("twice1")},
		Fault: named(1, "twice1"), Refused: []int{400}},
	{ID: "media-type", Controls: []string{"validate.request"}, Title: "a body that does not say it is JSON, as a form on another site sends it",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: newcomer("plain1"), Header: []string{"Content-Type: text/plain"}}, find("plain1")},
		Fault: named(1, "plain1"), Refused: []int{415}},
	{ID: "too-large", Controls: []string{"limit.size"}, Title: "a name of two million letters",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: `{"username":"@","email":"l@example.com","age":30,"role":"employee"}`, Fill: 2_000_000}},
		Fault: status(0, 201), Refused: []int{413}},
}

var injected = []Demonstration{
	{ID: "sql-union", Controls: []string{"inject.parameterised"}, Title: "posts, united with everybody's ssn and password",
		Calls: []Call{{As: "erin", Path: "/api/users/0%20UNION%20SELECT%20id,name,ssn,password%20FROM%20users/posts"}},
		Fault: has(0, "900-11-0001"), Refused: []int{400}},
	{ID: "sql-write", Controls: []string{"inject.parameterised"}, Title: "posts, and a second statement that cuts bob's salary",
		Calls: []Call{{As: "erin", Path: "/api/users/1%3BUPDATE%20users%20SET%20salary=1%20WHERE%20id=2/posts"}, {As: "dave", Path: "/api/users/2"}},
		Fault: has(1, `"salary":1,`), Refused: []int{400}, Telling: "salary"},
	{ID: "reflected-script", Controls: []string{"inject.output-encoding"}, Title: "a search that comes back as a script",
		Calls: []Call{{As: "bob", Path: "/api/search?q=%3Cscript%3Ealert(1)%3C/script%3E", Header: []string{"Accept: text/html"}}},
		Fault: func(a []Answer) bool {
			return strings.HasPrefix(a[0].Header.Get("Content-Type"), "text/html") && strings.Contains(a[0].Body, "<script>alert(1)</script>")
		}, Refused: []int{200}, Show: "Content-Type"},
}

var talkative = []Demonstration{
	{ID: "sql-error", Controls: []string{"error.no-leak", "expose.debug-off"}, Title: "an error page shows the statement and the stack",
		Calls: []Call{{As: "bob", Path: "/api/users/1%27/posts"}},
		Fault: leaks(0, "SELECT * FROM posts", "goroutine"), Refused: []int{400}, Telling: "sql:"},
	{ID: "broken-json", Controls: []string{"error.no-leak"}, Title: "half a body: the stack again",
		Calls: []Call{{As: "bob", Method: "PUT", Path: "/api/users/2", Body: `{"phone":`}},
		Fault: leaks(0, "goroutine"), Refused: []int{400}, Telling: "goroutine"},
	{ID: "upstream-error", Controls: []string{"error.no-leak"}, Title: "a lawful request that the API fails at: a name that is taken",
		Calls: []Call{{As: "dave", Method: "POST", Path: "/api/users", Body: newcomer("alice")}},
		Fault: leaks(0, "INSERT INTO"), Refused: []int{409, 502}, Telling: "sql:"},
	{ID: "no-reference", Controls: []string{"help.auth-trace"}, Title: "a refusal that cannot be traced",
		Calls: []Call{{Path: "/api/protected"}},
		Fault: func(a []Answer) bool { return !strings.Contains(a[0].Body, `"instance":"urn:uuid:`) }, Refused: []int{401}, Telling: "instance"},
	{ID: "no-csp", Controls: []string{"header.csp"}, Title: "no content security policy",
		Calls: []Call{{As: "alice", Path: "/api/users/1"}},
		Fault: lacksHeader(0, "Content-Security-Policy"), Refused: []int{200}, Show: "Content-Security-Policy"},
	{ID: "sniffing", Controls: []string{"header.baseline"}, Title: "nothing against sniffing, framing and caching",
		Calls:   []Call{{As: "alice", Path: "/api/users/1"}},
		Fault:   either(lacksHeader(0, "X-Content-Type-Options"), lacksHeader(0, "X-Frame-Options"), lacksHeader(0, "Cache-Control")),
		Refused: []int{200}, Show: "X-Content-Type-Options"},
	{ID: "banner", Controls: []string{"header.baseline", "error.no-leak"}, Title: "the software and its version in every answer",
		Calls:   []Call{{As: "alice", Path: "/api/users/1"}},
		Fault:   func(a []Answer) bool { return !lacksHeader(0, "Server")(a) || !lacksHeader(0, "X-Powered-By")(a) },
		Refused: []int{200}, Show: "Server"},
}

var encrypted = []Demonstration{
	{ID: "in-the-clear", Controls: []string{"tls.https-only"}, Title: "a token and an answer that everybody on the way can read",
		Calls: []Call{{As: "alice", Path: "/api/users/1", Clear: true}}, Fault: has(0, "alice"), Refused: []int{400}},
	{ID: "no-hsts", Controls: []string{"header.hsts"}, Title: "nothing tells a browser to stay with HTTPS",
		Calls: []Call{{As: "alice", Path: "/api/users/1"}},
		Fault: lacksHeader(0, "Strict-Transport-Security"), Refused: []int{200}, Show: "Strict-Transport-Security"},
	{ID: "no-hsts-on-refusal", Controls: []string{"header.hsts"}, Title: "nor does a refusal",
		Calls: []Call{{Path: "/api/protected"}},
		Fault: lacksHeader(0, "Strict-Transport-Security"), Refused: []int{401}, Show: "Strict-Transport-Security"},
}

var crossOrigin = []Demonstration{
	{ID: "any-origin", Controls: []string{"cors.allowlist", "cors.credentials"}, Title: "any site may read as whoever is signed in",
		Calls: []Call{{As: "alice", Path: "/api/users/1", Header: []string{evil}}},
		Fault: allows("https://evil.example"), Refused: []int{200}, Show: "Access-Control-Allow-Origin"},
	{ID: "any-preflight", Controls: []string{"cors.methods-headers"}, Title: "and may delete",
		Calls: []Call{{Method: "OPTIONS", Path: "/api/users/6", Header: []string{evil, "Access-Control-Request-Method: DELETE"}}},
		Fault: allows("https://evil.example"), Refused: []int{403},
		Show: "Access-Control-Allow-Methods"},
}

var unlimited = []Demonstration{
	{ID: "expensive-flood", Controls: []string{"limit.endpoint", "limit.retry-after"}, Title: "the expensive operation, twelve times in a row",
		Calls: []Call{{As: "erin", Path: "/api/expensive-operation", Times: 12}},
		Fault: unlimitedly, Refused: []int{429}, Holds: all(granted(10), comeBack), Show: "Retry-After"},
	{ID: "key-swap", Controls: []string{"limit.client-identity"}, Title: "and once more, with the API key instead of the token",
		Calls: []Call{{As: "erin", Key: true, Path: "/api/expensive-operation"}},
		Fault: unlimitedly, Refused: []int{429}, Holds: comeBack, Show: "Retry-After"},
	{ID: "flood", Controls: []string{"limit.global", "limit.algorithm"}, Title: "a hundred and one requests of one caller",
		Calls: []Call{{As: "erin", Path: "/api/users/5", Times: 101}}, Fault: unlimitedly, Refused: []int{429}, Holds: comeBack, Show: "Retry-After"},
	{ID: "password-guessing", Controls: []string{"authn.bruteforce"}, Title: "guessing a password",
		Calls: []Call{{Method: "POST", Path: "/api/login", Body: `{"username":"bob","password":"123456"}`, Times: 14}},
		Fault: unlimitedly, Refused: []int{429}, Holds: comeBack, Show: "Retry-After"},
	{ID: "credential-guessing", Controls: []string{"authn.bruteforce"}, Title: "guessing API keys; this address is then locked for a minute",
		Calls: []Call{{Path: "/api/protected", Header: []string{"X-API-Key: guess"}, Times: 31}},
		Fault: unlimitedly, Refused: []int{429}, Holds: comeBack, Show: "Retry-After"},
}
