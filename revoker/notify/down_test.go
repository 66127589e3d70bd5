package notify_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/notify"
	"github.com/quench-dev/quench/revoker/revokertest"
)

// heard is what a target was told, from any goroutine.
type heard struct {
	mu  sync.Mutex
	all strings.Builder
}

func (h *heard) add(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all.WriteString(s + "\n")
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all.String()
}

// A target of any kind that is down for an hour loses nothing, and hears it in order.
func TestEachKindDownForAnHour(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef01234567"))
	for kind, target := range map[string]func(p *place) notify.Target{
		"teams": func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "teams", URL: "file:" + p.file("url", "https://teams.example/workflows/1")})
		},
		"webhook": func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "webhook", URL: "https://hook.example/alerts", Key: "file:" + p.file("key", "whsec_"+key)})
		},
		"each": func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "webhook", Each: true, URL: "https://hook.example/alerts", Key: "file:" + p.file("key", "whsec_"+key)})
		},
		"pagerduty": func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "pagerduty", Key: "file:" + p.file("key", "routing")})
		},
		"github-issue": func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "github-issue", Repository: "acme/ops", Key: "file:" + p.file("key", "ghtoken")})
		},
	} {
		t.Run(kind, func(t *testing.T) {
			p := newPlace(t)
			var up atomic.Bool
			p.answer = func(string) int {
				if up.Load() {
					return http.StatusOK
				}
				return http.StatusBadGateway
			}
			n := p.notifier(notify.Config{Targets: []notify.Target{target(p)}})
			downForAnHour(t, p, n, &up, func() string { return strings.Join(p.told(), "\n") })
		})
	}
	for kind, listen := range map[string]func(t *testing.T, h *heard) notify.Target{
		"smtp": func(t *testing.T, h *heard) notify.Target {
			letters := make(chan string)
			var wg sync.WaitGroup
			t.Cleanup(wg.Wait)
			t.Cleanup(func() { close(letters) })
			wg.Go(func() {
				for s := range letters {
					h.add(s)
				}
			})
			return notify.Target{Address: revokertest.Mail(t, letters, nil), From: "quench@example.com", To: []string{"ops@example.com"}}
		},
		"syslog": func(t *testing.T, h *heard) notify.Target {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			t.Cleanup(wg.Wait)
			t.Cleanup(func() { l.Close() })
			wg.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					b, _ := io.ReadAll(c)
					c.Close()
					h.add(string(b))
				}
			})
			return notify.Target{Address: "tcp://" + l.Addr().String()}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			p, h := newPlace(t), &heard{}
			var up atomic.Bool
			x := listen(t, h)
			x.Name, x.Kind = kind, kind
			n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{x}}, notify.Options{Now: p.clock.now, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if !up.Load() {
					return nil, errors.New("nobody listens")
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}})
			if err != nil {
				t.Fatal(err)
			}
			downForAnHour(t, p, n, &up, h.String)
		})
	}
	t.Run("exec", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("the program is a shell script")
		}
		p, dir := newPlace(t), t.TempDir()
		hook, out := filepath.Join(dir, "hook"), filepath.Join(dir, "out")
		if err := os.WriteFile(hook+".new", []byte("#!/bin/sh\n[ -e \"$1.up\" ] || exit 1\ncat >> \"$1\"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(hook+".new", hook); err != nil {
			t.Fatal(err)
		}
		n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{{Name: "run", Kind: "exec", Command: []string{hook, out}}}}, notify.Options{Now: p.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		var up atomic.Bool
		downForAnHour(t, p, n, &up, func() string {
			if up.Load() {
				os.WriteFile(out+".up", nil, 0o600)
			}
			b, _ := os.ReadFile(out)
			return string(b)
		})
	})
}

// downForAnHour writes an alert a minute to a target that is down, and wants all of them,
// in order, once up is set. told is what the target took.
func downForAnHour(t *testing.T, p *place, n *notify.Notifier, up *atomic.Bool, told func() string) {
	t.Helper()
	// As many as one message tells whole.
	const total = 6
	title := func(i int) string { return fmt.Sprintf("alert number %02d.", i) }
	for i := range total {
		p.write(alert.Alert{Key: fmt.Sprint("k", i), Title: title(i)})
		for range 10 {
			if err := n.Drain(t.Context()); err == nil {
				t.Fatal("a failure is not told")
			}
			p.clock.step(time.Minute)
		}
	}
	if got := told(); strings.Contains(got, "alert number") {
		t.Fatalf("told while it is down: %s", got)
	}
	up.Store(true)
	told()
	p.clock.step(5 * time.Minute) // more than the longest pause
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	st, err := n.Status(t.Context())
	if err != nil || st[0].Waiting != 0 || st[0].Failures != 0 || st[0].Error != "" {
		t.Errorf("%+v, %v", st, err)
	}
	// A server on the network takes a moment to have read what was sent.
	for end := time.Now().Add(10 * time.Second); !strings.Contains(told(), title(total-1)) && time.Now().Before(end); {
		runtime.Gosched()
	}
	got, at := told(), 0
	for i := range total {
		k := strings.Index(got[at:], title(i))
		if k < 0 {
			t.Fatalf("alert %d is missing, or not in order, in\n%s", i, got)
		}
		at += k
	}
}
