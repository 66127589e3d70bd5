//go:build unix

// Package server runs a private PostgreSQL server, for tests.
//
// It lies in a temporary folder, listens on a socket in it and nowhere else, and
// belongs to an unprivileged user. Nothing of it survives a crash of the machine: it
// does not wait for the disk. It can be stopped and started, as an operator does. It
// knows nothing of what is stored. Start reading at New.
package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Server is a server that runs, unless it was stopped.
type Server struct {
	bin, dir string
	as       *account
}

// New makes a server and starts it. Close must be called.
func New() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	// A socket's path holds 107 bytes at most, which the folder of a test may fill.
	dir, err := os.MkdirTemp("/tmp", "quench-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, as: as}
	if as != nil {
		err = os.Chown(dir, int(as.Uid), int(as.Gid))
	}
	if err == nil {
		err = s.call("initdb", "--username=quench", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// Address is where its database postgres is, as a URL.
func (s *Server) Address() string { return "postgres://quench@/postgres?host=" + s.dir }

// Dir is the folder of all that it has.
func (s *Server) Dir() string { return s.dir }

// Start starts it and waits until it answers.
func (s *Server) Start() error {
	options := "-c listen_addresses='' -c unix_socket_directories=" + s.dir + " -c unix_socket_permissions=0700" +
		" -c fsync=off -c full_page_writes=off -c max_connections=300"
	log := filepath.Join(s.dir, "log")
	if err := s.call("pg_ctl", "--wait", "--log="+log, "--options="+options, "start"); err != nil {
		text, _ := os.ReadFile(log)
		return fmt.Errorf("%w\n%s", err, text)
	}
	return nil
}

// Stop stops it and waits until it is gone. mode is one of pg_ctl: fast ends all
// connections, immediate is as if it had crashed.
func (s *Server) Stop(mode string) error { return s.call("pg_ctl", "--wait", "--mode="+mode, "stop") }

// Close stops it and deletes all that it has.
func (s *Server) Close() error { return errors.Join(s.Stop("immediate"), os.RemoveAll(s.dir)) }

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

// call runs one of its programs on its data.
func (s *Server) call(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), append([]string{"--pgdata=" + filepath.Join(s.dir, "data")}, args...)...)
	cmd.Dir = s.dir // which the account may enter
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: (*syscall.Credential)(s.as)}
	// The server keeps what it inherits: a pipe would wait for its end.
	log, err := os.OpenFile(filepath.Join(s.dir, "call"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s: %w\n%s", program, err, text)
	}
	return nil
}
