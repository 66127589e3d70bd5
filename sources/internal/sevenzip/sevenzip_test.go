package sevenzip

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz/lzma"
)

type file struct{ name, data string }

// method packs, and says by what.
type method struct {
	id, props string
	pack      func(string) string
}

var stored = method{"\x00", "", func(s string) string { return s }}

func deflate(s string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func lzma2(s string) string {
	var b bytes.Buffer
	w, err := lzma.Writer2Config{DictCap: 1 << 16}.NewWriter2(&b)
	if err == nil {
		io.WriteString(w, s)
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.String()
}

func lzma1(s string) string {
	var b bytes.Buffer
	w, err := lzma.WriterConfig{DictCap: 1 << 16, SizeInHeader: true, Size: int64(len(s))}.NewWriter(&b)
	if err == nil {
		io.WriteString(w, s)
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.String()[13:] // the header's place is in the properties
}

var methods = map[string]method{
	"stored": stored, "deflate": {"\x04\x01\x08", "", deflate}, "lzma2": {"\x21", "\x08", lzma2},
	"lzma": {"\x03\x01\x01", "\x5d\x00\x00\x01\x00", lzma1},
}

// number writes an integer in its longest form.
func number(n int) string {
	return "\xff" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func sum(s string) string {
	return string(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}

// streams is what a header says of one folder.
func streams(m method, off int, packed, plain string, files []file) string {
	s := "\x06" + number(off) + number(1) + "\x09" + number(len(packed)) + "\x00"
	s += "\x07\x0b" + number(1) + "\x00" + number(1)
	flags := byte(len(m.id))
	if m.props != "" {
		flags |= 0x20
	}
	s += string(flags) + m.id
	if m.props != "" {
		s += number(len(m.props)) + m.props
	}
	s += "\x0c" + number(len(plain)) + "\x0a\x01" + sum(plain) + "\x00"
	if len(files) > 1 {
		s += "\x08\x0d" + number(len(files)) + "\x09"
		for _, f := range files[:len(files)-1] {
			s += number(len(f.data))
		}
		s += "\x0a\x01"
		for _, f := range files {
			s += sum(f.data)
		}
		s += "\x00"
	}
	return s + "\x00"
}

// archiveOf is a solid archive, whose header is packed too where asked for.
func archiveOf(m method, packHeader bool, files ...file) []byte {
	plain, names := "", "\x00"
	for _, f := range files {
		plain += f.data
		for _, u := range utf16.Encode([]rune(f.name + "\x00")) {
			names += string([]byte{byte(u), byte(u >> 8)})
		}
	}
	packed := m.pack(plain)
	header := "\x01\x04" + streams(m, 0, packed, plain, files) + "\x05" + number(len(files)) + "\x11" + number(len(names)) + names + "\x00\x00"
	if packHeader {
		p := m.pack(header)
		outer := "\x17" + streams(m, len(packed), p, header, nil)
		packed += p
		header = outer
	}
	start := string(binary.LittleEndian.AppendUint64(nil, uint64(len(packed)))) + string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + sum(header)
	return []byte(Magic + "\x00\x04" + sum(start) + start + packed + header)
}

func read(data []byte) (got map[string]string, err error) {
	got = map[string]string{}
	err = Walk(bytes.NewReader(data), int64(len(data)), Options{MaxDictionary: 64 << 20}, func(f File, r io.Reader, err error) error {
		if err != nil {
			got[f.Name] = "!" + err.Error()
			return nil
		}
		b, err := io.ReadAll(r)
		got[f.Name] = string(b)
		if err != nil {
			got[f.Name] += "!" + err.Error()
		}
		return nil
	})
	return got, err
}

func TestWalk(t *testing.T) {
	files := []file{{"a.txt", strings.Repeat("text ", 500)}, {"dir/ü.env", "KEY=value\n"}, {"last", "z"}}
	want := map[string]string{}
	for _, f := range files {
		want[f.name] = f.data
	}
	for name, m := range methods {
		for _, packHeader := range []bool{false, true} {
			data := archiveOf(m, packHeader, files...)
			got, err := read(data)
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("%s, packed header %t: %v\n%.500s", name, packHeader, err, d)
			}
			for n := 0; n < len(data); n += 11 {
				if got, err := read(data[:n]); err == nil {
					t.Errorf("%s cut to %d of %d bytes: %d files and no error", name, n, len(data), len(got))
				}
			}
			for i := 40; i < len(data); i += 7 {
				bad := bytes.Clone(data)
				bad[i] ^= 0x10
				got, err := read(bad)
				if err == nil && !cmp.Equal(want, got) && !strings.Contains(fmt.Sprint(got), "!") {
					t.Errorf("%s: byte %d changed the files, and nothing is said", name, i)
				}
			}
		}
	}
	// A file that is not read is passed over.
	n := 0
	data := archiveOf(stored, false, files...)
	if err := Walk(bytes.NewReader(data), int64(len(data)), Options{}, func(f File, r io.Reader, _ error) error {
		if n++; f.Name == "last" {
			if b, err := io.ReadAll(r); string(b) != "z" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		}
		return nil
	}); err != nil || n != 3 {
		t.Errorf("%d files, %v", n, err)
	}
}

func TestRefused(t *testing.T) {
	f := file{"a", "text"}
	for want, m := range map[error]method{
		ErrEncrypted: {methodAES, "", stored.pack}, ErrMethod: {"\x03\x04\x01", "", stored.pack}, ErrTooLarge: {"\x03\x01\x01", "\x5d\xff\xff\xff\xff", lzma1},
	} {
		got, err := read(archiveOf(m, false, f))
		if err != nil || !strings.HasPrefix(got["a"], "!"+want.Error()) {
			t.Errorf("%v: %q, %v", want, got, err)
		}
		if _, err := read(archiveOf(m, true, f)); !errors.Is(err, want) {
			t.Errorf("in the header: %v, want %v", err, want)
		}
	}
	// Counts without the bytes for them allocate nothing.
	header := "\x01\x05" + number(1<<32-1) + "\x00\x00"
	start := string(make([]byte, 8)) + string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + sum(header)
	if _, err := read([]byte(Magic + "\x00\x04" + sum(start) + start + header)); !errors.Is(err, ErrMalformed) {
		t.Errorf("four billion files: %v", err)
	}
}

func FuzzWalk(f *testing.F) {
	for _, m := range methods {
		f.Add(archiveOf(m, false, file{"a", "text"}, file{"b", "more"}))
		f.Add(archiveOf(m, true, file{"a", "text"}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksums are made right, or nothing behind them would be reached.
		if len(data) > 32 {
			off, n := binary.LittleEndian.Uint64(data[12:]), binary.LittleEndian.Uint64(data[20:])
			if rest := uint64(len(data) - 32); off <= rest && n <= rest-off {
				binary.LittleEndian.PutUint32(data[28:], crc32.ChecksumIEEE(data[32+off:32+off+n]))
			}
			binary.LittleEndian.PutUint32(data[8:], crc32.ChecksumIEEE(data[12:32]))
		}
		Walk(bytes.NewReader(data), int64(len(data)), Options{MaxDictionary: 1 << 20}, func(_ File, r io.Reader, _ error) error {
			if r != nil {
				io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			}
			return errors.New("one is enough")
		})
	})
}
