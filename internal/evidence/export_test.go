package evidence

// SumOf is the sum that a manifest should have.
func SumOf(m *Manifest) string { return m.sum() }
