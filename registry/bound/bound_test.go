package bound_test

import (
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry/bound"
)

// Covers agrees with a regular expression made from the scope.
func TestCovers(t *testing.T) {
	side := func(s string) string {
		s = regexp.QuoteMeta(s)
		s = strings.ReplaceAll(s, `\*\*`, `[^:]+`)
		return strings.ReplaceAll(s, `\*`, `[^/:]+`)
	}
	segment := rapid.SampledFrom([]string{"a", "b", "ab", "*"})
	last := rapid.SampledFrom([]string{"a", "b", "*", "**"})
	word := rapid.SampledFrom([]string{"a", "b", "ab"})
	rapid.Check(t, func(t *rapid.T) {
		pattern := func(name string) string {
			segs := rapid.SliceOfN(segment, 0, 2).Draw(t, name)
			return strings.Join(append(segs, last.Draw(t, name+" last")), "/")
		}
		concrete := func(name string) string { return strings.Join(rapid.SliceOfN(word, 1, 4).Draw(t, name), "/") }
		scope := pattern("action") + ":" + pattern("resource")
		want := concrete("wanted action") + ":" + concrete("wanted resource")
		if err := bound.CheckScope(scope, false); err != nil {
			t.Fatal(err)
		}
		if err := bound.CheckScope(want, true); err != nil {
			t.Fatal(err)
		}
		a, r, _ := strings.Cut(scope, ":")
		plain := regexp.MustCompile("^" + side(a) + ":" + side(r) + "$").MatchString(want)
		if got := bound.Covers(scope, want); got != plain {
			t.Fatalf("Covers(%q, %q) = %v, want %v", scope, want, got, plain)
		}
		if bound.CheckScope(scope, true) == nil && strings.Contains(scope, "*") {
			t.Fatalf("%q counts as concrete", scope)
		}
	})
}

// Actions alone are asked for on each resource, and resources bind nothing by themselves.
func TestOnEach(t *testing.T) {
	for _, c := range []struct{ scopes, resources, want string }{
		{"read:a write:b", "", "read:a write:b"},
		{"read", "", "read"}, // which is refused where scopes are checked
		{"read write", "a b/*", "read:a read:b/* write:a write:b/*"},
		{"read deploy:c", "a", "read:a deploy:c"},
		{"read:a", "b", ""},
		{"", "b", ""},
	} {
		got, err := bound.OnEach(strings.Fields(c.scopes), strings.Fields(c.resources))
		if strings.Join(got, " ") != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, bound.ErrInvalid) {
			t.Errorf("%q on %q: %q, %v; want %q", c.scopes, c.resources, got, err, c.want)
		}
	}
	actions, resources := slices.Repeat([]string{"read"}, 101), slices.Repeat([]string{"a"}, 100)
	if _, err := bound.OnEach(actions, resources); !errors.Is(err, bound.ErrInvalid) {
		t.Errorf("10,100 scopes: %v", err)
	}
	if got, err := bound.OnEach(actions[:100], resources); err != nil || len(got) != bound.MaxScopes {
		t.Errorf("%d scopes, %v", len(got), err)
	}
}

// Scopes come from the command line and, in Verify, from requests.
func FuzzCheckScope(f *testing.F) {
	for _, s := range []string{"read:repo/*", "**:**", "a:b", ":", "a:b:c", "read:**/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if bound.CheckScope(s, true) == nil && (bound.CheckScope(s, false) != nil || !bound.Covers(s, s)) {
			t.Fatalf("%q is concrete and does not cover itself", s)
		}
	})
}

// Covers holds between patterns only where every scope of one is in the other.
func TestCoversPatterns(t *testing.T) {
	for _, tc := range []struct {
		scope, want string
		covers      bool
	}{
		{"read:**", "read:a/*", true}, {"read:a/*", "read:**", false}, {"read:*", "read:*", true}, {"read:*", "read:**", false},
		{"read:a/**", "read:a", false}, {"read:a/**", "read:a/b/c", true}, {"*:a", "read:a", true}, {"read:a", "read:a/b", false}, {"read:a/b", "read:a", false},
	} {
		if got := bound.Covers(tc.scope, tc.want); got != tc.covers {
			t.Errorf("Covers(%q, %q) = %v", tc.scope, tc.want, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { bound.Covers("deploy:a/b/*", "deploy:a/b/c") }); n > 0 {
		t.Errorf("Covers allocates %v times", n)
	}
}

func TestCountry(t *testing.T) {
	for in, want := range map[string]string{"DE": "DE", "br": "BR", "xk": "XK", "GB": "GB"} {
		if got, err := bound.Country(in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "D", "DEU", "UK", "E ", " A", "ZZ", "D\n", "Ä"} {
		if got, err := bound.Country(in); !errors.Is(err, bound.ErrInvalid) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if _, err := bound.Country("uk"); !strings.Contains(err.Error(), "GB") {
		t.Errorf("no hint for uk: %v", err)
	}
}

// Networks come from flags and policies; what is accepted reads back as the same.
func FuzzNetwork(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::ffff:10.0.0.0/104", "2001:db8::1", "fe80::1%eth0", "10.0.0.1/8", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := bound.Network(s)
		if err != nil {
			if !errors.Is(err, bound.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if again, err := bound.Network(p.String()); err != nil || again != p {
			t.Fatalf("%q is %v, which is %v, %v", s, p, again, err)
		}
		if in, err := bound.Within([]string{p.String()}, p.Addr()); err != nil || !in {
			t.Fatalf("%v does not hold its first address: %v, %v", p, in, err)
		}
		if in, err := bound.Within([]string{p.String()}, netip.Addr{}); err != nil || in {
			t.Fatalf("%v holds an unknown address", p)
		}
	})
}
