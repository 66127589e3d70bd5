package findable

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// leaks are texts in which tokens leak, as people and programs write them: one for each
// context that an import promises.
var leaks = []string{
	"k=%s", "k: %s", `"%s"`, `'%s'`, "see %s.", "%s, and", "https://u:%s@h", "https://h/%s/x", "https://h/?a=%s&b=1", "(%s)", "<k>%s</k>", "k: base64(%s)",
}

// A value of any form that can be imported is found in each of the twelve contexts, and
// what no scan finds is told to be missed in all twelve.
func TestMissed(t *testing.T) {
	for _, form := range []string{
		"qnk_live_{48:alnum}", "hvs.{90:alnum}", "gh" + "p_{36:alnum}", "{8:hex}-{4:hex}-4{3:hex}-a{3:hex}-{12:hex}", "{16:alnum}", "{4096:alnum}",
		"'{6:alnum}'(in)<{6:alnum}>\"&more", "-._{16:alnum}._-", "&b=1{16:alnum}&b=1", "@h{16:alnum}@h", "(((({16:alnum}))))", "a%41{16:alnum}\\n",
	} {
		plain, err := rules.Expand(form, 1)
		if err != nil {
			t.Fatal(form, err)
		}
		value := secret.NewString(plain)
		if err := values.Check(value.Reveal()); err != nil {
			t.Fatal(form, err)
		}
		if missed, err := Missed(value); err != nil || len(missed) > 0 {
			t.Errorf("%s is missed in %q, %v", form, missed, err)
		}
		e, err := scanner.New(&rules.Set{}, scanner.Options{Known: only{value.Reveal()}})
		if err != nil {
			t.Fatal(err)
		}
		for _, leak := range leaks {
			text := strings.Replace(leak, "%s", plain, 1)
			if leak == "k: base64(%s)" {
				text = "k: " + base64.StdEncoding.EncodeToString([]byte(plain))
			}
			if !slices.ContainsFunc(e.ScanBytes([]byte(text)), func(m scanner.Match) bool { return m.Token != nil && m.Secret.Equal(value) }) {
				t.Errorf("%s is not found in %q", form, leak)
			}
		}
	}
	if missed, err := Missed(secret.NewString(values.Random(5000))); err != nil || !slices.Equal(missed, leaks) {
		t.Errorf("what is too long to be looked for is missed in %q, %v; want all of %q", missed, err, leaks)
	}
}
