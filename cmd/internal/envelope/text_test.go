package envelope_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quench-dev/quench/cmd/internal/envelope"
)

func newText(t testing.TB, format string, offset, lines int64) *envelope.Text {
	t.Helper()
	x, err := envelope.NewText(format, offset, lines)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// dockerLine is a record of Docker, of a line that goes on where it has no line feed.
func dockerLine(t testing.TB, stream, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return `{"log":` + string(b) + `,"stream":"` + stream + `","time":"` + at + `"}` + "\n"
}

// logs are logs of all formats, with lines split over records of two streams.
func logs(t testing.TB, r *rand.Rand, n int) (format, log string) {
	words := []string{"a", `say "hi"`, "tab\there", "ünïcode", "\U0001f511 key", `back\slash`, "", "<html>&", "\x01"}
	var b strings.Builder
	docker := r.IntN(2) == 0
	for range n {
		text := words[r.IntN(len(words))] + words[r.IntN(len(words))]
		stream := []string{"stdout", "stderr"}[r.IntN(2)]
		part := r.IntN(3) == 0
		switch {
		case r.IntN(12) == 0:
			b.WriteString("no record " + text + "\n")
		case docker:
			if !part {
				text += "\n"
			}
			b.WriteString(dockerLine(t, stream, text))
		default:
			b.WriteString(at + " " + stream + " " + map[bool]string{true: "P", false: "F"}[part] + " " + text + "\n")
		}
	}
	if docker {
		return "docker", b.String()
	}
	return "cri", b.String()
}

// TestRaw has each byte of the text stand in the log where Raw and Spans say.
func TestRaw(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		format, log := logs(t, r, 12)
		const base = 1000
		x := newText(t, format, base, 7)
		var text []byte
		for left := log; len(left) > 0; {
			n := 1 + r.IntN(min(len(left), 40))
			text = append(text, x.Write([]byte(left[:n]))...)
			left = left[n:]
		}
		text = append(text, x.Close()...)
		for i, c := range text {
			if c == '\n' {
				continue
			}
			var got string
			x.Spans(int64(i), int64(i+1), func(from, to int64) { got += log[from-base : to-base] })
			if raw := x.Raw(int64(i)) - base; !strings.HasPrefix(log[raw:], got) {
				t.Fatalf("seed %d: byte %d is %q by Spans and elsewhere by Raw", seed, i, got)
			}
			if got == string([]byte{c}) {
				continue
			}
			var u string
			if err := json.Unmarshal([]byte(`"`+got+`"`), &u); err != nil || strings.IndexByte(u, c) < 0 {
				t.Fatalf("seed %d: byte %d %q of the text is %q of the log", seed, i, c, got)
			}
		}
	}
}

// TestResume has a reader that begins again where Resume says give the same text.
func TestResume(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		format, log := logs(t, r, 15)
		if r.IntN(2) == 0 && !strings.HasPrefix(log, "no record") { // which tells plain
			format = "auto"
		}
		x := newText(t, format, 0, 0)
		cut := 1 + r.IntN(len(log))
		text := bytes.Clone(x.Write([]byte(log[:cut])))
		settled := r.IntN(len(text) + 1)
		raw, lines := x.Resume(int64(settled), bytes.Count(text[:settled], []byte{'\n'}))
		if n := strings.Count(log[:raw], "\n"); int64(n) != lines || raw > int64(cut) {
			t.Fatalf("seed %d: at %d with %d lines before, there are %d", seed, raw, lines, n)
		}
		x.Forget(int64(settled))
		if at, _ := x.Resume(int64(settled), bytes.Count(text[:settled], []byte{'\n'})); at != raw {
			t.Fatalf("seed %d: at %d after Forget, %d before", seed, at, raw)
		}
		text = append(append(text, x.Write([]byte(log[cut:]))...), x.Close()...)
		again := newText(t, format, raw, lines)
		rest := append(bytes.Clone(again.Write([]byte(log[raw:]))), again.Close()...)
		if !bytes.HasSuffix(text, rest) || len(rest) < len(text)-settled {
			t.Fatalf("seed %d: %q from %d on, of %q settled to %d", seed, rest, raw, text, settled)
		}
	}
}

// TestQuiet gives what waits, and joins what comes after where nothing else waits.
func TestQuiet(t *testing.T) {
	x := newText(t, "cri", 0, 0)
	step := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	step(x.Write([]byte(at+" stdout P ab\n")), "")
	step(x.Quiet(), "ab")
	step(x.Quiet(), "")
	if raw, lines := x.Resume(2, 0); raw != 0 || lines != 0 {
		t.Errorf("resume at %d", raw)
	}
	step(x.Write([]byte(at+" stdout F cd\n")), "cd\n\n")
	step(x.Write([]byte(at+" stdout P ab\n"+at+" stderr F x\n")), "")
	step(x.Quiet(), "ab\nx\n")
	step(x.Write([]byte(at+" stdout F cd\n")), "cd\n")
}

// TestSpanOfEscape replaces no part of an escape.
func TestSpanOfEscape(t *testing.T) {
	line := `{"log":"a\u00e9b\n","stream":"stdout","time":""}` + "\n"
	x := newText(t, "docker", 0, 0)
	if got := string(x.Write([]byte(line))); got != "aéb\n" {
		t.Fatal(got)
	}
	x.Spans(2, 4, func(from, to int64) {
		if got := line[from:to]; got != `\u00e9b` {
			t.Error(got)
		}
	})
}

// FuzzText gives the same text in any pieces, of which every byte is of the log, and
// reads what JSON's own reader reads.
func FuzzText(f *testing.F) {
	for seed := range uint64(4) {
		_, log := logs(f, rand.New(rand.NewPCG(seed, 3)), 5)
		f.Add([]byte(log), seed)
	}
	f.Add([]byte(`{"log":"\ud83d\ude00 \ud83d x\n","stream":"stderr","time":""}`+"\n"), uint64(9))
	f.Fuzz(func(t *testing.T, log []byte, seed uint64) {
		for _, format := range []string{"auto", "docker", "cri", "plain"} {
			r := rand.New(rand.NewPCG(seed, 1))
			one := newText(t, format, 0, 0)
			want := append(bytes.Clone(one.Write(log)), one.Close()...)
			x := newText(t, format, 0, 0)
			var text []byte
			for left := log; len(left) > 0; {
				n := 1 + r.IntN(len(left))
				text = append(text, x.Write(left[:n])...)
				left = left[n:]
			}
			text = append(text, x.Close()...)
			if !bytes.Equal(text, want) {
				t.Fatalf("%s: %q in pieces, %q at once", format, text, want)
			}
			last := int64(0)
			for i := range text {
				x.Spans(int64(i), int64(i+1), func(from, to int64) {
					if from < 0 || to > int64(len(log)) || from >= to {
						t.Fatalf("%s: byte %d is at %d:%d of %d", format, i, from, to, len(log))
					}
				})
				last = max(last, x.Raw(int64(i)))
			}
			if last > int64(len(log)) {
				t.Fatalf("%s: a byte at %d of %d", format, last, len(log))
			}
		}
		line, _, _ := bytes.Cut(log, []byte{'\n'})
		var rec struct{ Log, Stream, Time string }
		if json.Unmarshal(line, &rec) != nil || strings.ContainsRune(strings.TrimSuffix(rec.Log, "\n"), '\n') {
			return
		}
		x := newText(t, "docker", 0, 0)
		got := string(append(bytes.Clone(x.Write(append(bytes.Clone(line), '\n'))), x.Close()...))
		if got != string(line)+"\n" && got != strings.TrimSuffix(rec.Log, "\n")+"\n" {
			t.Fatalf("%q is read as %q", line, got)
		}
	})
}

func BenchmarkDocker(b *testing.B) {
	line := []byte(dockerLine(b, "stdout", `{"level":"info","msg":"request served","path":"/v1/things","ms":12}`+"\n"))
	in := bytes.Repeat(line, 1000)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		x := newText(b, "docker", 0, 0)
		x.Write(in)
	}
}
