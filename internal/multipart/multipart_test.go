package multipart

import (
	"bytes"
	"errors"
	"io"
	stdlib "mime/multipart"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// crlf writes a body of lines.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") }

func TestRead(t *testing.T) {
	body := crlf("--a b", `content-DISPOSITION:Form-Data; Name="x%22 ü"`, "", "1\n2\r3", "--a b",
		`Content-Disposition: form-data;filename="naïve.txt";name="f"`, "Content-Type: Text/Plain;Charset=UTF-8", "Content-Length: 0", "X-A: 1", "Content-Transfer-Encoding: Binary", "", "", "--a b--")
	got, err := Read([]byte(body), "a b")
	if err != nil {
		t.Fatal(err)
	}
	want := []Part{
		{Disposition: "form-data", Name: "x%22 ü", Body: []byte("1\n2\r3")},
		{Disposition: "form-data", Name: "f", Filename: "naïve.txt", Type: "text/plain", Params: map[string]string{"charset": "UTF-8"}, Fields: []Field{{"x-a", "1"}}, Body: []byte{}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	const anew = "--B\r\nContent-Disposition: form-data; name=\"x%22 ü\"\r\n\r\n1\n2\r3\r\n" +
		"--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"naïve.txt\"\r\nContent-Type: text/plain; charset=UTF-8\r\nx-a: 1\r\n\r\n\r\n--B--\r\n"
	if out := string(Append(nil, got, "B")); out != anew {
		t.Errorf("written anew it is\n%q, want\n%q", out, anew)
	}
	if n := Size(got); n < len(anew) {
		t.Errorf("Size %d is less than the %d bytes written", n, len(anew))
	}
	if got, err := Read([]byte("--x--\r\n"), "x"); err != nil || len(got) != 0 {
		t.Errorf("no parts: %v %v", got, err)
	}
}

// TestRefuse: what readers are known to disagree about (RFC 2046 and RFC 7578, and how Go, Node, Python, PHP and Java read
// them), each by the code it is refused with.
//
//threat:43 multipart bodies with nested, unending, unnamed, repeated parts → refused, each by its code
func TestRefuse(t *testing.T) {
	head := func(lines ...string) string {
		return crlf(append(append([]string{"--x"}, lines...), "", "1", "--x--", "")...)
	}
	good := `Content-Disposition: form-data; name="a"`
	for name, c := range map[string]struct{ body, code string }{
		"nothing":                     {"", "preamble"},
		"another boundary":            {strings.ReplaceAll(head(good), "--x", "--y"), "preamble"},
		"preamble":                    {"hi\r\n" + head(good), "preamble"},
		"empty preamble":              {"\r\n" + head(good), "preamble"},
		"epilogue":                    {head(good) + "x", "epilogue"},
		"second body":                 {head(good) + head(good), "epilogue"},
		"bare LF at the boundary":     {strings.Replace(head(good), "--x\r\n", "--x\n", 1), "boundary"},
		"padding":                     {strings.Replace(head(good), "--x\r\n", "--x \r\n", 1), "boundary"},
		"longer boundary":             {strings.Replace(head(good), "1\r\n--x--", "1\r\n--xy--", 1), "boundary"},
		"one dash":                    {strings.Replace(head(good), "--x--", "--x-", 1), "boundary"},
		"boundary after LF":           {strings.Replace(head(good), "\r\n1", "\r\n1\n--x\nContent-Disposition: form-data; name=\"b\"\n\n2", 1), "boundary"},
		"boundary after CR":           {strings.Replace(head(good), "\r\n1", "\r\n1\r--x--", 1), "boundary"},
		"boundary instead of content": {crlf("--x", good, "", "--x--", ""), "truncated"},
		"no end":                      {crlf("--x", good, "", "1"), "truncated"},
		"end without content":         {crlf("--x", good, "", ""), "truncated"},
		"no empty line":               {crlf("--x", good), "head"},
		"LF among fields":             {strings.Replace(head(good, "X-A: 1"), "\"a\"\r\n", "\"a\"\n", 1), "head"},
		"no fields":                   {crlf("--x", "", "1", "--x--"), "head"},
		"folded":                      {head(`Content-Disposition: form-data;`, ` name="a"`), "head"},
		"folded value":                {head(good, "X-A: 1", " 2"), "head"},
		"space before colon":          {head(strings.Replace(good, ":", " :", 1)), "head"},
		"no colon":                    {head(good, "hello"), "head"},
		"control":                     {head(good, "X-A: \x01"), "head"},
		"NUL":                         {head("Content-Disposition: form-data; name=\"a\x00\""), "head"},
		"tab":                         {head("Content-Disposition: form-data;\tname=\"a\""), "head"},
		"not UTF-8":                   {head("Content-Disposition: form-data; name=\"a\xff\""), "head"},
		"field twice":                 {head(good, `content-disposition: form-data; name="b"`), "head"},
		"many fields":                 {head(good, "a: 1", "b: 1", "c: 1", "d: 1", "e: 1", "f: 1", "g: 1", "h: 1"), "head"},
		"large fields":                {head(good, "X-A: "+strings.Repeat("a", MaxHead)), "head"},
		"no disposition":              {head("Content-Type: text/plain"), "disposition"},
		"another disposition":         {head(`Content-Disposition: file; name="a"`), "disposition"},
		"no name":                     {head(`Content-Disposition: form-data`), "disposition"},
		"empty name":                  {head(`Content-Disposition: form-data; name=""`), "disposition"},
		"charset of others":           {head(`Content-Disposition: form-data; name="_charset_"`), "disposition"},
		"name without quotes":         {head(`Content-Disposition: form-data; name=a`), "disposition"},
		"name in single quotes":       {head(`Content-Disposition: form-data; name='a'`), "disposition"},
		"name twice":                  {head(`Content-Disposition: form-data; name="a"; name="b"`), "disposition"},
		"name twice, another case":    {head(`Content-Disposition: form-data; name="a"; NAME="b"`), "disposition"},
		"name*":                       {head(`Content-Disposition: form-data; name*=UTF-8''a`), "disposition"},
		"name* in quotes":             {head(`Content-Disposition: form-data; name="a"; name*="UTF-8''b"`), "disposition"},
		"name in pieces":              {head(`Content-Disposition: form-data; name*0="a"; name*1="b"`), "disposition"},
		"quote within":                {head(`Content-Disposition: form-data; name="a\"b"`), "disposition"},
		"backslash":                   {head(`Content-Disposition: form-data; name="a\\b"`), "disposition"},
		"open quote":                  {head(`Content-Disposition: form-data; name="a`), "disposition"},
		"no semicolon":                {head(`Content-Disposition: form-data; name="a" filename="b"`), "disposition"},
		"semicolon at the end":        {head(good + ";"), "disposition"},
		"two semicolons":              {head(`Content-Disposition: form-data;; name="a"`), "disposition"},
		"space around =":              {head(`Content-Disposition: form-data; name = "a"`), "disposition"},
		"another parameter":           {head(good + `; size="1"`), "disposition"},
		"filename*":                   {head(good + `; filename*=UTF-8''b`), "disposition"},
		"filename* in quotes":         {head(good + `; filename="a"; filename*="UTF-8''b"`), "disposition"},
		"filename twice":              {head(good + `; filename="a"; filename="b"`), "disposition"},
		"empty filename":              {head(good + `; filename=""`), "filename"},
		"path":                        {head(good + `; filename="/etc/passwd"`), "filename"},
		"parent":                      {head(good + `; filename=".."`), "filename"},
		"escaped path":                {head(good + `; filename="..%2Fa"`), "filename"},
		"backslash path":              {head(good + `; filename="..\a"`), "disposition"},
		"escaped backslash":           {head(good + `; filename="..%5ca"`), "filename"},
		"drive":                       {head(good + `; filename="c:a"`), "filename"},
		"stream":                      {head(good + `; filename="a.asp::$DATA"`), "filename"},
		"escaped NUL":                 {head(good + `; filename="a.php%00.png"`), "filename"},
		"dot at the end":              {head(good + `; filename="a.php."`), "filename"},
		"space at the end":            {head(good + `; filename="a.php "`), "filename"},
		"right to left":               {head(good + "; filename=\"a\u202egnp.php\""), "filename"},
		"long filename":               {head(good + `; filename="` + strings.Repeat("a", 256) + `"`), "filename"},
		"base64":                      {head(good, "Content-Transfer-Encoding: base64"), "transfer_encoding"},
		"quoted-printable":            {head(good, "Content-Transfer-Encoding: quoted-printable"), "transfer_encoding"},
		"unknown transfer encoding":   {head(good, "Content-Transfer-Encoding: x-gzip"), "transfer_encoding"},
		"multipart within":            {head(good, "Content-Type: multipart/mixed; boundary=y"), "nested"},
		"message within":              {head(good, "Content-Type: message/rfc822"), "nested"},
		"no media type":               {head(good, "Content-Type: text"), "type"},
		"charset in pieces":           {head(good, "Content-Type: text/plain; charset*0=utf; charset*1=-7"), "type"},
		"name in the media type":      {head(good, `Content-Type: text/plain; name="b"`), "type"},
		"media type twice":            {head(good, "Content-Type: text/plain", "Content-type: text/html"), "head"},
		"another length":              {head(good, "Content-Length: 2"), "head"},
		"too many":                    {strings.Repeat(crlf("--x", good, "", "1", ""), MaxParts+1) + "--x--", "max_parts"},
	} {
		got, err := Read([]byte(c.body), "x")
		var f *Fault
		if !errors.As(err, &f) || f.Code != c.code {
			t.Errorf("%s: got %v %v, want it refused with %s", name, got, err, c.code)
		}
	}
	if _, err := Read([]byte(head(good)), "x"); err != nil {
		t.Errorf("what they are made of: %v", err)
	}
}

func TestBoundary(t *testing.T) {
	for contentType, want := range map[string]string{
		"multipart/form-data; boundary=x":                                   "x",
		"multipart/form-data; BOUNDARY=\"a b\"; charset=utf-8":              "a b",
		"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0": "----WebKitFormBoundary7MA4YWxkTrZu0",
		"multipart/form-data":                                               "",
		"multipart/form-data; boundary=":                                    "",
		"multipart/form-data; boundary=\"a \"":                              "",
		"multipart/form-data; boundary=x; boundary=y":                       "",
		"multipart/form-data; boundary*=utf-8''x":                           "",
		"multipart/form-data; boundary*0=x; boundary*1=y":                   "",
		"multipart/form-data; boundary=x; boundary*=utf-8''y":               "",
		"multipart/form-data; boundary=x; charset=utf-16":                   "",
		"multipart/form-data; boundary=x; start=a":                          "",
		"multipart/form-data; boundary=\"a;b\"":                             "",
		"multipart/form-data; boundary=\"a\\\"b\"":                          "",
		"multipart/form-data; boundary=" + strings.Repeat("a", 71):          "",
		"multipart/form-data; boundary=x, multipart/mixed; boundary=y":      "",
	} {
		got, err := Boundary(contentType)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", contentType, got, err, want)
		}
	}
	if a, b := NewBoundary(), NewBoundary(); a == b || len(a) > maxBoundary {
		t.Errorf("boundaries %s and %s", a, b)
	}
}

// read is how Go's own reader reads a body: for each part its form name, its file name and its content.
func read(body []byte, boundary string) ([][3]string, error) {
	r := stdlib.NewReader(bytes.NewReader(body), boundary)
	var out [][3]string
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return out, err
		}
		out = append(out, [3]string{p.FormName(), p.FileName(), string(content)})
	}
}

// ours is what Read found, in the same form.
func ours(parts []Part) [][3]string {
	var out [][3]string
	for _, p := range parts {
		name := p.Name
		if p.Disposition != "form-data" {
			name = "" // for Go only fields of forms have names
		}
		out = append(out, [3]string{name, p.Filename, string(p.Body)})
	}
	return out
}

// FuzzRead: what is accepted Go's reader reads alike, as it was sent and as it is written anew.
func FuzzRead(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		parts, err := Read(body, "x")
		if err != nil {
			return
		}
		want := ours(parts)
		for what, text := range map[string][]byte{"x": body, "fresh-1": Append(nil, parts, "fresh-1")} {
			got, err := read(text, what)
			if err != nil {
				t.Fatalf("%q: read %q, the other reader fails: %v", text, want, err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%q is read in two ways (-ours +theirs)\n%s", text, d)
			}
			again, err := Read(text, what)
			if err != nil || cmp.Diff(want, ours(again)) != "" {
				t.Fatalf("%q is read otherwise the second time: %v %v", text, again, err)
			}
			if len(text) > max(Size(parts), len(body)) {
				t.Fatalf("%d bytes written, Size said %d", len(text), Size(parts))
			}
		}
	})
}

// seeds are bodies with the boundary x.
var seeds = []string{
	"--x--", "--x--\r\n",
	crlf("--x", `Content-Disposition: form-data; name="a"`, "", "1", "--x--", ""),
	crlf("--x", `Content-Disposition: form-data; name="a"; filename="b.txt"`, "Content-Type: text/plain", "", "1\n\r2", "--x", `Content-Disposition: attachment; name="ü%22"`, "X-Y: z", "", "", "--x--"),
	crlf("--x", `content-disposition:form-data;filename="%41.png";name="a"`, "content-type: image/png; a=\"b\\c\"", "content-transfer-encoding: 8bit", "content-length: 3", "", "\x00\xff\n", "--x--"),
	crlf("--x", `Content-Disposition: form-data; name="a"`, "", "\r\n\r\n-x\r\n--", "--x--"),
	crlf("--x", `Content-Disposition: form-data; name="a"`, "", "1\n--x\nContent-Disposition: form-data; name=\"b\"\n\n2", "--x--"),
	crlf("--x ", `Content-Disposition: form-data; name="a"`, "", "1", "--x--\t"),
}
