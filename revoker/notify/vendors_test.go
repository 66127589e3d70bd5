package notify_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/notify"
	"github.com/quench-dev/quench/revoker/revokertest"
)

func teams(p *place) notify.Target {
	return p.target(notify.Target{Kind: "teams", URL: "file:" + p.file("url", "https://teams.example/workflows/1")})
}

func pagerDuty(p *place, url string) notify.Target {
	return p.target(notify.Target{Kind: "pagerduty", URL: url, Key: "file:" + p.file("key", "routing")})
}

func gitHub(p *place) notify.Target {
	return p.target(notify.Target{Kind: "github-issue", Repository: "acme/ops", Key: "file:" + p.file("key", "token")})
}

// A connector of Teams says 200 of a message that Teams behind it did not take: it is told
// again, or counted as refused, and not taken for told.
func TestTeamsErrorIn200(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{teams(p)}})
	answer := "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0"
	p.net.Answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	p.write(alert.Alert{Title: "one"})
	waiting := func() notify.Status {
		t.Helper()
		st, err := n.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st[0]
	}
	if err := n.Drain(t.Context()); err == nil || waiting().Waiting != 1 {
		t.Errorf("429 in words: %v, %+v", err, waiting())
	}
	p.clock.step(2 * time.Minute)
	answer = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId tcid=0"
	if err := n.Drain(t.Context()); err == nil || waiting().Refused != 1 {
		t.Errorf("413 in words: %v, %+v", err, waiting())
	}
	p.clock.step(2 * time.Minute)
	answer = "1"
	p.write(alert.Alert{Title: "two"})
	if err := n.Drain(t.Context()); err != nil || waiting().Waiting != 0 || waiting().Refused != 1 {
		t.Errorf("%v, %+v", err, waiting())
	}
}

// Names that are anybody's to choose make no message larger than its target takes.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("<é`", 200)
	details := map[string]string{}
	for i := range 20 {
		details[fmt.Sprintf("file %d", i)] = long
	}
	for kind, c := range map[string]struct {
		target func(p *place) notify.Target
		check  func(t *testing.T, raw string, body obj)
	}{
		"teams": {teams, func(t *testing.T, raw string, _ obj) {
			if len(raw) > 28<<10 {
				t.Errorf("%d bytes", len(raw))
			}
		}},
		"github-issue": {gitHub, func(t *testing.T, _ string, b obj) {
			title, body := b["title"].(string), b["body"].(string)
			if utf8.RuneCountInString(title) > 256 || utf8.RuneCountInString(body) > 65536 {
				t.Errorf("title of %d and body of %d characters", utf8.RuneCountInString(title), utf8.RuneCountInString(body))
			}
			fence, inside, _ := strings.Cut(body, "text\n")
			if inside, _, closed := strings.Cut(inside, "\n"+fence+"\n"); !closed || strings.Contains(inside, fence) {
				t.Errorf("the fence %q is open, or too short", fence)
			}
		}},
		"pagerduty": {func(p *place) notify.Target { return pagerDuty(p, "") }, func(t *testing.T, raw string, b obj) {
			summary := b["payload"].(obj)["summary"].(string)
			if len(raw) > 512<<10 || utf8.RuneCountInString(summary) > 1024 {
				t.Errorf("%d bytes, summary of %d characters", len(raw), utf8.RuneCountInString(summary))
			}
		}},
		"slack": {slack, func(t *testing.T, _ string, b obj) {
			for _, block := range b["blocks"].([]any) {
				if text := block.(obj)["text"].(obj)["text"].(string); utf8.RuneCountInString(text) > 3000 {
					t.Errorf("a block of %d characters", utf8.RuneCountInString(text))
				}
			}
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			p := newPlace(t)
			n := p.notifier(notify.Config{Targets: []notify.Target{c.target(p)}})
			for i := range 12 {
				p.write(alert.Alert{Title: fmt.Sprintf("number %d %s", i, long), Severity: alert.Critical, Details: details})
			}
			if err := n.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			told := p.told()
			if all := strings.Join(told, ""); !strings.Contains(all, "number 0") || kind != "pagerduty" && !strings.Contains(all, " more") {
				t.Error("it does not say what happened, or how much more")
			}
			for _, raw := range told {
				var b obj
				if err := json.Unmarshal([]byte(raw), &b); err != nil {
					t.Fatal(err)
				}
				c.check(t, raw, b)
			}
		})
	}
}

// A letter goes to another machine behind STARTTLS alone, and so does the password: a
// server that does not offer it, or whose certificate nobody trusts, is told nothing.
func TestMailSecure(t *testing.T) {
	for name, c := range map[string]struct{ secure, trusted, taken bool }{
		"starttls":          {true, true, true},
		"no starttls":       {false, true, false},
		"not to be trusted": {true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			letters := make(chan string, 4)
			secure := p.net.TLS
			if !c.secure {
				secure = nil
			}
			addr := revokertest.Mail(t, letters, secure)
			target := notify.Target{Name: "mail", Kind: "smtp", Address: "mail.acme.example:587", From: "quench@example.com", To: []string{"ops@example.com"}, User: "quench", Key: "file:" + p.file("key", "the password")}
			if c.trusted {
				target = p.target(target)
			}
			n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{target}}, notify.Options{Now: p.clock.now, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			}})
			if err != nil {
				t.Fatal(err)
			}
			p.write(alert.Alert{Title: "one"})
			if err := n.Drain(t.Context()); (err == nil) != c.taken || err != nil && strings.Contains(err.Error(), "password") {
				t.Errorf("%v", err)
			}
			if !c.taken {
				if len(letters) > 0 {
					t.Errorf("told %q", <-letters)
				}
				return
			}
			if auth := <-letters; auth != "PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00quench\x00the password")) {
				t.Errorf("signed in with %q", auth)
			}
			if letter := <-letters; !strings.Contains(letter, "Subject: [quench] one") || !strings.Contains(letter, "Message-ID: <") || !strings.Contains(letter, "Date: ") {
				t.Error(letter)
			}
		})
	}
}

// Alerts that PagerDuty is told twice are one incident there, and no other is: neither one
// whose key begins alike nor one without a key.
func TestPagerDutyKeys(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{pagerDuty(p, "")}})
	long := strings.Repeat("k", 300)
	for _, key := range []string{"short", long + "1", long + "2", "", ""} {
		p.write(alert.Alert{Key: key, Title: "x"})
	}
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, raw := range p.told() {
		var b struct {
			Key string `json:"dedup_key"`
		}
		if err := json.Unmarshal([]byte(raw), &b); err != nil || b.Key == "" || len(b.Key) > 255 {
			t.Errorf("key %q, %v", b.Key, err)
		}
		keys[b.Key] = true
	}
	if len(keys) != 5 || !keys["short"] {
		t.Errorf("%d keys", len(keys))
	}
}

// Who is not at the vendor's usual place names another.
func TestBase(t *testing.T) {
	p := newPlace(t)
	issue := gitHub(p)
	issue.URL = "https://github.acme.example/api/v3"
	n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{pagerDuty(p, "https://events.eu.pagerduty.example"), issue}},
		notify.Options{Now: p.clock.now, Dial: p.net.Dial, Lookup: p.net.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	p.write(alert.Alert{Title: "one"})
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.net.Seen(), ", "); got != "events.eu.pagerduty.example POST /v2/enqueue, github.acme.example POST /api/v3/repos/acme/ops/issues" {
		t.Errorf("called %s", got)
	}
	for _, url := range []string{"http://events.example", "https://events.example/", "https://u:p@events.example", "env:URL"} {
		cfg := notify.Config{Targets: []notify.Target{pagerDuty(p, url)}}
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), "https://events.eu.pagerduty.com") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// GitHub's secondary limits come as 403 with the time to wait:
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
func TestGitHubPause(t *testing.T) {
	p := newPlace(t)
	n := p.notifier(notify.Config{Targets: []notify.Target{gitHub(p)}})
	p.net.Answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "300")
		w.WriteHeader(403)
		io.WriteString(w, `{"message":"You have exceeded a secondary rate limit.","documentation_url":"https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`)
	}))
	p.write(alert.Alert{Title: "one"})
	if err := n.Drain(t.Context()); err == nil {
		t.Error("a failure is not told")
	}
	st, err := n.Status(t.Context())
	if err != nil || st[0].Next.Sub(p.clock.now()) != 5*time.Minute {
		t.Errorf("%+v, %v", st, err)
	}
}

// A header of RFC 5424 (6) is visible ASCII of bounded length, and text that is more begins
// with the mark of UTF-8 (6.4).
func TestSyslogForm(t *testing.T) {
	p := newPlace(t)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	n, err := notify.New(p.store, notify.Config{Targets: []notify.Target{{Name: "udp", Kind: "syslog", Address: "udp://" + pc.LocalAddr().String()}}}, notify.Options{Now: p.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	kind, name := strings.Repeat("kind ", 10), strings.Repeat("näme]", 20)
	p.write(alert.Alert{Kind: kind, Title: "leck in würfel.txt", Details: map[string]string{name: "x"}})
	p.write(alert.Alert{Kind: "plain", Title: "plain"})
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		t.Helper()
		b := make([]byte, 4096)
		k, _, err := pc.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:k])
	}
	line := read()
	head, rest, _ := strings.Cut(line, " [alert@32473 ")
	if f := strings.Split(head, " "); len(f) != 6 || f[5] != strings.ReplaceAll(kind, " ", "_")[:32] {
		t.Errorf("header %q", head)
	}
	if want := ` n_me_n_me_n_me_n_me_n_me_n_me_n_="x"]`; !strings.Contains(rest, want) {
		t.Errorf("%q lacks %q", rest, want)
	}
	if !strings.Contains(rest, "] \uFEFFleck in würfel.txt: look at it") {
		t.Errorf("%q", rest)
	}
	if line := read(); !strings.Contains(line, "] plain: look at it") {
		t.Errorf("%q", line)
	}
}

// Two registries that tell one receiver do not name their calls alike.
func TestWebhookIDs(t *testing.T) {
	ids := map[string]bool{}
	for i := range 2 {
		p := newPlace(t)
		p.clock.step(time.Duration(i) * time.Second)
		for _, each := range []bool{false, true} {
			n := p.notifier(notify.Config{Targets: []notify.Target{p.target(notify.Target{Name: fmt.Sprint(each), Kind: "webhook", Each: each, URL: "https://hook.example/", Key: "file:" + p.file("key", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==")})}})
			if !each {
				p.write(alert.Alert{Title: "one"})
			}
			if err := n.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, h := range p.heads {
			ids[h.Get("webhook-id")] = true
		}
	}
	if len(ids) != 4 {
		t.Errorf("ids %v", ids)
	}
}
