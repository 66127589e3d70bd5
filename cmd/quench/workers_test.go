package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

// cable leads to a server's socket, and can be cut.
type cable struct {
	address string // of the server, through it
	mu      sync.Mutex
	cut     bool
	conns   map[net.Conn]bool
}

// lay lays a cable to the PostgreSQL of an address.
func lay(t *testing.T, address string) *cable {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	dir, err := os.MkdirTemp("/tmp", "quench-cable-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const file = ".s.PGSQL.5432"
	server := filepath.Join(q.Get("host"), file)
	l, err := net.Listen("unix", filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	c := &cable{address: u.String(), conns: map[net.Conn]bool{}}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.join(in, server)
		}
	}()
	return c
}

func (c *cable) join(in net.Conn, server string) {
	defer in.Close()
	c.mu.Lock()
	cut := c.cut
	c.conns[in] = true
	c.mu.Unlock()
	if cut {
		return
	}
	out, err := net.Dial("unix", server)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { io.Copy(out, in); out.Close() }()
	io.Copy(in, out)
	c.mu.Lock()
	delete(c.conns, in)
	c.mu.Unlock()
}

// pull cuts the cable, and ends what goes through it; plug mends it.
func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

func (c *cable) plug() { c.mu.Lock(); defer c.mu.Unlock(); c.cut = false }

// slowVendor notes who is told twice at the same time.
type slowVendor struct {
	mu       sync.Mutex
	up       bool
	now      map[string]int
	told     map[string]int
	together []string
}

func (v *slowVendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("webhook-id")
	v.mu.Lock()
	if !v.up {
		v.mu.Unlock()
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	v.told[id]++
	if v.now[id]++; v.now[id] > 1 {
		v.together = append(v.together, id)
	}
	v.mu.Unlock()
	time.Sleep(150 * time.Millisecond) // so that two at once would meet
	v.mu.Lock()
	v.now[id]--
	v.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// Two workers of one PostgreSQL never run the same revocation at the same time, also
// when one loses the database, or the database all its connections; and in the end each
// is done.
func TestTwoWorkers(t *testing.T) {
	address := storetest.Postgres(t)
	if testing.Short() {
		t.Skip("waits for leases to end")
	}
	if u, err := url.Parse(address); err != nil || !filepath.IsAbs(u.Query().Get("host")) {
		t.Skip("the server has no socket to lay a cable to")
	}
	t.Parallel()
	home, v := t.TempDir(), &slowVendor{now: map[string]int{}, told: map[string]int{}}
	srv := httptest.NewServer(v)
	defer srv.Close()
	policyFor(t, home, srv.URL)
	const leaked = 40
	var text strings.Builder
	pepper := filepath.Join(home, "config", "quench", "pepper")
	r, err := registry.Open(t.Context(), registry.Options{Path: address, Create: true, Pepper: registry.PepperSource{File: pepper}})
	if err != nil {
		t.Fatal(err)
	}
	for range leaked {
		value := "Zq" + rand64()
		if _, err := r.Import(t.Context(), registry.ImportRequest{Owner: "ann", Purpose: "x", Provider: "vendor", Value: secret.NewString(value)}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "key: %s\n", value)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	leak := filepath.Join(home, "leak.txt")
	if err := os.WriteFile(leak, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(address string, args ...string) *exec.Cmd {
		cmd := quench(t, home, args...)
		cmd.Env = append(cmd.Env, "QUENCH_REGISTRY="+address)
		return cmd
	}
	if out, _ := at(address, "scan", "--revoke=auto", leak).CombinedOutput(); !strings.Contains(string(out), fmt.Sprintf("%d incidents", leaked)) {
		t.Fatalf("scan: %s", out)
	}
	v.mu.Lock()
	v.up = true
	v.mu.Unlock()
	cables := []*cable{lay(t, address), lay(t, address)}
	said := make([]strings.Builder, len(cables))
	var workers []*exec.Cmd
	for i, c := range cables {
		w := at(c.address, "worker")
		w.Stdout, w.Stderr = &said[i], &said[i]
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		workers = append(workers, w)
	}
	done := func() (n int) {
		v.mu.Lock()
		defer v.mu.Unlock()
		return len(v.told)
	}
	for round := 0; done() < leaked && round < 300; round++ {
		time.Sleep(200 * time.Millisecond)
		switch round % 10 {
		case 3:
			cables[round/10%2].pull()
		case 6:
			for _, c := range cables {
				c.plug()
			}
		case 9: // as when the server is restarted
			if _, err := storetest.Cut(address, 100); err != nil {
				t.Error(err)
			}
		}
	}
	for _, c := range cables {
		c.plug()
	}
	var list []killed
	for range 100 {
		out, err := at(address, "incident", "list", "-f", "json").Output()
		if err != nil || json.Unmarshal(out, &list) != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(list, func(i killed) bool { return i.State != "dead" }) {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	for i, w := range workers {
		if w.ProcessState != nil || w.Process.Signal(os.Interrupt) != nil {
			t.Errorf("worker %d ended by itself: %s", i, said[i].String())
		}
		if err := w.Wait(); err != nil {
			t.Errorf("worker %d: %v\n%s", i, err, said[i].String())
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.together) > 0 || len(v.told) != leaked || len(list) != leaked {
		t.Errorf("%d incidents, %d told; together: %q", len(list), len(v.told), v.together)
	}
	again := 0
	for _, i := range list {
		if i.State != "dead" {
			t.Errorf("incident %+v", i)
		}
		if v.told[i.ID] > 1 {
			again++
		}
	}
	t.Logf("%d of %d were told again, since the receipt was lost with the database", again, leaked)
	for _, line := range strings.Split(text.String(), "\n") {
		if _, value, ok := strings.Cut(line, ": "); ok && (strings.Contains(said[0].String(), value) || strings.Contains(said[1].String(), value)) {
			t.Error("a worker's log holds a token")
		}
	}
}
