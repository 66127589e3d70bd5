package cfb

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources/internal/cfb/cfbtest"
)

// read gives each stream, and the error of it after "!".
func read(data string) (map[string]string, error) {
	f, err := Open(strings.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	got := map[string]string{}
	for _, s := range f.Streams {
		b, err := io.ReadAll(f.Reader(s))
		got[s.Path] = string(b)
		if err != nil {
			got[s.Path] += "!"
		}
	}
	return got, nil
}

func sample() string {
	return cfbtest.File(cfbtest.Stream{Path: "small", Data: strings.Repeat("small ", 30)}, cfbtest.Stream{Path: "\x05Info", Data: "x"},
		cfbtest.Stream{Path: "a/b/big", Data: strings.Repeat("big ", 30_000)}, cfbtest.Stream{Path: "a/edge", Data: strings.Repeat("e", miniCutoff)})
}

func TestStreams(t *testing.T) {
	got, err := read(sample())
	want := map[string]string{"small": strings.Repeat("small ", 30), "Info": "x", "a/b/big": strings.Repeat("big ", 30_000), "a/edge": strings.Repeat("e", miniCutoff)}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	// More sectors than the header lists the FAT of.
	if got, err := read(cfbtest.File(cfbtest.Stream{Path: "s", Data: strings.Repeat("0123456789abcdef", 1_100_000)})); err != nil || len(got["s"]) != 16*1_100_000 {
		t.Errorf("%d bytes, %v", len(got["s"]), err)
	}
}

// What is wrong is told, and nothing leads around.
func TestHostile(t *testing.T) {
	good := sample()
	word := func(at int, v uint32) string {
		b := []byte(good)
		binary.LittleEndian.PutUint32(b[at:], v)
		return string(b)
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32([]byte(good[at:])) }
	fat := 512 + 512*int(u32(76))
	dir := int(u32(48))
	entry := 512 + 512*dir
	for name, data := range map[string]string{
		"short":            good[:100],
		"no magic":         "x" + good[1:],
		"sectors":          good[:30] + "\x0f" + good[31:],
		"directory around": word(fat+4*dir, uint32(dir)),
		"directory beyond": word(48, 1<<20),
		"small around":     word(fat+4*int(u32(60)), u32(60)),
		"no root":          good[:entry+66] + "\x00" + good[entry+67:],
		"huge stream":      word(entry+128+120, 1<<31),
	} {
		if _, err := read(data); !errors.Is(err, ErrCorrupt) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// A tree of the directory that leads around lists each stream once.
	got, err := read(word(entry+128+72, 1))
	if err != nil || len(got) != 4 {
		t.Errorf("%d streams, %v", len(got), err)
	}
	// A chain that breaks gives what is before.
	got, err = read(word(fat+4*3, end))
	if err != nil {
		t.Error(err)
	}
	broken := 0
	for _, text := range got {
		if strings.HasSuffix(text, "!") {
			broken++
		}
	}
	if broken == 0 {
		t.Error("a broken chain is not told")
	}
}

const end = 0xfffffffe

// Bytes that come out are bounded by those that go in, whatever they are.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(cfbtest.File(cfbtest.Stream{Path: "a/b", Data: "text"}, cfbtest.Stream{Path: "c", Data: strings.Repeat("x", 5000)})))
	f.Add([]byte(cfbtest.File()))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := read(string(data))
		total := 0
		for _, text := range got {
			total += len(strings.TrimSuffix(text, "!"))
		}
		if total > len(data) || err != nil && got != nil {
			t.Errorf("%d bytes came out of %d, %v", total, len(data), err)
		}
	})
}
