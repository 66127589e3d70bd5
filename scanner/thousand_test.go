package scanner_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
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

// sample is a made-up text of a rule, and where its secret lies.
type sample struct {
	text       string
	start, end int
}

// samples expands the rule's examples by many seeds. The secret is what the rule
// finds in the text alone: other tests hold that to what its author says.
func samples(t *testing.T, e *scanner.Engine, r *rules.Rule, n int) []sample {
	t.Helper()
	var out []sample
	for i := range n {
		template := r.Examples[i%len(r.Examples)]
		text, err := rules.Expand(template, rules.ExampleSeed("thousand/"+r.ID, i))
		if err != nil {
			t.Fatal(err)
		}
		found := -1
		ms := e.ScanBytes([]byte(text))
		for j, m := range ms {
			if m.Rule == r {
				found = j
			}
		}
		if found < 0 {
			if r.Score || r.Provider == "http" {
				continue
			}
			t.Errorf("%s: not found in %q (round %d)", r.ID, template, i)
			reportMissing(t, e, r, text)
			return out
		}
		out = append(out, sample{text, int(ms[found].Start), int(ms[found].End)})
	}
	return out
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

// TestThousandFound makes a thousand secrets of every rule and finds each of them in
// code, JSON, YAML, logs and base64.
func TestThousandFound(t *testing.T) {
	e, set := engineOf(t)
	deep, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.Rules() {
		if r.Kind == rules.KindAssignment {
			continue // judged on labelled lines instead
		}
		rnd := rand.New(rand.NewPCG(rules.ExampleSeed(r.ID, 0), 1))
		var text strings.Builder
		want := 0
		for i, s := range samples(t, e, r, rounds()) {
			if alone(r, s) {
				text.WriteString(places[i%len(places)](s.text[s.start:s.end]))
			} else {
				text.WriteString(linePlaces[i%len(linePlaces)](s.text))
			}
			text.WriteString("\n" + strings.Repeat("a line of words between; ", rnd.IntN(3)) + "\n")
			want++
		}
		got := map[string]bool{}
		for _, m := range deep.ScanBytes([]byte(text.String())) {
			if m.Rule == r || slices.Contains(m.Also, r.ID) {
				got[fmt.Sprint(m.Start, m.End)] = true
			}
		}
		// Addresses and headers are judged by what their passwords look like.
		if judged := r.Score || r.Provider == "http"; len(got) < want && !judged || len(got) < want*99/100 {
			t.Errorf("%s: %d of %d found", r.ID, len(got), want)
			reportMissing(t, deep, r, text.String())
		}
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

// TestThousandMisses makes a thousand texts of every rule that are nearly one of its
// secrets. None is reported as that provider's.
func TestThousandMisses(t *testing.T) {
	e, set := engineOf(t)
	for _, r := range set.Rules() {
		if r.Kind == rules.KindAssignment || r.Provider == "uri" || r.Provider == "http" || r.Provider == "generic" {
			continue // passwords and bearer tokens of any form are no provider's
		}
		least, most := lengths(r)
		rnd := rand.New(rand.NewPCG(rules.ExampleSeed(r.ID, 0), 2))
		var text bytes.Buffer
		type miss struct {
			what       string
			start, end int
		}
		var misses []miss
		for i, s := range samples(t, e, r, rounds()) {
			sec := s.text[s.start:s.end]
			what, near := nearMiss(r, sec, least, most, i, rnd)
			if what == "" {
				continue
			}
			at := text.Len()
			text.WriteString(s.text[:s.start] + near + s.text[s.end:])
			misses = append(misses, miss{what, at, text.Len()})
			text.WriteString("\n\n")
		}
		if len(misses) < rounds()/10 {
			t.Logf("%s: %d near misses", r.ID, len(misses))
		}
		k := 0
		for _, m := range e.ScanBytes(text.Bytes()) {
			for k+1 < len(misses) && int64(misses[k].end) <= m.Start {
				k++
			}
			// A token of a newer form that is damaged can be a key of the older one, which
			// has no form of its own.
			older := r.Kind != rules.KindContext && m.Rule.Kind == rules.KindContext
			if m.Rule.Provider == r.Provider && m.Rule.Kind != rules.KindAssignment && !older && !slices.Contains(r.Overlaps, m.Rule.ID) {
				t.Errorf("%s: a near miss (%s) is reported as %s: %s", r.ID, misses[k].what, m.Rule.ID, m.Masked)
				break
			}
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
	switch i % 5 {
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
