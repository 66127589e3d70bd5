package usage

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) // a Monday

// settled is a token used ten times a day from Germany for a fortnight.
func settled(t testing.TB) *State {
	t.Helper()
	s := &State{}
	for d := range 14 {
		for h := range 10 {
			e := Event{At: t0.Add(time.Duration(d)*24*time.Hour + time.Duration(h)*time.Hour), Scope: "read:items", Method: "GET", Endpoint: fmt.Sprintf("GET /v1/items/%c", 'a'+h%4),
				Address: netip.MustParseAddr("192.0.2.7"), Agent: "curl", Country: "DE"}
			if f := s.Observe(e, &Policy{}, nil); len(f) > 0 {
				t.Fatalf("a quiet token alerts: %+v", f)
			}
		}
	}
	return s
}

func (s *State) next(after time.Duration) Event {
	return Event{At: time.Unix(s.Last, 0).Add(after), Scope: "read:items", Method: "GET", Endpoint: "GET /v1/items/a", Address: netip.MustParseAddr("192.0.2.7"), Agent: "curl", Country: "DE"}
}

// feed observes n events, each changed by with, and lists the signals.
func feed(s *State, p *Policy, n int, gap time.Duration, with func(i int, e *Event)) (all []Finding) {
	for i := range n {
		e := s.next(gap)
		with(i, &e)
		all = append(all, s.Observe(e, p, nil)...)
	}
	return all
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name    string
		want    Signal
		n       int
		gap     time.Duration
		with    func(i int, e *Event)
		numbers []string // that the alert must say
	}{
		{"a new country", NewCountry, 1, time.Hour, func(_ int, e *Event) { e.Country = "BR" }, []string{"countries_before", "from", "address", "known_for"}},
		{"endpoints nobody called", EndpointSpread, 12, 3 * time.Second, func(i int, e *Event) { e.Endpoint = fmt.Sprintf("GET /x%c", 'a'+i) }, []string{"new_endpoints", "threshold", "most_before"}},
		{"five uses a second", Burst, 60, 200 * time.Millisecond, func(int, *Event) {}, []string{"last_minute", "p99.9_minute", "threshold_minute"}},
		{"one event of many uses", Burst, 1, time.Second, func(_ int, e *Event) { e.N = 500 }, []string{"last_minute"}},
		{"silence", Dormant, 1, 40 * 24 * time.Hour, func(int, *Event) {}, []string{"silence", "threshold", "longest_before"}},
		{"a sensitive scope", SensitiveScope, 1, time.Hour, func(_ int, e *Event) { e.Scope = "admin:users" }, []string{"scope", "scopes_before"}},
		{"revoked", AfterRevocation, 3, time.Minute, func(_ int, e *Event) { e.Outcome = Dead }, []string{"address"}},
		{"scopes tried", DeniedProbing, 6, 10 * time.Second, func(i int, e *Event) { e.Outcome, e.Scope = Denied, fmt.Sprintf("read:t%d", i) }, []string{"refusals", "new_refused", "threshold"}},
		{"one scope, again and again", DeniedProbing, 30, 10 * time.Second, func(_ int, e *Event) { e.Outcome, e.Scope = Denied, "read:x" }, []string{"refusals", "worst_before"}},
	} {
		s := settled(t)
		got := feed(s, &Policy{}, c.n, c.gap, c.with)
		if len(got) != 1 || got[0].Signal != c.want {
			t.Errorf("%s: %+v, want one %s", c.name, got, c.want)
			continue
		}
		for _, k := range c.numbers {
			if got[0].Numbers[k] == "" {
				t.Errorf("%s does not tell %s: %v", c.name, k, got[0].Numbers)
			}
		}
		if got[0].Title == "" || got[0].Advice == "" {
			t.Errorf("%s: %+v", c.name, got[0])
		}
		// Off is off; and what is muted is not told, and can be later.
		if got := feed(settled(t), &Policy{Sensitivity: map[Signal]string{c.want: "off"}}, c.n, c.gap, c.with); len(got) > 0 {
			t.Errorf("%s is off, and told: %+v", c.name, got)
		}
		s = settled(t)
		for range c.n {
			e := s.next(c.gap)
			c.with(0, &e)
			if got := s.Observe(e, &Policy{}, func(Signal) bool { return true }); len(got) > 0 {
				t.Errorf("%s is muted, and told: %+v", c.name, got)
			}
		}
	}
}

// A token of two countries is used from both within minutes.
func TestImpossibleTravel(t *testing.T) {
	move := func(from, to string) *State {
		s := &State{}
		for d := range 20 {
			for h := range 8 {
				e := Event{At: t0.Add(time.Duration(d)*24*time.Hour + time.Duration(h)*time.Hour), Scope: "read:items", Country: to}
				if d < 3 {
					e.Country = from
				}
				if f := s.Observe(e, &Policy{}, nil); len(f) > 0 {
					t.Fatal(f)
				}
			}
		}
		return s
	}
	s := move("US", "DE")
	got := feed(s, &Policy{}, 4, 10*time.Minute, func(i int, e *Event) { e.Country = []string{"US", "DE"}[i%2] })
	if len(got) != 1 || got[0].Signal != ImpossibleTravel || !got[0].Critical || got[0].Numbers["distance_km"] == "" {
		t.Errorf("%+v", got)
	}
	s = move("FR", "DE") // near enough that a database may be wrong
	if got := feed(s, &Policy{}, 4, 10*time.Minute, func(i int, e *Event) { e.Country = []string{"FR", "DE"}[i%2] }); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// Who is used from two continents from the first day is so ever after.
func TestTwoRegions(t *testing.T) {
	s := &State{}
	for i := range 2000 {
		e := Event{At: t0.Add(time.Duration(i) * 20 * time.Minute), Scope: "read:items", Country: []string{"US", "JP"}[i%2]}
		if f := s.Observe(e, &Policy{}, nil); len(f) > 0 {
			t.Fatal(f)
		}
	}
}

// While a token is learned nothing is told but what needs no normal.
func TestLearning(t *testing.T) {
	s := &State{}
	for i := range 400 {
		e := Event{At: t0.Add(time.Duration(i) * 20 * time.Minute), Scope: fmt.Sprintf("admin:t%d", i), Endpoint: fmt.Sprintf("GET /x%d", i), Country: []string{"US", "DE", "BR"}[i%3], N: uint64(i % 90)}
		if f := s.Observe(e, &Policy{}, nil); len(f) > 0 {
			t.Fatalf("%d: %+v", i, f)
		}
	}
	if got := s.Observe(Event{At: t0.Add(time.Hour), Outcome: Dead}, &Policy{}, nil); len(got) != 1 {
		t.Errorf("a dead token in its first days: %+v", got)
	}
}

// A day of misuse does not become normal: the next day it is told again.
func TestMisuseIsNotLearned(t *testing.T) {
	s := settled(t)
	for day := range 2 {
		got := feed(s, &Policy{}, 400, 300*time.Millisecond, func(int, *Event) {})
		if len(got) != 1 || got[0].Signal != Burst {
			t.Fatalf("day %d: %+v", day, got)
		}
		e := s.next(25 * time.Hour)
		s.Observe(e, &Policy{}, nil)
	}
}

// Events that come late, or at a time long past, are remembered and judge nothing.
func TestDisorder(t *testing.T) {
	s := settled(t)
	old := s.Last
	got := feed(s, &Policy{}, 500, -10*24*time.Hour, func(int, *Event) {})
	if len(got) > 0 || s.Last != old || s.Events != 640 {
		t.Errorf("%+v, %d events", got, s.Events)
	}
}

func TestEndpoint(t *testing.T) {
	for in, want := range map[string]string{
		"/v1/users/17":  "GET /v1/users/{}",
		"/v2/a?token=x": "GET /v2/a",
		"/o/550e8400-e29b-41d4-a716-446655440000/b": "GET /o/{}/b",
		"/c/deadbeef01/x":                       "GET /c/{}/x",
		"/oauth2/token":                         "GET /oauth2/token",
		"https://h.example:443/a/1#f":           "GET /a/{}",
		"https://h.example":                     "GET /",
		"/\x00\x1b[31m":                         "GET /??[31m",
		"/" + strings.Repeat("q", 41):           "GET /{}",
		"":                                      "GET",
		"/s3/bucket/2026/11/25/log":             "GET /s3/bucket/{}/{}/{}/log",
		"/rest/api/3/issue":                     "GET /rest/api/{}/issue",
		"/" + strings.Repeat("/ab", 1000)[:200]: "",
	} {
		got := Endpoint("GET", in)
		if want != "" && got != want || len(got) > maxName {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	a, b := Endpoint("GET", strings.Repeat("/abcdef", 15)+"/x"), Endpoint("GET", strings.Repeat("/abcdef", 15)+"/y")
	if a == b {
		t.Errorf("two long endpoints are one: %q", a)
	}
	for in, want := range map[string]string{"curl/8.5.0": "curl", "Mozilla/5.0 (X11)": "Mozilla", "-": "", "": "", "a\nb": "a?b"} {
		if got := Agent(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Beyond the names a set keeps, it counts within a few percent.
func TestSetCounts(t *testing.T) {
	var s set
	fresh := 0.0
	for round := range 2 {
		for i := range 2000 {
			f := s.add(fmt.Sprintf("GET /x/%d", i), 1, 1, maxEndpoints)
			if round == 0 {
				fresh += f
			} else if f > 0 {
				t.Fatalf("%d is new again", i)
			}
		}
	}
	if n := s.size(); n < 1850 || n > 2150 || fresh < 1850 || fresh > 2150 {
		t.Errorf("2000 are %d, and %.0f were new", n, fresh)
	}
}

// What was written is read, and judges as before.
func TestStateRoundTrip(t *testing.T) {
	var sizes []int
	for seed := range 60 {
		whole, kept := &State{}, &State{}
		for i, e := range simulate(uint64(seed), misuses[seed%len(misuses)]).events {
			a, b := whole.Observe(e.Event, &Policy{}, nil), kept.Observe(e.Event, &Policy{}, nil)
			if len(a) != len(b) {
				t.Fatalf("seed %d, event %d: %+v and %+v", seed, i, a, b)
			}
			if i%50 == 0 {
				kept = again(t, kept)
			}
		}
		enc, _ := whole.AppendBinary(nil)
		sizes = append(sizes, len(enc))
		if x, y := whole.Summary(t0, &Policy{}), again(t, whole).Summary(t0, &Policy{}); fmt.Sprint(x) != fmt.Sprint(y) {
			t.Fatalf("%+v\n%+v", x, y)
		}
	}
	slices.Sort(sizes)
	t.Logf("bytes a token: median %d, largest %d", sizes[len(sizes)/2], sizes[len(sizes)-1])
	if m := sizes[len(sizes)/2]; m > 4096 {
		t.Errorf("a state has %d bytes at the median", m)
	}
}

func again(t testing.TB, s *State) *State {
	b, _ := s.AppendBinary(nil)
	out, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A token that was used with more of everything than a state can hold by name.
func widest() *State {
	s := &State{}
	for i := range 700 {
		s.Observe(Event{At: t0.Add(time.Duration(i) * time.Hour), N: uint64(i), Scope: fmt.Sprintf("read:%s/%d", strings.Repeat("r", 80), i), Method: fmt.Sprint("M", i),
			Endpoint: fmt.Sprintf("GET /%s/%d", strings.Repeat("e", 80), i), Agent: fmt.Sprint("agent", i), Address: netip.AddrFrom4([4]byte{byte(i >> 8), byte(i), 1, 1}),
			Country: simCountries[i%len(simCountries)], Outcome: Outcome(i % 4)}, &Policy{}, nil)
	}
	return s
}

func TestWidestState(t *testing.T) {
	b, _ := widest().AppendBinary(nil)
	t.Logf("the widest state has %d bytes", len(b))
	if len(b) > 32<<10 {
		t.Errorf("%d bytes", len(b))
	}
	again(t, widest())
}

func FuzzDecode(f *testing.F) {
	for _, s := range []*State{{}, settled(f), widest()} {
		b, _ := s.AppendBinary(nil)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrState) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		one, _ := s.AppendBinary(nil)
		two, err := Decode(one)
		if err != nil {
			t.Fatal(err)
		}
		if three, _ := two.AppendBinary(nil); !bytes.Equal(one, three) {
			t.Fatal("a state that was read and written is another")
		}
		e := Event{At: time.Unix(s.Last, 0).Add(time.Minute), Country: "DE", Endpoint: "GET /", Scope: "read:a", Outcome: Allowed, Address: netip.MustParseAddr("2001:db8::1")}
		s.Observe(e, &Policy{}, nil)
		s.Summary(t0, &Policy{})
	})
}

func FuzzEndpoint(f *testing.F) {
	f.Add("GET", "/v1/users/17?x=y")
	f.Add("\x00", "http://a/%00/ÿ")
	f.Fuzz(func(t *testing.T, method, path string) {
		got := Endpoint(method, path)
		if len(got) > maxName || printable(strings.ReplaceAll(got, " ", "")) != strings.ReplaceAll(got, " ", "") {
			t.Fatalf("%q", got)
		}
	})
}

func TestPolicyCheck(t *testing.T) {
	for _, p := range []Policy{{Sensitivity: map[Signal]string{"nonsense": "low"}}, {Sensitivity: map[Signal]string{Burst: "huge"}}, {Suspend: []Signal{"x"}}, {SensitiveScopes: []string{"x"}}} {
		if err := p.Check(); !errors.Is(err, ErrPolicy) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for in, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "1w": 7 * 24 * time.Hour, "36h": 36 * time.Hour, "0d": 0, "-1d": 0, "99999999d": 0, "x": 0, "30s": 0} {
		var s Span
		if err := s.UnmarshalText([]byte(in)); (err == nil) != (want > 0) || time.Duration(s) != want {
			t.Errorf("%q: %v, %v", in, time.Duration(s), err)
		}
	}
}

// BenchmarkObserve is one event in memory.
func BenchmarkObserve(b *testing.B) {
	events := simulate(3, "").events
	s := &State{}
	b.ReportAllocs()
	for i := range b.N {
		s.Observe(events[i%len(events)].Event, &Policy{}, nil)
	}
}
