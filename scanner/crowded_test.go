package scanner_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/rules/gitleaks"
	"github.com/quench-dev/quench/scanner"
)

// What stands before a secret, on its line or above, keeps no rule from finding it:
// each of many examples in a row is found as it is alone.
func TestCrowded(t *testing.T) {
	e, set := engineOf(t)
	for _, r := range set.Rules() {
		if r.Kind != rules.KindPattern || r.Prefixed {
			continue
		}
		for k := range r.Examples {
			one := *r
			one.Examples = r.Examples[k : k+1]
			between := " "
			if strings.ContainsAny(one.Examples[0], "\n") || r.Score || r.Multiline {
				between = "\n"
			}
			var text strings.Builder
			var want []string
			for i := range 24 {
				ex, err := rules.Expand(one.Examples[0], rules.ExampleSeed("crowded/"+r.ID, i))
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range e.ScanBytes([]byte(ex)) {
					if m.Rule == r {
						want = append(want, fmt.Sprint(text.Len()+int(m.Start)))
					}
				}
				text.WriteString(ex + between)
			}
			var got []string
			for _, m := range e.ScanBytes([]byte(text.String())) {
				if m.Rule == r {
					got = append(got, fmt.Sprint(m.Start))
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s, example %d: %s", r.ID, k+1, d)
			}
		}
	}
}

// crowdedConfig has an expression as gitleaks' own generic rule has: a name of any
// length before the keyword, and no bound to the value.
const crowdedConfig = `
[[rules]]
id = "generic-key"
regex = '''(?i)[\w.-]{0,50}?(?:token|key)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|:)[\x60'"\s=]{0,5}([a-z0-9][a-z0-9+/]{11,}={0,3})(?:[\x60'"\s;]|$)'''
keywords = ["token", "key"]
[[rules]]
id = "shop"
regex = '''(?i)shop[\w]{0,20} = ([a-z0-9]{16})'''
keywords = ["shop"]
[[rules.allowlists]]
regexes = ['''^aaaa''']
[[rules]]
id = "block"
regex = '''(?s)BEGIN.{0,200}END'''
keywords = ["BEGIN"]
`

// The generic rule of a gitleaks configuration finds each of many in a row, and gives
// way to another rule only where that tells the secret: not where a list allows what
// it found, nor where it is a text of many lines around it.
func TestCrowdedGeneric(t *testing.T) {
	c, err := gitleaks.Read("a.toml", []byte(crowdedConfig), nil)
	if err != nil {
		t.Fatal(err)
	}
	lists, _, err := allow.New(c.Allow...)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var want []string
	line := func(template, rule string) {
		s, err := rules.Expand(template, rules.ExampleSeed("crowded", len(want)))
		if err != nil {
			t.Fatal(err)
		}
		if text.WriteString(s + "\n"); rule != "" {
			want = append(want, fmt.Sprintf("%s:%d", rule, strings.Count(text.String(), "\n")))
		}
	}
	for range 200 {
		line("\t\t`meraki-api-token: {40:hex}`, // as it is", "generic-key")
	}
	line("shop_key = {16:lowernum}", "shop")
	line("shop_key = aaaa{12:lowernum}", "generic-key")
	line("BEGIN", "block")
	line("a_key = {16:lowernum}", "generic-key")
	line("END", "")
	for _, plain := range []bool{false, true} {
		e, err := scanner.New(c.Rules, scanner.Options{DecodeDepth: -1, Plain: plain, Allow: lists})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		_, err = e.Run(context.Background(), versions{{text: []byte(text.String()), base: -1}}, scanner.RunOptions{Workers: 1, Finding: func(f scanner.Finding) {
			if _, ok := lists.Allows(f.Rule.ID, f.Allowed, "", ""); !ok {
				got = append(got, fmt.Sprintf("%s:%d", f.Rule.ID, f.Line))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("plain %v: %s", plain, d)
		}
	}
}
