package notify_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/revoker/notify"
	"github.com/quench-dev/quench/revoker/revokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// place is a database, and a target on a fake network that keeps what it is told.
type place struct {
	t      *testing.T
	store  *store.Store
	clock  *clock
	net    *revokertest.Network
	mu     sync.Mutex
	bodies []string
	heads  []http.Header
	answer func(body string) int // status
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, clock: &clock{t: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}}
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "registry.db"), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	p.store = s
	p.net = revokertest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		status := http.StatusOK
		if p.answer != nil {
			status = p.answer(string(b))
		}
		if status < 300 {
			p.bodies = append(p.bodies, string(b))
			p.heads = append(p.heads, r.Header)
		}
		w.WriteHeader(status)
		io.WriteString(w, "{}")
	}))
	return p
}

func (p *place) told() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.bodies)
}

func (p *place) file(name, text string) string {
	path := filepath.Join(p.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// target fills in what every target of the fake network has.
func (p *place) target(t notify.Target) notify.Target {
	t.CAFile = p.file("ca.pem", string(p.net.CA))
	if t.Name == "" {
		t.Name = t.Kind
	}
	return t
}

func (p *place) notifier(cfg notify.Config) *notify.Notifier {
	p.t.Helper()
	n, err := notify.New(p.store, cfg, notify.Options{Now: p.clock.now, Dial: p.net.Dial, Lookup: p.net.Lookup,
		API: map[string]string{"pagerduty": "https://events.example", "github": "https://api.github.example"}})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func (p *place) write(a alert.Alert) {
	p.t.Helper()
	a.At = p.clock.now()
	if a.Kind == "" {
		a.Kind = "usage.new_country"
	}
	if a.Severity == "" {
		a.Severity = alert.Warning
	}
	a.Advice = "look at it"
	err := p.store.InTx(p.t.Context(), func(tx *sql.Tx) error {
		_, err := alert.Append(context.Background(), tx, a)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func slack(p *place) notify.Target {
	return p.target(notify.Target{Kind: "slack", URL: "file:" + p.file("url", "https://hooks.slack.example/services/T/B/secretpath\n")})
}

// Every kind that speaks HTTP says what happened, the numbers, and what to do.
func TestKinds(t *testing.T) {
	const whsec = "whsec_"
	raw := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef01234567"))
	for kind, c := range map[string]struct {
		target func(p *place) notify.Target
		path   string
		check  func(t *testing.T, body obj, h http.Header, raw string)
	}{
		"slack": {slack, "hooks.slack.example POST /services/T/B/secretpath", func(t *testing.T, b obj, _ http.Header, _ string) {
			if b["text"] != "token &lt;!channel&gt; came from NZ (and 1 more)" {
				t.Errorf("text %q", b["text"])
			}
		}},
		"teams": {func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "teams", URL: "file:" + p.file("url", "https://teams.example/workflows/1")})
		}, "teams.example POST /workflows/1", func(t *testing.T, b obj, _ http.Header, _ string) {
			if b["type"] != "message" {
				t.Errorf("%v", b)
			}
		}},
		"pagerduty": {func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "pagerduty", Key: "file:" + p.file("key", "routing")})
		}, "events.example POST /v2/enqueue", func(t *testing.T, b obj, _ http.Header, _ string) {
			payload, _ := b["payload"].(obj)
			if b["routing_key"] != "routing" || b["dedup_key"] != "k1" || payload["severity"] != "critical" || payload["summary"] != "token <!channel> came from NZ" {
				t.Errorf("%v", b)
			}
		}},
		"webhook": {func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "webhook", URL: "https://hook.example/alerts", Key: "file:" + p.file("key", whsec+raw)})
		}, "hook.example POST /alerts", func(t *testing.T, b obj, h http.Header, body string) {
			wh, err := standardwebhooks.NewWebhook(raw)
			if err != nil {
				t.Fatal(err)
			}
			// The signature is that of a fake clock, so the time is not checked.
			if err := wh.VerifyIgnoringTimestamp([]byte(body), h); err != nil {
				t.Error(err)
			}
			if list, _ := b["data"].([]any); len(list) != 2 {
				t.Errorf("%v", b)
			}
		}},
		"github-issue": {func(p *place) notify.Target {
			return p.target(notify.Target{Kind: "github-issue", Repository: "acme/ops", Key: "file:" + p.file("key", "ghtoken")})
		}, "api.github.example POST /repos/acme/ops/issues", func(t *testing.T, b obj, h http.Header, _ string) {
			if h.Get("Authorization") != "Bearer ghtoken" || !strings.HasPrefix(fmt.Sprint(b["body"]), "```text\n") {
				t.Errorf("%v", b)
			}
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			p := newPlace(t)
			n := p.notifier(notify.Config{Targets: []notify.Target{c.target(p)}})
			p.write(alert.Alert{Key: "k1", Severity: alert.Critical, Title: "token <!channel> came from NZ", TokenID: "tok1", Owner: "ci", Details: map[string]string{"country": "NZ"}})
			p.write(alert.Alert{Key: "k2", Title: "token came from \u202eXX\nYY", TokenID: "tok2"})
			if err := n.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			told := p.told()
			if len(told) == 0 || !slices.Contains(p.net.Seen(), c.path) {
				t.Fatalf("told %q at %q", told, p.net.Seen())
			}
			all := strings.Join(told, "\n")
			for _, want := range []string{"NZ", "look at it", "tok1", "tok2"} {
				if !strings.Contains(all, want) {
					t.Errorf("%q is missing in %s", want, all)
				}
			}
			if strings.Contains(all, "\u202e") || strings.Contains(all, "XX\\nYY") {
				t.Errorf("characters that steer went through: %s", all)
			}
			var b obj
			if err := json.Unmarshal([]byte(told[0]), &b); err != nil {
				t.Fatal(err)
			}
			c.check(t, b, p.heads[0], told[0])
			if err := n.Drain(t.Context()); err != nil || len(p.told()) != len(told) {
				t.Errorf("told again: %v", err)
			}
		})
	}
}

type obj = map[string]any

// A target that is down for an hour hears of everything, in order, once it is back.
func TestDownForAnHour(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{slack(p)}})
	up := false
	p.answer = func(string) int {
		if up {
			return http.StatusOK
		}
		return http.StatusBadGateway
	}
	const total = 130
	for i := range total {
		p.write(alert.Alert{Title: fmt.Sprintf("alert number %03d.", i), Severity: alert.Critical})
		if err := n.Drain(t.Context()); i == 0 && err == nil {
			t.Error("a failure is not told")
		} else if err != nil && strings.Contains(err.Error(), "secretpath") {
			t.Errorf("the error holds the address: %v", err)
		}
		p.clock.step(28 * time.Second)
	}
	up = true
	p.clock.step(2 * time.Minute)
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(p.told(), "")
	// Ten of each message are told whole; the count covers the rest.
	if got := len(p.told()); got != 3 || !strings.Contains(all, "alert number 000.") || !strings.Contains(all, "alert number 100.") || !strings.Contains(all, "and 40 more") {
		t.Errorf("%d messages: %s", got, all)
	}
	st, err := n.Status(t.Context())
	if err != nil || st[0].Waiting != 0 || st[0].Failures != 0 || st[0].Error != "" {
		t.Errorf("%+v, %v", st, err)
	}
}

// What waits for a target that failed a moment ago is told, with why, and nobody is
// called for it; without alerts nothing waits.
func TestDrainWhileWaiting(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{slack(p)}})
	p.answer = func(string) int { return http.StatusBadGateway }
	p.write(alert.Alert{Title: "one"})
	if err := n.Drain(t.Context()); err == nil {
		t.Fatal("a failure is not told")
	}
	before := len(p.net.Seen())
	if err := n.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "tried again later") || !strings.Contains(err.Error(), "502") {
		t.Errorf("%v", err)
	}
	if got := len(p.net.Seen()); got != before {
		t.Errorf("called %d times before its time", got-before)
	}
	p.answer = nil
	p.clock.step(time.Minute)
	if err := n.Drain(t.Context()); err != nil || len(p.told()) != 1 {
		t.Errorf("%d messages, %v", len(p.told()), err)
	}
}

// A refusal among more alerts than a message holds keeps none of them for later.
func TestRefusedAmongMany(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{slack(p)}})
	p.answer = func(body string) int {
		if strings.Contains(body, "poison") {
			return http.StatusBadRequest
		}
		return http.StatusOK
	}
	p.write(alert.Alert{Title: "poison"})
	for range 70 {
		p.write(alert.Alert{Title: "good"})
	}
	if err := n.Drain(t.Context()); err == nil {
		t.Error("the refusal is not told")
	}
	if st, err := n.Status(t.Context()); err != nil || st[0].Waiting != 0 || st[0].Refused != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// One alert that a target takes in no form keeps no other back, and is not lost
// silently.
func TestRefused(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{slack(p)}})
	p.answer = func(body string) int {
		if strings.Contains(body, "poison") {
			return http.StatusBadRequest
		}
		return http.StatusOK
	}
	for _, title := range []string{"first", "poison", "last"} {
		p.write(alert.Alert{Title: title})
	}
	if err := n.Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "refuses the message: 400") {
		t.Errorf("%v", err)
	}
	if all := strings.Join(p.told(), ""); !strings.Contains(all, "first") || !strings.Contains(all, "last") {
		t.Errorf("told %s", all)
	}
	st, err := n.Status(t.Context())
	if err != nil || st[0].Refused != 1 || st[0].Waiting != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	p.write(alert.Alert{Title: "after"})
	if err := n.Drain(t.Context()); err != nil || !strings.Contains(strings.Join(p.told(), ""), "after") {
		t.Errorf("%v", err)
	}
}

// Run tells at once, then gathers what comes within the hold; what is critical does
// not wait.
func TestHold(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{slack(p)}})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	defer func() { stop(); <-done }()
	wait := func(count int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); len(p.told()) < count; {
			if time.Now().After(end) {
				t.Fatalf("%d messages, want %d", len(p.told()), count)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	p.write(alert.Alert{Title: "one"})
	wait(1)
	p.write(alert.Alert{Title: "two"})
	p.write(alert.Alert{Title: "three"})
	p.write(alert.Alert{Title: "four", Severity: alert.Critical})
	wait(2)
	p.write(alert.Alert{Title: "five"})
	p.write(alert.Alert{Title: "six"})
	p.clock.step(11 * time.Second)
	wait(3)
	told := p.told()
	for i, want := range [][]string{{"one"}, {"two", "three", "four"}, {"five", "six"}} {
		for _, w := range want {
			if !strings.Contains(told[min(i, len(told)-1)], w) && !strings.Contains(strings.Join(told[i:], ""), w) {
				t.Errorf("message %d lacks %s: %s", i, w, told[i])
			}
		}
	}
}

// Several processes on one database tell each alert once.
func TestTogether(t *testing.T) {
	p := newPlace(t)
	cfg := notify.Config{Targets: []notify.Target{slack(p)}}
	var wg sync.WaitGroup
	for i := range 30 {
		p.write(alert.Alert{Title: fmt.Sprintf("alert number %03d.", i)})
	}
	for range 4 {
		n := p.notifier(cfg)
		wg.Go(func() {
			if err := n.Drain(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(strings.Join(p.told(), ""), "alert number 000."); n < 1 || len(p.told()) != 1 {
		t.Errorf("%d messages", len(p.told()))
	}
}

// Routes say who is told of what; what no route names goes to the default.
func TestRoutes(t *testing.T) {
	p := newPlace(t)
	a, b, c := slack(p), slack(p), slack(p)
	a.Name, b.Name, c.Name = "a", "b", "c"
	b.URL = "file:" + p.file("url", "https://b.example/")
	c.URL, c.MinSeverity = "file:"+p.file("url", "https://c.example/"), alert.Critical
	n := p.notifier(notify.Config{Targets: []notify.Target{a, b, c}, Default: []string{"a"}, Routes: []notify.Route{
		{Owner: "team/*", To: []string{"b", "c"}}, {Kind: "token.*", Severity: alert.Warning, To: []string{"b"}}, {Owner: "nobody"}}})
	p.write(alert.Alert{Title: "routed by owner", Owner: "team/ci"})
	p.write(alert.Alert{Title: "routed by kind", Kind: "token.expiring"})
	p.write(alert.Alert{Title: "below its severity", Kind: "token.expiring", Severity: alert.Info})
	p.write(alert.Alert{Title: "unrouted", Owner: "x"})
	p.write(alert.Alert{Title: "silent", Owner: "nobody", Severity: alert.Critical})
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := p.net.Seen()
	if len(seen) != 2 {
		t.Fatalf("%q", seen)
	}
	for i, host := range seen {
		want := []string{"below its severity", "unrouted"}
		if strings.HasPrefix(host, "b.example") {
			want = []string{"routed by owner", "routed by kind"}
		}
		for _, title := range []string{"routed by owner", "routed by kind", "below its severity", "unrouted", "silent"} {
			if got := strings.Contains(p.told()[i], title); got != slices.Contains(want, title) {
				t.Errorf("%s: %q is %v", host, title, got)
			}
		}
	}
}

// A process that dies between telling and writing so tells again: never not at all.
func TestAtLeastOnce(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{slack(p)}})
	p.write(alert.Alert{Title: "one"})
	ctx, cancel := context.WithCancel(t.Context())
	p.answer = func(string) int { cancel(); return http.StatusOK }
	_ = n.Drain(ctx)
	p.answer = nil
	p.clock.step(time.Minute)
	if err := n.Drain(t.Context()); err != nil || len(p.told()) < 1 {
		t.Errorf("%d messages, %v", len(p.told()), err)
	}
}

func TestConfigErrors(t *testing.T) {
	for want, cfg := range map[string]notify.Config{
		"want a name":     {Targets: []notify.Target{{Kind: "syslog"}}},
		"kind":            {Targets: []notify.Target{{Name: "a", Kind: "fax"}}},
		"is a secret":     {Targets: []notify.Target{{Name: "a", Kind: "slack", URL: "https://hooks.slack.example/x"}}},
		"key is missing":  {Targets: []notify.Target{{Name: "a", Kind: "webhook", URL: "https://x.example"}}},
		"https://host":    {Targets: []notify.Target{{Name: "a", Kind: "webhook", URL: "http://x.example", Key: "env:K"}}},
		"env:NAME":        {Targets: []notify.Target{{Name: "a", Kind: "pagerduty", Key: "thekey"}}},
		"host:port":       {Targets: []notify.Target{{Name: "a", Kind: "smtp", Address: "x", From: "a@example.com", To: []string{"b@example.com"}}}},
		"no mail address": {Targets: []notify.Target{{Name: "a", Kind: "smtp", Address: "x:25", From: "a", To: []string{"b@example.com"}}}},
		"udp://":          {Targets: []notify.Target{{Name: "a", Kind: "syslog", Address: "10.0.0.1:514"}}},
		"owner/name":      {Targets: []notify.Target{{Name: "a", Kind: "github-issue", Repository: "acme", Key: "env:K"}}},
		"min_severity":    {Targets: []notify.Target{{Name: "a", Kind: "syslog", Address: "udp://h:1", MinSeverity: "loud"}}},
		"hold":            {Targets: []notify.Target{{Name: "a", Kind: "syslog", Address: "udp://h:1", Hold: "2d"}}},
		"no target \"b\"": {Routes: []notify.Route{{To: []string{"b"}}}},
		"default":         {Default: []string{"b"}},
		"pattern":         {Routes: []notify.Route{{Owner: "["}}},
	} {
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "thekey") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestMail(t *testing.T) {
	p := newPlace(t)
	letters := make(chan string, 1)
	addr := revokertest.Mail(t, letters, nil)
	n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{{Name: "mail", Kind: "smtp", Address: addr, From: "quench@example.com", To: []string{"ops@example.com"}}}}, notify.Options{Now: p.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	p.write(alert.Alert{Title: "token came from NZ\r\nBcc: evil@example.com", Details: map[string]string{"country": "NZ"}})
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	letter := <-letters
	if !strings.Contains(letter, "Subject: [quench] token came from NZ") || strings.Contains(letter, "\nBcc:") || !strings.Contains(letter, "country: NZ") || !strings.Contains(letter, "what to do: look at it") {
		t.Error(letter)
	}
}

func TestSyslog(t *testing.T) {
	p := newPlace(t)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{
		{Name: "udp", Kind: "syslog", Address: "udp://" + pc.LocalAddr().String()}, {Name: "tcp", Kind: "syslog", Address: "tcp://" + l.Addr().String()}}}, notify.Options{Now: p.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	stream := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			stream <- err.Error()
			return
		}
		b, _ := io.ReadAll(conn)
		conn.Close()
		stream <- string(b)
	}()
	p.write(alert.Alert{Severity: alert.Critical, Kind: "incident.open", Title: "token leaked", TokenID: "tok1", Details: map[string]string{"file": `a"]b`}})
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	k, _, err := pc.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	line := string(b[:k])
	for _, want := range []string{"<34>1 2026-11-25T12:00:00.000000Z ", " incident.open [", ` token="tok1"`, ` file="a\"\]b"`, "] token leaked: look at it"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}
	if got := <-stream; got != fmt.Sprintf("%d %s", len(line), line) {
		t.Errorf("counted: %q", got)
	}
}

func TestTest(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{slack(p)}})
	if err := n.Test(t.Context(), "slack"); err != nil || len(p.told()) != 1 {
		t.Errorf("%v", err)
	}
	if err := n.Test(t.Context(), "other"); err == nil {
		t.Error("a target that is not there")
	}
	p.answer = func(string) int { return http.StatusNotFound }
	if err := n.Test(t.Context(), "slack"); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
