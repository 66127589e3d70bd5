package scanner_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// An id is committed in ignore files and kept by those who read SARIF: it may
// change only together with the version in its fingerprint's name.
func TestFindingIDIsPinned(t *testing.T) {
	got := scanner.FindingID("acme-api-key", "conf/app.env", "api_key", "api_key=****", secret.NewString("correct horse"))
	if want := "a90d8d2b5777e63f"; got != want {
		t.Errorf("the id is %s, was %s: every committed ignore file breaks", got, want)
	}
}

// Each thing an id names tells two findings apart, also where the parts run
// together to the same text.
func TestFindingIDTellsApart(t *testing.T) {
	seen := map[string]string{}
	for _, c := range [][5]string{
		{"r", "p", "k", "m", "s"},
		{"R", "p", "k", "m", "s"}, {"r", "P", "k", "m", "s"}, {"r", "p", "K", "m", "s"}, {"r", "p", "k", "M", "s"}, {"r", "p", "k", "m", "S"},
		{"rp", "", "k", "m", "s"}, {"", "rp", "k", "m", "s"}, {"r", "pk", "", "m", "s"}, {"r", "p", "km", "", "s"}, {"r", "p", "", "km", "s"}, {"", "", "", "", ""},
	} {
		id := scanner.FindingID(c[0], c[1], c[2], c[3], secret.NewString(c[4]))
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
			t.Errorf("%q: the id %q is not 16 hex digits", c, id)
		}
		if was := seen[id]; was != "" {
			t.Errorf("%q and %s have the id %s", c, was, id)
		}
		seen[id] = fmt.Sprintf("%q", c)
	}
}

// An id holds 20 bits of the secret's hash. Of n secrets at one place about
// n²/2²¹ pairs share an id then: 128 of 2¹⁴. With 21 bits they would be half as
// many, with 19 twice, and with all bits, where a committed id confirms a guessed
// password, none. The secrets are fixed, so that chance has no say.
func TestFindingIDIsNoOracle(t *testing.T) {
	const n = 1 << 14
	ids := map[string]int{}
	pairs := 0
	for i := range n {
		id := scanner.FindingID("r", "p", "k", "k=****", secret.NewString(fmt.Sprint("password", i)))
		pairs += ids[id]
		ids[id]++
	}
	if pairs < 90 || pairs > 180 {
		t.Errorf("%d pairs of %d secrets share an id; with 20 bits they are about 128", pairs, n)
	}
}

// The engine names a finding the same wherever its line moves to, and whatever
// other secret is found on the lines around it.
func TestFindingIDStaysWhenLinesMove(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	ids := func(text string) (out []string) {
		for _, m := range e.ScanBytes([]byte(text)) {
			out = append(out, scanner.FindingID(m.Rule.ID, "p", m.Key, m.Context, m.Secret))
		}
		return out
	}
	line := "  key = \"" + tst(1) + "\" # staging\n"
	want := ids(line)
	if len(want) != 1 {
		t.Fatalf("%d findings in one line", len(want))
	}
	for _, text := range []string{strings.Repeat("line\n", 1000) + line, "x = " + tst(2) + "\n" + line + "y = " + tst(3), strings.ReplaceAll(line, "\n", "\r\n")} {
		if got := ids(text); !strings.Contains(fmt.Sprint(got), want[0]) {
			t.Errorf("%q: ids %v, want %s among them", text[:min(60, len(text))], got, want[0])
		}
	}
	if got := ids("  other = \"" + tst(1) + "\" # staging\n"); len(got) != 1 || got[0] == want[0] {
		t.Errorf("the same secret under another name has the ids %v, was %s", got, want[0])
	}
}
