// Package country tells from which country an address is, by a database in
// MaxMind's format that the user supplies, and how far countries lie apart.
//
// It ships no database: the good ones have licences of their own (GeoLite2, DB-IP
// Lite). It knows no tokens and draws no conclusions. Start reading at Open, then
// Lookup and Distance.
package country

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/quench-dev/quench/registry/bound"
)

// ErrDatabase: the file is no database that tells countries.
var ErrDatabase = errors.New("no country database")

// maxDatabase bounds a database in bytes: the largest city databases have 150 MB,
// and the file is read whole, so that one replaced in place cannot change under a
// lookup.
const maxDatabase = 1 << 30

// lookEvery is how often the file is looked at for a newer one. They are released
// once or twice a week; a minute costs one stat.
const lookEvery = time.Minute

// DB is an open database that follows its file: a new one there is used within a
// minute, and a bad one is not. Its methods are safe for concurrent use.
type DB struct {
	path string
	now  func() time.Time
	open atomic.Pointer[opened]

	mu    sync.Mutex
	next  int64 // unix seconds from when on the file is looked at again
	fault error // of the newest try to reload
}

type opened struct {
	r        *maxminddb.Reader
	size     int64
	modified time.Time
}

// Open opens the database at path. now is the clock; nil is time.Now.
func Open(path string, now func() time.Time) (*DB, error) {
	if now == nil {
		now = time.Now
	}
	d := &DB{path: path, now: now}
	o, err := load(path)
	if err != nil {
		return nil, err
	}
	d.open.Store(o)
	d.next = now().Add(lookEvery).Unix()
	return d, nil
}

func load(path string) (*opened, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the country database: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening the country database: %w", err)
	case !fi.Mode().IsRegular() || fi.Size() > maxDatabase:
		return nil, fmt.Errorf("%w: %q is no regular file of at most %d MiB", ErrDatabase, path, maxDatabase>>20)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxDatabase))
	if err != nil {
		return nil, fmt.Errorf("reading the country database %q: %w", path, err)
	}
	r, err := maxminddb.OpenBytes(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w; a file of MaxMind's format ends in .mmdb and is unpacked", ErrDatabase, path, err)
	}
	kind := strings.ToLower(r.Metadata.DatabaseType)
	if !strings.Contains(kind, "country") && !strings.Contains(kind, "city") && !strings.Contains(kind, "enterprise") {
		return nil, fmt.Errorf("%w: %q is a database of %q; one by country or city is needed", ErrDatabase, path, r.Metadata.DatabaseType)
	}
	return &opened{r, fi.Size(), fi.ModTime()}, nil
}

// record is what of an entry is read. GeoLite2, GeoIP2 and DB-IP use these names;
// some free databases have the code at the top.
type record struct {
	Country struct {
		ISO string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Registered struct {
		ISO string `maxminddb:"iso_code"`
	} `maxminddb:"registered_country"`
	Code     string `maxminddb:"country_code"`
	Location struct {
		Lat *float64 `maxminddb:"latitude"`
		Lon *float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
}

// Lookup is the country of an address, by ISO 3166-1 alpha-2; ok is false where the
// database does not say.
func (d *DB) Lookup(a netip.Addr) (iso string, ok bool) {
	iso, _, ok = d.Find(a)
	return iso, ok
}

// Find is Lookup, with the place where the database tells it.
func (d *DB) Find(a netip.Addr) (iso string, at Point, ok bool) {
	d.refresh()
	if !a.IsValid() {
		return "", Point{}, false
	}
	var rec record
	if err := d.open.Load().r.Lookup(a.Unmap().WithZone("")).Decode(&rec); err != nil {
		return "", Point{}, false // a damaged entry says nothing
	}
	for _, code := range []string{rec.Country.ISO, rec.Code, rec.Registered.ISO} {
		if code == "" {
			continue
		}
		if iso, err := bound.Country(code); err == nil {
			if rec.Location.Lat != nil && rec.Location.Lon != nil {
				at = Point{*rec.Location.Lat, *rec.Location.Lon}
			}
			return iso, at, true
		}
	}
	return "", Point{}, false
}

// Fault is why the newest file is not used, where it is not; nil is none.
func (d *DB) Fault() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault
}

// Built says of when the database is.
func (d *DB) Built() time.Time { return d.open.Load().r.Metadata.BuildTime().UTC() }

// refresh takes a newer file, at most once in lookEvery. Whoever comes while
// another looks goes on with what there is.
func (d *DB) refresh() {
	if !d.mu.TryLock() {
		return
	}
	defer d.mu.Unlock()
	now := d.now().Unix()
	if now < d.next {
		return
	}
	d.next = now + int64(lookEvery/time.Second)
	fi, err := os.Stat(d.path)
	if err != nil {
		d.fault = fmt.Errorf("looking for a newer country database: %w", err)
		return
	}
	if o := d.open.Load(); fi.Size() == o.size && fi.ModTime().Equal(o.modified) {
		d.fault = nil
		return
	}
	o, err := load(d.path)
	if d.fault = err; err == nil {
		d.open.Store(o)
	}
}
