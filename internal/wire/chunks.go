package wire

import "bytes"

// chunks follows a chunked body (RFC 9112 §7.1) byte by byte, so that it may come in any pieces. The zero value is at the
// first chunk's size.
type chunks struct {
	state chunkState
	size  uint64 // of the chunk, then what is left of it
	n     int    // bytes of the present line
	lines int    // of the trailer section
	line  []byte // of the trailer section, collected to be judged whole
}

type chunkState uint8

const (
	inSize chunkState = iota
	inExtension
	afterSize // CR has come
	inData
	dataCR
	dataLF
	inTrailer
	chunksEnd
)

const (
	maxChunkLine = 256 // size and extensions
	maxTrailers  = 32
	maxTrailer   = 1 << 10 // bytes of one
)

// read takes what of b belongs to the body. It returns how many bytes did, and whether the body has ended there or goes on
// with a fault.
func (c *chunks) read(b []byte) (n int, end, fault bool) {
	for n < len(b) {
		ch := b[n]
		switch c.state {
		case inData:
			take := min(uint64(len(b)-n), c.size)
			n, c.size = n+int(take), c.size-take
			if c.size == 0 {
				c.state = dataCR
			}
			continue
		case inSize, inExtension, afterSize:
			fault = !c.sizeLine(ch)
		case dataCR:
			c.state = dataLF
			fault = ch != '\r' // the chunk is longer than it says
		case dataLF:
			*c = chunks{}
			fault = ch != '\n'
		case inTrailer:
			fault = !c.trailer(ch)
		}
		if fault {
			return n, false, true
		}
		n++
		if c.state == chunksEnd {
			return n, true, false
		}
	}
	return n, false, false
}

// sizeLine takes the next byte of a chunk's first line: hexadecimal digits, perhaps extensions, CR LF.
func (c *chunks) sizeLine(ch byte) bool {
	if c.n++; c.n > maxChunkLine {
		return false
	}
	digit, hex := unhex(ch)
	switch {
	case c.state == afterSize:
		if ch != '\n' {
			return false
		}
		c.state = inData
		if c.size == 0 {
			c.state, c.n = inTrailer, 0
		}
	case ch == '\r' && c.n > 1:
		c.state = afterSize
	case c.state == inExtension:
		// Nobody uses extensions, and parsers differ about where one ends: it is skipped where it cannot hide an end.
		return (ch >= 0x20 || ch == '\t') && ch < 0x7f
	case hex && c.n <= 15:
		c.size = c.size<<4 | uint64(digit)
	case ch == ';' && c.n > 1:
		c.state = inExtension
	default:
		return false
	}
	return true
}

func unhex(c byte) (byte, bool) {
	switch {
	case c-'0' < 10:
		return c - '0', true
	case c|0x20-'a' < 6:
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// trailer collects a line and judges it as a head's. What a trailer says is never sent on.
func (c *chunks) trailer(ch byte) bool {
	if ch != '\n' {
		c.line = append(c.line, ch)
		return len(c.line) <= maxTrailer
	}
	line, ok := bytes.CutSuffix(c.line, []byte("\r"))
	switch {
	case !ok:
		return false
	case len(line) == 0:
		c.state = chunksEnd
		return true
	}
	// A trailer that speaks of framing would, where trailers are merged, speak of the next request.
	if h := (head{minor: '1'}); h.field(line) != "" || h.coded || h.sized || h.hosts > 0 || c.lines == maxTrailers {
		return false
	}
	c.lines++
	c.line = c.line[:0]
	return true
}
