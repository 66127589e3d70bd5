//go:build unix

// Command postgres runs a command beside a private PostgreSQL server, for tests:
//
//	go run ./testdata/postgres go test ./registry/... ./revoker/...
//
// The server lies in a temporary folder, listens on a socket in it and nowhere else,
// belongs to an unprivileged user, and is gone at the end. Its address is in
// QUENCH_POSTGRES_TESTS. Nothing of it survives a crash of the machine: it does not
// wait for the disk. The command may stop and start it: whoever connects to the socket
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
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
	bin, err := programs()
	if err != nil {
		return 1, err
	}
	as, err := unprivileged()
	if err != nil {
		return 1, err
	}
	// A socket's path holds 107 bytes at most, which the folder of a test may fill.
	dir, err := os.MkdirTemp("/tmp", "quench-postgres-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return 1, err
		}
	}
	data := filepath.Join(dir, "data")
	if err := as.call(dir, filepath.Join(bin, "initdb"), "--pgdata="+data, "--username=quench", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"); err != nil {
		return 1, err
	}
	options := "-c listen_addresses='' -c unix_socket_directories=" + dir + " -c unix_socket_permissions=0700" +
		" -c fsync=off -c full_page_writes=off -c max_connections=300"
	ctl := filepath.Join(bin, "pg_ctl")
	start := func() error {
		return as.call(dir, ctl, "--pgdata="+data, "--wait", "--log="+filepath.Join(dir, "log"), "--options="+options, "start")
	}
	stop := func(mode string) error {
		return as.call(dir, ctl, "--pgdata="+data, "--wait", "--mode="+mode, "stop")
	}
	if err := start(); err != nil {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		return 1, fmt.Errorf("%w\n%s", err, text)
	}
	defer func() {
		err = errors.Join(err, stop("immediate"))
	}()
	control, err := net.Listen("unix", filepath.Join(dir, "control"))
	if err != nil {
		return 1, err
	}
	defer control.Close()
	go obey(control, start, stop)

	// What ends this program ends the command, and then the server.
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer end()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "QUENCH_POSTGRES_TESTS=postgres://quench@/postgres?host="+dir, "QUENCH_POSTGRES_CONTROL="+filepath.Join(dir, "control"))
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

// programs is the folder with initdb and pg_ctl: of PATH, or the newest where Debian
// has them.
func programs() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	newest, version := "", 0
	for _, p := range all {
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p)))); err == nil && n > version {
			newest, version = filepath.Dir(p), n
		}
	}
	if newest == "" {
		return "", errors.New("there is no PostgreSQL: neither initdb in PATH nor /usr/lib/postgresql/*/bin")
	}
	return newest, nil
}

// account is who the server runs as; nil is who runs this.
type account syscall.Credential

// unprivileged is an account for root, which PostgreSQL refuses.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		return &account{Uid: uint32(uid), Gid: uint32(gid)}, err
	}
	return nil, errors.New("root cannot run PostgreSQL, and there is neither a user postgres nor nobody")
}

func (a *account) call(dir, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir // which the account may enter
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: (*syscall.Credential)(a)}
	// The server keeps what it inherits: a pipe would wait for its end.
	log, err := os.OpenFile(filepath.Join(dir, "call"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, text)
	}
	return nil
}
