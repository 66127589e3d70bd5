package country

import (
	_ "embed"
	"math"
	"strconv"
	"strings"
	"sync"
)

// Point is a place on the globe, in degrees. The zero one is not known: it lies in
// the sea.
type Point struct{ Lat, Lon float64 }

// Known reports whether p is a place.
func (p Point) Known() bool {
	return p != Point{} && math.Abs(p.Lat) <= 90 && math.Abs(p.Lon) <= 180
}

// Distance is the way from p to q along the globe in kilometres.
func (p Point) Distance(q Point) float64 {
	const radius, rad = 6371, math.Pi / 180
	a := math.Sin((q.Lat - p.Lat) * rad / 2)
	b := math.Sin((q.Lon - p.Lon) * rad / 2)
	h := a*a + math.Cos(p.Lat*rad)*math.Cos(q.Lat*rad)*b*b
	return 2 * radius * math.Asin(math.Sqrt(min(1, h)))
}

//go:embed places.txt
var placesText string

var places = sync.OnceValue(func() map[string][]Point {
	m := map[string][]Point{}
	for line := range strings.Lines(placesText) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		for _, s := range f[1:] {
			lat, lon, _ := strings.Cut(s, ",")
			var p Point
			p.Lat, _ = strconv.ParseFloat(lat, 64) // a test reads them all
			p.Lon, _ = strconv.ParseFloat(lon, 64)
			m[f[0]] = append(m[f[0]], p)
		}
	}
	return m
})

var apart sync.Map // [2]string to float64

// Distance is about how far two countries lie apart, in kilometres: the way between
// the principal places, one of each time zone, that are nearest to each other. ok is
// false for a country that is not in the list.
func Distance(a, b string) (km float64, ok bool) {
	if a == b {
		return 0, true
	}
	if v, ok := apart.Load([2]string{a, b}); ok {
		return v.(float64), true
	}
	from, to := places()[a], places()[b]
	if len(from) == 0 || len(to) == 0 {
		return 0, false
	}
	km = math.Inf(1)
	for _, p := range from {
		for _, q := range to {
			km = min(km, p.Distance(q))
		}
	}
	apart.Store([2]string{a, b}, km)
	return km, true
}
