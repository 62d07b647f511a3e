package exchange

import (
	"io"
	"net/http"
)

// Neutral makes the header of the caller's request one of a question: what it says of its own body, of versions, ranges
// and retries goes, and what the question says is set.
func Neutral(h http.Header, q Question) {
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range",
		"Idempotency-Key", "X-Idempotency-Key", "Prefer"} {
		delete(h, name)
	}
	if q.Body == nil {
		for _, name := range [...]string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
			delete(h, name)
		}
		h["Accept"] = []string{"application/json"}
	}
	for name, values := range q.Header {
		h[name] = values
	}
}

// ReadHeld reads an answer to its end, within MaxHeld and the memory that all exchanges share.
func ReadHeld(x *Exchange, r io.Reader) ([]byte, error) {
	var body []byte
	for size := 4 << 10; ; size *= 2 {
		size = min(size, MaxHeld+1)
		if !x.Borrow(int64(size - cap(body))) {
			return nil, ErrBudget
		}
		grown := make([]byte, len(body), size)
		copy(grown, body)
		body = grown
		for len(body) < cap(body) {
			n, err := r.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			if err == io.EOF {
				return body, nil
			}
			if err != nil {
				return nil, err
			}
		}
		if len(body) > MaxHeld {
			return nil, ErrTooLarge
		}
	}
}
