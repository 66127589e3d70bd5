// Package score decides whether what a name is given is a secret.
//
// The decision is a sum. Each term that holds of a value, its name, what stands
// around it and the kind of file adds its points; a value whose points reach
// Medium is taken for a secret, and the more points the surer. Some terms refuse
// outright: placeholders, templates, references, numbers. The terms are computed by
// Of and OfPath; their points stand in points.txt, learned from labelled lines by a
// command of this repository (testdata/accuracy -learn) and kept as text, so that
// anybody can read why, make them again, and change one. The words that tell
// language from random letters are in words.txt, made by the command in words.
//
// It knows one value at a time and what assign says of it, never the rest of the
// text. Start reading at Of.
package score

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/assign"
)

// Term is one thing that holds of a value, and the points it adds.
type Term struct {
	Name   string
	Points int
}

// Result is what the terms come to.
type Result struct {
	Terms []Term
	// Points is their sum, the constant term included.
	Points int
	// Refusal says why the value is none, whatever the sum; "" when nothing does.
	Refusal string
}

// The sums from which a value is a finding of each confidence: ten points are a
// factor of e in the odds, so Medium is odds of about 2 to 1 on the lines the points
// were learned from, and High of some 50 to 1.
const (
	// Low is taken without the path, whose terms then move the value up or down:
	// what lies below is not kept.
	Low    = -35
	Medium = 0
	High   = 32
)

//go:embed points.txt
var pointsText string

// points reads points.txt: a term and a number a line, '#' for comments.
var points = sync.OnceValue(func() map[string]int {
	m := map[string]int{}
	for line := range strings.SplitSeq(pointsText, "\n") {
		line, _, _ = strings.Cut(line, "#")
		name, number, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if n, err := strconv.Atoi(strings.TrimSpace(number)); ok && err == nil {
			m[strings.TrimSpace(name)] = n
		}
	}
	return m
})

// Of gives the terms of a value in buf. What it looks at lies on the value's line,
// within Aside bytes of it and its name.
func Of(buf []byte, v assign.Value) Result {
	t := newTerms(true)
	defer t.free()
	return t.of(buf, v)
}

// Confidence is what a sum of points stands for.
func Confidence(points int) rules.Confidence {
	switch {
	case points >= High:
		return rules.High
	case points >= Medium:
		return rules.Medium
	}
	return rules.Low
}

func (t *terms) of(buf []byte, v assign.Value) Result {
	val := buf[v.Start:v.End]
	t.low, t.words = lower(t.low[:0], val), appendWords(t.words[:0], nameOf(buf, v))
	if r := t.refusal(buf, v, val); r != "" {
		return Result{Refusal: r}
	}
	t.add("always")
	t.name(v, nameOf(buf, v))
	t.beside(buf, v)
	t.syntax(v)
	t.line(buf, v)
	t.value(v, val, nameOf(buf, v))
	r := t.result()
	// These are told beside the terms: the points learn what such values look like.
	switch n := len(t.words); {
	case published.in(t.low) != 0:
		r.Refusal = "the value is an example that a standard publishes"
	case n > 1 && t.words[n-2] == "key" && t.words[n-1] == "id":
		r.Refusal = "the name is that of a key's name, which is no secret"
	}
	return r
}

// OfPath gives the terms of the path a value was found in, which may be empty, and
// of path and value together.
func OfPath(path string, local Result) Result {
	t := newTerms(true)
	defer t.free()
	t.path(path, local)
	return t.result()
}

// Plus joins the terms of a value and of its path.
func (r Result) Plus(o Result) Result {
	return Result{Terms: append(r.Terms[:len(r.Terms):len(r.Terms)], o.Terms...), Points: r.Points + o.Points, Refusal: r.Refusal}
}

// Has reports whether a term holds.
func (r Result) Has(name string) bool {
	for _, t := range r.Terms {
		if t.Name == name {
			return true
		}
	}
	return false
}

// Why names what speaks most for a secret, in words that fit after "because".
func (r Result) Why() string {
	var best [3]Term // of equal points the earlier one
	for _, t := range r.Terms {
		for i := range best {
			if t.Points > best[i].Points {
				copy(best[i+1:], best[i:])
				best[i] = t
				break
			}
		}
	}
	why := append(make([]byte, 0, 128), strconv.Itoa(r.Points)...)
	why = append(why, " points: "...)
	for i, t := range best {
		if t.Points > 0 {
			if i > 0 {
				why = append(why, "; "...)
			}
			why = append(why, t.Name...)
		}
	}
	return string(why)
}

// terms collects what holds, and holds the memory that needs.
type terms struct {
	known map[string]int // points
	sum   int
	keep  bool // terms, not only their sum
	list  []Term
	term  []byte // of the term at hand

	low, squeezed []byte // the value in lower case, its letters and digits alone
	text          []byte // what the value is the base64 of, or nothing
	decoded       [maxDecoded]byte
	words, own    []string // of the name, and of its last member
}

var scratch = sync.Pool{New: func() any { return &terms{known: points()} }}

func newTerms(keep bool) *terms {
	t := scratch.Get().(*terms)
	t.sum, t.keep, t.list = 0, keep, nil
	return t
}

func (t *terms) free() { scratch.Put(t) }

func (t *terms) result() Result { return Result{Terms: t.list, Points: t.sum} }

// add adds the term whose name the parts are, one after the other.
func (t *terms) add(parts ...string) {
	t.term = t.term[:0]
	for _, p := range parts {
		t.term = append(t.term, p...)
	}
	p := t.known[string(t.term)]
	t.sum += p
	if t.keep {
		t.list = append(t.list, Term{string(t.term), p})
	}
}

func (t *terms) when(ok bool, parts ...string) {
	if ok {
		t.add(parts...)
	}
}

// Aside is how far around a value and its name terms look, in bytes.
const Aside = 96

// level is the first of the bounds that n is below, as a word of a term.
func level(n int, bounds ...int) string {
	for _, b := range bounds {
		if n < b {
			return levels().below[b-leastLevel]
		}
	}
	return levels().from[bounds[len(bounds)-1]-leastLevel]
}

// leastLevel and mostLevel are the bounds that are used, at most.
const leastLevel, mostLevel = -8, 128

var levels = sync.OnceValue(func() *struct {
	below, from [mostLevel - leastLevel + 1]string
} {
	var l struct {
		below, from [mostLevel - leastLevel + 1]string
	}
	for i := range l.below {
		l.below[i], l.from[i] = "<"+strconv.Itoa(i+leastLevel), ">="+strconv.Itoa(i+leastLevel)
	}
	return &l
})

// lower appends b in lower case, ASCII alone.
func lower(dst, b []byte) []byte {
	for _, c := range b {
		if isUpper(c) {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// levelOf is a level behind other words.
func levelOf(words string, n int, bounds ...int) string { return words + level(n, bounds...) }
