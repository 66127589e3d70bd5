package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/quench-dev/quench/sources/internal/inflate"
)

// packFile is one pack and its index.
type packFile struct {
	name  string // pack-HASH
	dir   string
	x     *index
	f     *file
	idx   *file // what x lies in, or nil
	proof bool  // CRCs of the index vouch for the entries

	mu     sync.Mutex
	layout *layout // once it was asked for
}

const (
	packHeader  = 12
	packTrailer = 20
	// maxHeader is the longest entry header: a type and size in 10 bytes, then
	// an offset in 10 or an id in 20.
	maxHeader = 32
)

// entry is the header of one object in a pack.
type entry struct {
	kind Kind
	size int64 // inflated; of a delta, the delta's own
	data int64 // where the zlib stream begins
	base int64 // of an ofsDelta, where its base's entry begins
	ref  ID    // of a refDelta
}

var errEntry = fmt.Errorf("%w: malformed entry in a pack", ErrCorrupt)

// parseEntry reads the entry header at the start of b, which begins at off.
func parseEntry(b []byte, off int64) (e entry, err error) {
	bad := errEntry
	if len(b) == 0 {
		return e, bad
	}
	c := b[0]
	i := 1
	e.kind, e.size = Kind(c>>4&7), int64(c&15)
	for shift := uint(4); c&0x80 != 0; shift += 7 {
		if i == len(b) || shift > 53 { // an object of 2^60 bytes is a lie
			return e, bad
		}
		c = b[i]
		i++
		e.size |= int64(c&0x7f) << shift
	}
	switch e.kind {
	case Commit, Tree, Blob, Tag:
	case ofsDelta:
		if i == len(b) {
			return e, bad
		}
		c = b[i]
		i++
		back := int64(c & 0x7f)
		for c&0x80 != 0 {
			if i == len(b) || back >= 1<<54 {
				return e, bad
			}
			c = b[i]
			i++
			back = (back+1)<<7 | int64(c&0x7f)
		}
		// A base lies before its delta, which also makes a circle impossible.
		if e.base = off - back; back == 0 || e.base < packHeader {
			return e, bad
		}
	case refDelta:
		if i+len(e.ref) > len(b) {
			return e, bad
		}
		copy(e.ref[:], b[i:])
		i += len(e.ref)
	default:
		return e, bad
	}
	e.data = off + int64(i)
	return e, nil
}

// entryAt reads the entry header at off.
func (p *packFile) entryAt(off int64) (entry, error) {
	if off < packHeader || off >= p.f.size-packTrailer {
		return entry{}, fmt.Errorf("%w: offset %d lies outside the pack %s", ErrCorrupt, off, p.name)
	}
	if p.f.data != nil {
		return parseEntry(p.f.data[off:min(off+maxHeader, p.f.size-packTrailer)], off)
	}
	var fixed [maxHeader]byte
	buf := fixed[:]
	b, err := p.f.at(off, min(maxHeader, p.f.size-packTrailer-off), &buf)
	if err != nil {
		return entry{}, err
	}
	return parseEntry(b, off)
}

// scratch is what reading an entry needs; one goroutine at a time.
type scratch struct {
	dec inflate.Decoder
	in  []byte // where entries are read to when the file is not mapped
}

// inflate decompresses an entry's stream into a buffer that make gives. end is
// where the entry ends, or 0 where that is not known.
func (p *packFile) inflate(sc *scratch, e entry, end int64, dst []byte) ([]byte, error) {
	limit := p.f.size - packTrailer
	if end > 0 {
		limit = end
	}
	// A stream that says to hold more than deflate can pack into so many bytes
	// lies; nothing is allocated for it. 1032 is the most, of a run of one byte.
	if e.size > (limit-e.data)*1032 {
		return nil, fmt.Errorf("%w: a stream of %d bytes cannot hold %d", ErrCorrupt, limit-e.data, e.size)
	}
	if int64(cap(dst)) < e.size+inflate.Slack {
		dst = make([]byte, e.size, e.size+inflate.Slack)
	}
	dst = dst[:e.size]
	// Without a mapping and an end, guess: what deflate makes of noise, and as
	// much again while the stream is longer.
	n := limit - e.data
	if p.f.data == nil && end == 0 {
		n = min(n, e.size+e.size/256+4096)
	}
	for {
		src, err := p.f.at(e.data, n, &sc.in)
		if err != nil {
			return nil, err
		}
		used, err := sc.dec.Zlib(dst, src)
		switch {
		case err == nil && end > 0 && e.data+int64(used) != end:
			return nil, fmt.Errorf("%w: the index and the pack %s disagree on where an entry ends", ErrCorrupt, p.name)
		case err == nil:
			return dst, nil
		case errors.Is(err, inflate.ErrCorrupt) && n < limit-e.data:
			n = min(2*n, limit-e.data)
		default:
			return nil, fmt.Errorf("%w: entry in the pack %s: %w", ErrCorrupt, p.name, err)
		}
	}
}

// checkCRC compares an entry with its CRC in the index, which made it together
// with the entry's id from the same bytes.
func (p *packFile) checkCRC(sc *scratch, i int, off, end int64) error {
	b, err := p.f.at(off, end-off, &sc.in)
	if err != nil {
		return err
	}
	if crc32.ChecksumIEEE(b) != p.x.crc(i) {
		return fmt.Errorf("%w: an entry of the pack %s has another CRC than its index says", ErrCorrupt, p.name)
	}
	return nil
}

// open checks the pack against its index.
func (p *packFile) check() error {
	var buf []byte
	head, err := p.f.at(0, packHeader, &buf)
	if err != nil {
		return err
	}
	if len(head) < packHeader || string(head[:4]) != "PACK" || p.f.size < packHeader+packTrailer {
		return fmt.Errorf("%w: not a pack", ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(head[4:]); v != 2 && v != 3 {
		return fmt.Errorf("%w: version %d is not known", ErrCorrupt, v)
	}
	n := int(binary.BigEndian.Uint32(head[8:]))
	if p.x.pack == (ID{}) { // from a multi-pack-index, which may leave objects out
		return nil
	}
	tail, err := p.f.at(p.f.size-packTrailer, packTrailer, &buf)
	if err != nil {
		return err
	}
	if n != p.x.n || !slices.Equal(tail, p.x.pack[:]) {
		p.proof = false
		return errors.New("the index belongs to another pack, or one of them is damaged; its objects are checked one by one")
	}
	return nil
}
