package mutant

// Survivor is a mutant that the attacks do not find, and why.
type Survivor struct {
	Mutant string // its id, or a rule: then each of its mutants survives
	Why    string
}

// Survivors are all that are known. A test holds the list against a run over the demonstration: one that is killed, or
// one that is missing here, fails it.
var Survivors = []Survivor{
	// Nothing of it can be seen from outside.
	{"unrecorded", "What is written down is seen in the ledger alone: portreeve prove reads it, no attack can."},
	{"patience-unbounded", "Attacks measure no availability, and the API behind answers at once."},
	{"limit-dropped address", "The limit lies far beyond the calls that an attack makes to see one."},
	{"limit-tenfold address", "The limit lies far beyond the calls that an attack makes to see one."},
	{"target-unbounded", "Attacks send no such targets and headers: what an HTTP client writes is well-formed and short. Raw bytes are the conformance suite's."},
	{"connection-options-unchecked", "Attacks are made by an HTTP client, which writes no such Connection header. Raw bytes are the conformance suite's."},
	{"duplicates-unchecked", "Attacks are made by an HTTP client, which writes each such header once. Raw bytes are the conformance suite's."},
	{"hosts-unchecked", "Attacks ask for the target's own host. Another name for it is harmless to an API that does not use Host; raw requests are the conformance suite's."},

	// Something else keeps the fault from doing harm.
	{"object-dropped GET /api/data", "The caller cannot choose the object, and the API gives each caller their own: the rule is a second lock."},
	{"permission-dropped GET /api/payments/{payment_id}", "Whose the payment is is asked all the same: who lacks the permission owns none."},
	{"permission-dropped GET /api/reports/{report_id}", "Whose the report is is asked all the same: who lacks the permission owns none."},
	{"permission-dropped PUT /api/users/{user_id}", "Whose the user is is asked all the same: who lacks the permission could change themselves alone, which no attack tries on what it did not make."},
	{"header-missing request id", "The body of a refusal names its id as well (RFC 9457 instance)."},
	{"header-missing for pages", "They matter to pages, and an API has none: the attacks hold an API to the headers that protect its data."},

	// The fault keeps out those who may, too, so that there is no valid call to compare with.
	{"owner-inverted GET /api/data", "Nobody but the owner could call it, and the owner cannot: the run says that the operation was not reached."},
	{"owner-inverted GET /api/payments", "The owner's own call fails: the run says that the operation was not reached."},

	// Trying it would change or remove what the run did not make.
	{"parameter-unjudged DELETE /api/users/{user_id} path user_id", "An id that cannot be read is not tried with DELETE: nobody knows what it would remove."},

	// The attacks do not look there.
	{"refusal-explained", "Two wrong credentials are not compared with each other; only names at the sign-in are."},
}

// reasonFor returns why a mutant survives, "" when nobody knows.
func reasonFor(m Mutant) string {
	for _, s := range Survivors {
		if s.Mutant == m.ID || s.Mutant == m.Rule {
			return s.Why
		}
	}
	return ""
}
