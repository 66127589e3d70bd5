package decide

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	// KillSwitch is what is said while it is on.
	KillSwitch = `the kill switch is on (revoke = "off" in the policy, or QUENCH_REVOKE=off)`
	// BrakeMost is how many secrets that rules found are revoked within BrakeTime
	// without a person: a wrong rule, or a planted file, does no more harm than that.
	BrakeMost = 10
	BrakeTime = time.Hour
)

// Policy is all that decides about a leak.
type Policy struct {
	Rules Rules
	// Protect holds what is never revoked without a person: names of providers,
	// patterns of rules and paths.
	Protect struct{ Providers, Rules, Paths []string }
	Off     bool // the kill switch
	Auto    bool // the command may revoke
	// Issuers are the providers that may be called for what a rule finds, the first
	// one first; Place names a provider and its host for people.
	Issuers func(rule string) []string
	Place   func(provider string) string
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
	w := Plan{Leak: l, Do: d.Do, Why: d.Why, At: p.Place(l.Provider)}
	switch {
	case w.Do == Revoke && p.protects(l):
		w.Do, w.Kept, w.Protected = Report, "the policy protects it", true
	case w.Calls() && p.Off:
		w.Do, w.Kept = Ask, KillSwitch
	case w.Calls() && !p.Auto:
		w.Do, w.Kept = Report, "--revoke=auto would "+string(w.Do)+" it"
	case w.Do == Revoke && lately >= BrakeMost:
		w.Do, w.Kept = Ask, fmt.Sprintf("%d secrets were revoked within the hour, and the next waits for a person", lately)
	case w.Do == Ask:
		w.Kept = "the policy asks a person first"
	}
	return w
}

func (p *Policy) protects(l Leak) bool {
	return slices.Contains(p.Protect.Providers, l.Provider) || len(p.Protect.Rules) > 0 && Any(p.Protect.Rules, l.Rule) ||
		len(p.Protect.Paths) > 0 && Any(p.Protect.Paths, l.Path)
}

// Calls reports whether the provider is called.
func (w *Plan) Calls() bool { return w.Do == Check || w.Do == Revoke }

// Does says what is done.
func (w *Plan) Does() string {
	switch w.Do {
	case Ask:
		return "not revoked: " + w.Kept + "; quench incident confirm ends it at " + w.At
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
		lines = append(lines, line)
	}
	if len(p.Rules) == 0 {
		lines = append(lines, "no secret of a provider is checked or revoked")
	} else {
		lines = append(lines, fmt.Sprintf("without a person, at most %d secrets that rules found are revoked an hour", BrakeMost))
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
// each what --revoke=auto would do. It calls nobody, and opens no registry: brakes
// begin at zero, and what a registry knows of a token is not known.
func (p *Policy) Simulate(in io.Reader, tell func(where, what string) error) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, maxReportLine)
	lately := 0
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
			if err := tell(where, "would revoke token "+f.Token+" of the registry, unless it is dead or protected"); err != nil {
				return err
			}
			continue
		}
		l := Leak{Rule: f.Rule, Source: f.Source, Path: f.Path, Refs: f.Refs, Confidence: f.Confidence}
		w := p.Named(l, lately)
		if w.Do == Revoke {
			lately++
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
