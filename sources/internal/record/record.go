// Package record keeps the list of what a walk over a history gave, so that the same
// history need not be walked again.
//
// It knows an entry's fields and how to write them in few bytes: what entries of one
// commit share is written once, and each text once. It knows nothing of what they
// mean. What it reads may be damaged or hostile. Start reading at Writer.
package record

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/quench-dev/quench/sources/internal/item"
)

// same reports whether o and p are of one commit.
func same(o, p *item.Origin) bool {
	return o.Commit == p.Commit && o.Author == p.Author && o.Email == p.Email && o.Date.Equal(p.Date) &&
		zone(o.Date) == zone(p.Date) && slices.Equal(o.Labels, p.Labels) && slices.Equal(o.Refs, p.Refs) && o.RefCount == p.RefCount
}

func zone(t time.Time) int {
	_, seconds := t.Zone()
	return seconds
}

// Entry is one thing that a walk gave: its Origin but for Source and Root, Entry,
// Before, Line, Offset and Time, which things in a history have in common or not at
// all.
type Entry struct {
	item.Origin
	Object, Of item.ObjectID
	Size       int64
	// Reason is that of a skip, empty for what can be opened, and Err its cause.
	Reason, Err string
}

var errFormat = errors.New("it is not what a walk wrote")

// What an entry's first byte tells.
const (
	sameOrigin = 1 << iota
	blobIsObject
	blobAlone
	hasObject
	skipped
	hasPath
	headKnown
	inHead
	ofHeader
	allFlags = iota
)

// Writer writes entries.
type Writer struct {
	b     []byte
	texts map[string]uint64
	last  *item.Origin
}

// Add writes an entry.
func (w *Writer) Add(e Entry) {
	var id []byte
	flags := uint64(0)
	if e.InHead != nil {
		flags |= headKnown
		if *e.InHead {
			flags |= inHead
		}
	}
	own := hex.EncodeToString(e.Object[:])
	if e.Object != (item.ObjectID{}) {
		flags, id = flags|hasObject, e.Object[:]
	}
	switch {
	case e.Blob == "":
	case e.Blob == own:
		flags |= blobIsObject
	default:
		flags |= blobAlone
	}
	if e.Reason != "" {
		flags |= skipped
	}
	if e.Of != (item.ObjectID{}) {
		flags |= ofHeader
	}
	if e.Path != "" {
		flags |= hasPath
	}
	if w.last != nil && same(&e.Origin, w.last) {
		flags |= sameOrigin
	}
	w.number(flags)
	if flags&sameOrigin == 0 {
		w.origin(&e.Origin)
	}
	w.b = append(w.b, id...)
	if flags&ofHeader != 0 {
		w.b = append(w.b, e.Of[:]...)
	}
	w.number(uint64(e.Size + 1))
	if flags&hasPath != 0 {
		w.text(e.Path)
	}
	if flags&blobAlone != 0 {
		w.text(e.Blob)
	}
	if flags&skipped != 0 {
		w.text(e.Reason)
		w.text(e.Err)
	}
}

func (w *Writer) origin(o *item.Origin) {
	last := *o
	w.last = &last
	var id []byte
	if b, err := hex.DecodeString(o.Commit); err == nil && hex.EncodeToString(b) == o.Commit {
		id = b
	}
	w.number(uint64(len(id)))
	w.b = append(w.b, id...)
	w.text(o.Author)
	w.text(o.Email)
	if o.Date.IsZero() {
		w.number(0)
	} else {
		w.number(1)
		w.b = binary.AppendVarint(w.b, o.Date.Unix())
		w.b = binary.AppendVarint(w.b, int64(zone(o.Date)))
	}
	for _, list := range [][]string{o.Labels, o.Refs} {
		w.number(uint64(len(list)))
		for _, s := range list {
			w.text(s)
		}
	}
	w.number(uint64(o.RefCount))
}

func (w *Writer) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

// text writes a text, or the number of one that was written before.
func (w *Writer) text(s string) {
	if n, known := w.texts[s]; known {
		w.number(n + 1)
		return
	}
	if w.texts == nil {
		w.texts = map[string]uint64{}
	}
	w.texts[s] = uint64(len(w.texts))
	w.number(0)
	w.number(uint64(len(s)))
	w.b = append(w.b, s...)
}

// Bytes are what Read reads.
func (w *Writer) Bytes() []byte { return w.b }

// Read calls f with each entry, until it gives an error, which is handed back.
func Read(data []byte, f func(Entry) error) error {
	r := reader{rest: data}
	for len(r.rest) > 0 && !r.failed {
		e, ok := r.entry()
		if !ok {
			return errFormat
		}
		if err := f(e); err != nil {
			return err
		}
	}
	if r.failed {
		return errFormat
	}
	return nil
}

type reader struct {
	rest   []byte
	failed bool
	texts  []string
	last   *item.Origin
}

func (r *reader) fail() { r.rest, r.failed = nil, true }

func (r *reader) number(limit int) int {
	n, k := binary.Uvarint(r.rest)
	if k <= 0 || n > uint64(max(0, limit)) {
		r.fail()
		return 0
	}
	r.rest = r.rest[k:]
	return int(n)
}

func (r *reader) signed() int64 {
	n, k := binary.Varint(r.rest)
	if k <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[k:]
	return n
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.rest) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) text() string {
	if n := r.number(len(r.texts)); n > 0 {
		return r.texts[n-1]
	}
	s := string(r.bytes(r.number(len(r.rest))))
	r.texts = append(r.texts, s)
	return s
}

func (r *reader) entry() (e Entry, ok bool) {
	flags := r.number(1<<allFlags - 1)
	if flags&sameOrigin == 0 {
		r.last = r.origin()
	}
	if r.last == nil {
		return e, false
	}
	e.Origin = *r.last
	if flags&headKnown != 0 {
		in := flags&inHead != 0
		e.InHead = &in
	}
	if flags&hasObject != 0 {
		copy(e.Object[:], r.bytes(len(e.Object)))
	}
	if flags&ofHeader != 0 {
		copy(e.Of[:], r.bytes(len(e.Of)))
	}
	e.Size = int64(r.number(1<<62)) - 1
	if flags&hasPath != 0 {
		e.Path = r.text()
	}
	switch {
	case flags&blobAlone != 0:
		e.Blob = r.text()
	case flags&blobIsObject != 0:
		e.Blob = hex.EncodeToString(e.Object[:])
	}
	if flags&skipped != 0 {
		e.Reason, e.Err = r.text(), r.text()
	}
	return e, !r.failed
}

func (r *reader) origin() *item.Origin {
	o := &item.Origin{Commit: hex.EncodeToString(r.bytes(r.number(32))), Author: r.text(), Email: r.text()}
	if r.number(1) == 1 {
		sec, offset := r.signed(), r.signed()
		if offset < -1<<20 || offset > 1<<20 {
			r.fail()
		}
		place := time.UTC
		if offset != 0 {
			place = time.FixedZone("", int(offset))
		}
		o.Date = time.Unix(sec, 0).In(place)
	}
	for _, list := range []*[]string{&o.Labels, &o.Refs} {
		for n := r.number(len(r.rest)); n > 0 && !r.failed; n-- {
			*list = append(*list, r.text())
		}
	}
	o.RefCount = r.number(1 << 40)
	return o
}
