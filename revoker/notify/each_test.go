package notify_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/notify"
)

// incidentOf is what is known of any incident.
func incidentOf(_ context.Context, id string) (any, error) {
	return map[string]string{"incident_id": id, "state": "revoking"}, nil
}

// Each alert is a call of its own, signed, with its incident, and the same id when it is
// made again.
func TestEach(t *testing.T) {
	p := newPlace(t)
	key := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	target := p.target(notify.Target{Kind: "webhook", Each: true, URL: "https://events.acme.example/leaks", Key: "file:" + p.file("key", key)})
	n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{target}}, notify.Options{Now: p.clock.now, Dial: p.net.Dial, Lookup: p.net.Lookup, Incident: incidentOf})
	if err != nil {
		t.Fatal(err)
	}
	p.write(alert.Alert{Title: "one", Kind: "secret.leaked", IncidentID: "i1"})
	p.write(alert.Alert{Title: "two\x1b[2J", Severity: alert.Critical})
	p.write(alert.Alert{Title: "three", IncidentID: "i3"})
	p.answer = func(body string) int {
		if strings.Contains(body, "three") && len(p.bodies) < 3 {
			return http.StatusBadGateway
		}
		return http.StatusOK
	}
	if err := n.Drain(t.Context()); err == nil {
		t.Error("nothing is told of a call that failed")
	}
	if got := p.told(); len(got) != 2 {
		t.Fatalf("told %q", got)
	}
	p.mu.Lock()
	p.answer = nil
	p.mu.Unlock()
	p.clock.step(time.Minute)
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := p.told()
	if len(got) != 3 {
		t.Fatalf("told %d times", len(got)) // those before are not told again
	}
	verify, err := standardwebhooks.NewWebhook(strings.TrimPrefix(key, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range got {
		if err := verify.VerifyIgnoringTimestamp([]byte(body), p.heads[i]); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
		if id := p.heads[i].Get("webhook-id"); !strings.HasPrefix(id, fmt.Sprintf("alert_%d_", i+1)) {
			t.Errorf("call %d has the id %q", i, id)
		}
		var e struct {
			Type string
			Data struct {
				Alert    alert.Alert
				Incident map[string]string
			}
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || (e.Data.Incident["state"] == "revoking") != (i != 1) || strings.ContainsRune(e.Data.Alert.Title, 0x1b) {
			t.Errorf("call %d: %v, %s", i, err, body)
		}
	}
}

// A program is run for each alert, with JSON on its standard input; one that fails is
// run again, one that refuses keeps nothing back, and its output is nowhere.
func TestExec(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the program is a shell script")
	}
	p := newPlace(t)
	dir := t.TempDir()
	path, out := filepath.Join(dir, "hook"), filepath.Join(dir, "out")
	text := `#!/bin/sh
in=$(cat)
case "$in" in
*twice*) [ -e "$1.tried" ] || { touch "$1.tried"; echo its-output; exit 1; } ;;
*never*) exit 65 ;;
esac
printf '%s\n' "$in" >> "$1"
`
	if err := os.WriteFile(path+".new", []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{{Name: "run", Kind: "exec", Command: []string{path, out}}}}, notify.Options{Now: p.clock.now, Incident: incidentOf})
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"first", "never", "$(touch " + out + ".shell)", "twice", "last"} {
		p.write(alert.Alert{Title: title, IncidentID: "i"})
	}
	told := func() string { b, _ := os.ReadFile(out); return string(b) }
	if err := n.Drain(t.Context()); err == nil || strings.Contains(err.Error(), "its-output") {
		t.Errorf("%v", err)
	}
	p.clock.step(time.Minute)
	if err := n.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(told()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], `"title":"first"`) || !strings.Contains(lines[2], "twice") || !strings.Contains(lines[3], `"incident":{"incident_id":"i","state":"revoking"}`) {
		t.Errorf("told\n%s", told())
	}
	if _, err := os.Stat(out + ".shell"); err == nil {
		t.Error("a shell ran a title")
	}
	s, err := n.Status(t.Context())
	if err != nil || s[0].Refused != 1 || s[0].Waiting != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestEachErrors(t *testing.T) {
	p := newPlace(t)
	for want, target := range map[string]notify.Target{
		"absolute path": {Kind: "exec", Command: []string{"hook"}},
		"for kind exec": {Kind: "slack", URL: "env:X", Command: []string{"/bin/true"}},
		"each is for":   {Kind: "slack", URL: "env:X", Each: true},
		"no name":       {Kind: "exec", Command: []string{"/bin/true"}, Env: []string{"A=b"}},
		"want a time":   {Kind: "exec", Command: []string{"/bin/true"}, Timeout: "soon"},
		"up to 15s":     {Kind: "exec", Command: []string{"/bin/true"}, Timeout: "1h"},
	} {
		target.Name = "a"
		if runtime.GOOS == "windows" && target.Command != nil {
			continue // the paths are none there
		}
		if _, err := notify.New(p.store, notify.Config{Targets: []notify.Target{target}}, notify.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
