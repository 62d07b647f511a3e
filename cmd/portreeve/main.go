// Command portreeve guards an API by its own OpenAPI document.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/portreeve/portreeve/internal/cli"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // whoever reads the output or the log and ends must not end the gate
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for anybody: what it interrupts, kill -9 could too
	code := cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
