package sevenzip

import (
	"encoding/binary"
	"fmt"
)

// The property ids of a header.
const (
	idEnd = iota
	idHeader
	idArchiveProperties
	idAdditionalStreams
	idMainStreams
	idFiles
	idPackInfo
	idUnpackInfo
	idSubStreams
	idSize
	idCRC
	idFolder
	idCodersUnpackSize
	idNumUnpackStream
	idEmptyStream
	idEmptyFile
	_
	idNames
)
const idEncodedHeader = 0x17

// archive is what a header says.
type archive struct {
	packs   []pack
	folders []*folder
	files   []entry
}

type pack struct{ off, size uint64 }

// folder is a stream that was packed as one.
type folder struct {
	coders        []coder
	order         []int    // in which they unpack
	sizes         []uint64 // of what each coder gives
	first, packed int      // its packed streams
	crc           uint32
	known         bool
	files         []substream
}

type coder struct {
	id    string
	props []byte
}

// substream is one file's part of a folder.
type substream struct {
	size  uint64
	crc   uint32
	known bool
}

type entry struct {
	File
	stream bool
}

// size is what a folder unpacks to: what its last coder gives.
func (f *folder) size() uint64 {
	if n := len(f.order); n > 0 && f.order[n-1] < len(f.sizes) {
		return f.sizes[f.order[n-1]]
	}
	return 0
}

// parser reads a header; the first thing wrong ends it.
type parser struct {
	b   []byte
	err error
}

func (p *parser) fail(why string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", ErrMalformed, why)
	}
	p.b = nil
}

func (p *parser) take(n uint64) []byte {
	if n > uint64(len(p.b)) {
		p.fail("its header is cut")
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) byte() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) u32() uint32 {
	if b := p.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// number reads an integer whose first byte says how many follow, in ones.
func (p *parser) number() uint64 {
	first, mask := p.byte(), byte(0x80)
	var v uint64
	for i := range 8 {
		if first&mask == 0 {
			return v | uint64(first&(mask-1))<<(8*i)
		}
		v |= uint64(p.byte()) << (8 * i)
		mask >>= 1
	}
	return v
}

// count reads how many things follow, each of which takes per bits at least.
func (p *parser) count(per uint64) int {
	n := p.number()
	if n > uint64(len(p.b))*8/per || n > maxFiles {
		p.fail("more entries than fit")
		return 0
	}
	return int(n)
}

// bits reads n flags; optional ones may all be set by one byte.
func (p *parser) bits(n int, optional bool) []bool {
	out := make([]bool, n)
	if optional && p.byte() != 0 {
		for i := range out {
			out[i] = true
		}
		return out
	}
	b := p.take(uint64(n+7) / 8)
	for i := range out {
		out[i] = b != nil && b[i/8]&(0x80>>(i%8)) != 0
	}
	return out
}

func (p *parser) expect(id byte) {
	if got := p.byte(); got != id && p.err == nil {
		p.fail(fmt.Sprintf("property %d where %d belongs", got, id))
	}
}

func (h *archive) parse(p *parser) {
	for p.err == nil {
		switch id := p.byte(); id {
		case idEnd:
			return
		case idArchiveProperties:
			for p.err == nil && p.byte() != idEnd {
				p.take(p.number())
			}
		case idAdditionalStreams:
			(&archive{}).streams(p)
		case idMainStreams:
			h.streams(p)
		case idFiles:
			h.list(p)
		default:
			p.fail(fmt.Sprintf("property %d in its header", id))
		}
	}
}

func (h *archive) streams(p *parser) {
	subs := false
	for p.err == nil {
		switch id := p.byte(); id {
		case idEnd:
			if !subs {
				for _, f := range h.folders {
					f.files = []substream{{f.size(), f.crc, f.known}}
				}
			}
			return
		case idPackInfo:
			h.packInfo(p)
		case idUnpackInfo:
			h.unpackInfo(p)
		case idSubStreams:
			subs = true
			h.subStreams(p)
		default:
			p.fail(fmt.Sprintf("property %d in its streams", id))
		}
	}
}

func (h *archive) packInfo(p *parser) {
	off := p.number()
	n := p.count(8)
	for p.err == nil {
		switch p.byte() {
		case idEnd:
			return
		case idSize:
			for range n {
				size := p.number()
				h.packs = append(h.packs, pack{off, size})
				if off += size; off < size {
					p.fail("sizes beyond all bounds")
				}
			}
		case idCRC:
			for _, known := range p.bits(n, true) {
				if known {
					p.u32()
				}
			}
		default:
			p.fail("its packed streams")
		}
	}
}

func (h *archive) unpackInfo(p *parser) {
	p.expect(idFolder)
	n := p.count(16)
	if p.byte() != 0 {
		p.fail("folders that lie elsewhere")
	}
	first := 0
	for range n {
		if p.err != nil {
			return
		}
		f := h.folder(p)
		f.first = first
		first += f.packed
		h.folders = append(h.folders, f)
	}
	p.expect(idCodersUnpackSize)
	for _, f := range h.folders {
		for range f.coders {
			f.sizes = append(f.sizes, p.number())
		}
	}
	for p.err == nil {
		switch p.byte() {
		case idEnd:
			return
		case idCRC:
			for i, known := range p.bits(len(h.folders), true) {
				if f := h.folders[i]; known {
					f.crc, f.known = p.u32(), true
				}
			}
		default:
			p.fail("its folders")
		}
	}
}

func (h *archive) folder(p *parser) *folder {
	f := &folder{packed: 1}
	n := p.count(16)
	if n == 0 || n > maxCoders {
		p.fail("a folder of so many methods")
		return f
	}
	ins := 0
	for range n {
		flags := p.byte()
		c := coder{id: string(p.take(uint64(flags & 0xf)))}
		in, out := uint64(1), uint64(1)
		if flags&0x10 != 0 {
			in, out = p.number(), p.number()
		}
		if flags&0x20 != 0 {
			c.props = p.take(p.number())
		}
		if in > maxCoders || out != 1 {
			p.fail("a method of so many streams")
			return f
		}
		ins += int(in)
		f.coders = append(f.coders, c)
	}
	feeds := make([]int, n) // which output feeds an input, or -1
	for i := range feeds {
		feeds[i] = -1
	}
	bound := make([]bool, n) // outputs that feed one
	for range n - 1 {
		in, out := p.number(), p.number()
		if in >= uint64(ins) || out >= uint64(n) {
			p.fail("bound streams")
			return f
		}
		if bound[out] = true; in < uint64(n) {
			feeds[in] = int(out)
		}
	}
	f.arrange(feeds, bound, ins == n)
	if f.packed = ins - (n - 1); f.packed > 1 {
		for range f.packed {
			p.number()
		}
	}
	return f
}

// arrange puts the coders in the order in which they unpack: each takes what the one
// before gives, and the first the packed stream. Where one takes several streams,
// which is not supported, only the last is found, whose size is the folder's.
func (f *folder) arrange(feeds []int, bound []bool, chain bool) {
	if !chain {
		for i, b := range bound {
			if !b {
				f.order = []int{i}
			}
		}
		return
	}
	from := -1 // the packed stream
	for range feeds {
		for i, out := range feeds {
			if out == from && len(f.order) < len(feeds) {
				f.order = append(f.order, i)
				from = i
				break
			}
		}
	}
}

func (h *archive) subStreams(p *parser) {
	id := p.byte()
	total := 0
	for _, f := range h.folders {
		n := 1
		if id == idNumUnpackStream {
			if n = int(min(p.number(), maxFiles+1)); n > maxFiles {
				p.fail("so many files")
			}
		}
		if total += n; total > maxFiles {
			p.fail("so many files")
			return
		}
		f.files = make([]substream, n)
	}
	if id == idNumUnpackStream {
		id = p.byte()
	}
	for _, f := range h.folders {
		left := f.size()
		for i := range f.files {
			s := left
			if i < len(f.files)-1 {
				if s = 0; id == idSize {
					s = p.number()
				}
			}
			if s > left {
				p.fail("files larger than their folder")
				return
			}
			f.files[i].size = s
			left -= s
		}
	}
	if id == idSize {
		id = p.byte()
	}
	for ; id != idEnd && p.err == nil; id = p.byte() {
		if id != idCRC {
			p.fail("its substreams")
			return
		}
		h.sums(p)
	}
	for _, f := range h.folders {
		if len(f.files) == 1 && f.known {
			f.files[0].crc, f.files[0].known = f.crc, true
		}
	}
}

// sums reads those of files whose folder has none of its own for them.
func (h *archive) sums(p *parser) {
	var of []*substream
	for _, f := range h.folders {
		if len(f.files) == 1 && f.known {
			continue
		}
		for i := range f.files {
			of = append(of, &f.files[i])
		}
	}
	for i, known := range p.bits(len(of), true) {
		if known {
			of[i].crc, of[i].known = p.u32(), true
		}
	}
}

func (h *archive) list(p *parser) {
	n := p.count(16) // the two bytes of an empty name
	h.files = make([]entry, n)
	for i := range h.files {
		h.files[i].stream = true
	}
	var empty []int // files without a stream
	for p.err == nil {
		id := p.byte()
		if id == idEnd {
			return
		}
		q := &parser{b: p.take(p.number())}
		switch id {
		case idEmptyStream:
			for i, is := range q.bits(n, false) {
				if is {
					h.files[i].stream, h.files[i].Dir = false, true
					empty = append(empty, i)
				}
			}
		case idEmptyFile:
			for i, is := range q.bits(len(empty), false) {
				if is {
					h.files[empty[i]].Dir = false
				}
			}
		case idNames:
			if q.byte() != 0 {
				p.fail("names that lie elsewhere")
				return
			}
			h.names(q)
		}
		if q.err != nil {
			p.fail("its list of files")
		}
	}
}

func (h *archive) names(p *parser) {
	for i := range h.files {
		var units []uint16
		for {
			b := p.take(2)
			if b == nil {
				return
			}
			u := binary.LittleEndian.Uint16(b)
			if u == 0 {
				break
			}
			units = append(units, u)
		}
		h.files[i].Name = name(units)
	}
}
