package usage

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/quench-dev/quench/registry/country"
)

// The simulator: tokens of several kinds over 30 days, with what makes a watch cry
// wolf (releases, deployments, holidays, trips, weekly jobs, refusals that nobody
// looks at), and misuse put into some of them.

const simDays = 30

// simStart is a Monday: rhythm is by the day of the week.
var simStart = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// misuse kinds.
const (
	abroad     = "theft, used abroad"
	enumerate  = "endpoints looked through"
	exfiltrate = "data drawn off"
	awaken     = "forgotten token used"
	twoPlaces  = "used at two places at once"
	probe      = "scopes tried"
	escalate   = "sensitive scope used"
	afterDeath = "used after revocation"
)

var misuses = []string{abroad, enumerate, exfiltrate, awaken, twoPlaces, probe, escalate, afterDeath}

// simToken is one token's month.
type simToken struct {
	kind   string // service, batch, person or pipeline
	misuse string // "" is none
	events []simEvent
	from   time.Time // misuse has left the token's own p99.9 here
}

type simEvent struct {
	Event
	bad bool
}

// simulate makes a token of a seed; misuse is put into it where it is named.
func simulate(seed uint64, misuse string) *simToken {
	g := &generator{r: rand.New(rand.NewPCG(seed, 7)), t: &simToken{misuse: misuse}}
	g.profile()
	g.benign()
	g.inject()
	slices.SortStableFunc(g.t.events, func(a, b simEvent) int { return a.At.Compare(b.At) })
	return g.t
}

type generator struct {
	r         *rand.Rand
	t         *simToken
	perHour   float64 // in a busy hour
	endpoints []string
	late      map[string]time.Time // endpoints that come later
	home      string
	also      []string // countries it is used from all the time
	nets      []netip.Addr
	agents    []string
	scopes    []string
	deploys   float64 // a week
	until     float64 // day it falls silent
	holiday   [2]float64
	trip      [3]float64 // begin and end in days, and whether both places are used
	tripTo    string
	denials   float64 // a day, of one scope it does not have
}

var simCountries = []string{"DE", "US", "FR", "GB", "IN", "BR", "JP", "PL", "CA", "AU", "NL", "SG"}

func (g *generator) other(than string) string {
	for {
		if c := simCountries[g.r.IntN(len(simCountries))]; c != than && !slices.Contains(g.also, c) {
			return c
		}
	}
}

func (g *generator) profile() {
	r := g.r
	logUniform := func(lo, hi float64) float64 { return lo * math.Pow(hi/lo, r.Float64()) }
	switch x := r.Float64(); {
	case x < 0.4:
		g.t.kind, g.perHour = "service", logUniform(1, 60)
		if r.Float64() < 0.3 {
			g.deploys = 2
		}
	case x < 0.6:
		g.t.kind, g.perHour = "batch", logUniform(2, 60) // a run
	case x < 0.8:
		g.t.kind, g.perHour = "person", logUniform(1, 20)
	default:
		g.t.kind, g.perHour = "pipeline", logUniform(5, 60) // a run
	}
	n := int(logUniform(2, 40))
	for i := range n {
		g.endpoints = append(g.endpoints, fmt.Sprintf("GET /v1/%c%d", 'a'+i%26, i/26))
	}
	g.late = map[string]time.Time{}
	if r.Float64() < 0.05 { // a release, which brings some
		at := simStart.Add(time.Duration(r.Float64() * simDays * float64(24*time.Hour)))
		for i := range 1 + r.IntN(4) {
			e := fmt.Sprintf("GET /v2/new%d", i)
			g.endpoints, g.late[e] = append(g.endpoints, e), at
		}
	}
	g.home = simCountries[r.IntN(len(simCountries))]
	if g.t.kind == "service" && r.Float64() < 0.2 {
		g.also = []string{g.other(g.home)}
	}
	for range 1 + r.IntN(4) {
		g.nets = append(g.nets, netip.AddrFrom4([4]byte{198, byte(18 + r.IntN(2)), byte(r.IntN(256)), byte(r.IntN(256))}))
	}
	g.agents = []string{[]string{"curl", "Go-http-client", "python-requests", "okhttp", "Mozilla"}[r.IntN(5)]}
	g.scopes = []string{"read:items", "write:items"}
	if r.Float64() < 0.1 {
		g.scopes = append(g.scopes, "admin:users")
	}
	g.until = simDays
	if r.Float64() < 0.02 { // a new country within the month
		begin := r.Float64() * simDays
		g.trip, g.tripTo = [3]float64{begin, begin + 2 + 8*r.Float64(), float64(r.IntN(2))}, g.other(g.home)
		if g.trip[2] == 1 {
			g.trip[1] = simDays // a new region, for good
		}
	}
	if g.t.kind == "person" && r.Float64() < 0.1 {
		begin := math.Floor(r.Float64()*4)*7 + 5
		g.holiday = [2]float64{begin, begin + []float64{9, 16}[r.IntN(2)]}
	}
	if r.Float64() < 0.05 {
		g.denials = logUniform(0.2, 24)
	}
	if g.t.misuse == awaken {
		g.until, g.holiday, g.denials = 8.5, [2]float64{}, 0
	}
}

// rhythm is how busy an hour of the month is, from 0 to 1.
func (g *generator) rhythm(h int) float64 {
	d, o := h/24, h%24
	weekend := d%7 >= 5
	switch g.t.kind {
	case "person":
		if weekend || o < 8 || o > 18 {
			return 0
		}
		return 0.6
	case "service":
		x := 0.3 + 0.7*math.Exp(-math.Pow(float64(o)-13, 2)/18)
		if weekend {
			x *= 0.5
		}
		return x
	}
	return 0
}

func (g *generator) poisson(lambda float64) int {
	if lambda > 40 {
		return max(0, int(math.Round(lambda+math.Sqrt(lambda)*g.r.NormFloat64())))
	}
	n, p, l := 0, g.r.Float64(), math.Exp(-lambda)
	for p > l {
		p *= g.r.Float64()
		n++
	}
	return n
}

// at is a moment, in days from the beginning.
func at(days float64) time.Time { return simStart.Add(time.Duration(days * float64(24*time.Hour))) }

// use is one benign use at a time in days.
func (g *generator) use(days float64) {
	if days >= g.until || days >= g.holiday[0] && days < g.holiday[1] || days >= simDays {
		return
	}
	e := Event{At: at(days), Method: "GET", Scope: g.scopes[g.r.IntN(len(g.scopes))], Address: g.nets[g.r.IntN(len(g.nets))], Agent: g.agents[0], Country: g.home}
	for { // Zipf, roughly: the first endpoints are called most
		e.Endpoint = g.endpoints[int(float64(len(g.endpoints))*math.Pow(g.r.Float64(), 2))]
		if !e.At.Before(g.late[e.Endpoint]) {
			break
		}
	}
	if len(g.also) > 0 && g.r.Float64() < 0.4 {
		e.Country = g.also[0]
	}
	if g.tripTo != "" && days >= g.trip[0] && days < g.trip[1] && (g.trip[2] == 0 || g.r.Float64() < 0.5) {
		e.Country = g.tripTo
		e.Address = netip.AddrFrom4([4]byte{203, 0, 113, byte(g.r.IntN(256))})
	}
	g.t.events = append(g.t.events, simEvent{Event: e})
}

// run is n uses within minutes.
func (g *generator) run(days, minutes float64, n int) {
	for range n {
		g.use(days + g.r.Float64()*minutes/60/24)
	}
}

func (g *generator) benign() {
	if g.t.misuse == twoPlaces {
		// One country before the move, and not another each time.
		old := g.other(g.home)
		for km, _ := country.Distance(old, g.home); km < 2000; km, _ = country.Distance(old, g.home) {
			old = g.other(g.home) // of near ones nobody can tell
		}
		defer func() {
			for i := range g.t.events {
				if e := &g.t.events[i]; e.At.Before(at(3)) && !e.bad {
					e.Country = old
				} else if !e.bad {
					e.Country = g.home
				}
			}
		}()
		g.also, g.tripTo = nil, ""
	}
	every, offset := []float64{1.0 / 24, 0.25, 1, 7}[g.r.IntN(4)], g.r.Float64()
	if g.t.kind == "batch" {
		for d := offset * every; d < simDays; d += every {
			g.run(d+0.003*g.r.Float64(), 1+9*g.r.Float64(), 1+g.poisson(g.perHour))
		}
	}
	for h := range simDays * 24 {
		for range g.poisson(g.perHour * g.rhythm(h)) {
			g.use((float64(h) + g.r.Float64()) / 24)
		}
		if o := h % 24; g.t.kind == "pipeline" && h/24%7 < 5 && o >= 8 && o < 19 {
			for range g.poisson(0.4) {
				g.run((float64(h)+g.r.Float64())/24, 1+4*g.r.Float64(), 1+g.poisson(g.perHour))
			}
		}
		if g.r.Float64() < g.deploys/168 { // a service starts anew, and reads its world
			minutes := 1 + 4*g.r.Float64()
			g.run((float64(h)+g.r.Float64())/24, minutes, int(minutes*(5+g.perHour/60*(2+6*g.r.Float64()))))
		}
		for range g.poisson(g.denials / 24) {
			g.t.events = append(g.t.events, simEvent{Event: Event{At: at((float64(h) + g.r.Float64()) / 24), Scope: "write:config", Method: "GET", Endpoint: g.endpoints[0],
				Outcome: Denied, Address: g.nets[0], Agent: g.agents[0], Country: g.home}})
		}
	}
}

// inject puts misuse in, on a day when the token has been watched for a while.
func (g *generator) inject() {
	if g.t.misuse == "" {
		return
	}
	r := g.r
	start := 10 + r.Float64()*(simDays-11)
	if g.t.misuse == awaken {
		start = 28 + r.Float64()*1.5
	}
	base := Event{Method: "GET", Scope: g.scopes[0], Address: g.nets[0], Agent: g.agents[0], Country: g.home, Endpoint: g.endpoints[0]}
	if r.Float64() < 0.5 {
		base.Agent, base.Address = "curl", netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(256))})
	}
	gap, n := 1+59*r.Float64(), 60 // seconds between two, and how many
	if g.t.misuse == exfiltrate {
		// Four to forty times what the token's own minutes reach, one in a thousand
		// being higher; and never so slow that a person could be it.
		perMinute := max(60, g.quantile(0.999, time.Minute, func([]simEvent) float64 { return 0 })) * 4 * math.Pow(10, r.Float64())
		gap, n = 60/perMinute, int(3*perMinute)
	}
	if g.t.misuse == enumerate {
		gap, n = 0.5+20*r.Float64(), 150
	}
	when := at(start)
	if g.t.misuse == twoPlaces { // while it is in use
		var later []time.Time
		for _, e := range g.t.events {
			if e.At.After(when) {
				later = append(later, e.At)
			}
		}
		if len(later) == 0 {
			later = []time.Time{g.t.events[len(g.t.events)-1].At}
		}
		when = later[r.IntN(len(later))].Add(time.Duration(r.Float64() * float64(10*time.Minute)))
		start = when.Sub(simStart).Hours() / 24
	}
	home := g.homeBefore(when)
	for i := range n {
		e := base
		e.At = when
		when = when.Add(time.Duration(gap * (0.5 + r.Float64()) * float64(time.Second)))
		switch g.t.misuse {
		case abroad:
			e.Country = "VN" // of no other token
			e.Endpoint = g.endpoints[r.IntN(len(g.endpoints))]
		case enumerate:
			e.Endpoint = fmt.Sprintf("GET /internal/%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+r.IntN(26))
		case exfiltrate, awaken:
			e.Endpoint = g.endpoints[r.IntN(len(g.endpoints))]
		case twoPlaces:
			e.Country = home
		case probe:
			e.Outcome, e.Scope = Denied, fmt.Sprintf("read:table%d", i)
		case escalate:
			e.Scope = "delete:items"
		case afterDeath:
			e.Outcome = Dead
		}
		g.t.events = append(g.t.events, simEvent{e, true})
	}
	g.left(at(start))
}

// homeBefore is the country the token moved from, where it did.
func (g *generator) homeBefore(time.Time) string {
	for _, e := range g.t.events {
		if e.Country != g.home {
			return e.Country
		}
	}
	return g.other(g.home)
}

// left finds when misuse has left the token's own p99.9: at once, but for counts.
func (g *generator) left(start time.Time) {
	g.t.from = start
	var width time.Duration
	var measure func([]simEvent) float64
	switch g.t.misuse {
	case exfiltrate:
		width, measure = time.Minute, func(e []simEvent) float64 { return float64(len(e)) }
	case enumerate:
		width, measure = time.Hour, func(e []simEvent) float64 {
			m := map[string]bool{}
			for i := range e {
				m[e[i].Endpoint] = true
			}
			return float64(len(m))
		}
	default:
		return
	}
	own := g.quantile(0.999, width, measure)
	events := slices.SortedStableFunc(slices.Values(g.t.events), func(a, b simEvent) int { return a.At.Compare(b.At) })
	first := 0
	for i := range events {
		for events[first].At.Before(events[i].At.Add(-width)) {
			first++
		}
		if events[i].bad && measure(events[first:i+1]) > own {
			g.t.from = events[i].At
			return
		}
	}
	g.t.from = events[len(events)-1].At // it never left: nothing is asked
}

// quantile is that of a measure over all windows of a width of benign use, idle ones
// too. A nil-like measure counts.
func (g *generator) quantile(q float64, width time.Duration, measure func([]simEvent) float64) float64 {
	by := map[int64][]simEvent{}
	for _, e := range g.t.events {
		if !e.bad {
			k := int64(e.At.Sub(simStart) / width)
			by[k] = append(by[k], e)
		}
	}
	var all []float64
	for _, e := range by {
		if v := measure(e); v > 0 {
			all = append(all, v)
		} else {
			all = append(all, float64(len(e)))
		}
	}
	slices.SortFunc(all, func(a, b float64) int { return cmp.Compare(b, a) })
	i := int(float64(simDays*24*time.Hour/width) * (1 - q))
	if i >= len(all) {
		return 0
	}
	return all[i]
}
