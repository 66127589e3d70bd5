package unpack

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/quench-dev/quench/sources/internal/cfb"
	"github.com/quench-dev/quench/sources/internal/keystore"
	"github.com/quench-dev/quench/sources/internal/pyc"
	"github.com/quench-dev/quench/sources/internal/sevenzip"
	"github.com/quench-dev/quench/sources/internal/sqlitefile"
	"github.com/quench-dev/quench/sources/internal/textruns"
)

// Kind is what the first bytes of a file say it is. A name decides nothing: a text
// called logo.png is read, and a zip called notes.txt is unpacked.
type Kind int

// The kinds. Those from Gzip on are unpacked.
const (
	Text   Kind = iota
	Binary      // holds no text that is read
	UTF16LE
	UTF16BE
	UTF32LE
	UTF32BE
	Gzip
	Bzip2
	XZ
	Zstd
	Tar
	Zip
	Keystore
	SQLite
	Pyc
	PDF
	RAR
	SevenZip
	Ar
	Cpio
	RPM
	OLE
	SQLiteLog
)

// Wide reports whether it is text to be decoded.
func (k Kind) Wide() bool { return k >= UTF16LE && k <= UTF32BE }

// Archive reports whether there are entries in it.
func (k Kind) Archive() bool { return k >= Gzip }

// format is how one kind of archive is opened.
type format struct {
	// random says that open needs Input.At.
	random bool
	// open gives every entry to w.entry, prefix before its name.
	open func(w *walker, in Input, prefix string, depth int) error
}

// formats is filled by init, since they come back to it through walker.entry.
var formats map[Kind]format

func init() {
	formats = map[Kind]format{
		Gzip:  {open: (*walker).gzip},
		Bzip2: {open: (*walker).bzip2},
		XZ:    {open: (*walker).xz},
		Zstd:  {open: (*walker).zstd},
		Tar:   {open: (*walker).tar},
		Zip:   {open: (*walker).zip, random: true},

		SQLite:    {open: (*walker).sqlite, random: true},
		SQLiteLog: {open: (*walker).sqliteLog, random: true},
		SevenZip:  {open: (*walker).sevenzip, random: true},
		RAR:       {open: (*walker).rar},
		Ar:        {open: (*walker).ar},
		Cpio:      {open: (*walker).cpio},
		RPM:       {open: (*walker).rpm},
		OLE:       {open: (*walker).ole, random: true},
		PDF:       {open: (*walker).pdf},
		Pyc:       {open: (*walker).pyc},
		Keystore:  {open: (*walker).keystore},
	}
}

// SniffLen is how much of a file decides what it is: what git looks at
// (buffer_is_binary, FIRST_FEW_BYTES), so that people meet one notion of binary.
const SniffLen = 8000

// magics are the first bytes of formats that can go without a NUL for longer
// than SniffLen, and of those that are unpacked.
var magics = []struct {
	magic string
	kind  Kind
}{
	{"\x89PNG\r\n\x1a\n", Binary}, {"\xff\xd8\xff", Binary}, {"GIF87a", Binary}, {"GIF89a", Binary}, {"%PDF-", PDF},
	{"PK\x03\x04", Zip}, {"PK\x05\x06", Zip}, {"\x1f\x8b\x08", Gzip}, {"BZh", Bzip2}, {"\xfd7zXZ\x00", XZ}, {"\x28\xb5\x2f\xfd", Zstd},
	{sevenzip.Magic, SevenZip}, {"Rar!\x1a\x07", RAR}, {arMagic, Ar}, {cpioPortable, Cpio}, {cpioNew, Cpio}, {cpioSum, Cpio}, {rpmMagic, RPM}, {cfb.Magic, OLE},
	{"\x7fELF", Binary}, {"wOFF", Binary}, {"wOF2", Binary}, {"OggS", Binary},
	{sqlitefile.Magic, SQLite}, {sqlitefile.LogMagic[0], SQLiteLog}, {sqlitefile.LogMagic[1], SQLiteLog}, {"ID3\x03", Binary}, {"ID3\x04", Binary}, {"\x00\x00\x01\x00", Binary}, {"fLaC", Binary}, {"\x1a\x45\xdf\xa3", Binary},
	{"\x00\x00\xfe\xff", UTF32BE}, {"\xff\xfe\x00\x00", UTF32LE}, {"\xff\xfe", UTF16LE}, {"\xfe\xff", UTF16BE},
}

// first has the bytes that magics begin with: most texts begin with none of them.
var first = func() (set [256]bool) {
	for _, m := range magics {
		set[m.magic[0]] = true
	}
	return set
}()

// KindOf tells from the first SniffLen bytes of a file, or all of a shorter one,
// what it is.
func KindOf(head []byte) Kind {
	head = head[:min(len(head), SniffLen)]
	if len(head) > 0 && first[head[0]] {
		for _, m := range magics {
			if len(head) >= len(m.magic) && string(head[:len(m.magic)]) == m.magic {
				if k := confirmed(m.kind, head); k != Text {
					return k
				}
			}
		}
	}
	if bytes.IndexByte(head, 0) < 0 {
		return Text
	}
	if isTar(head) {
		return Tar
	}
	if keystore.Is(head) {
		return Keystore
	}
	if pyc.Is(head) {
		return Pyc
	}
	if k := wide(head); k != Binary {
		return k
	}
	if mixed(head) {
		return Text
	}
	return Binary
}

func ascii(b []byte) (n int) {
	for _, c := range b {
		if textruns.IsASCII(c) {
			n++
		}
	}
	return n
}

// mixed tells text of bytes to which text of 16-bit units was appended, as shells of
// Windows do: its NULs all stand in runs of that. The scanner decodes such runs.
func mixed(head []byte) bool {
	for i := 0; i < len(head); i++ {
		c := head[i]
		if c != 0 && (textruns.IsASCII(c) || c >= 0x80 || c == '\f' || c == 0x1b) {
			continue
		}
		if c != 0 || i == 0 || !textruns.IsASCII(head[i-1]) {
			return false
		}
		run := i
		for i+2 < len(head) && textruns.IsASCII(head[i+1]) && head[i+2] == 0 {
			i += 2
		}
		if i-run < 2*minRaw && (i+3 < len(head) || len(head) < SniffLen) {
			return false
		}
	}
	return true
}

// Undecided reports whether what follows the first bytes of a stream can make an
// archive of it, or text of wide characters. It does not hold back a line of text.
func Undecided(head []byte) bool {
	if len(head) == 0 {
		return true
	}
	if len(head) >= 512 { // a header of tar; no other is longer
		return false
	}
	if first[head[0]] {
		for _, m := range magics {
			if n := min(len(head), len(m.magic)); string(head[:n]) == m.magic[:n] && len(head) < undecided(m.kind) && m.kind != Binary {
				return true
			}
		}
	}
	return bytes.IndexByte(head, 0) >= 0
}

// undecided is how many bytes confirmed may want to see.
func undecided(k Kind) int {
	switch k {
	case Cpio:
		return cpioNewHeader
	case Ar:
		return len(arMagic) + arHeader
	}
	return 16
}

// confirmed looks past a magic that a text may begin with.
func confirmed(k Kind, head []byte) Kind {
	switch k {
	case UTF16LE, UTF16BE:
		// The mark may be a lie, or be all that is left of the encoding.
		if n := ascii(head[2:]); len(head) > 2 && bytes.IndexByte(head, 0) < 0 && n > (len(head)-2)*9/10 {
			return Text
		}
	case Ar:
		if !isAr(head) {
			return Text
		}
	case Cpio:
		if !isCpio(head) {
			return Text
		}
	case Gzip:
		if len(head) < 10 || head[3]&0xe0 != 0 { // RFC 1952: reserved flags are zero
			return Binary
		}
	case Bzip2:
		// A level, then the magic of a block or of the end.
		if len(head) < 10 || head[3] < '1' || head[3] > '9' || string(head[4:10]) != "1AY&SY" && string(head[4:10]) != "\x17rE8P\x90" {
			return Text
		}
	}
	return k
}

// isTar checks the sum that every tar header has, whatever its flavour: of its 512
// bytes, those of the sum itself taken as spaces.
func isTar(head []byte) bool {
	if len(head) < 512 || head[0] == 0 {
		return false
	}
	want, err := strconv.ParseUint(strings.Trim(string(head[148:156]), " \x00"), 8, 32)
	if err != nil {
		return false
	}
	unsigned, signed := uint64(8*' '), int64(8*' ')
	for i, b := range head[:512] {
		if i < 148 || i >= 156 {
			unsigned += uint64(b)
			signed += int64(int8(b))
		}
	}
	return want == unsigned || int64(want) == signed
}

// wide tells text of wide characters without a byte order mark, which is told by
// where its NULs are: nearly all on one side of each pair, or three in each four.
// What is mostly outside Latin-1 cannot be told from other binary content.
func wide(head []byte) Kind {
	n := len(head) &^ 3
	if n < 8 {
		return Binary
	}
	var nul [4]int
	for i, b := range head[:n] {
		if b == 0 {
			nul[i&3]++
		}
	}
	// A tenth of the characters may be beyond Latin-1, and few of them end in a NUL.
	many, few := n/4-n/40, n/100
	is := func(a, b, c, d bool) bool {
		for i, want := range [4]bool{a, b, c, d} {
			if want && nul[i] < many || !want && nul[i] > few {
				return false
			}
		}
		return true
	}
	switch {
	case is(false, true, false, true) && printable(head[:n], 2, binary.LittleEndian.Uint16):
		return UTF16LE
	case is(true, false, true, false) && printable(head[:n], 2, binary.BigEndian.Uint16):
		return UTF16BE
	case is(false, true, true, true) && printable(head[:n], 4, binary.LittleEndian.Uint32):
		return UTF32LE
	case is(true, true, true, false) && printable(head[:n], 4, binary.BigEndian.Uint32):
		return UTF32BE
	}
	return Binary
}

// printable reports whether nothing in text is a control character of which texts
// have none.
func printable[T uint16 | uint32](text []byte, size int, at func([]byte) T) bool {
	for i := 0; i+size <= len(text); i += size {
		if c := at(text[i:]); c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b {
			return false
		}
	}
	return true
}
