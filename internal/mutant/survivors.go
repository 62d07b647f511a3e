package mutant

// Survivor is a mutant that the attacks do not find, and why.
type Survivor struct {
	Mutant string // its id, or a rule: then each of its mutants survives
	Why    string
}

// Survivors are all that are known. A test holds the list against a run over the demonstration: one that is killed, or
// one that is missing here, fails it.
var Survivors = []Survivor{}

// reasonFor returns why a mutant survives, "" when nobody knows.
func reasonFor(m Mutant) string {
	for _, s := range Survivors {
		if s.Mutant == m.ID || s.Mutant == m.Rule {
			return s.Why
		}
	}
	return ""
}
