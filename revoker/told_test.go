package revoker_test

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/notify"
	"github.com/quench-dev/quench/revoker/revokertest"
)

// No target is told a secret, nor eight bytes of one, whatever became of it: what is
// told of leaks goes to every kind of target, and all that they receive is read.
func TestNoTargetHearsSecret(t *testing.T) {
	f := newFixture(t, "")
	var secrets []string
	for name, do := range map[string]string{"gitlab": "revoke", "slack": "ask", "sentry": "revoke"} {
		v := fakeVendor(t, name)
		rule := map[string]string{"gitlab": "gitlab-pat", "slack": "slack-bot-token", "sentry": "sentry-org-token"}[name]
		r := f.revoker(t, revoker.Auto, v.policy(t, "[[leak]]\nprovider = ['"+name+"']\ndo = '"+do+"'\n"))
		for _, path := range []string{"a", "b/" + name} {
			if _, err := r.Leak(t.Context(), leak(t, rule, v.Secret, path)); err != nil {
				t.Fatal(err)
			}
		}
		secrets = append(secrets, v.Secret)
	}
	// One of our own, and an alert about it.
	own := f.revoker(t, revoker.Auto, revoker.Policy{})
	if _, err := own.Contain(t.Context(), f.hit("own")); err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, string(f.value.Reveal()))

	var mu sync.Mutex
	heard, asked := "", map[string]bool{}
	vendor := revokertest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked[r.Host] = true
		heard += r.URL.String() + "\n" + string(b) + "\n"
		for name, values := range r.Header {
			heard += name + ": " + strings.Join(values, ",") + "\n"
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	file := func(name, value string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	key := "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef01234567"))
	ca := strings.TrimPrefix(file("ca.pem", string(vendor.CA)), "file:")
	targets := []notify.Target{
		{Name: "slack", Kind: "slack", URL: file("url", "https://slack.example/x")},
		{Name: "teams", Kind: "teams", URL: file("url", "https://teams.example/x")},
		{Name: "pd", Kind: "pagerduty", Key: file("key", "routing")},
		{Name: "hook", Kind: "webhook", URL: "https://hook.example/x", Key: file("key", key)},
		{Name: "issue", Kind: "github-issue", Repository: "acme/ops", Key: file("key", "ghtoken")},
	}
	for i := range targets {
		targets[i].CAFile = ca
	}
	lines, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	letters := make(chan string, 100)
	targets = append(targets, notify.Target{Name: "log", Kind: "syslog", Address: "udp://" + lines.LocalAddr().String()},
		notify.Target{Name: "mail", Kind: "smtp", Address: revokertest.Mail(t, letters, nil), From: "quench@example.com", To: []string{"ops@example.com"}})
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "127.") { // the two that are servers of their own
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		return vendor.Dial(ctx, network, addr)
	}
	n, err := notify.New(f.reg.Store(), notify.Config{Targets: targets}, notify.Options{Dial: dial, Lookup: vendor.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Drain(t.Context()); err != nil && !strings.Contains(err.Error(), "issue") {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	line := make([]byte, 64<<10)
	k, _, err := lines.ReadFrom(line)
	if err != nil || len(letters) == 0 {
		t.Fatalf("syslog: %v; %d letters", err, len(letters))
	}
	for heard += string(line[:k]) + "\n"; len(letters) > 0; {
		heard += strings.ReplaceAll(<-letters, "=\n", "") // quoted-printable
	}
	for more := true; more; {
		lines.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) // what was sent is here
		k, _, err := lines.ReadFrom(line)
		heard += string(line[:k]) + "\n"
		more = err == nil
	}
	if len(asked) != 5 || !strings.Contains(heard, "leaked") {
		t.Fatalf("asked %v", asked)
	}
	for _, s := range secrets {
		for i := range len(s) - 7 {
			if piece := s[i : i+8]; strings.Contains(heard, piece) {
				t.Fatalf("eight bytes of a secret were told, at %d of %d", i, len(s))
			}
		}
	}
}
