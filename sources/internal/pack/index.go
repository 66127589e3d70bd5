package pack

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// index says where in a pack each object lies. Its bytes may be a mapping, so
// its methods run under guarded.
type index struct {
	n      int
	fanout []byte // 256 numbers of 4 bytes: ids whose first byte is at most i
	ids    []byte // n ids, sorted, each one stride after the one before
	stride int
	offs   []byte // n offsets of 4 bytes, each one stride4 after the one before
	step   int
	large  []byte // offsets of 8 bytes, for those with the highest bit set
	crcs   []byte // n CRC-32 of the entries; nil in version 1
	pack   ID     // the pack's checksum; zero where the index does not tell it
}

var errIndex = fmt.Errorf("%w: malformed index", ErrCorrupt)

const fanoutLen = 256 * 4

// parseIndex reads an index of version 1 or 2. The second error says that its own
// checksum is wrong: it can be used then, if nothing in it is believed.
func parseIndex(data []byte) (x *index, err, checksum error) {
	const trailer = 2 * sha1.Size
	if len(data) < fanoutLen+trailer {
		return nil, errIndex, nil
	}
	body, tail := data[:len(data)-trailer], data[len(data)-trailer:]
	if sum := sha1.Sum(data[:len(data)-sha1.Size]); !bytes.Equal(sum[:], tail[sha1.Size:]) {
		checksum = errors.New("the index has another checksum than it says")
	}
	x = &index{pack: ID(tail[:sha1.Size])}
	if !bytes.HasPrefix(body, []byte("\xfftOc")) {
		x.fanout, body = body[:fanoutLen], body[fanoutLen:]
		x.n = int(binary.BigEndian.Uint32(x.fanout[255*4:]))
		if x.n != len(body)/24 || len(body)%24 != 0 {
			return nil, errIndex, nil
		}
		x.stride, x.step = 24, 24
		if x.n > 0 {
			x.offs, x.ids = body, body[4:]
		}
		return x, x.checkFanout(), checksum
	}
	if v := binary.BigEndian.Uint32(body[4:]); v != 2 {
		return nil, fmt.Errorf("%w: version %d is not known", errIndex, v), nil
	}
	if body = body[8:]; len(body) < fanoutLen {
		return nil, errIndex, nil
	}
	x.fanout, body = body[:fanoutLen], body[fanoutLen:]
	n := int(binary.BigEndian.Uint32(x.fanout[255*4:]))
	if n > len(body)/28 || (len(body)-28*n)%8 != 0 || (len(body)-28*n)/8 > n {
		return nil, errIndex, nil
	}
	x.n, x.stride, x.step = n, 20, 4
	x.ids, x.crcs, x.offs, x.large = body[:20*n], body[20*n:24*n], body[24*n:28*n], body[28*n:]
	return x, x.checkFanout(), checksum
}

func (x *index) checkFanout() error {
	last := uint32(0)
	for i := range 256 {
		v := binary.BigEndian.Uint32(x.fanout[4*i:])
		if v < last || int(v) > x.n {
			return errIndex
		}
		last = v
	}
	return nil
}

func (x *index) id(i int) (id ID) {
	copy(id[:], x.ids[i*x.stride:])
	return id
}

// offset is where the i-th entry begins in the pack; -1 when the index is wrong.
func (x *index) offset(i int) int64 {
	o := binary.BigEndian.Uint32(x.offs[i*x.step:])
	if x.step != 4 || o&(1<<31) == 0 {
		return int64(o)
	}
	at := int(o&^(1<<31)) * 8
	if at+8 > len(x.large) {
		return -1
	}
	if o := binary.BigEndian.Uint64(x.large[at:]); o < 1<<62 {
		return int64(o)
	}
	return -1
}

func (x *index) crc(i int) uint32 { return binary.BigEndian.Uint32(x.crcs[4*i:]) }

// find gives the place of an id in the index.
func (x *index) find(id ID) (int, bool) {
	lo, hi := 0, int(binary.BigEndian.Uint32(x.fanout[4*int(id[0]):]))
	if id[0] > 0 {
		lo = int(binary.BigEndian.Uint32(x.fanout[4*int(id[0])-4:]))
	}
	if lo >= hi {
		return 0, false
	}
	// Hashes are spread evenly: an id lies near the place that its second to fifth
	// byte tell. One that does is searched for among its neighbours only.
	const near = 24 // covers nine of ten in a part of 600, what 150,000 objects have
	g := lo + int(uint64(hi-lo)*uint64(binary.BigEndian.Uint32(id[1:]))>>32)
	if x.compare(g, &id) <= 0 {
		if lo = g; g+near < hi && x.compare(g+near, &id) > 0 {
			hi = g + near
		}
	} else {
		if hi = g; g-near >= lo && x.compare(g-near, &id) <= 0 {
			lo = g - near
		}
	}
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		switch c := x.compare(m, &id); {
		case c == 0:
			return m, true
		case c < 0:
			lo = m + 1
		default:
			hi = m
		}
	}
	return 0, false
}

// compare orders the i-th id and another one.
func (x *index) compare(i int, id *ID) int {
	e := x.ids[i*x.stride:][:len(id)]
	if c := cmp.Compare(binary.BigEndian.Uint64(e), binary.BigEndian.Uint64(id[:])); c != 0 {
		return c
	}
	return bytes.Compare(e[8:], id[8:])
}

// makeIndex makes the index of a pack from ids in ascending order and their
// offsets, as parts of a multi-pack-index are.
func makeIndex(ids []ID, offsets []int64) *index {
	x := &index{n: len(ids), fanout: make([]byte, fanoutLen), stride: 20, step: 4}
	var count [256]uint32
	for i, id := range ids {
		count[id[0]]++
		x.ids = append(x.ids, id[:]...)
		if offsets[i] < 1<<31 {
			x.offs = binary.BigEndian.AppendUint32(x.offs, uint32(offsets[i]))
			continue
		}
		x.offs = binary.BigEndian.AppendUint32(x.offs, 1<<31|uint32(len(x.large)/8))
		x.large = binary.BigEndian.AppendUint64(x.large, uint64(offsets[i]))
	}
	sum := uint32(0)
	for i, n := range count {
		sum += n
		binary.BigEndian.PutUint32(x.fanout[4*i:], sum)
	}
	return x
}

// parseMulti reads a multi-pack-index (gitformat-pack(5)) and gives the index of
// each pack in it, by the pack's name without its ending. An object that several
// packs hold is in one of them only.
func parseMulti(data []byte) (map[string]*index, error) {
	bad := fmt.Errorf("%w: malformed multi-pack-index", ErrCorrupt)
	if len(data) < 12+sha1.Size || !bytes.HasPrefix(data, []byte("MIDX\x01\x01")) {
		return nil, bad
	}
	if sum := sha1.Sum(data[:len(data)-sha1.Size]); !bytes.Equal(sum[:], data[len(data)-sha1.Size:]) {
		return nil, fmt.Errorf("%w: the multi-pack-index has another checksum than it says", ErrCorrupt)
	}
	chunks, packs := int(data[6]), int(binary.BigEndian.Uint32(data[8:]))
	chunk := map[string][]byte{}
	for i := range chunks {
		at := 12 + 12*i
		if at+24 > len(data) {
			return nil, bad
		}
		from, to := binary.BigEndian.Uint64(data[at+4:]), binary.BigEndian.Uint64(data[at+16:])
		if from > to || to > uint64(len(data)) {
			return nil, bad
		}
		chunk[string(data[at:at+4])] = data[from:to]
	}
	names := bytes.Split(bytes.TrimRight(chunk["PNAM"], "\x00"), []byte{0})
	ids, offs, large := chunk["OIDL"], chunk["OOFF"], chunk["LOFF"]
	n := len(ids) / 20
	if len(ids)%20 != 0 || len(offs) != 8*n || len(names) != packs {
		return nil, bad
	}
	perIDs, perOffs := make([][]ID, packs), make([][]int64, packs)
	for i := range n {
		p, o := binary.BigEndian.Uint32(offs[8*i:]), int64(binary.BigEndian.Uint32(offs[8*i+4:]))
		if large != nil && o&(1<<31) != 0 {
			at := int(o&^(1<<31)) * 8
			if at+8 > len(large) {
				return nil, bad
			}
			o = int64(binary.BigEndian.Uint64(large[at:]))
		}
		id := ID(ids[20*i:])
		if int(p) >= packs || o < 0 || i > 0 && bytes.Compare(ids[20*i-20:20*i], id[:]) >= 0 {
			return nil, bad
		}
		perIDs[p], perOffs[p] = append(perIDs[p], id), append(perOffs[p], o)
	}
	out := map[string]*index{}
	for i, name := range names {
		base, ok := bytes.CutSuffix(name, []byte(".idx"))
		if !ok || bytes.ContainsAny(base, "/\\") || !slices.Equal(base[:min(5, len(base))], []byte("pack-")) {
			return nil, bad
		}
		out[string(base)] = makeIndex(perIDs[i], perOffs[i])
	}
	return out, nil
}
