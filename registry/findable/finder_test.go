package findable

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/scanner/secret"
)

// What is tried together is found where it is found alone.
func TestFinder(t *testing.T) {
	f, err := NewFinder()
	if err != nil {
		t.Fatal(err)
	}
	forms := []string{`[A-Za-z0-9]{16,60}`, `[a-f0-9]{32}`, `[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}`, `hvs\.[A-Za-z0-9_-]{24,95}`,
		`gh[pousr]_[A-Za-z0-9]{36}`, `[A-Za-z0-9._-]{16,80}`, `[!-~]{16,50}`, `[A-Za-z0-9._+/=~:-]{16,50}`, `[-_.+/=~:]{1,4}[a-zA-Z0-9+/]{12,40}[-_.+/=~:]{1,4}`, `[-_.]{1,4}[a-z0-9]{12,20}[-_.]{1,4}`, `[A-Za-z0-9+/]{22}==`, `ey[A-Za-z0-9]{20}\.ey[A-Za-z0-9_-]{30}\.[A-Za-z0-9_-]{43}`}
	rapid.Check(t, func(t *rapid.T) {
		var all []secret.Secret
		seen := map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "n") {
			s := rapid.StringMatching(rapid.SampledFrom(forms).Draw(t, "form")).Draw(t, "value")
			if values.Check([]byte(s)) == nil && !seen[s] {
				seen[s] = true
				all = append(all, secret.NewString(s))
			}
		}
		got, err := f.Missed(all)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range all {
			want, err := Missed(v)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got[i], want) {
				t.Fatalf("%q: together %q, alone %q", v.Reveal(), got[i], want)
			}
		}
	})
}

func BenchmarkFinder(b *testing.B) {
	f, err := NewFinder()
	if err != nil {
		b.Fatal(err)
	}
	var all []secret.Secret
	for range 2000 {
		all = append(all, secret.NewString("v-"+values.Random(40)))
	}
	b.Run("together", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.Missed(all); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/value")
	})
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			if _, err := Missed(all[0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
