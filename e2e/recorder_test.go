package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// recorder is an API that keeps what arrives byte for byte. It reads one form alone, the one that the gate promises to send:
// lines that end with CR LF, at most one Content-Length or one "Transfer-Encoding: chunked", nothing between requests.
type recorder struct {
	listener net.Listener

	mu       sync.Mutex
	arrived  []string // whole requests
	broken   []string // what came of others before their connection ended
	faults   []string // what is of no such form
	sessions int
}

func startRecorder(t *testing.T) *recorder {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *recorder) url() string { return "http://" + r.listener.Addr().String() }

func (r *recorder) serve(c net.Conn) {
	defer c.Close()
	r.mu.Lock()
	r.sessions++
	r.mu.Unlock()
	in := bufio.NewReader(c)
	for {
		raw, fault := readOne(in)
		r.mu.Lock()
		switch {
		case fault == io.EOF && len(raw) == 0:
		case fault == io.EOF || fault == io.ErrUnexpectedEOF:
			r.broken = append(r.broken, raw)
		case fault != nil:
			r.faults = append(r.faults, fmt.Sprintf("%v: %q", fault, raw))
		default:
			r.arrived = append(r.arrived, raw)
		}
		r.mu.Unlock()
		if fault != nil {
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
			return
		}
	}
}

// readOne reads one request and returns its bytes.
func readOne(in *bufio.Reader) (string, error) {
	var raw bytes.Buffer
	length, chunked := 0, false
	for n := 0; ; n++ {
		line, err := in.ReadString('\n')
		raw.WriteString(line)
		if err != nil {
			return raw.String(), err
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok {
			return raw.String(), fmt.Errorf("line %d ends with a bare LF", n)
		}
		if text == "" {
			break
		}
		name, value, _ := strings.Cut(text, ": ")
		switch strings.ToLower(name) {
		case "content-length":
			if length, err = strconv.Atoi(value); err != nil || chunked || name != "Content-Length" {
				return raw.String(), fmt.Errorf("what length is %q", text)
			}
		case "transfer-encoding":
			if chunked = true; text != "Transfer-Encoding: chunked" || length > 0 {
				return raw.String(), fmt.Errorf("what coding is %q", text)
			}
		}
	}
	for chunked {
		line, err := in.ReadString('\n')
		raw.WriteString(line)
		if err != nil {
			return raw.String(), io.ErrUnexpectedEOF
		}
		size, err := strconv.ParseUint(strings.TrimSuffix(line, "\r\n"), 16, 31)
		if err != nil {
			return raw.String(), err
		}
		if _, err := io.CopyN(&raw, in, int64(size)+2); err != nil {
			return raw.String(), io.ErrUnexpectedEOF
		}
		chunked = size > 0
	}
	if _, err := io.CopyN(&raw, in, int64(length)); err != nil {
		return raw.String(), io.ErrUnexpectedEOF
	}
	return raw.String(), nil
}

// take returns what has arrived since it was last asked.
func (r *recorder) take() (arrived, broken, faults []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	arrived, broken, faults = r.arrived, r.broken, r.faults
	r.arrived, r.broken, r.faults = nil, nil, nil
	return arrived, broken, faults
}
