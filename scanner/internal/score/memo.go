package score

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/quench-dev/quench/scanner/internal/assign"
)

// Memo remembers what names and values come to. Names and values repeat more than the
// lines they stand on: a line of a log has its own time, and most values can be told
// from secrets without looking at it. What is remembered is found by those bytes,
// compared whole, so that a memory decides nothing. The zero Memo is empty and ready;
// it is used by one goroutine.
type Memo struct {
	seed  maphash.Seed
	pairs []pair
}

// pair is a name and a value, and what they come to wherever they stand.
type pair struct {
	hash    uint64
	v       assign.Value // in text
	text    []byte       // the name, then the value
	points  int
	refusal string
}

const (
	// memoPairs is how many are remembered, in some 200 bytes each. Of the values of
	// redis' history 8,192 answer for 90 of 100 and any number for 91; of those of a
	// scanner of secrets, whose tests are made of new ones, 8,192 for 71, 16,384 for 73
	// and any number for 78. Of those of a log they answer for nearly all.
	memoPairs = 8192
	// maxPair bounds a pair's bytes: what is longer seldom comes again.
	maxPair = 256
)

// Sum is Of, without the terms of what is below Low: most values are.
func Sum(buf []byte, v assign.Value) Result {
	t := newTerms(false)
	defer t.free()
	if r := t.of(buf, v); r.Refusal != "" || r.Points < Low {
		return r
	}
	return Of(buf, v)
}

// Refuses says why a value is no secret; "" where Of gives it Low or more.
func (m *Memo) Refuses(buf []byte, v assign.Value) string {
	alone := m.alone(buf, v)
	if alone.Refusal != "" {
		return alone.Refusal
	}
	if alone.Points+mostOfPlace() < Low {
		return TooFew
	}
	t := newTerms(false)
	defer t.free()
	t.words = appendWords(t.words[:0], nameOf(buf, v))
	if r := t.ofPlace(buf, v, buf[v.Start:v.End]); r != "" {
		return r
	}
	t.sum = alone.Points
	t.beside(buf, v)
	t.line(buf, v)
	if t.sum < Low {
		return TooFew
	}
	return ""
}

// TooFew refuses what is below Low.
const TooFew = "its points do not make it a secret"

// alone gives what a name and a value come to wherever they stand.
func (m *Memo) alone(buf []byte, v assign.Value) Result {
	name, val := buf[v.Name[0]:v.Name[1]], buf[v.Start:v.End]
	if len(name)+len(val) > maxPair {
		return alone(buf, v)
	}
	if m.pairs == nil {
		m.seed, m.pairs = maphash.MakeSeed(), make([]pair, memoPairs)
	}
	h := maphash.Bytes(m.seed, val) ^ 31*maphash.Bytes(m.seed, name)
	p := &m.pairs[h%memoPairs]
	key := v
	key.Name, key.Start, key.End = [2]int{0, len(name)}, len(name), len(name)+len(val)
	if p.hash != h || p.v != key || !bytes.Equal(p.text[:len(name)], name) || !bytes.Equal(p.text[len(name):], val) {
		r := alone(buf, v)
		p.hash, p.v, p.text, p.points, p.refusal = h, key, append(append(p.text[:0], name...), val...), r.Points, r.Refusal
	}
	return Result{Points: p.points, Refusal: p.refusal}
}

// alone is what Of says, but for what it says of the place.
func alone(buf []byte, v assign.Value) Result {
	t := newTerms(false)
	defer t.free()
	val := buf[v.Start:v.End]
	t.low, t.words = lower(t.low[:0], val), appendWords(t.words[:0], nameOf(buf, v))
	if r := t.ofValue(buf, v, val); r != "" {
		return Result{Refusal: r}
	}
	t.add("always")
	t.name(v, nameOf(buf, v))
	t.syntax(v)
	t.value(v, val, nameOf(buf, v))
	return t.result()
}

// placeTerms are the beginnings of the terms of beside and line.
var placeTerms = []string{"name after ", "name in quotes", "name begins ", "in a comment", "exported", "line says ", "ends the line", "before ", "bare, before "}

// mostOfPlace is the most that those terms can add: all of them together, also
// those that exclude one another.
var mostOfPlace = sync.OnceValue(func() (most int) {
	for name, p := range points() {
		if slices.ContainsFunc(placeTerms, func(s string) bool { return strings.HasPrefix(name, s) }) {
			most += max(p, 0)
		}
	}
	return most
})
