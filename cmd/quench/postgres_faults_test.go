//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/testdata/postgres/server"
)

// restartable is a PostgreSQL of the test's own, which it may stop.
func restartable(t *testing.T) *server.Server {
	t.Helper()
	if os.Getenv(storetest.Variable) == "" {
		t.Skip(storetest.Variable + " names no server, so there may be none to start")
	}
	s, err := server.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// restart stops the server as mode says, and starts it after a while.
func restart(t *testing.T, s *server.Server, mode string, after time.Duration) {
	t.Helper()
	if err := s.Stop(mode); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
}

// leaked is what the registry's own leaked tokens are, by id.
func leaked(t *testing.T, address, home string, n int) map[string]string {
	t.Helper()
	r, err := registry.Open(t.Context(), registry.Options{Path: address, Create: true, Pepper: registry.PepperSource{File: filepath.Join(home, "config", "quench", "pepper")}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	values := map[string]string{}
	for range n {
		value := "Zq" + rand64()
		tok, err := r.Import(t.Context(), registry.ImportRequest{Owner: "ann", Purpose: "x", Provider: "vendor", Value: secret.NewString(value)})
		if err != nil {
			t.Fatal(err)
		}
		values[tok.ID] = value
	}
	return values
}

// A PostgreSQL that is stopped, as by its operator and as by a crash, and started again
// while leaks arrive and jobs run, costs nothing: watch and worker live on, each incident
// ends dead, what the policy names is ended once, and calls whose answer went down with
// the database are repeated only after a check.
func TestPostgresRestarted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server, and waits for leases to end")
	}
	t.Parallel()
	s, l, home := restartable(t), newLeaks(t), t.TempDir()
	policy := l.policy(t)
	tokens := leaked(t, s.Address(), home, 40)
	at := func(args ...string) *exec.Cmd {
		cmd := exec.Command("quench", args...)
		cmd.Env = append(quench(t, home).Env, "QUENCH_REGISTRY="+s.Address())
		return cmd
	}
	log := filepath.Join(home, "app.log")
	appendTo(t, log, "begin\n")
	var said syncBuffer
	var live []*exec.Cmd
	for _, args := range [][]string{{"watch", "--revoke=auto", "--policy", policy, log}, {"worker", "--policy", policy}} {
		cmd := at(args...)
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		live = append(live, cmd)
	}
	waitFor(t, time.Minute, func() bool { return strings.Contains(said.String(), "watching ") }, said.String)
	var secrets []string
	var arrive sync.WaitGroup
	arrive.Go(func() {
		i := 0
		for _, value := range tokens {
			text := fmt.Sprintf("request %d with %s\n", i, value)
			if i%6 == 0 { // below the brake of ten an hour
				v := l.add()
				secrets = append(secrets, v)
				text += fmt.Sprintf("token = %q\n", v)
			}
			i++
			appendTo(t, log, text)
			time.Sleep(150 * time.Millisecond)
		}
	})
	for _, mode := range []string{"fast", "immediate", "fast", "immediate"} {
		time.Sleep(800 * time.Millisecond)
		restart(t, s, mode, 300*time.Millisecond)
	}
	arrive.Wait()
	var list []killed
	finished := func() bool {
		out, err := at("incident", "list", "-f", "json").Output()
		list = nil // of which JSON would keep what is left out
		if err != nil || json.Unmarshal(out, &list) != nil || len(list) < len(tokens)+len(secrets) {
			return false
		}
		for _, i := range list {
			if i.State != "dead" {
				return false
			}
		}
		return true
	}
	for end := time.Now().Add(3 * time.Minute); !finished() && time.Now().Before(end); {
		time.Sleep(500 * time.Millisecond)
	}
	for _, cmd := range live {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("%v ended by itself", cmd.Args)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", cmd.Args, err)
		}
	}
	if len(list) != len(tokens)+len(secrets) {
		t.Errorf("%d incidents of %d leaks", len(list), len(tokens)+len(secrets))
	}
	again := l.check(t, list, secrets)
	for _, value := range append(secrets, values(tokens)...) {
		if strings.Contains(said.String(), value) {
			t.Error("the log holds a secret")
		}
	}
	t.Logf("4 restarts, %d incidents; %d reports repeated under their id", len(list), again)
	if t.Failed() {
		t.Log(said.String())
	}
}

func values(m map[string]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// While its PostgreSQL is gone a watch of standard input reads no further, so that the
// sender waits; nothing of what it read is spooled; it says so, and afterwards all is
// stored, once. Files wait on disk, where no position is saved.
func TestWatchPostgresGone(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the store to give up")
	}
	t.Parallel() // it waits more than it works
	lasts := time.Duration(rounds(t, "QUENCH_TEST_GONE_SECONDS", 1)) * time.Second
	s, home := restartable(t), t.TempDir()
	leaked(t, s.Address(), home, 1)
	log := filepath.Join(home, "logs", "app.log")
	if err := os.Mkdir(filepath.Dir(log), 0o755); err != nil {
		t.Fatal(err)
	}
	appendTo(t, log, "begin\n")
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := followWith(t, home, func(cmd *exec.Cmd) {
		cmd.Stdin, cmd.Env = in, append(cmd.Env, "QUENCH_REGISTRY="+s.Address())
	}, log, "-")
	in.Close()
	w.says(t, "watching ")
	count := func(query string) (n int) {
		t.Helper()
		c, err := pgx.Connect(t.Context(), s.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		if err := c.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const found = "SELECT count(*) FROM quench.findings"
	send := func(i int) { out.Write(piece(t, i)) }
	send(0)
	waitFor(t, time.Minute, func() bool { return count(found) == 1 }, w.err.String)
	saved := count(`SELECT coalesce(max("offset"), 0) FROM quench.watch_files`)
	if err := s.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	files, sent := 1, 1
	appendTo(t, log, string(piece(t, 1_000_000)))
	// The sender comes to wait: what is read meanwhile is what fits into pipe and buffers.
	for stuck := false; !stuck; {
		b := piece(t, sent)
		out.SetWriteDeadline(time.Now().Add(5 * time.Second))
		n, err := out.Write(b)
		if err != nil {
			stuck = true
			out.SetWriteDeadline(time.Time{})
			go func(rest []byte) { out.Write(rest); out.Close() }(b[n:])
		}
		if sent++; sent > 200 {
			t.Fatalf("it took %d MB without a database", 200*len(b)>>20)
		}
	}
	// Which it says first is chance: it can neither ask about a text, nor store a finding.
	w.says(t, "nothing is read until it ")
	for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		appendTo(t, log, string(piece(t, 1_000_000+files)))
		files++
	}
	for i := range sent {
		nowhere(t, home, pat(t, uint64(i)))
	}
	w.Process.Signal(syscall.SIGSTOP) // while we look before it does
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if n := count(`SELECT coalesce(max("offset"), 0) FROM quench.watch_files`); n != saved {
		t.Errorf("the position went from %d to %d while there was no database", saved, n)
	}
	w.Process.Signal(syscall.SIGCONT)
	waitFor(t, 2*time.Minute, func() bool { return count(found) >= files+sent }, func() string {
		return fmt.Sprintf("%d of %d tokens are stored:\n%s", count(found), files+sent, w.err.String())
	})
	if said := w.err.String(); !strings.Contains(said, "storing works again") && !strings.Contains(said, "the registry can be asked again") {
		t.Errorf("it does not say that it is over:\n%s", said)
	}
	w.stop(t)
	if n := count(found); n != files+sent {
		t.Errorf("%d findings of %d tokens", n, files+sent)
	}
	t.Logf("gone for %v and more; the sender waited after %d KB, %d KB more went to a file; all %d tokens stored", lasts, sent*len(piece(t, 0))>>10, files*len(piece(t, 0))>>10, files+sent)
}

// Workers of a PostgreSQL that are killed in the middle of their jobs leave nothing that
// is not true: once one lives, each incident is dead, each secret was ended once, and a
// job whose worker died in a call that was never answered is done by another.
func TestWorkersKilledOnPostgres(t *testing.T) {
	address := storetest.Postgres(t)
	if testing.Short() {
		t.Skip("waits until dead workers are noticed")
	}
	t.Parallel()
	l, home := newLeaks(t), t.TempDir()
	policy := l.policy(t)
	tokens := leaked(t, address, home, 12)
	var said syncBuffer
	start := func(args ...string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command("quench", args...)
		cmd.Env = append(quench(t, home).Env, "QUENCH_REGISTRY="+address)
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		return cmd
	}
	file := filepath.Join(home, "leak.txt")
	secrets := []string{l.add(), l.add(), l.add(), l.add()}
	for _, v := range secrets {
		appendTo(t, file, fmt.Sprintf("token = %q\n", v))
	}
	for _, v := range tokens {
		appendTo(t, file, "key: "+v+"\n")
	}
	l.hooksDown(true)
	called := l.hush(secrets[0]) // the scan, and workers after it, die waiting for this one
	dies := func(cmd *exec.Cmd) {
		t.Helper()
		select {
		case <-called:
		case <-time.After(time.Minute):
			t.Errorf("the vendor was not called by %v:\n%s", cmd.Args, said.String())
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	scan := start("scan", "--revoke=auto", "--policy", policy, file)
	dies(scan)
	// What the scan did not come to is found by another, which has that secret's incident
	// left alone: it is somebody's for a while yet.
	if err := start("scan", "--revoke=auto", "--policy", policy, file).Wait(); err != nil && !strings.Contains(said.String(), "incidents") {
		t.Fatalf("%v\n%s", err, said.String())
	}
	l.hooksDown(false)
	dies(start("worker", "--policy", policy))
	for range 4 {
		w := start("worker", "--policy", policy)
		time.Sleep(time.Duration(100+rand.IntN(600)) * time.Millisecond)
		w.Process.Kill()
		w.Wait()
	}
	l.speak(secrets[0])
	if err := start("worker", "--drain", "--policy", policy).Wait(); err != nil {
		t.Errorf("worker: %v\n%s", err, said.String())
	}
	var list []killed
	out, err := func() ([]byte, error) {
		cmd := exec.Command("quench", "incident", "list", "-f", "json")
		cmd.Env = append(quench(t, home).Env, "QUENCH_REGISTRY="+address)
		return cmd.Output()
	}()
	if err != nil || json.Unmarshal(out, &list) != nil || len(list) != len(secrets)+len(tokens) {
		t.Fatalf("%d incidents of %d leaks, %v\n%s", len(list), len(secrets)+len(tokens), err, said.String())
	}
	l.check(t, list, secrets)
}
