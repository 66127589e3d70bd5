package scanner_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"regexp/syntax"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// rounds is how many tokens of each rule are made: the measure says a thousand.
func rounds() int {
	if testing.Short() {
		return 60
	}
	return 1000
}

// perText is how many secrets are put into one text: to scan a text costs something,
// and so does each secret that a text holds besides another.
const perText = 60

// sample is a made-up text of a rule, and where its secret lies.
type sample struct {
	text       string
	start, end int
}

// samples expands the rule's examples by many seeds. Secrets are where the rule finds
// one in each text: other tests hold that to what its author says.
func samples(t *testing.T, e *scanner.Engine, r *rules.Rule, from, n int) []sample {
	t.Helper()
	var all strings.Builder
	texts, ends := make([]string, n), make([]int, n)
	for i := range texts {
		text, err := rules.Expand(r.Examples[i%len(r.Examples)], rules.ExampleSeed("thousand/"+r.ID, from+i))
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = text
		all.WriteString(text)
		ends[i] = all.Len()
		all.WriteString("\n\n")
	}
	found := make([]*scanner.Match, n)
	for _, m := range e.ScanBytes([]byte(all.String())) {
		if m.Rule == r {
			found[sort.SearchInts(ends, int(m.End))] = &m
		}
	}
	var out []sample
	for i, m := range found {
		if m != nil {
			at := ends[i] - len(texts[i])
			out = append(out, sample{texts[i], int(m.Start) - at, int(m.End) - at})
			continue
		}
		if judged(r) {
			continue
		}
		t.Errorf("not found in %q (round %d)", r.Examples[i%len(r.Examples)], from+i)
		reportMissing(t, e, r, texts[i])
		break
	}
	return out
}

// judged reports whether the rule's secrets are no provider's, and judged by what they
// look like: chance can make them look like words.
func judged(r *rules.Rule) bool {
	return r.Score || slices.Contains([]string{"http", "uri"}, r.Provider)
}

// alone reports whether a rule needs nothing around its secret.
func alone(r *rules.Rule, s sample) bool {
	return r.Kind == rules.KindPattern && r.Group == 0 && !strings.Contains(r.Pattern, "(?i:") && captures(r.Pattern) == 0 && s.end > s.start
}

func captures(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	return re.MaxCap()
}

// places are texts that a secret can lie in: code, JSON, YAML, logs and more.
var places = []func(s string) string{
	func(s string) string { return `const apiKey = "` + s + `";` },
	func(s string) string { return "    client := New('" + s + "', 30)" },
	func(s string) string { return `  "value": "` + s + `",` },
	func(s string) string { return "  token: " + s },
	func(s string) string { return "  - " + s },
	func(s string) string { return "export SERVICE_TOKEN=" + s },
	func(s string) string {
		return "2026-01-02T03:04:05.678Z INFO  [worker-3] request id=7 token=" + s + " shard=9"
	},
	func(s string) string { return "<setting name=\"key\">" + s + "</setting>" },
	func(s string) string { return "# was " + s + " before" },
	func(s string) string { return "curl -H 'Authorization: token " + s + "' https://api.acme.example/v1" },
	func(s string) string { return `{"level":"info","msg":"got \"` + s + `\"","n":1}` },
	func(s string) string {
		return "data: " + base64.StdEncoding.EncodeToString([]byte("user=svc token="+s+" end"))
	},
	func(s string) string {
		return "blob = \"" + base64.StdEncoding.EncodeToString([]byte(`{"t":"`+s+`"}`)) + "\""
	},
}

// linePlaces are texts that a whole line, secret and context, can lie in.
var linePlaces = []func(s string) string{
	func(s string) string { return s },
	func(s string) string { return "    " + s },
	func(s string) string { return "2026-01-02T03:04:05.678Z INFO  [worker-3] " + s },
	func(s string) string { return "# " + s },
	func(s string) string {
		b, _ := json.Marshal(map[string]any{"level": "info", "msg": s})
		return string(b)
	},
	func(s string) string { return "data: " + base64.StdEncoding.EncodeToString([]byte("x\n"+s+"\ny")) },
}

// TestThousand makes a thousand secrets of every rule and finds each of them in code,
// JSON, YAML, logs and base64; and a thousand texts that are nearly one, none of which
// is reported as that provider's.
func TestThousand(t *testing.T) {
	// The generic rules take two thirds of the time, and give way to all others.
	files, err := filepath.Glob("../rules/builtin/*.toml")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == "generic.toml" })
	set, err := rules.LoadFiles(files...)
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{DecodeDepth: -1})
	if err != nil {
		t.Fatal(err)
	}
	deep, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.Rules() {
		t.Run(r.ID, func(t *testing.T) {
			t.Parallel()
			for from := 0; from < rounds(); from += perText {
				ss := samples(t, e, r, from, min(perText, rounds()-from))
				thousandFound(t, deep, r, ss)
				if !judged(r) { // a password of any form is no provider's
					thousandMisses(t, e, r, ss)
				}
			}
		})
	}
}

func thousandFound(t *testing.T, e *scanner.Engine, r *rules.Rule, ss []sample) {
	rnd := rand.New(rand.NewPCG(rules.ExampleSeed(r.ID, 0), 1))
	var text strings.Builder
	for i, s := range ss {
		if alone(r, s) {
			text.WriteString(places[i%len(places)](s.text[s.start:s.end]))
		} else {
			text.WriteString(linePlaces[i%len(linePlaces)](s.text))
		}
		text.WriteString("\n" + strings.Repeat("a line of words between; ", rnd.IntN(3)) + "\n")
	}
	got := map[[2]int64]bool{}
	for _, m := range e.ScanBytes([]byte(text.String())) {
		if m.Rule == r || slices.Contains(m.Also, r.ID) {
			got[[2]int64{m.Start, m.End}] = true
		}
	}
	if want := len(ss); len(got) < want && !judged(r) || len(got) < want*99/100 {
		t.Errorf("%d of %d found", len(got), want)
		reportMissing(t, e, r, text.String())
	}
}

// reportMissing names a place in which a secret was not found, masked.
func reportMissing(t *testing.T, e *scanner.Engine, r *rules.Rule, text string) {
	n := 0
	for _, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "a line of words") || strings.HasPrefix(strings.TrimSpace(line), "-----") {
			continue
		}
		if counted(e, line)[r.ID] == 0 {
			if n++; n > 3 {
				return
			}
			var why []string
			for _, v := range e.Explain("", []byte(line), 1) {
				if v.Rule == r || v.Found {
					why = append(why, v.Rule.ID+": "+v.Refusal)
				}
			}
			t.Logf("  %.230s: %q", line, why)
		}
	}
}

func thousandMisses(t *testing.T, e *scanner.Engine, r *rules.Rule, ss []sample) {
	least, most := lengths(r)
	rnd := rand.New(rand.NewPCG(rules.ExampleSeed(r.ID, 0), 2))
	var text bytes.Buffer
	var what []string
	var ends []int
	for i, s := range ss {
		w, near := nearMiss(r, s.text[s.start:s.end], least, most, i, rnd)
		if w == "" {
			continue
		}
		text.WriteString(s.text[:s.start] + near + s.text[s.end:])
		what, ends = append(what, w), append(ends, text.Len())
		text.WriteString("\n\n")
	}
	if len(what) < len(ss)/10 {
		t.Errorf("%d near misses of %d", len(what), len(ss))
	}
	for _, m := range e.ScanBytes(text.Bytes()) {
		// A token of a newer form that is damaged can be a key of the older one, which
		// has no form of its own.
		older := r.Kind != rules.KindContext && m.Rule.Kind == rules.KindContext
		if m.Rule.Provider == r.Provider && !older && !slices.Contains(r.Overlaps, m.Rule.ID) {
			t.Fatalf("a near miss (%s) is reported as %s: %s", what[min(sort.SearchInts(ends, int(m.End)), len(what)-1)], m.Rule.ID, m.Masked)
		}
	}
}

// lengths gives the shortest and longest secret of a rule in bytes.
func lengths(r *rules.Rule) (least, most int) {
	re, err := syntax.Parse(r.Pattern, syntax.Perl)
	if err != nil {
		return 0, 0
	}
	if n := re.MaxCap(); n > 0 {
		re = group(re, max(r.Group, 1))
	}
	most, _ = rules.Width(re.String())
	return shortest(re), most
}

func group(re *syntax.Regexp, n int) *syntax.Regexp {
	if re.Op == syntax.OpCapture && re.Cap == n {
		return re.Sub[0]
	}
	for _, s := range re.Sub {
		if g := group(s, n); g != nil {
			return g
		}
	}
	return nil
}

func shortest(re *syntax.Regexp) (n int) {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return shortest(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * shortest(re.Sub[0])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			n += shortest(s)
		}
	case syntax.OpAlternate:
		n = shortest(re.Sub[0])
		for _, s := range re.Sub[1:] {
			n = min(n, shortest(s))
		}
	}
	return n
}

// nearMiss damages a secret in the i-th way; "" when that way does not damage it.
func nearMiss(r *rules.Rule, sec string, least, most, i int, rnd *rand.Rand) (what, near string) {
	if r.Multiline {
		return "a public key", strings.ReplaceAll(sec, "PRIVATE", "PUBLIC")
	}
	// Not every way damages every rule's secrets: the next one is taken then.
	for way := range ways {
		if what, near = damage(r, sec, least, most, (i+way)%ways, rnd); what != "" {
			return what, near
		}
	}
	return "", ""
}

// ways is how many ways of damage there are.
const ways = 5

func damage(r *rules.Rule, sec string, least, most, way int, rnd *rand.Rand) (what, near string) {
	switch way {
	case 0: // one character that none of it may be
		// What is left on either side must be shorter than a secret, but for what
		// follows where secrets begin with a keyword.
		lo, hi := 0, min(len(sec), least/2)
		if !r.Prefixed {
			lo = max(0, len(sec)-least)
		}
		if lo >= hi {
			return "", ""
		}
		at := lo + rnd.IntN(hi-lo)
		return "a character out of its class", sec[:at] + string(" \"(,"[rnd.IntN(4)]) + sec[at+1:]
	case 1:
		if least < 2 || len(sec) < least {
			return "", ""
		}
		return "too short", sec[:least-1]
	case 2:
		if most > 10*len(sec) || len(sec) > most {
			return "", ""
		}
		return "too long", sec + strings.Repeat("a", most-len(sec)+1)
	case 3:
		if !rules.ShapeChecksum(r.Shape) {
			return "", ""
		}
		last := sec[len(sec)-1]
		for c := last; ; {
			if c++; c > 'f' {
				c = '0'
			}
			near := sec[:len(sec)-1] + string(c)
			if c != last && (c <= '9' || c >= 'a') {
				if rules.CheckShape(r.Shape, []byte(near)).State != rules.ShapeInvalid {
					return "", "" // of an older form, whose sum proves nothing
				}
				return "a wrong checksum", near
			}
		}
	case 4:
		if r.Fold || !r.Prefixed {
			return "", ""
		}
		for _, k := range r.Keywords {
			if !strings.HasPrefix(sec, k) {
				continue
			}
			for at := range k {
				if c := k[at]; c|0x20 >= 'a' && c|0x20 <= 'z' {
					return "another case", sec[:at] + string(c^0x20) + sec[at+1:]
				}
			}
		}
	}
	return "", ""
}
