// Package msoffice gives the texts in streams of documents of Office before 2007, and
// of macros in all of them.
//
// It knows what lies in the streams of Excel, Word and VBA, and nothing of the file
// around them, which is package cfb's. Start reading at Workbook and Macro.
package msoffice

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"iter"

	"github.com/quench-dev/quench/sources/internal/textruns"
)

// ErrEncrypted says that it cannot be read without its password.
var ErrEncrypted = errors.New("encrypted document")

// EncryptedWord reads fEncrypted of the head ([MS-DOC] 2.5.2, FibBase).
func EncryptedWord(r io.Reader) bool {
	var b [12]byte
	_, err := io.ReadFull(r, b[:])
	return err == nil && b[11]&1 != 0
}

// The records of a workbook that are looked at ([MS-XLS] 2.3.2).
const (
	recordFilePass = 0x2f
	recordContinue = 0x3c
	recordStrings  = 0xfc // SST: the texts of all cells
)

// records reads the records of a workbook one after the other.
type records struct {
	r    io.Reader
	kind uint16 // of the one read ahead
	data []byte
	err  error
}

// next reads a record; false at the end and where it breaks off.
func (r *records) next() bool {
	var h [4]byte
	if _, r.err = io.ReadFull(r.r, h[:]); r.err != nil {
		if r.err == io.ErrUnexpectedEOF { // what pads the stream
			r.err = io.EOF
		}
		return false
	}
	r.kind = binary.LittleEndian.Uint16(h[:])
	r.data = make([]byte, binary.LittleEndian.Uint16(h[2:]))
	n, err := io.ReadFull(r.r, r.data)
	if r.data = r.data[:n]; err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	r.err = err
	return n > 0 || err == nil
}

// Workbook gives the texts of each record. Those of cells are read by their
// lengths: as bytes, the length of one could be taken for the last letter of the one
// before.
func Workbook(in io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r := &records{r: in}
		for ok := r.next(); ok; {
			if r.kind == recordFilePass {
				yield(nil, ErrEncrypted)
				return
			}
			if r.kind == recordStrings {
				t := &cellTexts{r: r, yield: yield}
				if ok = t.all(); t.ended {
					return
				}
				continue
			}
			text, _ := io.ReadAll(textruns.NewReader(bytes.NewReader(r.data)))
			if len(text) > 0 && !yield(text, nil) {
				return
			}
			ok = r.next()
		}
		if r.err != io.EOF {
			yield(nil, r.err)
		}
	}
}

// cellTexts reads the shared strings, which go on in records of their own.
type cellTexts struct {
	r     *records
	yield func([]byte, error) bool
	data  []byte
	out   []byte
	whole bool // another record follows than one that goes on
	ended bool // the consumer had enough
}

// more goes to the next record where that goes on; false where it does not.
func (t *cellTexts) more() bool {
	if t.whole {
		return false
	}
	if !t.r.next() || t.r.kind != recordContinue {
		t.whole = true
		return false
	}
	t.data = t.r.data
	return true
}

// take gives n bytes, which may lie in two records.
func (t *cellTexts) take(n int) (b []byte, ok bool) {
	for len(b) < n {
		if len(t.data) == 0 && !t.more() {
			return nil, false
		}
		k := min(n-len(b), len(t.data))
		b, t.data = append(b, t.data[:k]...), t.data[k:]
	}
	return b, true
}

// skip passes over n bytes.
func (t *cellTexts) skip(n int64) bool {
	for n > 0 {
		if len(t.data) == 0 && !t.more() {
			return false
		}
		k := min(n, int64(len(t.data)))
		n, t.data = n-k, t.data[k:]
	}
	return true
}

// all gives each string as a line, and whether a record follows.
func (t *cellTexts) all() (ok bool) {
	t.data = t.r.data
	if _, ok := t.take(8); ok { // two counts
		for t.one() && !t.ended {
		}
	}
	if !t.ended && len(t.out) > 0 {
		t.ended = !t.yield(t.out, nil)
	}
	for !t.whole { // what is left of damaged ones
		t.data = nil
		t.more()
	}
	return t.r.err == nil
}

// The flags of a string ([MS-XLS] 2.5.293, XLUnicodeRichExtendedString).
const (
	stringDouble   = 1
	stringExtended = 4
	stringRich     = 8
)

func (t *cellTexts) one() bool {
	h, ok := t.take(3)
	if !ok {
		return false
	}
	chars, flags := int(binary.LittleEndian.Uint16(h)), h[2]
	var after int64
	if flags&stringRich != 0 {
		if h, ok = t.take(2); !ok {
			return false
		}
		after += 4 * int64(binary.LittleEndian.Uint16(h))
	}
	if flags&stringExtended != 0 {
		if h, ok = t.take(4); !ok {
			return false
		}
		after += int64(binary.LittleEndian.Uint32(h))
	}
	if !t.characters(chars, flags&stringDouble != 0) || !t.skip(after) {
		return false
	}
	if len(t.out) > 32<<10 {
		t.ended = !t.yield(t.out, nil)
		t.out = nil
	}
	return true
}

// characters reads a text. Where it goes on in another record, that says anew how
// wide its characters are.
func (t *cellTexts) characters(n int, wide bool) bool {
	for n > 0 {
		if len(t.data) == 0 {
			flags, ok := t.take(1)
			if !ok {
				return false
			}
			wide = flags[0]&stringDouble != 0
		}
		size := 1
		if wide {
			size = 2
		}
		k := min(n, len(t.data)/size)
		if k == 0 {
			t.data = nil // half a character
			continue
		}
		t.out = textruns.Append(t.out, t.data[:k*size], wide)
		n, t.data = n-k, t.data[k*size:]
	}
	t.out = append(t.out, '\n')
	return true
}
