package multipart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Other people's readers, each a program: it reads lines of {"type", "body"}, the body in Latin-1, and writes for each a
// line of [name, filename, content] per part, contents in Latin-1 too; null for a body it does not read.
var readers = map[string][]string{
	// undici's, of Node.js and of many others
	"node": {"node", "-e", `
const latin = b => Buffer.from(b).toString('latin1');
(async () => {
  for (const line of require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
    const {type, body} = JSON.parse(line);
    let out = null;
    try {
      const form = await new Response(Buffer.from(body, 'latin1'), {headers: {'Content-Type': type}}).formData();
      out = [];
      for (const [name, v] of form) out.push(typeof v === 'string' ? [name, '', latin(Buffer.from(v, 'utf8'))] : [name, v.name, latin(await v.arrayBuffer())]);
    } catch (e) {}
    console.log(JSON.stringify(out));
  }
})();`},
	"python3": {"python3", "-c", `
import sys, json, email.parser, email.policy
for line in sys.stdin:
    r = json.loads(line)
    text = ("Content-Type: " + r["type"] + "\r\n\r\n").encode() + r["body"].encode("latin-1")
    m = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(text)
    out = None
    if m.is_multipart() and not m.defects:
        out = []
        for p in m.get_payload():
            d = p.get("Content-Disposition")
            out.append([d.params.get("name"), d.params.get("filename", ""), p.get_payload(decode=True).decode("latin-1")])
    print(json.dumps(out))`},
}

// TestOtherReaders: what is written anew, readers in other languages read as it was read here. Their parts are made of
// what divides readers of the original: boundaries, dashes, line breaks, and bytes that are no text.
//
//threat:44 multipart bodies as readers of other languages divide them → what is written anew they read as it was judged
func TestOtherReaders(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	pieces := []string{"a", "--x", "--", "\n", "\r", "\r\n", "\n--x\n", "\r\n--", "\r\n--x-", "Content-Disposition: form-data; name=\"b\"", "\r\n\r\n", " ", "ü", ":", "\x00"}
	bodies := make([][]Part, 0, 400)
	for range cap(bodies) {
		var parts []Part
		for n := range 1 + random.IntN(4) {
			p := Part{Disposition: "form-data", Name: fmt.Sprintf("n%d é%%22;", n)}
			for range random.IntN(6) {
				p.Body = append(p.Body, pieces[random.IntN(len(pieces))]...)
			}
			if random.IntN(2) == 0 {
				p.Filename, p.Type = "a b;c=d.txt", "application/octet-stream"
				p.Body = append(p.Body, byte(random.IntN(256)), byte(random.IntN(256)))
			}
			parts = append(parts, p)
		}
		bodies = append(bodies, parts)
	}
	for name, command := range readers {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skipf("%s is not installed: what is written anew is not read by a second reader", command[0])
			}
			var in bytes.Buffer
			for _, parts := range bodies {
				b := NewBoundary()
				line, err := json.Marshal(map[string]string{"type": "multipart/form-data; boundary=" + b, "body": latin1(Append(nil, parts, b))})
				if err != nil {
					t.Fatal(err)
				}
				in.Write(append(line, '\n'))
			}
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Stdin = &in
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) != len(bodies) {
				t.Fatalf("%d answers for %d bodies", len(lines), len(bodies))
			}
			for i, parts := range bodies {
				var got [][3]string
				if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
					t.Fatal(err)
				}
				var want [][3]string
				for _, p := range parts {
					want = append(want, [3]string{p.Name, p.Filename, latin1(p.Body)})
				}
				if d := cmp.Diff(want, plainNames(name, got)); d != "" {
					t.Fatalf("body %d (-ours +theirs)\n%s\n%q", i, d, Append(nil, parts, "B"))
				}
			}
		})
	}
}

// plainNames takes back what a reader makes of names beside finding them: undici undoes the escapes of WHATWG's encoder.
func plainNames(reader string, parts [][3]string) [][3]string {
	if reader == "node" {
		for i := range parts {
			parts[i][0] = strings.ReplaceAll(parts[i][0], `"`, "%22")
		}
	}
	return parts
}

func latin1(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}
