package screen

import (
	"testing"
)

func TestX(t *testing.T) {
	s, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []string{"hello O'Brien", "<script>alert(1)</script>", "' OR 1=1 --", "1' UNION SELECT password FROM users--", "SELECT committee", "; cat /etc/passwd", "../../../etc/passwd", "${jndi:ldap://x/a}", "http://127.0.0.1/latest/meta-data"} {
		n, r, err := s.Judge([]string{x})
		t.Log(x, n, r, err)
	}
}

func BenchmarkX(b *testing.B) {
	s, err := New(1)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Judge([]string{"a lawful sentence of some length, by O'Brien & daughters"})
	}
}
