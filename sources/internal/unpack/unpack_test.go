package unpack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/quench-dev/quench/sources/internal/cfb/cfbtest"
	"github.com/quench-dev/quench/sources/internal/sqlitefile"
)

type file struct{ name, data string }

func zipOf(t testing.TB, files ...file) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, f.data)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tarOf(t testing.TB, files ...file) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, f.data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipOf(t testing.TB, data string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// walkAll unpacks data as the file called name, and gives what it holds: texts as
// they are, and "!" and the error of what is passed over.
func walkAll(t testing.TB, name, data string, o Options) (got map[string]string, archives int, err error) {
	t.Helper()
	got = map[string]string{}
	in := Input{Name: name, R: strings.NewReader(data), Size: -1, Kind: KindOf([]byte(data))}
	archives, err = Walk(t.Context(), in, o, func(e Entry) error {
		if _, twice := got[e.Path]; twice {
			e.Path += " again"
		}
		if e.Err != nil {
			got[e.Path] = "!" + reason(e.Err)
			return nil
		}
		text, err := io.ReadAll(e.R)
		got[e.Path] = string(text)
		if err != nil {
			got[e.Path] += "!" + reason(err)
		}
		return nil
	})
	return got, archives, err
}

func reason(err error) string {
	for _, known := range []error{ErrBinary, ErrCorrupt, ErrEncrypted, ErrFormat, ErrLink, ErrSpecial, ErrTooLarge, ErrChosen} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "? " + err.Error()
}

func xzOf(t testing.TB, data string, dict int) string {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.WriterConfig{DictCap: dict, BlockSize: 1000}.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstdOf(t testing.TB, data string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return string(w.EncodeAll([]byte(data), nil))
}

func TestXZ(t *testing.T) {
	text := strings.Repeat("several blocks of text, ", 200)
	for _, dict := range []int{4096, 1 << 20} {
		got, _, err := walkAll(t, "a.xz", xzOf(t, text, dict), Options{})
		if got["a"] != text || err != nil {
			t.Errorf("dictionary of %d: %.50q, %v", dict, got, err)
		}
	}
	two := xzOf(t, text, 1<<20) + "\x00\x00\x00\x00" + xzOf(t, "more", 1<<20)
	if got, _, err := walkAll(t, "two.xz", two, Options{}); got["two"] != text+"more" || err != nil {
		t.Errorf("two streams: %.50q, %v", got, err)
	}
	if got, _, err := walkAll(t, "huge.xz", xzOf(t, text, 2*maxDictionary), Options{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a dictionary over the limit: %.50q, %v", got, err)
	}
	// A flipped bit is told where it changes the text.
	data := xzOf(t, text, 4096)
	for i := range data[:len(data)/2] {
		bad := []byte(data)
		bad[i] ^= 4
		got, _, err := walkAll(t, "a.xz", string(bad), Options{})
		if got["a"] != text && err == nil && !strings.Contains(got["a"], "!") {
			t.Errorf("byte %d changed, and nothing is said: %.100q", i, got["a"])
		}
	}
}

func TestWalk(t *testing.T) {
	nul := "\x01\x00binary\x00"
	inner := tarOf(t, file{"etc/app.env", "A=1\n"}, file{"bin/app", nul})
	for _, c := range []struct {
		name, data string
		want       map[string]string
		archives   int
	}{
		{"a.zip", zipOf(t, file{"x/y.txt", "text"}, file{"d/", ""}, file{"b.bin", nul}, file{"empty", ""}),
			map[string]string{"x/y.txt": "text", "b.bin": "!binary content", "empty": ""}, 1},
		{"a.tar", inner, map[string]string{"etc/app.env": "A=1\n", "bin/app": "!binary content"}, 1},
		{"a.tar.gz", gzipOf(t, inner), map[string]string{"etc/app.env": "A=1\n", "bin/app": "!binary content"}, 1},
		{"folder/dump.sql.gz", gzipOf(t, "insert"), map[string]string{"dump.sql": "insert"}, 1},
		{"noname", gzipOf(t, "insert"), map[string]string{"content": "insert"}, 1},
		{"members.gz", gzipOf(t, "one ") + gzipOf(t, "two"), map[string]string{"members": "one two"}, 1},
		{"deep.zip", zipOf(t, file{"layer.tgz", gzipOf(t, inner)}, file{"lib/app.jar", zipOf(t, file{"app.properties", "k=v"})}),
			map[string]string{"layer.tgz!/etc/app.env": "A=1\n", "layer.tgz!/bin/app": "!binary content", "lib/app.jar!/app.properties": "k=v"}, 3},
		{"wide.zip", zipOf(t, file{"u.txt", wideText("key=välue\r\nx", binary.LittleEndian, true)}), map[string]string{"u.txt": "key=välue\r\nx"}, 1},
		{"a.tar.xz", xzOf(t, inner, 1<<20), map[string]string{"etc/app.env": "A=1\n", "bin/app": "!binary content"}, 1},
		{"a.tar.zst", zstdOf(t, inner), map[string]string{"etc/app.env": "A=1\n", "bin/app": "!binary content"}, 1},
		{"dump.zst", zstdOf(t, "one ") + zstdOf(t, "two"), map[string]string{"dump": "one two"}, 1},
		{"empty.zip", zipOf(t), map[string]string{}, 1},
	} {
		got, archives, err := walkAll(t, c.name, c.data, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(c.want, got); d != "" || archives != c.archives {
			t.Errorf("%s: %d archives, want %d; (-want +got):\n%s", c.name, archives, c.archives, d)
		}
	}
}

// A source that is read in any order gives what one that is not does.
func TestWalkAt(t *testing.T) {
	data := zipOf(t, file{"a", "one"}, file{"b.zip", zipOf(t, file{"c", "two"})})
	want, _, err := walkAll(t, "x.zip", data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	in := Input{Name: "x.zip", R: strings.NewReader(data), At: strings.NewReader(data), Size: int64(len(data)), Kind: Zip}
	if _, err := Walk(t.Context(), in, Options{}, func(e Entry) error {
		text, err := io.ReadAll(e.R)
		got[e.Path] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Names lead nowhere: nothing is created by them, and none leaves its archive.
func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"../../etc/passwd": "etc/passwd", "/abs": "abs", `..\..\win.ini`: "win.ini", `C:\x`: "C:/x", "": "content", "..": "content", "a//b/./c/../d": "a/b/d",
		"esc\x1b[31m\n": "esc\x1b[31m\n", strings.Repeat("ä", 3000): strings.Repeat("ä", 2048) + "…",
	} {
		if got := CleanName(name); got != want {
			t.Errorf("%.40q: %.60q, want %.60q", name, got, want)
		}
	}
}

// repeated is a gzip of n MiB of one byte, in as many members.
func repeated(t testing.TB, c string, n int) string {
	t.Helper()
	return strings.Repeat(gzipOf(t, strings.Repeat(c, 1<<20)), n)
}

func TestHostile(t *testing.T) {
	truncated := gzipOf(t, strings.Repeat("some text that is cut; ", 2000))
	crc := []byte(zipOf(t, file{"a.txt", strings.Repeat("text ", 100)}))
	i := bytes.Index(crc, []byte("PK\x07\x08"))
	crc[i+4] ^= 1
	crc[bytes.Index(crc, []byte("PK\x01\x02"))+16] ^= 1
	locked := []byte(zipOf(t, file{"a.txt", "text"}, file{"b.txt", "open"}))
	locked[bytes.Index(locked, []byte("PK\x01\x02"))+8] |= 1
	for _, c := range []struct {
		name, data string
		o          Options
		want       map[string]string
		err        error
	}{
		{"cut.gz", truncated[:len(truncated)-20], Options{}, nil, nil},
		{"cut.zip", zipOf(t, file{"a", "b"})[:40], Options{}, map[string]string{}, ErrCorrupt},
		{"cut.tar", tarOf(t, file{"a", strings.Repeat("b", 2000)})[:1000], Options{}, map[string]string{"a": strings.Repeat("b", 488) + "!corrupt archive"}, ErrCorrupt},
		{"crc.zip", string(crc), Options{}, map[string]string{"a.txt": strings.Repeat("text ", 100) + "!corrupt archive"}, nil},
		{"locked.zip", string(locked), Options{}, map[string]string{"a.txt": "!" + ErrEncrypted.Error(), "b.txt": "open"}, nil},
		{"bomb.gz", repeated(t, " ", ratioFloor>>20+1), Options{}, nil, ErrTooLarge},
		{"bomb.zip", zipOf(t, file{"a.gz", repeated(t, " ", ratioFloor>>20+1)}), Options{}, nil, ErrTooLarge},
		{"nul.gz", repeated(t, "\x00", 300), Options{}, map[string]string{"nul": "!binary content"}, nil}, // told by its head
		{"big.gz", repeated(t, " ", 1), Options{MaxSize: 1 << 19}, nil, ErrChosen},
		{"deep.gz", gzipOf(t, gzipOf(t, gzipOf(t, "x"))), Options{Depth: 2}, map[string]string{"deep!/content": "!" + ErrChosen.Error()}, nil},
		{"traversal.zip", zipOf(t, file{"../../x", "1"}, file{"/x", "2"}), Options{}, map[string]string{"x": "1", "x again": "2"}, nil},
	} {
		got, _, err := walkAll(t, c.name, c.data, c.o)
		if c.want != nil {
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s: (-want +got):\n%s", c.name, d)
			}
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
	}
	got, _, _ := walkAll(t, "cut.gz", truncated[:len(truncated)-20], Options{})
	if text := got["cut"]; !strings.HasPrefix(text, "some text") || !strings.HasSuffix(text, "!corrupt archive") {
		t.Errorf("what precedes the damage is not given: %.60q", text)
	}
}

// A file that contains itself ends at the depth.
func TestQuine(t *testing.T) {
	// rsc.io/quines is an archive that is its own content; what makes it hard is that
	// it never ends, which deep nesting shows as well.
	data := "the end"
	for range 50 {
		data = gzipOf(t, data)
	}
	got, archives, err := walkAll(t, "droste.gz", data, Options{})
	want := map[string]string{"droste" + strings.Repeat("!/content", DefaultDepth-1): "!" + ErrTooLarge.Error()}
	if d := cmp.Diff(want, got); d != "" || err != nil || archives != DefaultDepth {
		t.Errorf("%d archives, error %v, (-want +got):\n%s", archives, err, d)
	}
}

// overlapping is a zip whose entries are all the same bytes.
func overlapping(entries int) string {
	text := strings.Repeat("many times ", 100)
	var b bytes.Buffer
	le := func(v ...any) {
		for _, x := range v {
			binary.Write(&b, binary.LittleEndian, x)
		}
	}
	sum, n := crc32.ChecksumIEEE([]byte(text)), uint32(len(text))
	le(uint32(0x04034b50), uint16(20), uint16(0), uint16(0), uint32(0), sum, n, n, uint16(1), uint16(0))
	b.WriteString("a" + text)
	start := b.Len()
	for range entries {
		le(uint32(0x02014b50), uint16(20), uint16(20), uint16(0), uint16(0), uint32(0), sum, n, n, uint16(1), uint16(0), uint16(0), uint16(0), uint16(0), uint32(0), uint32(0))
		b.WriteString("a")
	}
	size := b.Len() - start
	le(uint32(0x06054b50), uint16(0), uint16(0), uint16(entries), uint16(entries), uint32(size), uint32(start), uint16(0))
	return b.String()
}

func TestOverlap(t *testing.T) {
	got, _, err := walkAll(t, "overlap.zip", overlapping(1000), Options{})
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("error %v", err)
	}
	if len(got) > 2 {
		t.Errorf("%d different entries", len(got))
	}
}

func TestDirectoryLimit(t *testing.T) {
	data := overlapping(60000)
	// A directory is bounded by its bytes, whatever its count says.
	dir := &directoryReader{at: strings.NewReader(data), left: 1 << 20}
	if _, err := zip.NewReader(dir, int64(len(data))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

func TestTimeAndEntries(t *testing.T) {
	now := time.Unix(1000, 0)
	o := Options{now: func() time.Time { now = now.Add(time.Second); return now }}
	_, _, err := walkAll(t, "slow.gz", repeated(t, " ", 20), o)
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "took more than") {
		t.Errorf("error %v", err)
	}
	b := newBudget(t.Context(), Input{Size: -1}, Options{})
	b.entries = maxEntries
	if err := b.oneMore(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("entries: %v", err)
	}
}

func TestMemory(t *testing.T) {
	b := newBudget(t.Context(), Input{Size: -1}, Options{})
	defer b.close()
	if _, err := b.buffer(io.LimitReader(zeroReader{}, maxMemory+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	// Its turn is taken, and another waits for it until it is cancelled.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := newBudget(ctx, Input{Size: -1}, Options{})
	if err := other.hold(freeMemory + 1); !errors.Is(err, context.Canceled) {
		t.Errorf("the second: %v", err)
	}
	other.close()
	b.close()
	third := newBudget(t.Context(), Input{Size: -1}, Options{})
	if err := third.hold(freeMemory + 1); err != nil {
		t.Error(err)
	}
	third.close()
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestYieldErrorAndPanic(t *testing.T) {
	data := zipOf(t, file{"a", "1"}, file{"b.zip", zipOf(t, file{"c", "2"})})
	stop := errors.New("stop")
	for n := range 2 {
		calls := 0
		in := Input{Name: "x.zip", R: strings.NewReader(data), Size: -1, Kind: Zip}
		if _, err := Walk(t.Context(), in, Options{}, func(Entry) error {
			if calls++; calls > n {
				return stop
			}
			return nil
		}); err != stop || calls != n+1 {
			t.Errorf("%d calls, error %v", calls, err)
		}
	}
	defer func() {
		if p := recover(); p != "ours" {
			t.Errorf("recovered %v: a panic of the caller is the caller's", p)
		}
	}()
	Walk(t.Context(), Input{Name: "x.zip", R: strings.NewReader(data), Size: -1, Kind: Zip}, Options{}, func(Entry) error { panic("ours") })
}

// wideText is s in UTF-16.
func wideText(s string, order binary.AppendByteOrder, mark bool) string {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func wide32(s string, order binary.AppendByteOrder, mark bool) string {
	var b []byte
	if mark {
		b = order.AppendUint32(b, 0xfeff)
	}
	for _, r := range s {
		b = order.AppendUint32(b, uint32(r))
	}
	return string(b)
}

func TestWide(t *testing.T) {
	text := "first line: ä, 😀\r\npassword = something\r\n\tlast line\n"
	japanese := strings.Repeat("設定ファイル、秘密。\n", 10) + text
	for name, c := range map[string]struct {
		data string
		want string
		kind Kind
	}{
		"16le":      {wideText(text, binary.LittleEndian, false), text, UTF16LE},
		"16be":      {wideText(text, binary.BigEndian, false), text, UTF16BE},
		"32le":      {wide32(text, binary.LittleEndian, false), text, UTF32LE},
		"32be":      {wide32(text, binary.BigEndian, false), text, UTF32BE},
		"16le mark": {wideText(japanese, binary.LittleEndian, true), japanese, UTF16LE},
		"16be mark": {wideText(japanese, binary.BigEndian, true), japanese, UTF16BE},
		"32le mark": {wide32(japanese, binary.LittleEndian, true), japanese, UTF32LE},
		"32be mark": {wide32(japanese, binary.BigEndian, true), japanese, UTF32BE},
		"appended": {wideText(text, binary.LittleEndian, true) + "ascii, of an odd length\n" + wideText(text, binary.LittleEndian, false),
			text + "ascii, of an odd length\n" + text, UTF16LE},
		"half": {wideText("some text", binary.LittleEndian, true) + "\x00\xd8", "some text\ufffd", UTF16LE},
		"odd":  {wideText("some text", binary.LittleEndian, true) + "\x07", "some text\ufffd", UTF16LE},
	} {
		if k := KindOf([]byte(c.data)); k != c.kind {
			t.Errorf("%s: kind %d, want %d", name, k, c.kind)
		}
		// One byte at a time, and all at once.
		for _, r := range []io.Reader{strings.NewReader(c.data), oneByte{strings.NewReader(c.data)}} {
			got, err := io.ReadAll(Decode(c.kind, r))
			if err != nil || string(got) != c.want {
				t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
			}
		}
	}
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

func TestKindOf(t *testing.T) {
	for data, want := range map[string]Kind{
		"": Text, "plain": Text, "BZh is no archive": Text, "PK": Text, "\xff\xfe\xfalie about ASCII": Text, "a\x00b": Binary,
		"ascii first\n" + wideText("then wide characters", binary.LittleEndian, false): Text,
		"\x1f\x8b\x08\xff no flags like these":                                         Binary, "\x89PNG\r\n\x1a\nrest": Binary,
		"name\x00value\x00other\x00":   Binary,
		strings.Repeat("\x00", 600):    Binary,
		tarOf(t, file{"a", "b"})[:511]: Binary,
		tarOf(t, file{"a", "b"})[:512]: Tar,
	} {
		if k := KindOf([]byte(data)); k != want {
			t.Errorf("%.30q: kind %d, want %d", data, k, want)
		}
	}
}

// A line of text on a live stream is never held back, and nothing that will be an
// archive is let go.
func TestUndecided(t *testing.T) {
	for _, text := range []string{"a", "line\n", "GIF8", "PX", "\xffx"} {
		if Undecided([]byte(text)) {
			t.Errorf("%q is held back", text)
		}
	}
	for _, data := range []string{zipOf(t, file{"a", "b"}), gzipOf(t, "x"), tarOf(t, file{"a", "b"}), wideText("text", binary.LittleEndian, true), arOf(file{"a/", "text"}), cpioOf(cpioPortable, file{"a", "b"}), cpioOf(cpioNew, file{"a", "b"}), rpmOf("text", "")} {
		want := KindOf([]byte(data))
		for n := 2; n <= len(data); n++ {
			if !Undecided([]byte(data[:n])) {
				if k := KindOf([]byte(data[:n])); k != want {
					t.Errorf("after %d bytes it is %d, in the end %d", n, k, want)
				}
				break
			}
		}
	}
}

func FuzzWalk(f *testing.F) {
	inner := zipOf(f, file{"a.txt", "text"}, file{"b.gz", gzipOf(f, "more")})
	for _, seed := range []string{inner, gzipOf(f, tarOf(f, file{"x", inner})), tarOf(f, file{"x", "y"}), overlapping(20), wideText("key = value", binary.LittleEndian, true), xzOf(f, "text", 4096), zstdOf(f, "text"), rarOf(0, file{"a", "text"}), sevenZipOf('a', "text"), arOf(file{"//", "name/\n"}, file{"/0", "text"}),
		cpioOf(cpioNew, file{"a", "text"}), cpioOf(cpioPortable, file{"a", "text"}), rpmOf("some text\x00", gzipOf(f, cpioOf(cpioNew, file{"a", "text"}))),
		cfbtest.File(cfbtest.Stream{Path: "Workbook", Data: record(0xfc, "12345678"+word16(9)+"\x00text") + record(0x3c, "\x01w\x00i\x00d\x00e\x00r\x00")}, cfbtest.Stream{Path: "VBA/m", Data: "\x01\x0a\xb0\x00Attribut\x01\x00\x00"}),
		sqlitefile.LogMagic[0] + "\x00\x2d\xe2\x18\x00\x00\x02\x00" + strings.Repeat("\x00", 20) + "\x00\x00\x00\x02" + strings.Repeat("\x00", 20) + "\x0d\x00\x00\x00\x01\x01\xf0\x00\x01\xf0" + strings.Repeat("\x00", 486) + "\x06\x01\x02\x15text" + strings.Repeat("\x00", 8),
		"%PDF-1.4\n1 0 obj\n<< /Type /Page /Contents 2 0 R >>\nendobj\n2 0 obj\n<< /Length 9 >>\nstream\nBT (a) Tj ET\nendstream\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		k := KindOf(data)
		if k.Wide() {
			io.Copy(io.Discard, Decode(k, bytes.NewReader(data)))
		}
		if !k.Archive() {
			return
		}
		var total int64
		const limit = 1 << 20
		run := func(in Input) string {
			var all strings.Builder
			_, err := Walk(ctx, in, Options{MaxSize: limit}, func(e Entry) error {
				if (e.Err == nil) == (e.R == nil) || e.Path == "" || strings.HasPrefix(e.Path, "/") || strings.HasPrefix(e.Path, "../") {
					t.Errorf("entry %q, error %v", e.Path, e.Err)
				}
				fmt.Fprintln(&all, e.Path, e.Err != nil)
				if e.R != nil {
					n, _ := io.Copy(io.Discard, e.R)
					total += n
				}
				return nil
			})
			fmt.Fprintln(&all, err != nil)
			return all.String()
		}
		stream := run(Input{Name: "f", R: bytes.NewReader(data), Size: -1, Kind: k})
		at := run(Input{Name: "f", R: bytes.NewReader(data), At: bytes.NewReader(data), Size: int64(len(data)), Kind: k})
		if stream != at {
			t.Errorf("as a stream:\n%s\nas a file:\n%s", stream, at)
		}
		if total > 8*limit { // UTF-8 can be longer than what it was
			t.Errorf("%d bytes came out", total)
		}
		if ctx.Err() != nil {
			t.Error("it took a minute")
		}
	})
}
