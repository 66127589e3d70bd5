// Package cfbtest makes compound files for tests, as Office lays them out.
//
// It knows the format as package cfb does, from the writer's side, and is linked by
// tests alone. Start reading at File.
package cfbtest

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// Stream is a stream to be written; slashes in Path lead through storages.
type Stream struct{ Path, Data string }

const (
	sector = 512
	cutoff = 4096
	end    = 0xfffffffe
	free   = 0xffffffff
	// Of the sectors of the FAT the header lists so many, and each list after it.
	listed  = 109
	perList = sector/4 - 1
)

type entry struct {
	name             string
	kind             byte
	right, child, at uint32
	size             int
	left             uint32
}

// File gives a compound file of version 3 that holds the streams.
func File(streams ...Stream) string {
	entries := []entry{{name: "Root Entry", kind: 5, right: free, child: free, left: free, at: end}}
	storages := map[string]int{"": 0}
	last := map[int]int{}
	add := func(parent int, e entry) int {
		e.left, e.right, e.child = free, free, free
		entries = append(entries, e)
		i := len(entries) - 1
		if p, ok := last[parent]; ok {
			entries[p].right = uint32(i)
		} else {
			entries[parent].child = uint32(i)
		}
		last[parent] = i
		return i
	}
	for i, s := range streams {
		parent, rest := 0, s.Path
		for {
			name, after, more := strings.Cut(rest, "/")
			if !more {
				break
			}
			whole := strings.TrimSuffix(s.Path, "/"+after)
			if _, ok := storages[whole]; !ok {
				storages[whole] = add(parent, entry{name: name, kind: 1})
			}
			parent, rest = storages[whole], after
		}
		add(parent, entry{name: rest, kind: 2, size: len(s.Data), at: uint32(i)})
	}
	return layOut(entries, streams)
}

// layOut puts the sectors after the header: the directory, the table of small
// streams, those, the others, and the FAT last.
func layOut(entries []entry, streams []Stream) string {
	var body, mini, miniFAT []byte
	var fat []uint32
	chain := func(data []byte) uint32 {
		if len(data) == 0 {
			return end
		}
		first := uint32(len(fat))
		data = pad(data, sector, 0)
		for n := len(data) / sector; n > 0; n-- {
			fat = append(fat, uint32(len(fat)+1))
		}
		fat[len(fat)-1] = end
		body = append(body, data...)
		return first
	}
	for i := range entries {
		e := &entries[i]
		if e.kind != 2 {
			continue
		}
		data := streams[e.at].Data
		if len(data) >= cutoff {
			e.at = chain([]byte(data))
			continue
		}
		e.at = end
		for n := 0; n < len(data); n += 64 {
			next := uint32(len(mini)/64 + 1)
			if n == 0 {
				e.at = next - 1
			}
			if n+64 >= len(data) {
				next = end
			}
			mini = pad(append(mini, data[n:min(n+64, len(data))]...), 64, 0)
			miniFAT = binary.LittleEndian.AppendUint32(miniFAT, next)
		}
	}
	entries[0].at, entries[0].size = chain(mini), len(mini)
	miniAt := chain(pad(miniFAT, sector, 0xff))
	var dir []byte
	for _, e := range entries {
		dir = append(dir, e.bytes()...)
	}
	dirAt := chain(dir)
	return header(fat, dirAt, miniAt, len(miniFAT)) + string(body) + tables(fat)
}

// sizes gives how many sectors the FAT takes, and how many the lists of them.
func sizes(fat []uint32) (n, lists int) {
	n = 1
	for (len(fat)+n+lists)*4 > n*sector {
		n++
		lists = max(0, (n-listed+perList-1)/perList)
	}
	return n, lists
}

func header(fat []uint32, dirAt, miniAt uint32, miniFAT int) string {
	n, lists := sizes(fat)
	h := make([]byte, sector)
	copy(h, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	for at, v := range map[int]uint16{24: 0x3e, 26: 3, 28: 0xfffe, 30: 9, 32: 6} {
		binary.LittleEndian.PutUint16(h[at:], v)
	}
	for at, v := range map[int]uint32{44: uint32(n), 48: dirAt, 56: cutoff, 60: miniAt, 64: uint32(miniFAT+sector-1) / sector, 68: end, 72: uint32(lists)} {
		binary.LittleEndian.PutUint32(h[at:], v)
	}
	for i := range listed {
		at := uint32(free)
		if i < n {
			at = uint32(len(fat) + i)
		}
		binary.LittleEndian.PutUint32(h[76+4*i:], at)
	}
	if lists > 0 {
		binary.LittleEndian.PutUint32(h[68:], uint32(len(fat)+n))
	}
	return string(h)
}

// tables is the FAT and the lists of its sectors.
func tables(fat []uint32) string {
	n, lists := sizes(fat)
	first := len(fat)
	var list []byte
	for i := range lists {
		for k := range perList {
			at := uint32(free)
			if j := listed + i*perList + k; j < n {
				at = uint32(first + j)
			}
			list = binary.LittleEndian.AppendUint32(list, at)
		}
		next := uint32(end)
		if i+1 < lists {
			next = uint32(first + n + i + 1)
		}
		list = binary.LittleEndian.AppendUint32(list, next)
	}
	for range n {
		fat = append(fat, 0xfffffffd)
	}
	for range lists {
		fat = append(fat, 0xfffffffc)
	}
	var table []byte
	for _, v := range fat {
		table = binary.LittleEndian.AppendUint32(table, v)
	}
	return string(pad(table, sector, 0xff)) + string(list)
}

func pad(b []byte, to int, with byte) []byte {
	for len(b)%to != 0 {
		b = append(b, with)
	}
	return b
}

func (e entry) bytes() []byte {
	b := make([]byte, 128)
	units := utf16.Encode([]rune(e.name))
	for i, u := range units {
		binary.LittleEndian.PutUint16(b[2*i:], u)
	}
	binary.LittleEndian.PutUint16(b[64:], uint16(2*len(units)+2))
	b[66], b[67] = e.kind, 1
	for at, v := range map[int]uint32{68: e.left, 72: e.right, 76: e.child, 116: e.at, 120: uint32(e.size)} {
		binary.LittleEndian.PutUint32(b[at:], v)
	}
	return b
}
