package pack

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// maker writes packs by hand, honest and other ones.
type maker struct {
	t    testing.TB
	pack bytes.Buffer
	objs []made
}

type made struct {
	id  ID
	off int64
	end int64
}

func newMaker(t testing.TB) *maker {
	m := &maker{t: t}
	m.pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x00")
	return m
}

// writers are kept: making one costs a thousand times a small object.
var writers = sync.Pool{New: func() any { return zlib.NewWriter(nil) }}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	w := writers.Get().(*zlib.Writer)
	defer writers.Put(w)
	w.Reset(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// entry appends an entry: kind and size as told, then what ref holds, then data
// compressed.
func (m *maker) entry(id ID, kind Kind, size int, ref, data []byte) int64 {
	off := int64(m.pack.Len())
	c := byte(kind)<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		m.pack.WriteByte(c | 0x80)
		c = byte(size & 0x7f)
	}
	m.pack.WriteByte(c)
	m.pack.Write(ref)
	m.pack.Write(deflated(data))
	m.objs = append(m.objs, made{id, off, int64(m.pack.Len())})
	return off
}

func (m *maker) whole(kind Kind, data []byte) (ID, int64) {
	id := objectID(kind, data)
	return id, m.entry(id, kind, len(data), nil, data)
}

// back encodes the distance to a base.
func back(n int64) []byte {
	b := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		n--
		b = append(b, byte(n&0x7f)|0x80)
	}
	slices.Reverse(b)
	return b
}

func (m *maker) ofs(id ID, base int64, delta []byte) int64 {
	return m.entry(id, ofsDelta, len(delta), back(int64(m.pack.Len())-base), delta)
}

func (m *maker) ref(id, base ID, delta []byte) int64 {
	return m.entry(id, refDelta, len(delta), base[:], delta)
}

func varint(n int) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// deltaTo makes a delta from base to data: their common beginning and end are copied.
func deltaTo(base, data []byte) []byte {
	head := 0
	for head < min(len(base), len(data)) && base[head] == data[head] {
		head++
	}
	tail := 0
	for tail < min(len(base), len(data))-head && base[len(base)-1-tail] == data[len(data)-1-tail] {
		tail++
	}
	d := append(varint(len(base)), varint(len(data))...)
	d = append(d, copyOp(0, head)...)
	for mid := data[head : len(data)-tail]; len(mid) > 0; {
		n := min(127, len(mid))
		d = append(append(d, byte(n)), mid[:n]...)
		mid = mid[n:]
	}
	return append(d, copyOp(len(base)-tail, tail)...)
}

func copyOp(from, n int) (d []byte) {
	for n > 0 {
		k := min(n, 0xffffff)
		d = append(d, 0xff, byte(from), byte(from>>8), byte(from>>16), byte(from>>24), byte(k), byte(k>>8), byte(k>>16))
		from, n = from+k, n-k
	}
	return d
}

// finish gives the pack.
func (m *maker) finish() []byte {
	b := bytes.Clone(m.pack.Bytes())
	binary.BigEndian.PutUint32(b[8:], uint32(len(m.objs)))
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

// index gives its index of version 1 or 2.
func (m *maker) index(version int) []byte {
	objs := slices.Clone(m.objs)
	slices.SortFunc(objs, func(a, b made) int { return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.off, b.off)) })
	pack := m.finish()
	var fan [256]uint32
	for _, o := range objs {
		for i := int(o.id[0]); i < 256; i++ {
			fan[i]++
		}
	}
	var b []byte
	if version == 2 {
		b = []byte("\xfftOc\x00\x00\x00\x02")
	}
	for _, n := range fan {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	if version == 1 {
		for _, o := range objs {
			b = append(binary.BigEndian.AppendUint32(b, uint32(o.off)), o.id[:]...)
		}
	} else {
		for _, o := range objs {
			b = append(b, o.id[:]...)
		}
		for _, o := range objs {
			b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(pack[o.off:o.end]))
		}
		for _, o := range objs {
			b = binary.BigEndian.AppendUint32(b, uint32(o.off))
		}
	}
	b = append(b, pack[len(pack)-20:]...)
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

// save writes the pack into an object folder, as pack-NAME.
func (m *maker) save(dir, name string, version int) {
	m.t.Helper()
	put(m.t, filepath.Join(dir, "pack", "pack-"+name+".pack"), m.finish())
	put(m.t, filepath.Join(dir, "pack", "pack-"+name+".idx"), m.index(version))
}

func put(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func saveLoose(t testing.TB, dir string, k Kind, data []byte) ID {
	t.Helper()
	id := objectID(k, data)
	put(t, loosePath(dir, id), deflated(append(header(k, int64(len(data))), data...)))
	return id
}
