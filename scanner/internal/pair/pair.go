// Package pair finds which halves of credentials belong together: a key's public id
// and its secret, a few lines apart in one text.
//
// It knows rules by their names and places by lines, and nothing of secrets. Start
// reading at Up.
package pair

import (
	"cmp"
	"slices"
	"sort"
)

// Lines is how far apart two halves stand at most. An entry of a credentials file, an
// object in JSON or YAML and a row of assignments hold both within five lines; what is
// twice as far away is the next entry.
const Lines = 10

// Half is one half of a credential, or what may be one.
type Half struct {
	// Rule found it; Partner is the rule that finds the other, public half, "" in
	// those.
	Rule, Partner string
	// Text names the text it lies in, Line and Column where.
	Text         string
	Line, Column int
}

// nearby is how many public halves before and after a secret one are looked at: more on
// ten lines are a list, and the time must not grow with its square.
const nearby = 8

// Up gives for each half with a Partner the index of its public half, or -1: of those
// in its text that no other half took, the nearest, the one before it where two are as
// near. Halves that stand nearest to their partner choose first.
func Up(halves []Half) []int {
	out, taken := make([]int, len(halves)), make([]bool, len(halves))
	for i := range out {
		out[i] = -1
	}
	type key struct{ text, rule string }
	public := map[key][]int{}
	for i, h := range halves {
		if h.Partner == "" {
			k := key{h.Text, h.Rule}
			public[k] = append(public[k], i)
		}
	}
	before := func(a, b Half) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) }
	for _, l := range public {
		slices.SortFunc(l, func(i, j int) int { return before(halves[i], halves[j]) })
	}
	type candidate struct{ distance, secret, public int }
	var all []candidate
	for i, h := range halves {
		if h.Partner == "" {
			continue
		}
		l := public[key{h.Text, h.Partner}]
		at := sort.Search(len(l), func(k int) bool { return before(halves[l[k]], h) > 0 })
		for _, j := range l[max(0, at-nearby):min(len(l), at+nearby)] {
			if d, ok := distance(h, halves[j]); ok {
				all = append(all, candidate{d, i, j})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	for _, c := range all {
		if out[c.secret] < 0 && !taken[c.public] {
			out[c.secret], taken[c.public] = c.public, true
		}
	}
	return out
}

// distance orders pairs: by lines, then the public half before the secret one.
func distance(secret, public Half) (d int, ok bool) {
	lines := secret.Line - public.Line
	after := lines < 0 || lines == 0 && public.Column > secret.Column
	if lines < 0 {
		lines = -lines
	}
	d = 2 * lines
	if after {
		d++
	}
	return d, lines <= Lines
}
