package decide

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	// KillSwitch is what is said while it is on.
	KillSwitch = `the kill switch is on (revoke = "off" in the policy, or QUENCH_REVOKE=off)`
	// SecretsPerHour is how many secrets that rules found are revoked within BrakeTime
	// without a person: a wrong rule, or a planted file, does no more harm than that.
	SecretsPerHour = 10
	// TokensPerHour is the same of tokens that the registry knows exactly, or
	// TokensPercent of those that are live, where that is more.
	TokensPerHour = 100
	TokensPercent = 1
	BrakeTime     = time.Hour
)

// Brake is how much is revoked within an hour without a person. Zero is the default.
type Brake struct {
	// Secrets are those that rules found; what is more waits for a person.
	Secrets int `toml:"secrets_per_hour"`
	// Tokens are those of the registry; what is more is suspended and waits. A number
	// holds however many are live.
	Tokens int `toml:"tokens_per_hour"`
}

// Check refuses what cannot be meant.
func (b Brake) Check() error {
	if b.Secrets < 0 || b.Tokens < 0 {
		return errors.New("brake: want numbers from 1; the kill switch is revoke = \"off\"")
	}
	return nil
}

// MostSecrets and MostTokens are the brakes, MostTokens where so many tokens are live.
func (b Brake) MostSecrets() int { return cmp.Or(b.Secrets, SecretsPerHour) }

// MostTokens is described at MostSecrets.
func (b Brake) MostTokens(live int) int {
	return cmp.Or(b.Tokens, max(TokensPerHour, live*TokensPercent/100))
}

// Lately is what was decided on without a person within BrakeTime.
type Lately struct {
	Secrets, Tokens int
	Live            int // tokens that are live
}

// Policy is all that decides about a leak.
type Policy struct {
	Rules Rules
	Brake Brake
	// Tokens holds back the revocation of tokens of the registry.
	Tokens Final
	// Protect holds what is never revoked without a person: names of providers,
	// patterns of rules and paths.
	Protect struct{ Providers, Rules, Paths []string }
	Off     bool // the kill switch
	Auto    bool // the command may revoke
	// Issuers are the providers that may be called for what a rule finds, the first
	// one first; Place names a provider and its host for people.
	Issuers func(rule string) []string
	Place   func(provider string) string
	// Undoes reports whether what a provider does can be undone; nil of none.
	Undoes func(provider string) bool
	Now    func() time.Time // nil is time.Now
}

func (p *Policy) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// Plan is what is to be done about one leak.
type Plan struct {
	Leak Leak
	Do   Action
	Why  string // which entry of the policy says so
	// Kept is why less is done than that entry says; Protected says that it is
	// because the policy protects the leak.
	Kept      string
	Protected bool
	At        string // the provider and its host, for people
	Braked    bool   // by the brake
	// Until is when what waits is done by itself.
	Until time.Time
	Final Final // of the entry
	Undo  bool  // what is done can be undone, and then be made final
}

// Named finds the provider whom the policy wants called about a leak, and the plan for
// it; a plan to report where there is none.
func (p *Policy) Named(l Leak, lately int) Plan {
	for _, l.Provider = range p.Issuers(l.Rule) {
		if w := p.Plan(l, lately); w.Why != "" && p.Rules.Decide(l).Do != Report {
			return w
		}
	}
	l.Provider = ""
	return Plan{Leak: l, Do: Report, Why: "no entry of the policy names it"}
}

// Plan is what is done about a leak of l.Provider, when lately secrets were revoked
// within the brake's time.
func (p *Policy) Plan(l Leak, lately int) Plan {
	d := p.Rules.Decide(l)
	w := Plan{Leak: l, Do: d.Do, Why: d.Why, At: p.Place(l.Provider), Final: d.Final, Undo: p.Undoes != nil && p.Undoes(l.Provider)}
	var h Hold
	if !w.Undo && w.Do == Revoke {
		h = d.Final.Hold(p.now())
	}
	switch {
	case w.Do == Revoke && p.Protects(l):
		w.Do, w.Kept, w.Protected = Report, "the policy protects it", true
	case w.Calls() && p.Off:
		w.Do, w.Kept = Ask, KillSwitch
	case w.Calls() && !p.Auto:
		w.Do, w.Kept = Report, "--revoke=auto would "+string(w.Do)+" it"
	case w.Do == Revoke && lately >= p.Brake.MostSecrets():
		w.Do, w.Braked, w.Kept = Ask, true, fmt.Sprintf("%d secrets were revoked within the hour, and the next waits for a person", lately)
	case h.Ask:
		w.Do, w.Kept = Ask, h.Why
	case h.Held():
		w.Do, w.Until, w.Kept = Wait, h.Until, h.Why
	case w.Do == Ask && len(w.Final.Approvers) > 0:
		w.Kept = "the policy asks " + Names(w.Final.Approvers) + " first"
	case w.Do == Ask:
		w.Kept = "the policy asks a person first"
	}
	return w
}

// Protects reports whether a leak is not to be revoked without a person.
func (p *Policy) Protects(l Leak) bool {
	return slices.Contains(p.Protect.Providers, l.Provider) || len(p.Protect.Rules) > 0 && Any(p.Protect.Rules, l.Rule) ||
		len(p.Protect.Paths) > 0 && Any(p.Protect.Paths, l.Path)
}

// Calls reports whether the provider is called.
func (w *Plan) Calls() bool { return w.Do == Check || w.Do == Revoke }

// Stamp is how a time to come is told to people.
const Stamp = "2006-01-02 15:04:05 UTC"

// Does says what is done.
func (w *Plan) Does() string {
	switch w.Do {
	case Ask:
		return "not revoked: " + w.Kept + "; quench incident confirm ends it at " + w.At
	case Wait:
		return "not revoked before " + w.Until.UTC().Format(Stamp) + ": " + w.Kept + "; quench incident confirm ends it now at " + w.At
	case Revoke:
		return "revocation at " + w.At
	case Check:
		return "check at " + w.At
	}
	return "reported; " + w.Kept
}

// Would says what would be done.
func (w *Plan) Would() string {
	switch w.Do {
	case Ask:
		return "would ask: " + w.Kept
	case Wait:
		return "would revoke it at " + w.At + ", not before " + w.Until.UTC().Format(Stamp) + ": " + w.Kept
	case Revoke, Check:
		return "would " + string(w.Do) + " it at " + w.At + " (" + w.Why + ")"
	}
	return "would only report it: " + cmp.Or(w.Kept, w.Why)
}

// Allowed says in words what the policy allows to be done about leaked secrets of
// providers, a line each.
func (p *Policy) Allowed() (lines []string) {
	if p.Off {
		lines = append(lines, "nothing is revoked and no provider called: "+KillSwitch)
	}
	for i, l := range p.Rules {
		var when []string
		add := func(name string, list []string) {
			if len(list) > 0 {
				when = append(when, name+" "+strings.Join(list, ", "))
			}
		}
		add("rule", l.Rule)
		add("source", l.Source)
		add("path", l.Path)
		add("branch", l.Branch)
		add("environment", l.Environment)
		add("owner", l.Owner)
		if l.Confidence != "" {
			add("confidence from", []string{l.Confidence})
		}
		who := strings.Join(l.Provider, ", ")
		line := fmt.Sprintf("leak %d: secrets of %s are %s", i+1, cmp.Or(who, "anybody"), map[Action]string{Report: "reported only",
			Check: "checked", Ask: "revoked when a person confirms", Revoke: "revoked with --revoke=auto"}[l.Do])
		if len(when) > 0 {
			line += " where " + strings.Join(when, "; ")
		}
		if said := l.Final.Says(); said != "" {
			line += "; what cannot be undone, " + said
		}
		lines = append(lines, line)
	}
	if said := p.Tokens.Says(); said != "" {
		lines = append(lines, "tokens of the registry are suspended at once, and revoked "+said)
	}
	most := fmt.Sprintf("%d, or %d%% of those that are live where that is more", TokensPerHour, TokensPercent)
	if p.Brake.Tokens > 0 {
		most = fmt.Sprint(p.Brake.Tokens)
	}
	lines = append(lines, "without a person, at most so many tokens of the registry are revoked an hour: "+most+"; more are suspended")
	if len(p.Rules) == 0 {
		lines = append(lines, "no secret of a provider is checked or revoked")
	} else {
		lines = append(lines, fmt.Sprintf("without a person, at most %d secrets that rules found are revoked an hour", p.Brake.MostSecrets()))
	}
	return lines
}

// simulated is what a line of a report tells of a finding.
type simulated struct {
	Rule       string   `json:"rule_id"`
	Source     string   `json:"source"`
	Path       string   `json:"path"`
	Line       int      `json:"start_line"`
	Refs       []string `json:"refs"`
	Confidence string   `json:"confidence"`
	Token      string   `json:"token_id"`
	Ignored    string   `json:"ignored"`
	Dropped    string   `json:"dropped"`
}

// maxReportLine bounds a line of a report, in bytes: what a finding tells of its
// history is at most some hundred names.
const maxReportLine = 1 << 20

// Simulate reads findings, one JSON object a line as a scan writes them, and tells of
// each what --revoke=auto would do after what was done lately. It calls nobody and opens
// no registry: what that knows of a single token is not known.
func (p *Policy) Simulate(in io.Reader, lately Lately, tell func(where, what string) error) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, maxReportLine)
	seen := map[string]bool{}
	for n := 1; sc.Scan(); n++ {
		var f simulated
		if len(strings.TrimSpace(sc.Text())) == 0 {
			continue
		}
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
			return fmt.Errorf("line %d is no finding in JSON: want what scan --format jsonl writes", n)
		}
		if f.Rule == "" || f.Ignored != "" || f.Dropped != "" {
			continue // what is covered, or left out
		}
		where := fmt.Sprintf("%s:%d %s", f.Path, f.Line, f.Rule)
		if f.Token != "" {
			if err := tell(where, p.wouldToken(f.Token, &lately, seen)); err != nil {
				return err
			}
			continue
		}
		l := Leak{Rule: f.Rule, Source: f.Source, Path: f.Path, Refs: f.Refs, Confidence: f.Confidence}
		w := p.Named(l, lately.Secrets)
		if w.Do == Revoke || w.Do == Wait {
			lately.Secrets++
		}
		if err := tell(where, w.Would()); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("reading the findings: %w", err)
	}
	return nil
}

// Token is how the revocation of one more token of the registry is held back, and
// whether the brake does.
func (p *Policy) Token(lately Lately) (h Hold, braked bool) {
	if lately.Tokens >= p.Brake.MostTokens(lately.Live) {
		return Hold{Ask: true, Why: fmt.Sprintf("the brake: %d tokens of the registry were revoked within the hour, the most without a person", lately.Tokens)}, true
	}
	return p.Tokens.Hold(p.now()), false
}

// wouldToken says what would be done about a token of the registry.
func (p *Policy) wouldToken(id string, lately *Lately, seen map[string]bool) string {
	const unless = ", unless it is dead or protected"
	if p.Off {
		return "would only report it: " + KillSwitch
	}
	h, braked := p.Token(*lately)
	if !seen[id] && !braked {
		lately.Tokens++
	}
	switch {
	case seen[id]:
		return "token " + id + " of the registry again"
	case h.Ask:
		seen[id] = true
		return "would suspend token " + id + " of the registry and ask: " + h.Why + unless
	case h.Held():
		seen[id] = true
		return "would suspend token " + id + " of the registry, and revoke it after " + h.Until.UTC().Format(Stamp) + ": " + h.Why + unless
	}
	seen[id] = true
	return "would revoke token " + id + " of the registry" + unless
}
