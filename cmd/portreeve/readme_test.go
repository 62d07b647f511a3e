package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/cli"
)

// What the README shows of the demonstration is what the demonstration prints.
func TestReadmeShowsTheDemo(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "<!-- from: portreeve demo --once -->\n```text\n")
	shown, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("README.md shows no demonstration")
	}
	var out, log bytes.Buffer
	args := []string{"demo", "--once"}
	for _, flag := range []string{"--listen", "--naked-listen", "--admin-listen"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		args = append(args, flag, l.Addr().String())
		l.Close()
	}
	if code := cli.Main(context.Background(), args, cli.Streams{Out: &out, Err: &log}); code != 0 {
		t.Fatalf("portreeve demo --once exited with %d\n%s", code, log.String())
	}
	printed := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		printed[strings.TrimSpace(line)] = true
	}
	lines := 0
	for line := range strings.Lines(shown) {
		if line = strings.TrimSpace(line); line != "" && !printed[line] {
			t.Errorf("the demonstration no longer prints %q", line)
		}
		lines++
	}
	if lines < 10 {
		t.Errorf("the README shows %d lines of it", lines)
	}
}
