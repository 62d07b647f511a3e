package wire

import "net/http"

// Header carries the name of a fault to whoever serves the request. A client that sends it refuses itself.
const Header = "Portreeve-Fault"

// Fault is what is wrong with the bytes of a request. It is the fine reason of the refusal.
type Fault string

// The faults of a head.
const (
	RequestLine   Fault = "framing_request_line"   // not METHOD SP target SP HTTP/1.x (RFC 9112 §3)
	Target        Fault = "framing_target"         // none of the four forms of RFC 9112 §3.2, or half an escape in its path
	Version       Fault = "framing_version"        // another protocol than HTTP/1.0 and 1.1, HTTP/2's preface among them
	EmptyLine     Fault = "framing_empty_line"     // before a request line (RFC 9112 §2.2 lets servers skip it)
	BareLF        Fault = "framing_bare_lf"        // a line that ends without CR
	Control       Fault = "framing_control"        // NUL, a bare CR or another control character within a line
	FieldName     Fault = "framing_field_name"     // no colon, no name, or no token before the colon; white space before it (§5.1)
	Fold          Fault = "framing_fold"           // a line that goes on with white space (§5.2)
	Length        Fault = "framing_length"         // Content-Length that is not the digits of one number
	LengthTwice   Fault = "framing_length_twice"   // also where both say the same
	Coding        Fault = "framing_coding"         // Transfer-Encoding other than chunked
	CodingTwice   Fault = "framing_coding_twice"   // two fields of it
	CodingVersion Fault = "framing_coding_version" // Transfer-Encoding in HTTP/1.0, which has none (§6.1)
	Both          Fault = "framing_both"           // a length and a coding (§6.3)
	Host          Fault = "framing_host"           // none in HTTP/1.1, two, no name or address, or another than the absolute form's (§3.2)
	Expectation   Fault = "framing_expectation"    // other than 100-continue (RFC 9110 §10.1.1)
	HeadSize      Fault = "framing_head_size"      // more bytes than a head may have
)

var statuses = map[Fault]int{
	RequestLine: http.StatusBadRequest, Target: http.StatusBadRequest, Version: http.StatusHTTPVersionNotSupported, EmptyLine: http.StatusBadRequest,
	BareLF: http.StatusBadRequest, Control: http.StatusBadRequest, FieldName: http.StatusBadRequest, Fold: http.StatusBadRequest,
	Length: http.StatusBadRequest, LengthTwice: http.StatusBadRequest, Coding: http.StatusNotImplemented,
	CodingTwice: http.StatusBadRequest, CodingVersion: http.StatusBadRequest, Both: http.StatusBadRequest,
	Host: http.StatusBadRequest, Expectation: http.StatusExpectationFailed, HeadSize: http.StatusRequestHeaderFieldsTooLarge,
}

// Known returns the fault of that name and the status of its refusal. What is not known is a fault all the same, since
// only a client can have said it.
func Known(name string) (Fault, int) {
	if status, ok := statuses[Fault(name)]; ok {
		return Fault(name), status
	}
	return "framing_unknown", http.StatusBadRequest
}
