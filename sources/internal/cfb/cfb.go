// Package cfb reads the streams of compound files ([MS-CFB]): the documents of Office
// up to 2003, mails of Outlook, installers of Windows; hostile ones too.
//
// It knows sectors, chains and the directory, and nothing of what a stream holds. No
// chain is longer than the file has sectors, and no more comes out than the file has
// bytes. That is why it is not github.com/richardlehane/mscfb, whose memory grows with
// the square of how deep folders lie in one another, and whose streams may all be the
// same sectors. What the directory lists is given, whether its tree leads there or
// not. Start reading at Open.
package cfb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf16"
)

// Magic is how every file begins.
const Magic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// ErrCorrupt says that a structure is not what its place demands.
var ErrCorrupt = errors.New("corrupt compound file")

const (
	headerSize  = 512
	entrySize   = 128
	miniSize    = 64
	miniCutoff  = 4096 // streams shorter than this lie in the mini stream
	headerFATs  = 109  // sectors of the FAT that the header lists
	maxSector   = 0xfffffffa
	none        = 0xffffffff
	maxName     = 64 // bytes, with the NUL
	storageKind = 1
	streamKind  = 2
	rootKind    = 5
	// maxEntries bounds what the directory lists: a mail with a thousand attachments
	// has some fifty thousand.
	maxEntries = 1 << 18
	// maxDepth bounds how much of a stream's path is told: Office goes five deep.
	maxDepth = 32
)

// Memory is how many bytes Open may hold of a file of the given size, beside the
// directory: four a sector, and as many for the mini stream's.
func Memory(size int64) int64 { return size/headerSize*4 + size/miniSize*4 }

// File is an open file. It is used by one goroutine.
type File struct {
	at     io.ReaderAt
	size   int64
	sector int64 // bytes in one
	count  int64 // sectors
	fat    []uint32
	mini   []uint32 // the FAT of the mini stream
	holds  []uint32 // the sectors of the mini stream
	// Streams are in the order of the directory.
	Streams []Stream
}

// Stream is a stream with something in it.
type Stream struct {
	// Path has the names of the storages it lies in before its own, with slashes.
	Path  string
	Size  int64
	start uint32
}

// Open reads the header, the tables of sectors and the directory.
func Open(at io.ReaderAt, size int64) (*File, error) {
	h := make([]byte, headerSize)
	if _, err := at.ReadAt(h, 0); err != nil && err != io.EOF {
		return nil, err
	}
	u16 := func(i int) uint16 { return binary.LittleEndian.Uint16(h[i:]) }
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(h[i:]) }
	if string(h[:8]) != Magic || u16(28) != 0xfffe || u16(30) != 9 && u16(30) != 12 || u16(32) != 6 {
		return nil, fmt.Errorf("%w: its header", ErrCorrupt)
	}
	f := &File{at: at, size: size, sector: 1 << u16(30)}
	f.count = max(0, (size-1)/f.sector) // the first is the header; the last one may be cut
	if err := f.readFAT(h, u32(68)); err != nil {
		return nil, err
	}
	directory, err := f.chain(u32(48))
	if err != nil {
		return nil, fmt.Errorf("the directory: %w", err)
	}
	minis, err := f.chain(u32(60))
	if err != nil {
		return nil, fmt.Errorf("the table of small streams: %w", err)
	}
	b := make([]byte, f.sector)
	for _, s := range minis {
		if err := f.read(s, b); err != nil {
			return nil, err
		}
		f.mini = appendWords(f.mini, b)
	}
	return f, f.list(directory, u16(26) < 4)
}

// readFAT reads the sectors that the header lists, and those that a chain of further
// lists, which begins at next, does.
func (f *File) readFAT(h []byte, next uint32) error {
	list := appendWords(nil, h[76:76+4*headerFATs])
	b := make([]byte, f.sector)
	for lists := int64(0); len(list) > 0; lists++ {
		for _, s := range list {
			if int64(len(f.fat)) >= f.count {
				return nil
			}
			if s > maxSector {
				continue
			}
			if err := f.read(s, b); err != nil {
				return err
			}
			f.fat = appendWords(f.fat, b)
		}
		if next > maxSector || lists > f.count {
			return nil
		}
		if err := f.read(next, b); err != nil {
			return err
		}
		list = appendWords(list[:0], b)
		next, list = list[len(list)-1], list[:len(list)-1]
	}
	return nil
}

// read fills b with a sector; what the file lacks of its last one is zero.
func (f *File) read(s uint32, b []byte) error {
	if int64(s) >= f.count {
		return fmt.Errorf("%w: there is no sector %d", ErrCorrupt, s)
	}
	n, err := f.at.ReadAt(b, (int64(s)+1)*f.sector)
	if err == io.EOF {
		clear(b[n:])
		err = nil
	}
	return err
}

// chain gives the sectors of a chain.
func (f *File) chain(s uint32) (chain []uint32, err error) {
	for s <= maxSector {
		if int64(s) >= int64(len(f.fat)) || len(chain) >= len(f.fat) {
			return nil, fmt.Errorf("%w: a chain leads nowhere, or around", ErrCorrupt)
		}
		chain = append(chain, s)
		s = f.fat[s]
	}
	return chain, nil
}

// entry is one of the directory.
type entry struct {
	name               string
	kind               byte
	left, right, child uint32
	start              uint32
	size               int64
	parent             int // -1 where nothing leads to it
}

// list reads the directory. Before version 4 only half of a size counts.
func (f *File) list(sectors []uint32, half bool) error {
	entries, err := f.entries(sectors, half)
	if err != nil {
		return err
	}
	root := entries[0]
	if f.holds, err = f.chain(root.start); err != nil {
		return fmt.Errorf("the small streams: %w", err)
	}
	link(entries)
	left := f.size
	for i, e := range entries {
		if e.kind != streamKind || e.size == 0 {
			continue
		}
		if left -= e.size; e.size < 0 || left < 0 {
			return fmt.Errorf("%w: its streams are longer than the file, or overlap", ErrCorrupt)
		}
		f.Streams = append(f.Streams, Stream{Path: pathOf(entries, i), Size: e.size, start: e.start})
	}
	return nil
}

func (f *File) entries(sectors []uint32, half bool) (entries []entry, err error) {
	b := make([]byte, f.sector)
	for _, s := range sectors {
		if err := f.read(s, b); err != nil {
			return nil, err
		}
		for at := 0; at < len(b); at += entrySize {
			if len(entries) == maxEntries {
				return nil, fmt.Errorf("%w: more than %d entries", ErrCorrupt, maxEntries)
			}
			e := b[at : at+entrySize]
			word := func(i int) uint32 { return binary.LittleEndian.Uint32(e[i:]) }
			size := int64(binary.LittleEndian.Uint64(e[120:]))
			if half {
				size &= 0xffffffff
			}
			n := min(int(binary.LittleEndian.Uint16(e[64:])), maxName)
			entries = append(entries, entry{
				name: nameOf(e[:max(0, n-2)]), kind: e[66], left: word(68), right: word(72), child: word(76), start: word(116), size: size, parent: -1,
			})
		}
	}
	if len(entries) == 0 || entries[0].kind != rootKind {
		return nil, fmt.Errorf("%w: no directory", ErrCorrupt)
	}
	return entries, nil
}

// nameOf decodes a name. Those that begin with a control character are reserved for
// uses that the rest of the name tells.
func nameOf(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return strings.TrimLeft(string(utf16.Decode(units)), "\x00\x01\x02\x03\x04\x05\x06\x07\x08")
}

// link finds the parent of each entry that the tree leads to; each is visited once.
func link(entries []entry) {
	type step struct {
		id     uint32
		parent int
	}
	seen := make([]bool, len(entries))
	seen[0] = true
	todo := []step{{entries[0].child, 0}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if int64(s.id) >= int64(len(entries)) || seen[s.id] {
			continue
		}
		seen[s.id] = true
		e := &entries[s.id]
		e.parent = s.parent
		todo = append(todo, step{e.left, s.parent}, step{e.right, s.parent})
		if e.kind == storageKind {
			todo = append(todo, step{e.child, int(s.id)})
		}
	}
}

func pathOf(entries []entry, i int) string {
	name := entries[i].name
	for range maxDepth {
		if i = entries[i].parent; i <= 0 {
			break
		}
		name = path.Join(entries[i].name, name)
	}
	return name
}

func appendWords(to []uint32, b []byte) []uint32 {
	for ; len(b) >= 4; b = b[4:] {
		to = append(to, binary.LittleEndian.Uint32(b))
	}
	return to
}

// Reader gives what a stream holds. Its error says where a chain broke; what is
// before that was given.
func (f *File) Reader(s Stream) io.Reader {
	return &reader{f: f, next: s.start, left: s.Size, small: s.Size < miniCutoff}
}

type reader struct {
	f     *File
	next  uint32
	left  int64 // bytes of the stream
	small bool
	at    int64 // in the file
	here  int64 // bytes of the sector
}

func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.here == 0 {
		if err := r.step(); err != nil {
			return 0, err
		}
	}
	n, err := r.f.at.ReadAt(p[:min(int64(len(p)), r.here, r.left)], r.at)
	r.at, r.here, r.left = r.at+int64(n), r.here-int64(n), r.left-int64(n)
	if n > 0 {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// step goes to the next sector of the chain.
func (r *reader) step() error {
	fat := r.f.fat
	if r.small {
		fat = r.f.mini
	}
	if int64(r.next) >= int64(len(fat)) {
		return fmt.Errorf("%w: a stream ends before its length", ErrCorrupt)
	}
	s := int64(r.next)
	r.next = fat[s]
	if !r.small {
		r.at, r.here = (s+1)*r.f.sector, r.f.sector
		return nil
	}
	per := r.f.sector / miniSize
	if s/per >= int64(len(r.f.holds)) {
		return fmt.Errorf("%w: a small stream lies outside", ErrCorrupt)
	}
	r.at, r.here = (int64(r.f.holds[s/per])+1)*r.f.sector+s%per*miniSize, miniSize
	return nil
}
