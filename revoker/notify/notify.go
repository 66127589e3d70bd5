// Package notify delivers alerts to the people they are for.
//
// Alerts are rows that others wrote (registry/alert). Each target has a place in
// their order and is told what lies behind it, at least once, however long it was
// down; a target that refuses one alert for good is told the rest, and the refusal
// is kept. The package knows targets, routes and messages; it does not know why
// something is alarming, and no alert holds a secret. Start reading at Config, then
// Notifier.Run.
package notify

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/internal/credential"
)

// Config is the part of a policy that says who is told of what.
type Config struct {
	Targets []Target `toml:"target"`
	// Routes are tried in order for each alert; all that match are taken. With none
	// that matches, Default is told; an empty one is every target.
	Routes  []Route  `toml:"route"`
	Default []string `toml:"default"`
}

// Route says whom an alert goes to. Patterns have * and ?; an empty one is any.
type Route struct {
	Owner    string   `toml:"owner"`
	Kind     string   `toml:"kind"`     // such as usage.*
	Severity string   `toml:"severity"` // this or worse
	To       []string `toml:"to"`       // names of targets; empty is nobody
}

// Target is one place that alerts are delivered to.
type Target struct {
	Name string `toml:"name"`
	// Kind is slack, teams, pagerduty, webhook, smtp, syslog, github-issue or exec.
	Kind string `toml:"kind"`
	// URL is https://… for a webhook, or env:NAME or file:PATH that holds it: those
	// of Slack and Teams are secrets themselves. For pagerduty and github-issue it is
	// where the interface begins, if that is not the vendor's usual place.
	URL string `toml:"url"`
	// Key is env:NAME or file:PATH: the signing secret of a webhook (whsec_…), the
	// routing key of PagerDuty, the password of SMTP, the token of GitHub.
	Key string `toml:"key"`
	// Private: the host may have a private address.
	Private bool `toml:"private"`
	// Address of smtp (host:port) or syslog (udp://, tcp:// or tls://host:port).
	Address string `toml:"address"`
	// User, From and To are for smtp.
	User string   `toml:"user"`
	From string   `toml:"from"`
	To   []string `toml:"to"`
	// Repository is owner/name, for github-issue.
	Repository string `toml:"repository"`
	// CAFile holds certificates, in PEM, that are trusted for it instead of the
	// system's.
	CAFile string `toml:"ca_file"`
	// Each is for a webhook: a call for each alert, with its incident as it is now.
	Each bool `toml:"each"`
	// Command is a program and its arguments for exec, run for each alert; Env are
	// variables that it gets, and Timeout what it may take, 10s if empty.
	Command []string `toml:"command"`
	Env     []string `toml:"env"`
	Timeout string   `toml:"timeout"`
	// MinSeverity is the least it is told of: info, warning or critical.
	MinSeverity string `toml:"min_severity"`
	// Hold is how long after a message further alerts below critical are gathered
	// into the next one; 10s if empty, 0s for none.
	Hold string `toml:"hold"`

	hold    time.Duration
	timeout time.Duration
}

// single reports whether a target is told of each alert by itself.
func (t Target) single() bool { return t.Kind == "exec" || t.Each }

// defaultHold keeps a burst from being a message each: ten seconds is what a person
// takes to open the first one.
const defaultHold = 10 * time.Second

// maxHold bounds Hold: an alert that comes a day late is none.
const maxHold = time.Hour

var severities = []string{alert.Info, alert.Warning, alert.Critical}

// atLeast reports whether a severity is min or worse; an empty min is any.
func atLeast(severity, min string) bool {
	return slices.Index(severities, severity) >= slices.Index(severities, min)
}

// Below makes the paths of a configuration ones from a folder.
func (c *Config) Below(dir string) {
	for i := range c.Targets {
		t := &c.Targets[i]
		t.URL, t.Key = credential.Below(dir, t.URL), credential.Below(dir, t.Key)
		if t.CAFile != "" {
			t.CAFile = strings.TrimPrefix(credential.Below(dir, "file:"+t.CAFile), "file:")
		}
	}
}

// Check reports what is wrong with a configuration, as far as it can be told
// without reading credentials or calling anybody.
func (c *Config) Check() error {
	names := map[string]bool{}
	for i := range c.Targets {
		t := &c.Targets[i]
		if t.Name == "" || names[t.Name] {
			return fmt.Errorf("notify target %d: want a name of its own", i+1)
		}
		names[t.Name] = true
		if err := t.check(); err != nil {
			return fmt.Errorf("notify target %q: %w", t.Name, err)
		}
	}
	for i, r := range c.Routes {
		for _, p := range []string{r.Owner, r.Kind} {
			if _, err := path.Match(p, ""); err != nil {
				return fmt.Errorf("notify route %d: pattern %q: %w", i+1, p, err)
			}
		}
		if r.Severity != "" && !slices.Contains(severities, r.Severity) {
			return fmt.Errorf("notify route %d: severity %q: want one of %q", i+1, r.Severity, severities)
		}
		for _, name := range r.To {
			if !names[name] {
				return fmt.Errorf("notify route %d: there is no target %q", i+1, name)
			}
		}
	}
	for _, name := range c.Default {
		if !names[name] {
			return fmt.Errorf("notify default: there is no target %q", name)
		}
	}
	return nil
}

func (t *Target) check() error {
	if t.MinSeverity != "" && !slices.Contains(severities, t.MinSeverity) {
		return fmt.Errorf("min_severity %q: want one of %q", t.MinSeverity, severities)
	}
	if t.hold = defaultHold; t.single() { // there is no message that more could be gathered into
		t.hold = 0
	}
	if t.Hold != "" {
		d, err := time.ParseDuration(t.Hold)
		if err != nil || d < 0 || d > maxHold {
			return fmt.Errorf("hold %q: want a time up to %s, such as 30s", t.Hold, maxHold)
		}
		t.hold = d
	}
	if t.Key != "" && !credential.OK(t.Key) {
		return errors.New("key: want env:NAME or file:PATH") // what stands there may be the key
	}
	if t.Each && t.Kind != "webhook" {
		return errors.New("each is for kind webhook")
	}
	if t.Kind != "exec" && (t.Command != nil || t.Env != nil || t.Timeout != "") {
		return errors.New("command, env and timeout are for kind exec")
	}
	switch t.Kind {
	case "exec":
		return t.checkExec()
	case "slack", "teams":
		if !credential.OK(t.URL) {
			return errors.New("url: want env:NAME or file:PATH, since the address is a secret")
		}
	case "webhook":
		if t.Key == "" {
			return errors.New("key is missing: calls are always signed")
		}
		if u, err := url.Parse(t.URL); !credential.OK(t.URL) && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
			return errors.New("url: want https://host/path, env:NAME or file:PATH")
		}
	case "pagerduty":
		if t.Key == "" {
			return errors.New("key is missing: the routing key of the service")
		}
		return t.checkBase("https://events.eu.pagerduty.com")
	case "smtp":
		return t.checkMail()
	case "syslog":
		if u, err := url.Parse(t.Address); err != nil || !slices.Contains([]string{"udp", "tcp", "tls"}, u.Scheme) || u.Port() == "" || u.Path != "" {
			return fmt.Errorf("address %q: want udp://host:port, tcp://host:port or tls://host:port", t.Address)
		}
	case "github-issue":
		if owner, name, ok := strings.Cut(t.Repository, "/"); !ok || owner == "" || name == "" || strings.Contains(name, "/") || t.Key == "" {
			return errors.New("want repository owner/name, and key: a token with issues: write")
		}
		return t.checkBase("https://github.acme.example/api/v3")
	default:
		return fmt.Errorf("kind %q: want slack, teams, pagerduty, webhook, smtp, syslog, github-issue or exec", t.Kind)
	}
	return nil
}

// checkBase is for an address that a path is put behind.
func (t *Target) checkBase(such string) error {
	u, err := url.Parse(t.URL)
	if t.URL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || strings.HasSuffix(t.URL, "/")) {
		return fmt.Errorf("url: want none, or such as %s", such)
	}
	return nil
}

func (t *Target) checkExec() error {
	if t.Timeout != "" {
		d, err := time.ParseDuration(t.Timeout)
		if err != nil || d <= 0 {
			return fmt.Errorf("timeout %q: want a time such as 5s", t.Timeout)
		}
		t.timeout = d
	}
	return t.program().Check()
}

func (t *Target) checkMail() error {
	if host, port, ok := strings.Cut(t.Address, ":"); !ok || host == "" || port == "" {
		return fmt.Errorf("address %q: want host:port", t.Address)
	}
	if len(t.To) == 0 {
		return errors.New("to is missing")
	}
	for _, a := range append([]string{t.From}, t.To...) {
		if _, err := mail.ParseAddress(a); err != nil {
			return fmt.Errorf("%q is no mail address", a)
		}
	}
	if (t.User == "") != (t.Key == "") {
		return errors.New("user and key (the password) belong together")
	}
	return nil
}

// wants reports whether a target is told of an alert.
func (c *Config) wants(t Target, a alert.Alert) bool {
	if !atLeast(a.Severity, t.MinSeverity) {
		return false
	}
	matched := false
	for _, r := range c.Routes {
		if !like(r.Owner, a.Owner) || !like(r.Kind, a.Kind) || !atLeast(a.Severity, r.Severity) {
			continue
		}
		matched = true
		if slices.Contains(r.To, t.Name) {
			return true
		}
	}
	return !matched && (len(c.Default) == 0 || slices.Contains(c.Default, t.Name))
}

func like(pattern, s string) bool {
	flat := strings.NewReplacer("/", "\x00").Replace // * means any text, and path.Match would stop at /
	ok, _ := path.Match(flat(pattern), flat(s))      // checked
	return pattern == "" || ok
}
