package country_test

import (
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/country"
	"github.com/quench-dev/quench/registry/country/countrytest"
)

func write(t testing.TB, path, kind string, places map[string]countrytest.Place) {
	t.Helper()
	if err := countrytest.Write(path, kind, places); err != nil {
		t.Fatal(err)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestLookup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.mmdb")
	write(t, path, "Test-City", map[string]countrytest.Place{"192.0.2.0/24": {ISO: "DE", Lat: 52.5, Lon: 13.4}, "2001:db8::/32": {ISO: "BR"}, "198.51.100.0/24": {ISO: "ZZ"}})
	db, err := country.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{"192.0.2.9": "DE", "::ffff:192.0.2.9": "DE", "2001:db8::1": "BR", "fe80::1%eth0": "", "203.0.113.1": "", "198.51.100.1": ""} {
		if iso, ok := db.Lookup(addr(in)); iso != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", in, iso, ok)
		}
	}
	if _, at, _ := db.Find(addr("192.0.2.9")); !at.Known() || at.Lat != 52.5 {
		t.Errorf("%+v", at)
	}
	if _, at, _ := db.Find(addr("2001:db8::1")); at.Known() {
		t.Errorf("%+v", at)
	}
	if _, ok := db.Lookup(netip.Addr{}); ok {
		t.Error("no address has a country")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	asn, text := filepath.Join(dir, "asn.mmdb"), filepath.Join(dir, "text")
	write(t, asn, "Test-ASN", map[string]countrytest.Place{"192.0.2.0/24": {ISO: "DE"}})
	os.WriteFile(text, []byte("no database"), 0o600)
	for path, want := range map[string]string{asn: "Test-ASN", text: ".mmdb", dir: "regular"} {
		if _, err := country.Open(path, nil); !errors.Is(err, country.ErrDatabase) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := country.Open(filepath.Join(dir, "missing"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A newer file is taken within a minute, a bad one never.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.mmdb")
	write(t, path, "Test-Country", map[string]countrytest.Place{"192.0.2.0/24": {ISO: "DE"}})
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	move := func() { mu.Lock(); defer mu.Unlock(); now = now.Add(2 * time.Minute) }
	db, err := country.Open(path, clock)
	if err != nil {
		t.Fatal(err)
	}
	is := func(want string) {
		t.Helper()
		if iso, _ := db.Lookup(addr("192.0.2.1")); iso != want {
			t.Errorf("%q, want %q", iso, want)
		}
	}
	replace := func(to func()) {
		t.Helper()
		to()
		old := time.Now().Add(-time.Hour)
		os.Chtimes(path, old, old)
	}
	replace(func() { write(t, path, "Test-Country", map[string]countrytest.Place{"192.0.2.0/23": {ISO: "FR"}}) })
	is("DE") // not yet
	move()
	is("FR")
	replace(func() { os.WriteFile(path, []byte("half a file"), 0o600) })
	move()
	is("FR")
	if db.Fault() == nil {
		t.Error("a bad file is not told")
	}
	os.Remove(path)
	move()
	is("FR")
	replace(func() { write(t, path, "Test-Country", map[string]countrytest.Place{"192.0.2.0/24": {ISO: "BR"}}) })
	move()
	is("BR")
	if err := db.Fault(); err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				db.Lookup(addr("192.0.2.1"))
				move()
			}
		})
	}
	wg.Wait()
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b   string
		lo, hi float64
	}{{"DE", "DE", 0, 0}, {"DE", "FR", 200, 900}, {"US", "CA", 0, 400}, {"DE", "US", 5500, 7000}, {"GB", "AU", 12000, 17000}, {"BR", "JP", 12000, 19000}, {"XK", "RS", 100, 400}} {
		km, ok := country.Distance(c.a, c.b)
		back, _ := country.Distance(c.b, c.a)
		if !ok || km < c.lo || km > c.hi || math.Abs(km-back) > 1e-6 {
			t.Errorf("%s-%s: %.0f and %.0f, %v", c.a, c.b, km, back, ok)
		}
	}
	if _, ok := country.Distance("DE", "QQ"); ok {
		t.Error("QQ is a country")
	}
}

// Every country of the list is one of ISO 3166-1, with places on the globe.
func TestPlaces(t *testing.T) {
	b, err := os.ReadFile("places.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		iso, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if iso == "#" {
			continue
		}
		n++
		if got, err := bound.Country(iso); err != nil || got != iso {
			t.Errorf("%s: %v", iso, err)
		}
		if len(strings.Fields(rest)) == 0 {
			t.Errorf("%s has no place", iso)
		}
		if km, ok := country.Distance(iso, "NZ"); !ok || km < 0 || km > 20100 {
			t.Errorf("%s: %f km", iso, km)
		}
	}
	if n < 240 {
		t.Errorf("%d countries", n)
	}
}

// FuzzOpen reads damaged databases: no panic, and what opens answers.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "c.mmdb")
	write(f, path, "Test-Country", map[string]countrytest.Place{"192.0.2.0/24": {ISO: "DE", Lat: 1, Lon: 1}, "2001:db8::/32": {ISO: "BR"}})
	b, _ := os.ReadFile(path)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := filepath.Join(t.TempDir(), "f")
		os.WriteFile(p, b, 0o600)
		db, err := country.Open(p, nil)
		if err != nil {
			return
		}
		for _, s := range []string{"192.0.2.1", "2001:db8::1", "::", "255.255.255.255"} {
			if iso, ok := db.Lookup(addr(s)); ok && len(iso) != 2 {
				t.Fatalf("%q", iso)
			}
		}
	})
}
