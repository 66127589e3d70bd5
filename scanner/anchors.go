package scanner

import (
	"sort"
)

// anchor is one occurrence of a keyword of a rule.
type anchor struct {
	rule       *compiled
	start, end int // in the buffer
}

// anchorTable finds the occurrences of all keywords of some rules: a table
// over the first two bytes, without case, then a comparison. It is plain on
// purpose, one pass and no state, since the fast search is tested against it.
type anchorTable struct {
	// head[two bytes] is 1 + an index into lists; 0 means no keyword begins so.
	head  [1 << 16]uint16
	lists [][]keyword
	// longest keyword, in bytes
	longest int
}

type keyword struct {
	text []byte // lower case when fold
	fold bool
	rule *compiled
}

func newAnchorTable(cs []*compiled) *anchorTable {
	t := &anchorTable{}
	add := func(a, b byte, k keyword) {
		i := int(a)<<8 | int(b)
		if t.head[i] == 0 {
			t.lists = append(t.lists, nil)
			t.head[i] = uint16(len(t.lists))
		}
		t.lists[t.head[i]-1] = append(t.lists[t.head[i]-1], k)
	}
	for _, c := range cs {
		for _, w := range c.rule.Keywords {
			k := keyword{text: []byte(w), fold: c.rule.Fold, rule: c}
			if len(k.text) < 2 {
				continue // the loader refuses keywords this short
			}
			t.longest = max(t.longest, len(k.text))
			if !k.fold {
				add(k.text[0], k.text[1], k)
				continue
			}
			k.text = lowerASCII(k.text)
			for _, a := range cases(k.text[0]) {
				for _, b := range cases(k.text[1]) {
					add(a, b, k)
				}
			}
		}
	}
	for _, l := range t.lists {
		sort.SliceStable(l, func(i, j int) bool { return l[i].rule.rule.ID < l[j].rule.rule.ID })
	}
	return t
}

// find calls f for every keyword occurrence that starts in buf[lo:hi], in
// order of its start. The keyword itself may reach past hi.
func (t *anchorTable) find(buf []byte, lo, hi int, f func(anchor)) {
	if len(t.lists) == 0 {
		return
	}
	for i := lo; i < hi && i+1 < len(buf); i++ {
		h := t.head[int(buf[i])<<8|int(buf[i+1])]
		if h == 0 {
			continue
		}
		for _, k := range t.lists[h-1] {
			end := i + len(k.text)
			if end <= len(buf) && equalKeyword(buf[i:end], k) {
				f(anchor{k.rule, i, end})
			}
		}
	}
}

func equalKeyword(b []byte, k keyword) bool {
	if !k.fold {
		return string(b) == string(k.text)
	}
	for i, c := range b {
		if lower(c) != k.text[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func lowerASCII(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = lower(c)
	}
	return out
}

// cases are c and its other case.
func cases(c byte) []byte {
	if 'a' <= c && c <= 'z' {
		return []byte{c, c - 'a' + 'A'}
	}
	return []byte{c}
}
