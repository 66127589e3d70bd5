package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Killed between the commit of a revocation and the provider's answer, or while
// the provider was down, the next worker delivers: the provider hears of the leak
// under one id, and the incident ends with its receipt.
func TestKilledBetweenCommitAndCall(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease to end")
	}
	for _, c := range []struct {
		name string
		down bool // the provider cannot be reached while the scan lives
	}{{"provider hangs", false}, {"provider down", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			addr := freePort(t)
			policyFor(t, home, "http://"+addr+"/leaked")
			token := filepath.Join(home, "token")
			if err := os.WriteFile(token, []byte("Zq"+pat(t, 9)[4:]+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, home, "token", "import", "--owner", "ann", "--purpose", "x", "--provider", "vendor", "--file", token)
			leak := filepath.Join(home, "leak.txt")
			value, _ := os.ReadFile(token)
			if err := os.WriteFile(leak, []byte("key: "+string(value)), 0o600); err != nil {
				t.Fatal(err)
			}
			listen := func() net.Listener {
				t.Helper()
				l, err := net.Listen("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			var l net.Listener
			if c.down {
				// The scan itself reports that its provider could not be told.
				out, _ := quench(t, home, "scan", "--revoke=auto", leak).Output()
				if !strings.Contains(string(out), "could not be told yet") || !strings.Contains(string(out), "1 incident, 1 token revoked") {
					t.Fatalf("scan said %s", out)
				}
				l = listen()
			} else {
				l = listen()
				killInCall(t, home, leak, l)
			}
			if out := run(t, home, "token", "verify", "--file", token); !strings.Contains(out, "refused: revoked") {
				t.Fatalf("verify after the kill: %s", out)
			}
			calls, ids := serve(t, l)
			if out, err := quench(t, home, "worker", "--drain").CombinedOutput(); err != nil {
				t.Fatalf("worker: %v\n%s", err, out)
			}
			var list []struct {
				ID    string `json:"incident_id"`
				State string `json:"state"`
			}
			if err := json.Unmarshal([]byte(run(t, home, "incident", "list", "-f", "json")), &list); err != nil || len(list) != 1 || list[0].State != "dead" {
				t.Fatalf("incidents %+v, %v", list, err)
			}
			if calls.Load() != 1 || ids.Load() != list[0].ID {
				t.Errorf("%d calls, id %v of incident %s", calls.Load(), ids.Load(), list[0].ID)
			}
			if show := run(t, home, "incident", "show", list[0].ID[:20]); !strings.Contains(show, "vendor accepted, status 202") || !strings.Contains(show, "confirmed") {
				t.Errorf("incident: %s", show)
			}
			if out, err := quench(t, home, "worker", "--drain").CombinedOutput(); err != nil || calls.Load() != 1 {
				t.Errorf("a second worker: %v, %d calls\n%s", err, calls.Load(), out)
			}
		})
	}
}

// policyFor writes a policy with one provider.
func policyFor(t *testing.T, home, url string) {
	t.Helper()
	dir := filepath.Join(home, "config", "quench")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "vendor.whsec")
	key := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	if err := os.WriteFile(secret, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	p := fmt.Sprintf("[[provider]]\nname = \"vendor\"\nkind = \"webhook\"\nurl = %q\nsecret_file = %q\n", url, secret)
	if err := os.WriteFile(filepath.Join(dir, "policy.toml"), []byte(p), 0o600); err != nil {
		t.Fatal(err)
	}
}

// killInCall starts a scan that revokes, waits until its call arrives, and kills
// it before there is an answer.
func killInCall(t *testing.T, home, leak string, l net.Listener) {
	t.Helper()
	cmd := quench(t, home, "scan", "--revoke=auto", leak)
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := l.Accept()
	if err != nil {
		t.Fatalf("no call came: %v", err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	l.(*net.TCPListener).SetDeadline(time.Time{})
}

// serve accepts reports on l and counts them.
func serve(t *testing.T, l net.Listener) (calls *atomic.Int64, id *atomic.Value) {
	t.Helper()
	calls, id = &atomic.Int64{}, &atomic.Value{}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		id.Store(r.Header.Get("webhook-id"))
		w.WriteHeader(http.StatusAccepted)
	})}}
	srv.Start()
	t.Cleanup(srv.Close)
	return calls, id
}
