package redact_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/redact"
)

// redacted is what became of a text that came in pieces, and that text as the output
// and what was replaced tell it.
func redacted(t testing.TB, e *scanner.Engine, set *rules.Set, text []byte, cut func(left int) (n int, late bool)) (out, back []byte, tags []string) {
	t.Helper()
	var got bytes.Buffer
	type replaced struct {
		start, end int64
		tag        string
	}
	var list []replaced
	w := redact.New(redact.Options{Engine: e, Rules: set, Out: &got, Replaced: func(start, end int64, tag string) {
		list = append(list, replaced{start, end, tag})
		tags = append(tags, tag)
	}})
	for left := text; len(left) > 0; {
		n, late := cut(len(left))
		if _, err := w.Write(left[:n]); err != nil {
			t.Fatal(err)
		}
		if left = left[n:]; late {
			if err := w.Late(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rest := got.Bytes()
	for _, r := range list {
		plain := int(r.start) - len(back)
		if plain < 0 || plain+len(r.tag) > len(rest) || string(rest[plain:plain+len(r.tag)]) != r.tag {
			t.Fatalf("no tag %q for %d:%d in %q", r.tag, r.start, r.end, got.Bytes())
		}
		back = append(append(back, rest[:plain]...), text[r.start:r.end]...)
		rest = rest[plain+len(r.tag):]
	}
	return got.Bytes(), append(back, rest...), tags
}

func whole(n int) (int, bool) { return n, false }

func engine(t testing.TB) (*scanner.Engine, *rules.Set) {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e, set
}

// pem is a private key of so many lines.
func pem(t testing.TB, lines int) string {
	b := "-----BEGIN RSA PRIV" + "ATE KEY-----\n"
	for i := range lines {
		b += expand(t, "{64:alnum}", uint64(i)) + "\n"
	}
	return b + "-----END RSA PRIV" + "ATE KEY-----\n"
}

func expand(t testing.TB, template string, seed uint64) string {
	t.Helper()
	s, err := rules.Expand(template, seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// examples are lines of logs, with the examples of all rules.
func examples(t testing.TB, set *rules.Set) (list []string) {
	for i, r := range set.Rules() {
		for _, x := range r.Examples {
			list = append(list, expand(t, x, uint64(i))+"\n")
		}
	}
	return append(list, "GET /health 200\n", "value: 5\r\n", "\n", "user logged in, login ok\n", "\x00\xff\n", pem(t, 6), pem(t, 20), "x\n")
}

// TestExamples redacts each rule's examples: nothing is found in what comes out.
func TestExamples(t *testing.T) {
	e, set := engine(t)
	for _, x := range examples(t, set) {
		out, back, _ := redacted(t, e, set, []byte(x), whole)
		if string(back) != x {
			t.Errorf("%q came back as %q", x, back)
		}
		clean(t, e, out)
	}
}

func clean(t testing.TB, e *scanner.Engine, out []byte) {
	t.Helper()
	for _, m := range e.ScanBytes(out) {
		if m.Confidence.AtLeast(rules.Medium) {
			t.Errorf("%s finds %q in %q", m.Rule.ID, out[m.Start:m.End], out)
		}
	}
}

// TestPieces redacts mixed logs in pieces: every byte is there again, and what the
// whole text's findings span is not.
func TestPieces(t *testing.T) {
	e, set := engine(t)
	list := examples(t, set)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 8))
		var b strings.Builder
		for range 1 + r.IntN(30) {
			b.WriteString(list[r.IntN(len(list))])
		}
		text := []byte(b.String())
		out, back, _ := redacted(t, e, set, text, func(left int) (int, bool) { return 1 + r.IntN(min(left, 300)), false })
		if !bytes.Equal(back, text) {
			t.Fatalf("seed %d: %q came back as %q", seed, text, back)
		}
		one, _, _ := redacted(t, e, set, text, whole)
		if a, b := strip(out), strip(one); a != b {
			t.Errorf("seed %d: in pieces\n%s\nat once\n%s", seed, a, b)
		}
		clean(t, e, out)
	}
}

// strip takes the hashes out of tags, which are those of a run.
func strip(b []byte) string {
	parts := strings.Split(string(b), "[quench:")
	for i, p := range parts[1:] {
		rule, rest, _ := strings.Cut(p, ":")
		parts[i+1] = rule + rest[len("redacted-0123456789"):]
	}
	return strings.Join(parts, "[quench:")
}

func TestEqualSecretsHaveEqualTags(t *testing.T) {
	e, set := engine(t)
	tok := "ghp_" + expand(t, "{30:alnum}{6:crc32}", 7)
	x := fmt.Sprintf("a %s\nb %s\n", tok, tok)
	out, _, tags := redacted(t, e, set, []byte(x), whole)
	if len(tags) != 2 || tags[0] != tags[1] || bytes.Contains(out, []byte(tok[:8])) {
		t.Errorf("%q %q", tags, out)
	}
	_, _, again := redacted(t, e, set, []byte(x), whole)
	if again[0] == tags[0] {
		t.Error("two runs have one key")
	}
}

// TestLateKey has a private key come line by line, each passed on late: nothing of its
// body is passed on, and the lines around it are.
func TestLateKey(t *testing.T) {
	e, set := engine(t)
	for _, lines := range []int{6, 400} {
		x := "before\n" + pem(t, lines) + "after it\n"
		out, back, _ := redacted(t, e, set, []byte(x), func(left int) (int, bool) {
			return strings.IndexByte(x[len(x)-left:], '\n') + 1, true
		})
		if string(back) != x {
			t.Errorf("came back as %q", back)
		}
		if s := string(out); strings.Contains(s, expand(t, "{64:alnum}", 0)) || strings.Contains(s, expand(t, "{64:alnum}", uint64(lines-1))) ||
			!strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, "after it\n") {
			t.Errorf("%s", out)
		}
	}
}

// TestLines passes an innocent line on with its line feed, and a line that has none
// not before its end.
func TestLines(t *testing.T) {
	e, set := engine(t)
	var out bytes.Buffer
	w := redact.New(redact.Options{Engine: e, Rules: set, Out: &out})
	fmt.Fprint(w, "hello\nwor")
	if out.String() != "hello\n" || w.Holds() {
		t.Fatalf("%q is passed on", &out)
	}
	if w.Late(); out.String() != "hello\n" {
		t.Errorf("late: %q", &out)
	}
	if w.Close(); out.String() != "hello\nwor" {
		t.Errorf("closed: %q", &out)
	}
}

func TestFailsClosed(t *testing.T) {
	e, set := engine(t)
	var out bytes.Buffer
	cause := errors.New("the registry went away")
	w := redact.New(redact.Options{Engine: e, Rules: set, Out: &out, Check: func() error { return cause }})
	if _, err := fmt.Fprint(w, "hello\n"); !errors.Is(err, cause) {
		t.Error(err)
	}
	if err := w.Close(); !errors.Is(err, cause) || out.Len() > 0 {
		t.Errorf("%v, %q", err, &out)
	}
	w = redact.New(redact.Options{Engine: e, Rules: set, Out: &out})
	if _, err := fmt.Fprint(w, "\xff\xfeh\x00"); !errors.Is(err, redact.ErrWide) || out.Len() > 0 {
		t.Errorf("%v, %q", err, &out)
	}
}

func TestPackedIsRefused(t *testing.T) {
	e, set := engine(t)
	var out, b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprint(z, "hello\n")
	z.Close()
	w := redact.New(redact.Options{Engine: e, Rules: set, Out: &out})
	if _, err := w.Write(b.Bytes()); !errors.Is(err, redact.ErrPacked) || out.Len() > 0 {
		t.Errorf("%v, %q", err, &out)
	}
}

func FuzzRedact(f *testing.F) {
	e, set := engine(f)
	f.Add([]byte("password=hunter2-Xk29!\nlogin a password b\n"), uint64(1))
	f.Add([]byte("ghp_"+expand(f, "{30:alnum}{6:crc32}", 7)+" x\n"+pem(f, 3)), uint64(2))
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		text = append([]byte("start\n"), text...) // what is wide or packed is refused
		r := rand.New(rand.NewPCG(seed, 1))
		_, back, _ := redacted(t, e, set, text, func(left int) (int, bool) { return 1 + r.IntN(left), r.IntN(4) == 0 })
		if !bytes.Equal(back, text) {
			t.Fatalf("%q came back as %q", text, back)
		}
	})
}
