package usage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/axiomhq/hyperloglog"
)

// version is the first byte of an encoded state. A change of what follows is a new
// version, and Decode keeps reading the old ones.
const version = 1

// Errors of Decode.
var (
	// ErrState: the bytes are no state.
	ErrState = errors.New("damaged usage state")
	// ErrNewer: they are one of a newer program.
	ErrNewer = errors.New("usage state of a newer program")
)

// maxTime bounds times that are read, in seconds: the year 10000. What is beyond
// would overflow when it is multiplied.
const maxTime = 253402300800

// AppendBinary appends the state to b. The error is always nil.
func (s *State) AppendBinary(b []byte) ([]byte, error) {
	w := writer{append(b, version)}
	w.int(s.First, s.Last)
	w.uint(s.Events, s.Refusals)
	for _, x := range s.sets() {
		w.set(x.set)
	}
	w.uint(uint64(len(s.pairs)))
	for _, p := range s.pairs {
		w.text(p.a)
		w.text(p.b)
		w.uint(p.hops)
	}
	r := &s.rate
	w.level(r.now)
	w.int(r.minute)
	w.float(r.top)
	n := 0
	for _, v := range r.hist {
		if v > 0 {
			n++
		}
	}
	w.uint(uint64(n))
	for i, v := range r.hist {
		if v > 0 {
			w.uint(uint64(i))
			w.float(v)
		}
	}
	w.float(r.total)
	w.int(r.day, r.hour, r.first)
	w.float(r.count, r.peak, r.odd)
	w.b = append(w.b, r.week[:]...)
	w.int(s.spread.hour)
	for _, x := range s.spread.bits {
		w.uint(x)
	}
	w.float(s.spread.peak)
	w.level(s.spread.fresh)
	w.high(s.spread.high)
	w.level(s.refused)
	w.level(s.probes)
	w.high(s.worst)
	w.int(s.gap)
	w.text(s.at)
	w.float(s.point.Lat+90, s.point.Lon+180)
	w.int(s.atime)
	w.int(s.told[:]...)
	w.int(s.hold)
	return w.b, nil
}

// bounded is a set and how many names it may hold.
type bounded struct {
	set *set
	max int
}

func (s *State) sets() []bounded {
	return []bounded{{&s.endpoints, maxEndpoints}, {&s.methods, maxMethods}, {&s.agents, maxAgents}, {&s.networks, maxNetworks},
		{&s.scopes, maxScopes}, {&s.denied, maxDenied}, {&s.countries, maxCountries}}
}

type writer struct{ b []byte }

func (w *writer) int(all ...int64) {
	for _, v := range all {
		w.b = binary.AppendVarint(w.b, v)
	}
}

func (w *writer) uint(all ...uint64) {
	for _, v := range all {
		w.b = binary.AppendUvarint(w.b, v)
	}
}

// float keeps half the bits: thresholds are not that exact.
func (w *writer) float(all ...float64) {
	for _, v := range all {
		w.b = binary.LittleEndian.AppendUint32(w.b, math.Float32bits(float32(v)))
	}
}

func (w *writer) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) level(l level) {
	w.float(l.V)
	w.int(l.At)
}

func (w *writer) high(h high) {
	w.int(h.hour)
	w.float(h.top, h.most)
}

func (w *writer) set(s *set) {
	w.uint(uint64(len(s.items)))
	for _, e := range s.items {
		w.text(e.Name)
		w.uint(e.N)
		w.int(e.First, e.Last-e.First)
	}
	if s.more == nil {
		w.uint(0)
		return
	}
	sketch, _ := s.more.MarshalBinary() // fails for the zero sketch alone
	w.text(string(sketch))
}

// Decode reads what AppendBinary wrote. Errors wrap ErrState or ErrNewer.
func Decode(b []byte) (*State, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrState)
	}
	if b[0] > version {
		return nil, fmt.Errorf("%w: version %d, and this one reads up to %d", ErrNewer, b[0], version)
	}
	if b[0] == 0 {
		return nil, fmt.Errorf("%w: version 0", ErrState)
	}
	s, r := &State{}, reader{b: b[1:]}
	s.First, s.Last = r.time(), r.time()
	s.Events, s.Refusals = r.uint(), r.uint()
	for _, x := range s.sets() {
		r.set(x.set, x.max)
	}
	for range r.count(maxPairs) {
		s.pairs = append(s.pairs, pair{r.text(2), r.text(2), r.uint()})
	}
	r.rate(&s.rate)
	s.spread.hour = r.time()
	for i := range s.spread.bits {
		s.spread.bits[i] = r.uint()
		for x := s.spread.bits[i]; x != 0; x &= x - 1 {
			s.spread.ones++
		}
	}
	s.spread.peak, s.spread.fresh, s.spread.high = r.float(), r.level(), r.high()
	s.refused, s.probes, s.worst = r.level(), r.level(), r.high()
	s.gap, s.at = r.time(), r.text(2)
	s.point.Lat, s.point.Lon = r.float()-90, r.float()-180
	s.atime = r.time()
	for i := range s.told {
		s.told[i] = r.time()
	}
	s.hold = r.time()
	if r.bad == "" && len(r.b) > 0 {
		r.fail("bytes after its end")
	}
	if r.bad == "" && s.Refusals > s.Events {
		r.fail("more refusals than events")
	}
	if r.bad != "" {
		return nil, fmt.Errorf("%w: %s", ErrState, r.bad)
	}
	return s, nil
}

// reader reads what writer writes; the first fault stays.
type reader struct {
	b   []byte
	bad string
}

func (r *reader) fail(why string) {
	if r.bad == "" {
		r.bad, r.b = why, nil
	}
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("it ends early")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// time is seconds, minutes, hours or days since 1970, or how many passed.
func (r *reader) time() int64 {
	v, n := binary.Varint(r.b)
	switch {
	case n <= 0:
		r.fail("it ends early")
	case v < 0 || v > maxTime:
		r.fail("a time out of range")
	default:
		r.b = r.b[n:]
		return v
	}
	return 0
}

func (r *reader) count(max int) int {
	v := r.uint()
	if v > uint64(max) {
		r.fail("a list longer than any")
		return 0
	}
	return int(v)
}

func (r *reader) float() float64 {
	if len(r.b) < 4 {
		r.fail("it ends early")
		return 0
	}
	v := float64(math.Float32frombits(binary.LittleEndian.Uint32(r.b)))
	r.b = r.b[4:]
	if !(v >= 0 && v <= 1e15) {
		r.fail("a number out of range")
		return 0
	}
	return v
}

func (r *reader) text(max int) string {
	n := r.count(max)
	if n > len(r.b) {
		r.fail("it ends early")
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) level() level { return level{r.float(), r.time()} }

func (r *reader) high() high { return high{r.time(), r.float(), r.float()} }

// sketchLen is that of a sketch with all its registers: a header and one byte each.
const sketchLen = 8 + 1<<hllPrecision

func (r *reader) set(s *set, max int) {
	for range r.count(max) {
		e := seen{Name: r.text(maxName), N: r.uint(), First: r.time()}
		e.Last = e.First + r.time()
		s.items = append(s.items, e)
	}
	sketch := r.text(sketchLen)
	if sketch == "" {
		return
	}
	s.more = &hyperloglog.Sketch{}
	// The second byte is the precision: a smaller sketch would be another's.
	if err := s.more.UnmarshalBinary([]byte(sketch)); err != nil || len(sketch) != sketchLen || sketch[1] != hllPrecision {
		r.fail("a sketch that is none")
		s.more = nil
		return
	}
	s.est = float64(s.more.Estimate())
}

func (r *reader) rate(to *rate) {
	to.now, to.minute, to.top = r.level(), r.time(), r.float()
	for range r.count(buckets) {
		i := r.count(buckets - 1)
		to.hist[i] = r.float()
	}
	to.total = r.float()
	to.day, to.hour, to.first = r.time(), r.time(), r.time()
	to.count, to.peak, to.odd = r.float(), r.float(), r.float()
	if len(r.b) < len(to.week) {
		r.fail("it ends early")
		return
	}
	copy(to.week[:], r.b)
	r.b = r.b[len(to.week):]
	to.measure()
}

// Summary is what is known of a token's use, for people and programs.
type Summary struct {
	First     time.Time `json:"first_used_at"`
	Last      time.Time `json:"last_used_at"`
	Events    uint64    `json:"events"`
	Refusals  uint64    `json:"refusals"`
	Learning  bool      `json:"learning"` // too little is known to judge by
	Endpoints Things    `json:"endpoints"`
	Methods   Things    `json:"methods"`
	Countries Things    `json:"countries"`
	Networks  Things    `json:"networks"`
	Agents    Things    `json:"agents"`
	Scopes    Things    `json:"scopes"`
	Refused   Things    `json:"refused"` // scopes, or endpoints, asked for in vain
	// Rates in uses: of its minutes one in a thousand is busier, and so on.
	P999Minute    float64 `json:"p99.9_minute"`
	HighestMinute float64 `json:"highest_minute"`
	HighestHour   float64 `json:"highest_hour"`
	// Week is what each hour of the week usually has, from Monday 00:00 UTC.
	Week [168]float64 `json:"week"`
}

// Things are what a token was used with: how many different ones, and those known
// by name.
type Things struct {
	Different int     `json:"different"` // an estimate where there are more than Known
	Known     []Thing `json:"known"`
}

// Thing is one of them; times are exact to the hour.
type Thing struct {
	Name  string    `json:"name"`
	Uses  uint64    `json:"uses"`
	First time.Time `json:"first_at"`
	Last  time.Time `json:"last_at"`
}

// Summary describes the state as of now.
func (s *State) Summary(now time.Time, p *Policy) Summary {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
	things := func(x *set) Things {
		t := Things{Different: x.size(), Known: []Thing{}}
		for _, e := range x.items {
			t.Known = append(t.Known, Thing{e.Name, e.N, at(e.First * hour), at(e.Last * hour)})
		}
		return t
	}
	out := Summary{First: at(s.First), Last: at(s.Last), Events: s.Events, Refusals: s.Refusals, Learning: !s.learned(now.Unix(), p),
		Endpoints: things(&s.endpoints), Methods: things(&s.methods), Countries: things(&s.countries), Networks: things(&s.networks),
		Agents: things(&s.agents), Scopes: things(&s.scopes), Refused: things(&s.denied),
		P999Minute: tenth(s.rate.p999), HighestMinute: tenth(s.rate.most), HighestHour: tenth(max(s.rate.peak, s.rate.count))}
	for i := range out.Week {
		// 1970 began on a Thursday: hour 96 of its weeks is Monday 00:00.
		out.Week[i] = tenth(unpack(s.rate.week[(i+96)%168]))
	}
	return out
}

func tenth(v float64) float64 { return math.Round(10*v) / 10 }
