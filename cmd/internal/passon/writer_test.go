package passon_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/cmd/internal/envelope"
	"github.com/quench-dev/quench/cmd/internal/passon"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/redact"
)

// The pool that ants makes at start-up lives as long as the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"), goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

func engine(t testing.TB) redact.Options {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return redact.Options{Engine: e, Rules: set}
}

func expand(t testing.TB, template string, seed uint64) string {
	t.Helper()
	s, err := rules.Expand(template, seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const stamp = "2026-01-02T03:04:05.123456789Z"

// record is one record of a container's log; part says that its line goes on.
func record(t testing.TB, format, stream, text string, part bool) string {
	t.Helper()
	switch {
	case format == "cri":
		return stamp + " " + stream + " " + map[bool]string{true: "P", false: "F"}[part] + " " + text + "\n"
	case !part:
		text += "\n"
	}
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return `{"log":` + string(b) + `,"stream":"` + stream + `","time":"` + stamp + `"}` + "\n"
}

// logOf is a log with as many secrets, in the records of containers split at any place.
func logOf(t testing.TB, r *rand.Rand, format string, lines, secrets int) (log string, tokens []string) {
	var b strings.Builder
	for i := range lines {
		text := fmt.Sprintf("line %d say \"hi\" ünï\tcode \\ end", i)
		if r.IntN(lines) < secrets {
			tok := expand(t, "ghp_{30:alnum}{6:crc32}", r.Uint64())
			tokens = append(tokens, tok)
			text += " " + tok + " used"
		}
		if r.IntN(12) == 0 && secrets > 0 {
			text = "value: 5"
		}
		stream := []string{"stdout", "stderr"}[r.IntN(2)]
		if format == "plain" {
			b.WriteString(text + []string{"\n", "\r\n"}[r.IntN(2)])
			continue
		}
		for r.IntN(2) == 0 && len(text) > 1 {
			n := 1 + r.IntN(len(text)-1)
			if head := text[:n]; strings.ToValidUTF8(head, "") == head {
				b.WriteString(record(t, format, stream, head, true))
				text = text[n:]
			}
			if r.IntN(4) == 0 {
				b.WriteString(record(t, format, map[string]string{"stdout": "stderr", "stderr": "stdout"}[stream], "other", false))
			}
		}
		b.WriteString(record(t, format, stream, text, false))
	}
	return b.String(), tokens
}

var formats = []string{"plain", "docker", "cri", "auto"}

func inner(format string) string {
	if format == "auto" {
		return "docker"
	}
	return format
}

// pieces writes a log in pieces; stop reports where another Writer goes on.
func pieces(t testing.TB, r *rand.Rand, o redact.Options, format, log string, stops bool) string {
	t.Helper()
	var out bytes.Buffer
	w, err := passon.New(o, format, passon.Position{}, &out)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(log); {
		n := 1 + r.IntN(min(len(log)-at, 400))
		if _, err := io.WriteString(w, log[at:at+n]); err != nil {
			t.Fatal(err)
		}
		at += n
		if stops && r.IntN(3) == 0 { // killed: what w held is gone
			p := w.Position()
			if w, err = passon.New(o, format, p, &out); err != nil {
				t.Fatal(err)
			}
			at = int(p.Begin)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWithoutSecrets passes every byte on, however it comes and wherever it was stopped.
func TestWithoutSecrets(t *testing.T) {
	o := engine(t)
	for seed := range uint64(20) {
		for _, format := range formats {
			r := rand.New(rand.NewPCG(seed, 1))
			log, _ := logOf(t, r, inner(format), 15, 0)
			log = log[:len(log)-r.IntN(3)] // a last line without its end
			for _, stops := range []bool{false, true} {
				if got := pieces(t, r, o, format, log, stops); got != log {
					t.Fatalf("seed %d, %s, stops %v:\n%q became\n%q", seed, format, stops, log, got)
				}
			}
		}
	}
}

var tags = regexp.MustCompile(`\[quench:[a-z0-9-]+:redacted-[0-9a-f]{10}\]`)

// text is what the records of a log say.
func text(t testing.TB, format, log string) string {
	t.Helper()
	r, err := envelope.New(strings.NewReader(log), format)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSplitSecrets replaces a secret that is split over records, in each of them: all
// else is as it was.
func TestSplitSecrets(t *testing.T) {
	o := engine(t)
	for seed := range uint64(20) {
		for _, format := range formats {
			r := rand.New(rand.NewPCG(seed, 2))
			log, tokens := logOf(t, r, inner(format), 15, 6)
			want := text(t, format, log)
			for _, tok := range tokens {
				want = strings.ReplaceAll(want, tok, "TAG")
			}
			for _, stops := range []bool{false, true} {
				got := pieces(t, r, o, format, log, stops)
				if got := tags.ReplaceAllString(text(t, format, got), "TAG"); got != want {
					t.Fatalf("seed %d, %s, stops %v: the text is\n%q, want\n%q", seed, format, stops, got, want)
				}
				if strings.Count(got, "\n") != strings.Count(log, "\n") {
					t.Fatalf("seed %d, %s, stops %v: records are lost or won", seed, format, stops)
				}
			}
		}
	}
}

// TestKeyInRecords replaces a private key that stands in records, one line in each, also
// where each line is passed on late and the writer was stopped within it.
func TestKeyInRecords(t *testing.T) {
	o := engine(t)
	key := []string{"-----BEGIN RSA PRIV" + "ATE KEY-----"}
	for i := range 8 {
		key = append(key, expand(t, "{64:alnum}", uint64(i)))
	}
	key = append(key, "-----END RSA PRIV"+"ATE KEY-----")
	for _, format := range formats {
		for _, late := range []bool{false, true} {
			var out bytes.Buffer
			w, err := passon.New(o, format, passon.Position{}, &out)
			if err != nil {
				t.Fatal(err)
			}
			log, at := "", 0
			add := func(line string) {
				if inner(format) == "plain" {
					log += line + "\n"
				} else {
					log += record(t, inner(format), "stdout", line, false)
				}
				if _, err := io.WriteString(w, log[at:]); err != nil {
					t.Fatal(err)
				}
				at = len(log)
				if !late {
					return
				}
				if err := w.Late(); err != nil {
					t.Fatal(err)
				}
				p := w.Position()
				if w, err = passon.New(o, format, p, &out); err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(w, log[p.Begin:]); err != nil {
					t.Fatal(err)
				}
			}
			add("before")
			for _, line := range key {
				add(line)
			}
			add("after it")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			for _, line := range key[1 : len(key)-1] {
				if strings.Contains(out.String(), line) {
					t.Errorf("%s, late %v: a line of the key is passed on:\n%s", format, late, &out)
					break
				}
			}
			if s := out.String(); !strings.Contains(s, "before") || !strings.Contains(s, "after it") {
				t.Errorf("%s, late %v:\n%s", format, late, s)
			}
		}
	}
}

// FuzzWriter passes all on but for secrets, whatever the log and wherever it stops.
func FuzzWriter(f *testing.F) {
	o := engine(f)
	for seed := range uint64(3) {
		log, _ := logOf(f, rand.New(rand.NewPCG(seed, 3)), inner(formats[seed]), 3, 2)
		f.Add([]byte(log), seed)
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		log := "start\n" + string(b) // what is wide or packed is refused
		for _, format := range []string{"plain", "docker", "cri"} {
			r := rand.New(rand.NewPCG(seed, 1))
			want := pieces(t, r, o, format, log, false)
			got := pieces(t, r, o, format, log, true)
			if a, b := tags.ReplaceAllString(got, "TAG"), tags.ReplaceAllString(want, "TAG"); a != b && len(o.Engine.ScanBytes([]byte(text(t, format, log)))) == 0 {
				t.Fatalf("%s: stopped\n%q\nand not\n%q", format, a, b)
			}
		}
	})
}
