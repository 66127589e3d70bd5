// Package usage learns how each token is used and says what is not like it: a new
// country, many new endpoints, a burst, a use after months of silence.
//
// It keeps a few hundred bytes a token, learns from events in their order, and
// judges each event against what it learned from those before. It knows neither
// databases nor log formats, who is told, or what a token's value is; rows and
// alerts are package watch's. Start reading at State.Observe, then Policy.
package usage

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/country"
)

// Event is one use of a token, or N alike.
type Event struct {
	At      time.Time
	N       uint64 // 0 is 1
	Outcome Outcome
	Scope   string // that was asked for, action:resource; empty is not known
	// Method and Endpoint are what was called; Endpoint is as Endpoint gives it, and
	// empty where it is not known. Then the scope stands for it.
	Method, Endpoint string
	Agent            string // as Agent gives it
	Address          netip.Addr
	Country          string        // ISO 3166-1 alpha-2; empty is not known
	Point            country.Point // where a database tells it better than by country
	// Served reports that a service granted the use, whatever the registry says.
	Served bool
}

// Outcome is how a use was answered.
type Outcome uint8

// The outcomes.
const (
	Allowed Outcome = iota
	Denied          // the token is alive and may not do that, or not from there
	Refused         // expired, suspended or used up
	Dead            // revoked
)

// Signal names a kind of alert.
type Signal string

// The signals.
const (
	NewCountry       Signal = "new_country"
	ImpossibleTravel Signal = "impossible_travel"
	EndpointSpread   Signal = "endpoint_spread"
	Burst            Signal = "burst"
	Dormant          Signal = "dormant"
	SensitiveScope   Signal = "sensitive_scope"
	AfterRevocation  Signal = "after_revocation"
	DeniedProbing    Signal = "denied_probing"
)

// Signals are all of them, in the order they are stored.
var Signals = []Signal{NewCountry, ImpossibleTravel, EndpointSpread, Burst, Dormant, SensitiveScope, AfterRevocation, DeniedProbing}

// Finding is what Observe found unlike the token.
type Finding struct {
	Signal   Signal
	At       time.Time
	Critical bool // the token is, or may be, in wrong hands
	Title    string
	Advice   string
	Numbers  map[string]string // behind it
}

// ErrPolicy: a policy that says what cannot be.
var ErrPolicy = errors.New("invalid usage policy")

// Policy says what is alarming. Its zero value has the defaults.
type Policy struct {
	// Learning is how long a token is only learned from; zero is DefaultLearning.
	// Signals that need no normal (a use after revocation, and denied probing) are
	// told from the first event.
	Learning Span `toml:"learning"`
	// Sensitivity of a signal: "off", "low" (thresholds are doubled), "normal" or
	// "high" (halved). Unnamed is normal.
	Sensitivity map[Signal]string `toml:"sensitivity"`
	// SensitiveScopes are patterns of scopes whose first use is told; nil is
	// DefaultSensitive.
	SensitiveScopes []string `toml:"sensitive_scopes"`
	// Suspend names signals that suspend the token at once; none by default, since
	// a wrong guess stops a service.
	Suspend []Signal `toml:"suspend"`
	// Countries is the path of a database in MaxMind's format, by country or city.
	Countries string `toml:"country_database"`
}

// DefaultLearning is a week: the shortest time that shows a week's rhythm.
const DefaultLearning = 7 * 24 * time.Hour

// DefaultSensitive are the scopes that a thief asks for first.
var DefaultSensitive = []string{"admin:**", "delete:**", "admin/**:**", "*:secrets/**", "*:tokens/**"}

// Span is a duration that may be written in days or weeks, such as 7d.
type Span time.Duration

// UnmarshalText reads a duration.
func (s *Span) UnmarshalText(b []byte) error {
	text, unit := string(b), time.Duration(0)
	for suffix, d := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = n+"h", d/time.Hour
		}
	}
	d, err := time.ParseDuration(text)
	if unit > 0 {
		d *= unit
	}
	if err != nil || d < time.Hour || d > 90*24*time.Hour {
		return fmt.Errorf("%q is no duration from 1h to 90d", bound.Clip(string(b)))
	}
	*s = Span(d)
	return nil
}

// Check says what is wrong with a policy.
func (p *Policy) Check() error {
	known := func(s Signal) error {
		if !slices.Contains(Signals, s) {
			return fmt.Errorf("%w: unknown signal %q; they are %s", ErrPolicy, bound.Clip(string(s)), Names())
		}
		return nil
	}
	for _, s := range slices.Sorted(maps.Keys(p.Sensitivity)) {
		if err := known(s); err != nil {
			return err
		}
		if _, ok := factors[p.Sensitivity[s]]; !ok {
			return fmt.Errorf("%w: sensitivity of %s is %q; it is off, low, normal or high", ErrPolicy, s, bound.Clip(p.Sensitivity[s]))
		}
	}
	for _, s := range p.Suspend {
		if err := known(s); err != nil {
			return err
		}
	}
	for _, s := range p.SensitiveScopes {
		if err := bound.CheckScope(s, false); err != nil {
			return fmt.Errorf("%w: sensitive_scopes: %w", ErrPolicy, err)
		}
	}
	return nil
}

// String says what a policy does beyond the defaults.
func (p *Policy) String() string {
	suspends, by := "suspends nothing", "no country database"
	if len(p.Suspend) > 0 {
		suspends = "suspends on"
		for _, s := range p.Suspend {
			suspends += " " + string(s)
		}
	}
	if p.Countries != "" {
		by = "countries by " + p.Countries
	}
	return suspends + "; " + by
}

// Names lists the signals.
func Names() string {
	var all []string
	for _, s := range Signals {
		all = append(all, string(s))
	}
	return strings.Join(all, ", ")
}

// factors are what thresholds are multiplied by; 0 is off.
var factors = map[string]float64{"": 1, "normal": 1, "low": 2, "high": 0.5, "off": 0}

func (p *Policy) factor(s Signal) float64 { return factors[p.Sensitivity[s]] }

func (p *Policy) learning() int64 {
	if p.Learning == 0 {
		return int64(DefaultLearning / time.Second)
	}
	return int64(time.Duration(p.Learning) / time.Second)
}

func (p *Policy) sensitive(scope string) bool {
	patterns := p.SensitiveScopes
	if patterns == nil {
		patterns = DefaultSensitive
	}
	return slices.ContainsFunc(patterns, func(s string) bool { return bound.Covers(s, scope) })
}
