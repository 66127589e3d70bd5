package rules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// good is a file the strict loader takes; each mutation breaks one thing.
const good = `provider = "acme"
name = "Acme"

[[rule]]
id = "acme-key"
description = "Acme API key"
pattern = 'acme_[0-9A-Za-z]{20}'
keywords = ["acme_"]
examples = ['ACME_KEY=acme_{20:alnum}']
negatives = ['ACME_KEY=acme_{19:alnum}']
`

func load(text string) (*Set, error) {
	return Load(fstest.MapFS{"acme.toml": {Data: []byte(text)}})
}

func TestLoadGood(t *testing.T) {
	set, err := load(good)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := set.Rule("acme-key")
	if !ok || r.Width != 25 || !r.Prefixed || r.Fold || r.Multiline || r.Provider != "acme" || r.ProviderName != "Acme" ||
		r.Confidence != Medium || r.Kind != KindPattern || r.Line != 4 || r.File != "acme.toml" {
		t.Fatalf("got %+v", r)
	}
	if len(r.StopWords) != len(GlobalStopWords) {
		t.Errorf("a medium rule has %d stop words, want the global ones", len(r.StopWords))
	}
	if r.BoundaryOK('x', -1) || r.BoundaryOK(-1, '_') || !r.BoundaryOK('_', '-') || !r.BoundaryOK(-1, -1) {
		t.Error("the default boundary is not the documented one")
	}
}

// TestLoadRefuses breaks the good file in one way each; the error must name
// the line, the rule and the fault.
func TestLoadRefuses(t *testing.T) {
	pattern := `pattern = 'acme_[0-9A-Za-z]{20}'`
	p := func(new string) [2]string { return [2]string{pattern, "pattern = '" + new + "'"} }
	k := func(line string) [2]string { return [2]string{pattern, pattern + "\n" + line} }
	for name, m := range map[string]struct {
		edit [2]string
		want string
	}{
		"unknown key":        {k(`colour = "red"`), `acme.toml:8: rule "acme-key": unknown key "colour": the keys here are id, description`},
		"misspelt key":       {[2]string{"keywords =", "keyword ="}, `acme.toml:8: rule "acme-key": unknown key "keyword": did you mean "keywords"?`},
		"unknown top key":    {[2]string{"name =", "label ="}, `acme.toml:2: unknown key "label": the keys here are provider, name, rule`},
		"no example":         {[2]string{`examples = ['ACME_KEY=acme_{20:alnum}']`, ""}, `acme.toml:4: rule "acme-key": examples are missing`},
		"no negative":        {[2]string{`negatives = ['ACME_KEY=acme_{19:alnum}']`, ""}, `acme.toml:4: rule "acme-key": negatives are missing`},
		"unbounded":          {p(`acme_[0-9A-Za-z]+`), `acme.toml:7: rule "acme-key": the pattern has no longest match: bound its repeats, as in {20,300}, or state maxlen`},
		"duplicate id":       {[2]string{"provider", "provider"}, `acme.toml:12: rule "acme-key": duplicate id: acme.toml:4 holds a rule of that id`},
		"foreign keyword":    {[2]string{`["acme_"]`, `["acmf_"]`}, `acme.toml:8: rule "acme-key": keyword "acmf_" cannot occur in a match of the pattern`},
		"no keyword":         {[2]string{`["acme_"]`, `[]`}, `acme.toml:4: rule "acme-key": keywords are missing: every match of the pattern holds "acme_", so write keywords = ["acme_"]`},
		"slow, many lines":   {[2]string{pattern + "\nkeywords = [\"acme_\"]", `pattern = '[0-9a-f]{20}\s[0-9a-f]{20}'`}, `acme.toml:4: rule "acme-key": keywords are missing: a pattern that can span lines needs texts`},
		"no keyword, value":  {[2]string{pattern + "\nkeywords = [\"acme_\"]", `kind = "assignment"`}, `acme.toml:4: rule "acme-key": keywords are missing: name the words that end the names of such values`},
		"short keyword":      {[2]string{`["acme_"]`, `["e_"]`}, `acme.toml:8: rule "acme-key": keyword "e_": must have at least 3 bytes`},
		"double keyword":     {[2]string{`["acme_"]`, `["acme_", "acme_"]`}, `acme.toml:8: rule "acme-key": keyword "acme_" stands there twice`},
		"bad shape":          {k(`shape = "crc"`), `acme.toml:8: rule "acme-key": shape "crc": the shapes are aws-key-id, base64-json`},
		"bad confidence":     {k(`confidence = "sure"`), `acme.toml:8: rule "acme-key": confidence "sure": must be "high", "medium" or "low"`},
		"bad kind":           {k(`kind = "magic"`), `acme.toml:8: rule "acme-key": kind "magic": must be "pattern", "assignment" or "context"`},
		"assignment pattern": {k(`kind = "assignment"`), `acme.toml:7: rule "acme-key": a rule of kind "assignment" has no pattern`},
		"context, maxlen":    {k("kind = \"context\"\nmaxlen = 40"), `acme.toml:7: rule "acme-key": a rule of kind "context" has no maxlen, no groups and no line feeds: its pattern is the value alone`},
		"context, keyword":   {[2]string{`keywords = ["acme_"]`, `kind = "context"`}, `acme.toml:4: rule "acme-key": keywords are missing: name the service near whose name such values stand`},
		"context, word":      {k("kind = \"context\"\nwords = [\"Key\"]"), `acme.toml:9: rule "acme-key": word "Key": words are parts of names in lower case`},
		"words of a pattern": {k(`words = ["key"]`), `acme.toml:8: rule "acme-key": word "key": words are parts of names in lower case, of at least 3 bytes, for rules of kind "context"`},
		"caret":              {p(`^acme_[0-9A-Za-z]{20}`), `acme.toml:7: rule "acme-key": pattern uses ^ or \A: a secret is matched wherever it stands`},
		"dollar":             {p(`acme_[0-9A-Za-z]{20}$`), `acme.toml:7: rule "acme-key": pattern uses $: a secret`},
		"end of text":        {p(`acme_[0-9A-Za-z]{20}\z`), `acme.toml:7: rule "acme-key": pattern uses \z: a secret`},
		"line anchor":        {p(`(?m:^acme_[0-9A-Za-z]{20})`), `acme.toml:7: rule "acme-key": pattern uses ^: a secret`},
		"unicode class":      {p(`acme_\pL{20}`), `acme.toml:7: rule "acme-key": pattern uses the Unicode class \p: text is matched byte by byte`},
		"non-ascii":          {p(`acmé_[0-9A-Za-z]{20}`), `acme.toml:7: rule "acme-key": pattern holds the byte 0xc3: patterns are printable ASCII`},
		"wide character":     {p(`acme_\x{20ac}{20}`), `acme.toml:7: rule "acme-key": pattern names the character U+20AC`},
		"wide class":         {p(`acme_[a-\x{20ac}]{20}`), `acme.toml:7: rule "acme-key": pattern names the character U+20AC in a class`},
		"back-reference":     {p(`acme_([0-9a-z])\1`), `acme.toml:7: rule "acme-key": pattern uses the back-reference "\\1", which RE2 has not`},
		"lookahead":          {p(`acme_[0-9a-z]{20}(?=x)`), `acme.toml:7: rule "acme-key": pattern uses a lookahead "(?=", which RE2 has not: put the secret in a group`},
		"negative lookahead": {p(`acme_[0-9a-z]{20}(?!x)`), `pattern uses a lookahead "(?!", which RE2 has not`},
		"lookbehind":         {p(`(?<=x)acme_[0-9a-z]{20}`), `pattern uses a lookbehind "(?<=`},
		"negative behind":    {p(`(?<!x)acme_[0-9a-z]{20}`), `pattern uses a lookbehind "(?<!`},
		"atomic group":       {p(`acme_(?>[0-9a-z]{20})`), `pattern uses "(?>", which RE2 has not: write a plain group`},
		"possessive":         {p(`acme_[0-9a-z]{20}++`), `pattern repeats a repeat at`},
		"huge repeat":        {p(`acme_[0-9a-z]{2000}`), `pattern repeats too often at "{2000}"`},
		"open bracket":       {p(`acme_[0-9a-z{20}`), `acme.toml:7: rule "acme-key": pattern does not parse: missing closing ]`},
		"never matches":      {p(`acme_[^\x00-\x{10FFFF}]`), `pattern holds a part that can never match`},
		"empty match":        {p(`(?:)`), `the pattern matches nothing but the empty text`},
		"too wide":           {p("acme_" + strings.Repeat("[0-9a-z]{1000}", 17)), `the pattern matches up to`},
		"bad group":          {k(`secret_group = 2`), `acme.toml:8: rule "acme-key": secret_group 2: the pattern has no group`},
		"two groups":         {p(`(acme)_([0-9A-Za-z]{20})`), `acme.toml:7: rule "acme-key": the pattern has 2 groups: say with secret_group which is the secret`},
		"bad maxlen":         {k(`maxlen = 9999999`), `acme.toml:8: rule "acme-key": maxlen 9999999: must be between`},
		"bad entropy":        {k(`entropy = 9.5`), `acme.toml:8: rule "acme-key": entropy 9.5: must be between 0 and 8`},
		"bad boundary":       {k(`boundary = "z-a"`), `acme.toml:8: rule "acme-key": boundary "z-a": the range "z-a" runs backwards`},
		"bracket boundary":   {k(`boundary_before = "[a-z]"`), `acme.toml:8: rule "acme-key": boundary "[a-z]": must be the inside of a plain character class`},
		"short stop word":    {k(`stop_words = ["ab"]`), `acme.toml:8: rule "acme-key": stop word "ab": must have at least 3 bytes`},
		"bad glob":           {k(`exclude_paths = ["[a"]`), `acme.toml:8: rule "acme-key": exclude_paths: "[a" is not a glob`},
		"bad overlap":        {k(`overlaps = ["acme-key"]`), `acme.toml:8: rule "acme-key": overlaps: "acme-key" is not the id of another rule`},
		"bad reference":      {k(`reference = "see the wiki"`), `acme.toml:8: rule "acme-key": reference must be an https:// address`},
		"bad id":             {[2]string{`"acme-key"`, `"Acme Key"`}, `acme.toml:5: rule "Acme Key": id "Acme Key": must be lower-case words joined by '-'`},
		"no description":     {[2]string{`description = "Acme API key"`, ""}, `acme.toml:4: rule "acme-key": description is missing`},
		"no pattern":         {[2]string{pattern, ""}, `acme.toml:4: rule "acme-key": pattern is missing`},
		"bad template":       {[2]string{"{20:alnum}", "{20:alnumm}"}, `acme.toml:9: rule "acme-key": example 1: template: cannot expand "{20:alnumm}": the classes are`},
		"bad negative":       {[2]string{"{19:alnum}", "{19:alnum"}, `acme.toml:10: rule "acme-key": negative 1: template: unpaired "{"`},
		"bad provider":       {[2]string{`"acme"`, `"Acme Inc"`}, `acme.toml:1: provider "Acme Inc": must be a key such as "github"`},
		"no name":            {[2]string{`name = "Acme"`, `name = ""`}, `acme.toml:1: name is missing`},
		"wrong type":         {[2]string{`["acme_"]`, `7`}, `acme.toml:8: rule "acme-key": `},
		"not TOML":           {[2]string{`name = "Acme"`, `name = = "Acme"`}, `acme.toml:2: `},
		"no rule":            {[2]string{good[strings.Index(good, "[[rule]]"):], ""}, `acme.toml:1: no [[rule]] in the file`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, m.edit[0], m.edit[1], 1)
			if name == "duplicate id" {
				text += "\n" + good[strings.Index(good, "[[rule]]"):]
			} else if text == good {
				t.Fatal("the mutation changed nothing")
			}
			set, err := load(text)
			if err == nil || set != nil {
				t.Fatalf("loaded; want an error with %q", m.want)
			}
			if !strings.Contains(err.Error(), m.want) {
				t.Fatalf("error\n\t%v\nwant\n\t%s", err, m.want)
			}
			var fe *FileError
			if !errors.As(err, &fe) || fe.File != "acme.toml" || fe.Line == 0 {
				t.Errorf("no FileError with file and line in %#v", err)
			}
		})
	}
}

func TestLoadTellsAllFaults(t *testing.T) {
	bad := strings.NewReplacer(`["acme_"]`, `["zz_"]`, "{20:alnum}", "{20:nope}").Replace(good)
	_, err := Load(fstest.MapFS{"a.toml": {Data: []byte(bad)}, "sub/b.toml": {Data: []byte(strings.ReplaceAll(bad, "acme-key", "other-key"))}, "c.txt": {Data: []byte("no rule file")}})
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Fatalf("want two faults in each of two files, got:\n%v", err)
	}
	if _, err := Load(fstest.MapFS{"a.toml": {Data: []byte(good)}, "b.toml": {Data: []byte(good)}}); err == nil || !strings.Contains(err.Error(), `b.toml:4: rule "acme-key": duplicate id: a.toml:4 holds`) {
		t.Errorf("duplicate id over two files: %v", err)
	}
	if _, err := Load(fstest.MapFS{}); err == nil {
		t.Error("an empty folder loaded")
	}
}

func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "acme.toml")
	if err := os.WriteFile(file, []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	if set, err := LoadFiles(file); err != nil || set.Len() != 1 {
		t.Fatalf("%v, %v", set, err)
	}
	for _, bad := range []string{filepath.Join(dir, "missing.toml"), dir} {
		if _, err := LoadFiles(bad); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("reading rule file %q", bad)) {
			t.Errorf("LoadFiles(%q): %v", bad, err)
		}
	}
	if _, err := LoadFiles(); err == nil {
		t.Error("no file loaded")
	}
}

func TestMerge(t *testing.T) {
	a, err := load(good)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Merge(builtinSet(t), a)
	if err != nil || set.Len() != builtinSet(t).Len()+1 {
		t.Fatalf("merged: %v", err)
	}
	if _, err := Merge(set, a); err == nil {
		t.Error("a rule merged twice")
	}
}

// TestAnalysis tells what the loader reads off patterns.
func TestAnalysis(t *testing.T) {
	for _, c := range []struct {
		pattern                   string
		keywords                  []string
		width                     int
		prefixed, fold, multiline bool
	}{
		{`ab[0-9]{3}`, []string{"ab"}, 5, true, false, false},
		{`\bab[0-9]{3,7}`, []string{"ab"}, 9, true, false, false},
		{`x?ab`, []string{"ab"}, 3, false, false, false},
		{`(?:sk|rk)_(live|test)_a{2}`, []string{"sk_live_", "sk_test_", "rk_live_", "rk_test_"}, 10, true, false, false},
		{`(?:sk|rk)_(live|test)_a{2}`, []string{"sk_live_", "rk_live_"}, 10, false, false, false},
		{`(?:sk|rk)_a`, []string{"sk_", "rk_"}, 4, true, false, false},
		{`(?i)Key=[a-f]{4}`, []string{"key="}, 8, true, true, false},
		{`(?i:key)=A`, []string{"KEY"}, 5, true, true, false},
		{`key\s=`, []string{"key"}, 5, true, false, true},
		{`key[^"]=`, []string{"key"}, 5, true, false, true},
		{`key[^"\n]=`, []string{"key"}, 5, true, false, false},
		{`key.=`, []string{"key"}, 5, true, false, false},
		{`key(?s:.)=`, []string{"key"}, 5, true, false, true},
		{`(?:ab)+c`, []string{"ab"}, 0, true, false, false},
		{`(?:ab)+c`, []string{"abc"}, 0, false, false, false},
		{`a{2,3}b`, []string{"aab", "aaab"}, 4, true, false, false},
		{`a{2,3}b`, []string{"aab"}, 4, false, false, false},
		{`[ab]{2}c`, []string{"aa", "ab", "ba", "bb"}, 3, true, false, false},
		{`[0-9]{8}:AA`, []string{":AA"}, 11, false, false, false},
		{`a*b`, []string{"b"}, 0, false, false, false},
	} {
		re, err := parsePattern(c.pattern)
		if err != nil {
			t.Fatalf("%s: %v", c.pattern, err)
		}
		r := &Rule{Pattern: c.pattern, Keywords: c.keywords, Kind: KindPattern}
		derive(r, re)
		if r.Width != c.width || r.Prefixed != c.prefixed || r.Fold != c.fold || r.Multiline != c.multiline {
			t.Errorf("%s %q: width %d prefixed %v fold %v multiline %v, want %d %v %v %v", c.pattern, c.keywords, r.Width, r.Prefixed, r.Fold, r.Multiline, c.width, c.prefixed, c.fold, c.multiline)
		}
		if n, ok := Width(c.pattern); ok != (c.width > 0) || ok && n != c.width {
			t.Errorf("Width(%s) = %d, %v", c.pattern, n, ok)
		}
	}
}

func TestCanHold(t *testing.T) {
	for _, c := range []struct {
		pattern, keyword string
		fold, want       bool
	}{
		{`ab[0-9]{3}`, "ab", false, true}, {`ab[0-9]{3}`, "b12", false, true}, {`ab[0-9]{3}`, "ba", false, false},
		{`ab[0-9]{3}`, "1234", false, false}, {`[a-z]{2,8}_live_`, "_live_", false, true}, {`(?i:key)`, "KEY", true, true},
		{`key`, "KEY", true, true}, {`key`, "KEY", false, false}, {`a\bb`, "ab", false, true}, {`(?:xy)+`, "yxyx", false, true},
	} {
		re, err := parsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := canHold(re, c.keyword, c.fold); got != c.want {
			t.Errorf("canHold(%s, %q, %v) = %v", c.pattern, c.keyword, c.fold, got)
		}
	}
}

// FuzzLoad: no file makes the loader panic, every error names the file, and
// what loads once loads the same again.
func FuzzLoad(f *testing.F) {
	f.Add(good)
	entries, err := builtinFS.ReadDir("builtin")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		data, err := builtinFS.ReadFile("builtin/" + e.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := load(text)
		if err != nil {
			if !strings.Contains(err.Error(), "acme.toml") || set != nil {
				t.Fatalf("error without its file: %v", err)
			}
			return
		}
		for _, r := range set.Rules() {
			if r.Kind == KindPattern && (r.Width <= 0 || r.Width > maxMaxLen) {
				t.Fatalf("%q: width %d", r.ID, r.Width)
			}
		}
		if again, err := load(text); err != nil || again.Len() != set.Len() {
			t.Fatalf("loaded once, then %v", err)
		}
	})
}
