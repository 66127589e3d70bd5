//go:build unix

// Command postgres runs a command beside a private PostgreSQL server, for tests:
//
//	go run ./testdata/postgres go test ./registry/... ./revoker/...
//
// The server is one of package server, and gone at the end. Its address is in
// QUENCH_POSTGRES_TESTS. The command may stop and start it: whoever connects to the socket
// that QUENCH_POSTGRES_CONTROL names and says "fast", "immediate" or "start" in a line is
// answered by a line when that is done, "ok" or what went wrong.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/quench-dev/quench/testdata/postgres/server"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./testdata/postgres COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "postgres:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(command []string) (code int, err error) {
	s, err := server.New()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	socket := filepath.Join(s.Dir(), "control")
	control, err := net.Listen("unix", socket)
	if err != nil {
		return 1, err
	}
	defer control.Close()
	go obey(control, s.Start, s.Stop)

	// What ends this program ends the command, and then the server.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "QUENCH_POSTGRES_TESTS="+s.Address(), "QUENCH_POSTGRES_CONTROL="+socket)
	err = cmd.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return max(failed.ExitCode(), 1), nil
	}
	return 0, err
}

// obey does what the lines of connections say, one at a time, until l is closed.
func obey(l net.Listener, start func() error, stop func(mode string) error) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		for lines := bufio.NewScanner(c); lines.Scan(); {
			switch mode := lines.Text(); mode {
			case "start":
				err = start()
			case "fast", "immediate":
				err = stop(mode)
			default:
				err = fmt.Errorf("%q is none of fast, immediate, start", mode)
			}
			said := "ok"
			if err != nil {
				said = strings.ReplaceAll(err.Error(), "\n", " ")
			}
			fmt.Fprintln(c, said)
		}
		c.Close()
	}
}
