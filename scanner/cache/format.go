package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// magic begins every cache, and changes with what follows it.
const magic = "quench scan cache 2\n"

// maxSegments bounds the segments of a cache: each is searched for every object.
// One more than this, and those of one registry are made one.
const maxSegments = 8

var errFormat = errors.New("it is not what a scan wrote")

// The kinds of results.
const (
	isText = iota
	isBinary
	hasMatches
	isArchive
)

// Parse reads a cache. data is kept and not to be written to.
func Parse(data []byte) (*Cache, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("%w: it begins with something else", errFormat)
	}
	c := &Cache{}
	r := reader{rest: rest}
	for len(r.rest) > 0 && r.ok() {
		s := parseSegment(r.bytes(r.number(len(r.rest))))
		if s == nil || len(c.segments) == maxSegments {
			return nil, errFormat
		}
		c.segments, c.usable = append(c.segments, s), append(c.usable, false)
	}
	if !r.ok() {
		return nil, errFormat
	}
	return c, nil
}

// reader takes numbers and bytes off its front. What does not fit ends it.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) ok() bool { return !r.failed }

func (r *reader) uvarint() uint64 {
	n, k := binary.Uvarint(r.rest)
	if k <= 0 || r.failed {
		r.rest, r.failed = nil, true
		return 0
	}
	r.rest = r.rest[k:]
	return n
}

// number is one of at most limit.
func (r *reader) number(limit int) int {
	n := r.uvarint()
	if n > uint64(max(0, limit)) {
		r.rest, r.failed = nil, true
		return 0
	}
	return int(n)
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.rest) || r.failed {
		r.rest, r.failed = nil, true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes(r.number(len(r.rest)))) }

// parseSegment gives nil for what is none.
func parseSegment(raw []byte) *segment {
	s := &segment{raw: raw}
	r := reader{rest: raw}
	s.key = r.bytes(r.number(len(r.rest)))
	for n := r.number(len(r.rest)); n > 0 && r.ok(); n-- {
		s.shapes = append(s.shapes, Shape{Len: r.number(1 << 30), Extra: r.text()})
	}
	n := r.number(len(r.rest)) // a run takes a byte at least
	s.runs = make([]uint64, 0, n)
	for last := uint64(0); n > 0 && r.ok(); n-- {
		if last += r.uvarint(); len(s.runs) > 0 && last <= s.runs[len(s.runs)-1] {
			return nil
		}
		s.runs = append(s.runs, last)
	}
	for n := r.number(len(r.rest)); n > 0 && r.ok(); n-- {
		s.strings = append(s.strings, r.text())
	}
	n = r.number(len(r.rest) / len(ID{}))
	s.ids = r.bytes(n * len(ID{}))
	s.offsets = r.bytes(4 * n)
	s.results = r.rest
	if !r.ok() {
		return nil
	}
	for i := 1; i < n; i++ {
		if bytes.Compare(s.ids[(i-1)*len(ID{}):i*len(ID{})], s.ids[i*len(ID{}):(i+1)*len(ID{})]) >= 0 {
			return nil
		}
	}
	return s
}

// result reads the i-th; false when it is malformed.
func (s *segment) result(i int) (res Result, ok bool) {
	off := int(binary.LittleEndian.Uint32(s.offsets[4*i:]))
	if off > len(s.results) {
		return res, false
	}
	r := reader{rest: s.results[off:]}
	kind := r.number(isArchive)
	if kind == isBinary {
		return Result{Binary: true}, r.ok()
	}
	res.Size = int64(r.number(1 << 62))
	switch kind {
	case isText:
		return res, r.ok()
	case isArchive:
		res.Archive = s.archive(&r)
		return res, r.ok()
	}
	for n := r.number(len(r.rest)); n > 0 && r.ok(); n-- {
		m := Match{Rule: s.text(r.number(len(s.strings)))}
		n := r.number(1 << 41)
		m.Secret, m.Marked = n>>1, n&1 == 1
		if via := s.text(r.number(len(s.strings))); via != "" {
			m.Via = strings.Split(via, ",")
		}
		m.Start = int64(r.number(1 << 62))
		m.End = m.Start + int64(r.number(1<<62))
		if m.Rule == "" || m.End < m.Start || m.End > res.Size {
			return Result{}, false
		}
		res.Matches = append(res.Matches, m)
	}
	return res, r.ok()
}

func (s *segment) archive(r *reader) *Archive {
	a := &Archive{Archives: int64(r.number(1 << 40)), Entries: int64(r.number(1 << 40)), Items: int64(r.number(1 << 40))}
	for n := r.number(len(r.rest)); n > 0 && r.ok(); n-- {
		if a.Skipped == nil {
			a.Skipped = map[string]int64{}
		}
		reason := s.text(r.number(len(s.strings)))
		a.Skipped[reason] = int64(r.number(1 << 40))
	}
	return a
}

// text is a string by its number, from 1; 0 is none.
func (s *segment) text(n int) string {
	if n < 1 || n > len(s.strings) {
		return ""
	}
	return s.strings[n-1]
}

// entry is a result to be written.
type entry struct {
	id ID
	Result
}

// encode writes a segment. It sorts entries and runs, and drops what is twice.
func encode(key []byte, shapes []Shape, runs []uint64, entries []entry) *segment {
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.id[:], b.id[:]) })
	entries = slices.CompactFunc(entries, func(a, b entry) bool { return a.id == b.id })
	slices.Sort(runs)
	runs = slices.Compact(runs)
	var all []string
	numbers := map[string]int{"": 0}
	number := func(s string) uint64 {
		n, known := numbers[s]
		if !known {
			all = append(all, s)
			n = len(all)
			numbers[s] = n
		}
		return uint64(n)
	}
	var ids, offsets, results []byte
	for _, e := range entries {
		ids = append(ids, e.id[:]...)
		offsets = binary.LittleEndian.AppendUint32(offsets, uint32(len(results)))
		if e.Binary {
			results = append(results, isBinary)
			continue
		}
		kind := uint64(isText)
		switch {
		case e.Archive != nil:
			kind = isArchive
		case len(e.Matches) > 0:
			kind = hasMatches
		}
		results = binary.AppendUvarint(binary.AppendUvarint(results, kind), uint64(e.Size))
		if a := e.Archive; a != nil {
			for _, n := range []int64{a.Archives, a.Entries, a.Items, int64(len(a.Skipped))} {
				results = binary.AppendUvarint(results, uint64(n))
			}
			for _, reason := range slices.Sorted(maps.Keys(a.Skipped)) {
				results = binary.AppendUvarint(binary.AppendUvarint(results, number(reason)), uint64(a.Skipped[reason]))
			}
			continue
		}
		if kind == isText {
			continue
		}
		results = binary.AppendUvarint(results, uint64(len(e.Matches)))
		for _, m := range e.Matches {
			marked := uint64(0)
			if m.Marked {
				marked = 1
			}
			for _, n := range []uint64{number(m.Rule), uint64(m.Secret)<<1 | marked, number(strings.Join(m.Via, ",")), uint64(m.Start), uint64(m.End - m.Start)} {
				results = binary.AppendUvarint(results, n)
			}
		}
	}
	raw := appendText(nil, string(key))
	raw = binary.AppendUvarint(raw, uint64(len(shapes)))
	for _, s := range shapes {
		raw = appendText(binary.AppendUvarint(raw, uint64(s.Len)), s.Extra)
	}
	raw = binary.AppendUvarint(raw, uint64(len(runs)))
	last := uint64(0)
	for _, fp := range runs {
		raw = binary.AppendUvarint(raw, fp-last)
		last = fp
	}
	raw = binary.AppendUvarint(raw, uint64(len(all)))
	for _, s := range all {
		raw = appendText(raw, s)
	}
	raw = binary.AppendUvarint(raw, uint64(len(entries)))
	return parseSegment(slices.Concat(raw, ids, offsets, results))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Bytes are those that Parse reads.
func (c *Cache) Bytes() []byte {
	b := []byte(magic)
	for _, s := range c.segments {
		b = append(binary.AppendUvarint(b, uint64(len(s.raw))), s.raw...)
	}
	return b
}
