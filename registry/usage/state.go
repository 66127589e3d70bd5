package usage

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/quench-dev/quench/registry/country"
)

// What is remembered by name, at most. Half of all tokens call fewer than a dozen
// endpoints, from fewer networks; what is beyond is counted.
const (
	maxEndpoints = 64
	maxMethods   = 16
	maxAgents    = 32
	maxNetworks  = 48
	maxScopes    = 64
	maxDenied    = 32
	maxCountries = 64
	maxPairs     = 32
)

// State is what is known of one token's use. Its zero value is a token that was
// never used. It is not safe for concurrent use.
type State struct {
	First, Last int64 // seconds since 1970
	Events      uint64
	Refusals    uint64 // of them

	endpoints, methods, agents, networks, scopes, denied set
	countries                                            set
	pairs                                                []pair // of countries that it is used from at once

	rate    rate
	spread  spread
	refused level // denials, faded by an hour
	probes  level // scopes never denied before, faded by an hour
	worst   high  // of refused
	gap     int64 // the longest silence, in seconds

	at    string // country of the last use whose country was known
	point country.Point
	atime int64

	told [8]int64 // when each signal was last told, in seconds since 1970
	hold int64    // nothing is learned of rates before
}

// pair is two countries, in the order of their codes, and how often the token went
// from one to the other faster than anybody travels.
type pair struct {
	a, b string
	hops uint64
}

// pair finds the pair of two countries, or makes it in the place of the oldest.
func (s *State) pair(a, b string) *pair {
	a, b = min(a, b), max(a, b)
	i := slices.IndexFunc(s.pairs, func(p pair) bool { return p.a == a && p.b == b })
	if i < 0 {
		if len(s.pairs) == maxPairs {
			s.pairs = slices.Delete(s.pairs, 0, 1)
		}
		s.pairs = append(s.pairs, pair{a: a, b: b})
		i = len(s.pairs) - 1
	}
	return &s.pairs[i]
}

const (
	// minEvents make a normal: with fewer, a second country is one of two.
	minEvents = 20
	// patience, in learning periods, is how long minEvents are waited for.
	patience = 4
	// quiet is how long a signal is not told again; the first alert is being looked
	// at, and a thousand more would hide the next token's.
	quiet = day
	// quietCountry is shorter: a second new country is news again.
	quietCountry = hour
	// holdFor is how long rates are not learned after an alert on them: misuse must
	// not become the normal it is held against.
	holdFor = hour
	// late is how far an event may lie before the last: logs of several servers are
	// read one after the other. Older ones are remembered, and not judged by time.
	late = hour
)

// learned reports whether the state is a normal to judge by.
func (s *State) learned(now int64, p *Policy) bool {
	age := now - s.First
	return age >= p.learning() && (s.Events-s.Refusals >= minEvents || age >= patience*p.learning())
}

// Observe judges e against what is known, learns from it, and returns what is unlike
// the token, mostly nothing. muted says which signals are not to be told.
func (s *State) Observe(e Event, p *Policy, muted func(Signal) bool) []Finding {
	e.N = max(1, e.N)
	now := e.At.Unix()
	if s.Events == 0 {
		s.First, s.Last = now, now
	}
	o := observation{s: s, e: &e, p: p, now: now, muted: muted, learned: s.learned(now, p), late: now < s.Last-late}
	o.now = max(now, s.Last) // small disorder is of one moment
	if e.Endpoint == "" {
		e.Endpoint = e.Scope
	}
	o.dead()
	o.dormant()
	o.network()
	o.country()
	o.scope()
	o.endpoints()
	o.burst()
	s.Events += e.N
	if e.Outcome != Allowed {
		s.Refusals += e.N
	}
	s.First, s.Last = min(s.First, now), max(s.Last, now)
	return o.found
}

// observation is one event on its way through the signals.
type observation struct {
	s       *State
	e       *Event
	p       *Policy
	now     int64
	muted   func(Signal) bool
	learned bool
	late    bool
	freshIP bool
	freshUA bool
	found   []Finding
}

// tell adds a finding, unless its signal is off, muted, or was told a short while
// ago. advice and numbers are made only where it does.
func (o *observation) tell(sig Signal, again int64, f func() Finding) bool {
	i := slices.Index(Signals, sig)
	if o.p.factor(sig) == 0 || o.muted != nil && o.muted(sig) {
		return false
	}
	if t := o.s.told[i]; t > 0 && o.now-t < again {
		return false
	}
	o.s.told[i] = o.now
	x := f()
	x.Signal, x.At = sig, o.e.At
	if x.Numbers == nil {
		x.Numbers = map[string]string{}
	}
	o.describe(x.Numbers)
	o.found = append(o.found, x)
	return true
}

// describe adds what is known of the event itself.
func (o *observation) describe(to map[string]string) {
	mark := func(v string, fresh bool) string {
		if fresh {
			return v + " (new)"
		}
		return v
	}
	if o.e.Address.IsValid() {
		to["address"] = mark(o.e.Address.Unmap().String(), o.freshIP)
	}
	if o.e.Agent != "" {
		to["agent"] = mark(o.e.Agent, o.freshUA)
	}
	if o.e.Country != "" {
		to["country"] = o.e.Country
	}
	if o.e.Endpoint != "" {
		to["endpoint"] = o.e.Endpoint
	}
	to["known_for"] = span(o.now - o.s.First)
	to["events"] = fmt.Sprint(o.s.Events)
}

func (o *observation) dead() {
	if o.e.Outcome != Dead {
		return
	}
	o.tell(AfterRevocation, quiet, func() Finding {
		if o.e.Served {
			return Finding{Critical: true, Title: "used after its revocation, and a service served it",
				Advice: "that service does not ask whether a token is alive: make it verify each use, and look at what was done since the revocation"}
		}
		return Finding{Critical: true, Title: "used after its revocation, and refused",
			Advice: "find who still holds it: a client that was not given the successor, or a thief; the address and agent tell which"}
	})
}

// minSilence is the shortest silence that is told, in seconds: a holiday of two weeks
// with the weekends around it is 16 days.
const minSilence = 18 * day

// minBefore uses make a token one that was used at all.
const minBefore = 3

func (o *observation) dormant() {
	silence := o.now - o.s.Last
	if o.late || silence < day {
		return
	}
	f := o.p.factor(Dormant)
	// A token that rests for a month, twice, is one that rests for a month.
	limit := f * max(minSilence, 2*float64(o.s.gap))
	if o.s.Last-o.s.First+silence >= o.p.learning() && o.s.Events >= minBefore && float64(silence) > limit {
		o.tell(Dormant, quiet, func() Finding {
			return Finding{Title: fmt.Sprintf("used again after %s of silence", span(silence)),
				Advice:  "ask its owner whether that was they; a token nobody uses is better revoked, and issued anew when it is needed",
				Numbers: map[string]string{"silence": span(silence), "longest_before": span(o.s.gap), "threshold": span(int64(limit))}}
		})
	}
	o.s.gap = max(o.s.gap, silence)
}

// network remembers where from and with what, which the other signals tell.
func (o *observation) network() {
	h := o.e.At.Unix() / hour
	if o.e.Address.IsValid() {
		o.freshIP = o.s.networks.add(networkOf(o.e.Address), o.e.N, h, maxNetworks) > 0
	}
	if o.e.Agent != "" {
		o.freshUA = o.s.agents.add(o.e.Agent, o.e.N, h, maxAgents) > 0
	}
	if o.e.Method != "" {
		o.s.methods.add(clip(printable(o.e.Method)), o.e.N, h, maxMethods)
	}
}

// networkOf is the /24 or /48 of an address: what one site or customer is given.
func networkOf(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // of a valid address, and few enough bits
	return p.String()
}

const (
	// slack is what is taken off a distance, in km: countries are not points, and
	// databases place an address where its owner's office is.
	slack = 500
	// fastest is the speed in km/h beyond which nobody travels: airliners do 900.
	fastest = 1000
)

// country tells a country that is new, or that nobody can have come to since the
// last use.
func (o *observation) country() {
	e, s := o.e, o.s
	if e.Country == "" {
		return
	}
	n := len(s.countries.items)
	fresh := s.countries.add(e.Country, e.N, e.At.Unix()/hour, maxCountries) > 0
	known := s.countries.items[:n]
	was, before, when := s.at, s.point, s.atime
	if !o.late {
		s.at, s.point, s.atime = e.Country, e.Point, e.At.Unix()
	}
	hop := was != "" && was != e.Country && !o.late
	km, speed := 0.0, 0.0
	if hop {
		km, speed = travel(was, e.Country, before, e.Point, e.At.Unix()-when)
	}
	numbers := func() map[string]string {
		m := map[string]string{"countries_before": countries(known)}
		if hop {
			m["from"], m["distance_km"], m["after"] = was, fmt.Sprintf("%.0f", km), span(e.At.Unix()-when)
		}
		return m
	}
	impossible := hop && speed > fastest*max(1, o.p.factor(ImpossibleTravel))
	if fresh && o.learned && len(known) > 0 {
		o.tell(NewCountry, quietCountry, func() Finding {
			f := Finding{Title: "used from a new country, " + e.Country, Numbers: numbers(), Critical: impossible,
				Advice: "ask its owner; if they were not there, revoke it: quench token revoke ID. Bind tokens that stay in place: --country, --network"}
			if impossible {
				f.Title += fmt.Sprintf(", %s after a use from %s, %.0f km away", span(e.At.Unix()-when), was, km)
			}
			return f
		})
	}
	if !impossible {
		return
	}
	pr := s.pair(was, e.Country)
	if o.asked(was) || o.asked(e.Country) {
		pr.hops = max(pr.hops, normalHops)
	}
	if pr.hops++; !o.learned || pr.hops > normalHops {
		return
	}
	told := o.tell(ImpossibleTravel, quiet, func() Finding {
		m := numbers()
		m["speed_kmh"], m["threshold_kmh"] = fmt.Sprintf("%.0f", speed), fmt.Sprint(fastest)
		return Finding{Critical: true, Numbers: m,
			Title:  fmt.Sprintf("used from %s %s after %s, %.0f km away", e.Country, span(e.At.Unix()-when), was, km),
			Advice: "two hold it, or a service moved without its owner telling: ask, and rotate it at once if nobody knows: quench token rotate ID --now"}
	})
	if told {
		pr.hops = normalHops
	}
}

const (
	// normalHops while it is learned make a pair of countries one that the token is
	// used from at once; a service that moves within minutes makes one.
	normalHops = 3
	// asking is how long the alert of a new country stands for what follows from it.
	asking = week
)

// asked reports whether a country is one whose first use was told a short while ago.
func (o *observation) asked(iso string) bool {
	for _, c := range o.s.countries.items {
		if c.Name == iso {
			return o.now-c.First*hour < asking && c.First*hour-o.s.First >= o.p.learning()
		}
	}
	return false
}

// travel is how far apart two uses were, less slack, and the speed in km/h that one
// person would have needed. Clocks of servers differ: less than a minute is one.
func travel(a, b string, p, q country.Point, seconds int64) (km, speed float64) {
	if p.Known() && q.Known() {
		km = p.Distance(q)
	} else if d, ok := country.Distance(a, b); ok {
		km = d
	}
	hours := max(minute, math.Abs(float64(seconds))) / hour
	return km, max(0, km-slack) / hours
}

func countries(known []seen) string {
	out := ""
	for i, c := range known {
		if i == 8 {
			return fmt.Sprintf("%s and %d more", out, len(known)-i)
		}
		if i > 0 {
			out += " "
		}
		out += c.Name
	}
	return out
}

const (
	// minProbes scopes that were never refused before, within about an hour, are
	// probing; a client that was given too little asks for one or two.
	minProbes = 4
	// minRefusals within about an hour, and refusalFactor times what was the worst
	// so far, are probing, too.
	minRefusals   = 20
	refusalFactor = 5
)

// scope tells the first use of a sensitive scope, and scopes asked for in vain.
func (o *observation) scope() {
	e, s, h := o.e, o.s, o.e.At.Unix()/hour
	if e.Outcome == Allowed {
		if e.Scope == "" {
			return
		}
		fresh := s.scopes.add(clip(printable(e.Scope)), e.N, h, maxScopes)
		if fresh >= 0.5 && o.learned && o.p.sensitive(e.Scope) {
			o.tell(SensitiveScope, quietCountry, func() Finding {
				return Finding{Title: fmt.Sprintf("used scope %s for the first time", e.Scope), Numbers: map[string]string{"scope": e.Scope, "scopes_before": fmt.Sprint(s.scopes.size() - 1)},
					Advice: "ask its owner; if it never needs this, issue a successor without: quench token rotate ID --scope …"}
			})
		}
		return
	}
	if e.Outcome != Denied || o.late {
		return
	}
	name := e.Scope
	if name == "" {
		name = e.Endpoint
	}
	probes := s.probes.now(o.now, hour)
	if fresh := s.denied.add(clip(printable(name)), e.N, h, maxDenied); fresh > 0 {
		probes = s.probes.add(fresh, o.now, hour)
	}
	refused := s.refused.add(float64(e.N), o.now, hour)
	f := o.p.factor(DeniedProbing)
	// A level fades: four events within some minutes are a little less than four.
	byScope, byCount := f*minProbes-0.5, f*max(minRefusals, refusalFactor*s.worst.most)
	odd := probes >= byScope || refused >= byCount
	s.worst.see(refused, o.now, !odd)
	if odd {
		o.tell(DeniedProbing, quiet, func() Finding {
			return Finding{Title: fmt.Sprintf("refused %.0f times within about an hour, for %.0f things it never asked for before", refused, probes),
				Advice: "look at what it asks for: a thief tries what a token can do. If it is a client that was given too little, grant the scope or fix the client",
				Numbers: map[string]string{"refusals": fmt.Sprintf("%.0f", refused), "worst_before": fmt.Sprintf("%.0f", s.worst.most), "new_refused": fmt.Sprintf("%.0f", probes),
					"threshold": fmt.Sprintf("%.0f new or %.0f", math.Ceil(byScope), byCount)}}
		})
	}
}

const (
	// minFresh endpoints never seen before, within about an hour, are a spread: a
	// release of a client brings a few.
	minFresh = 6
	// maxFresh is how many more than ever before are waited for at most: by then a
	// thief has seen enough.
	maxFresh = 12
	// fewEvents have not shown all endpoints of a token that uses a dozen: until then
	// as many new ones as two thirds of all are needed.
	fewEvents = 150
	// minDistinct endpoints within an hour are one for a token that uses three.
	minDistinct = 10
)

func (o *observation) endpoints() {
	e, s := o.e, o.s
	if e.Endpoint == "" {
		return
	}
	fresh := s.endpoints.add(e.Endpoint, e.N, o.now/hour, maxEndpoints)
	if o.late {
		return
	}
	n, level := s.spread.add(e.Endpoint, fresh, o.now, s.hold)
	f := o.p.factor(EndpointSpread)
	floor := float64(minFresh)
	if s.Events < fewEvents {
		floor = max(floor, min(maxFresh, float64(2*s.endpoints.size()/3)))
	}
	byFresh, byCount := f*max(floor, s.spread.high.most+max(4, min(s.spread.high.most, maxFresh)))-0.5, f*max(minDistinct, 2*s.spread.peak+4)
	if o.learned && (level >= byFresh || n >= byCount) {
		o.tell(EndpointSpread, quiet, func() Finding {
			return Finding{Title: fmt.Sprintf("called %.0f endpoints this hour, %.0f of them for the first time", n, math.Round(level)),
				Advice: "somebody looks around with it, or its service has grown: compare the address and agent with what quench usage show tells, and rotate it if they differ",
				Numbers: map[string]string{"endpoints_in_hour": fmt.Sprintf("%.0f", n), "most_before": fmt.Sprintf("%.0f", s.spread.peak), "new_endpoints": fmt.Sprintf("%.0f", level),
					"most_new_before": fmt.Sprintf("%.0f", s.spread.high.most), "threshold": fmt.Sprintf("%.0f in an hour or %.0f new", byCount, math.Ceil(byFresh)), "known_endpoints": fmt.Sprint(s.endpoints.size())}}
		})
		s.hold = o.now + holdFor
	}
	// What the first days bring is all new, and says nothing of later ones.
	s.spread.high.see(level, o.now, o.now >= s.hold && o.now-s.First >= o.p.learning()/3)
}

const (
	// minBurst uses a minute are no burst by themselves: a person clicking and a
	// deployment reach that.
	minBurst = 30
	// overTail and overPeak are how far beyond the token's own p99.9 of minutes, and
	// beyond the highest minute in weeks, a burst lies. overHour is the same for the
	// mean minute of its busiest hour: it stands in for a tail that is not known yet.
	overTail, overPeak, overHour = 3, 1.5, 8
	// minHour, and overRhythm times what that hour of the week usually has, are an
	// odd hour, where the token's own hours never were half as odd.
	minHour, overRhythm, overOdd = 120, 5, 2
)

func (o *observation) burst() {
	e, s := o.e, o.s
	if o.late {
		return
	}
	r := &s.rate
	v := r.add(float64(e.N), o.now, s.hold)
	if !o.learned {
		return
	}
	f := o.p.factor(Burst)
	limit := f * max(minBurst, overTail*r.p999, overPeak*r.most, overHour*r.peak/60)
	numbers := func() map[string]string {
		return map[string]string{"last_minute": fmt.Sprintf("%.0f", v), "p99.9_minute": fmt.Sprintf("%.0f", r.p999), "highest_minute": fmt.Sprintf("%.0f", r.most), "threshold_minute": fmt.Sprintf("%.0f", limit),
			"this_hour": fmt.Sprintf("%.0f", r.count), "expected_hour": fmt.Sprintf("%.0f", r.expected(r.hour)), "highest_hour": fmt.Sprintf("%.0f", r.peak)}
	}
	const advice = "find out who calls that much: if it is no job of its owner, suspend it while you look (quench token suspend ID), and see what was read"
	if v > limit {
		o.tell(Burst, quiet, func() Finding {
			return Finding{Title: fmt.Sprintf("%.0f uses within a minute, where its own p99.9 is %.0f", v, r.p999), Advice: advice, Numbers: numbers()}
		})
		s.hold = o.now + holdFor
		return
	}
	if o.now-s.First < 2*week { // the second shows how odd its hours are
		return
	}
	if limit := f * max(minHour, 0.5*r.peak, max(overRhythm, overOdd*r.odd)*(r.expected(r.hour)+few)); r.count > limit {
		o.tell(Burst, quiet, func() Finding {
			m := numbers()
			m["threshold_hour"], m["oddest_hour"] = fmt.Sprintf("%.0f", limit), fmt.Sprintf("%.1f times", r.odd)
			return Finding{Title: fmt.Sprintf("%.0f uses in an hour that usually has %.0f", r.count, r.expected(r.hour)), Advice: advice, Numbers: m}
		})
		s.hold = o.now + holdFor
	}
}

// span tells seconds as people do, in one unit.
func span(s int64) string {
	d := time.Duration(max(s, -s)) * time.Second
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.0f hours", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return fmt.Sprintf("%d seconds", int64(d.Seconds()))
}
