// Package keywords finds the occurrences of keywords the plainest way: a table
// over their first two bytes, then a comparison. It is plain on purpose, one pass
// and no state, since the fast search is tested against it. It knows nothing of
// what a keyword belongs to. Start reading at Table.
package keywords

import "sort"

// Table holds keywords, each of an owner of type R. The zero value is empty.
type Table[R any] struct {
	// head[two bytes] is 1 + an index into lists; 0 means no keyword begins so.
	head  [1 << 16]uint16
	lists [][]keyword[R]
	// Longest is that of the longest keyword, in bytes.
	Longest int
}

type keyword[R any] struct {
	text  []byte // lower case when fold
	fold  bool
	id    string
	owner R
}

// Add adds a keyword of at least two bytes; shorter ones, which the loader refuses,
// are left out. fold finds it in any case. Of several that begin alike, those
// with the lesser id are found first.
func (t *Table[R]) Add(text string, fold bool, id string, owner R) {
	k := keyword[R]{text: []byte(text), fold: fold, id: id, owner: owner}
	if len(k.text) < 2 {
		return
	}
	t.Longest = max(t.Longest, len(k.text))
	if !k.fold {
		t.add(k.text[0], k.text[1], k)
		return
	}
	k.text = Lower(k.text)
	for _, a := range cases(k.text[0]) {
		for _, b := range cases(k.text[1]) {
			t.add(a, b, k)
		}
	}
}

func (t *Table[R]) add(a, b byte, k keyword[R]) {
	i := int(a)<<8 | int(b)
	if t.head[i] == 0 {
		t.lists = append(t.lists, nil)
		t.head[i] = uint16(len(t.lists))
	}
	l := &t.lists[t.head[i]-1]
	*l = append(*l, k)
	sort.SliceStable(*l, func(i, j int) bool { return (*l)[i].id < (*l)[j].id })
}

// Find calls f for every keyword occurrence that starts in buf[lo:hi], in
// order of its start. The keyword itself may reach past hi.
func (t *Table[R]) Find(buf []byte, lo, hi int, f func(owner R, start, end int)) {
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
			if end <= len(buf) && k.equal(buf[i:end]) {
				f(k.owner, i, end)
			}
		}
	}
}

func (k *keyword[R]) equal(b []byte) bool {
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

// Lower gives a copy of b with the letters of ASCII in lower case.
func Lower(b []byte) []byte {
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
