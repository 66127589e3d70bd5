package rules

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExpand(t *testing.T) {
	for template, want := range map[string]string{
		"plain":                         `plain`,
		"":                              ``,
		"{{x}}":                         `\{x\}`,
		"a{3:digits}b":                  `a[0-9]{3}b`,
		"{12:alnum}":                    `[0-9A-Za-z]{12}`,
		"{4:x}":                         `xxxx`,
		"{40:hex}":                      `[0-9a-f]{40}`,
		"{16:base32}":                   `[A-Z2-7]{16}`,
		"{43:b64url}":                   `[0-9A-Za-z_-]{43}`,
		"{86:b64}==":                    `[0-9A-Za-z+/]{86}==`,
		"{uuid}":                        `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}`,
		"{jwt}":                         `eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{43}`,
		"{30:alnum}{6:crc32}":           `[0-9A-Za-z]{36}`,
		"{32:alnum}_{8:crc32-hex}":      `[0-9A-Za-z]{32}_[0-9a-f]{8}`,
		"{pem:EC}":                      `-----BEGIN EC PRIVATE KEY-----\n([\w+/=]{1,64}\n)+-----END EC PRIVATE KEY-----`,
		"{pem-escaped:PKCS8}":           `-----BEGIN PRIVATE KEY-----\\n([\w+/=]{1,64}\\n)+-----END PRIVATE KEY-----`,
		`{{"key": "{5:upper}{5:lower}"`: `\{"key": "[A-Z]{5}[a-z]{5}"`,
	} {
		got, err := Expand(template, 42)
		if err != nil {
			t.Errorf("%q: %v", template, err)
		} else if !regexp.MustCompile(`\A(?:` + want + `)\z`).MatchString(got) {
			t.Errorf("%q gives %q, want %s", template, got, want)
		}
	}
}

func TestExpandRefuses(t *testing.T) {
	for template, want := range map[string]string{
		"{":                                  `unpaired "{" at byte 0; write "{{"`,
		"a}":                                 `unpaired "}" at byte 1; write "}}"`,
		"{36:alnum":                          `unpaired "{"`,
		"{alnum}":                            `cannot expand "{alnum}": write {N:CLASS}`,
		"{}":                                 `cannot expand "{}"`,
		"{36:alpha}":                         `the classes are alnum`,
		"{0:hex}":                            `must be a number from 1 to`,
		"{-1:hex}":                           `must be a number from 1 to`,
		"{+1:hex}":                           `must be a number from 1 to`,
		"{07:hex}":                           `must be a number from 1 to`,
		"{9999999:hex}":                      `must be a number from 1 to`,
		"{x:hex}":                            `must be a number from 1 to`,
		"{5:crc32}":                          `a crc32 has 6 characters`,
		"{6:crc32}":                          `nothing stands before it`,
		" {6:crc32-all}":                     `nothing stands before it`,
		"{pem:TLS}":                          `the labels are RSA`,
		"{" + strings.Repeat("a", 100) + "}": `cannot expand "{` + strings.Repeat("a", 40) + `…}"`,
	} {
		if got, err := Expand(template, 1); err == nil || !strings.Contains(err.Error(), want) || got != "" {
			t.Errorf("%q: %q, %v, want an error with %q", template, got, err, want)
		}
	}
}

// TestExpandDeterministic: the same seed gives the same text, another seed
// another, and all seeds the same length.
func TestExpandDeterministic(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		class := rapid.SampledFrom(classNames()).Draw(rt, "class")
		if _, ok := classes[class]; !ok || class == "x" { // a sum, or no choice
			class = "alnum"
		}
		n := rapid.IntRange(24, 200).Draw(rt, "n")
		template := fmt.Sprintf("k={%d:%s};{jwt}{uuid}", n, class)
		seed := rapid.Uint64().Draw(rt, "seed")
		a, err := Expand(template, seed)
		if err != nil {
			rt.Fatal(err)
		}
		b, _ := Expand(template, seed)
		c, _ := Expand(template, seed+1)
		if a != b || a == c || len(a) != len(c) {
			rt.Fatalf("%q: same seed equal %v, other seed equal %v, lengths %d and %d", template, a == b, a == c, len(a), len(c))
		}
		if got := a[2 : 2+n]; strings.Trim(got, classes[class]) != "" {
			rt.Fatalf("%s gave characters outside its alphabet", class)
		}
	})
	if ExampleSeed("a", 0) == ExampleSeed("a", 1) || ExampleSeed("a", 0) == ExampleSeed("b", 0) {
		t.Error("two examples share a seed")
	}
}

func FuzzExpand(f *testing.F) {
	set, err := Builtin()
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range set.Rules() {
		for i, ex := range append(append([]string(nil), r.Examples...), r.Negatives...) {
			f.Add(ex, ExampleSeed(r.ID, i))
		}
	}
	f.Fuzz(func(t *testing.T, template string, seed uint64) {
		a, err := Expand(template, seed)
		b, again := Expand(template, seed)
		if a != b || (err == nil) != (again == nil) {
			t.Fatal("two answers for one template and seed")
		}
		if err == nil && !strings.ContainsAny(template, "{}") && a != template {
			t.Fatal("a template without placeholders was changed")
		}
		quoted := strings.NewReplacer("{", "{{", "}", "}}").Replace(template)
		if back, err := Expand(quoted, seed); err != nil || back != template {
			t.Fatalf("escaped braces do not come back: %v", err)
		}
	})
}
