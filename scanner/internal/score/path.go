package score

import (
	"math/bits"
	"path"
	"strings"
)

// groups are the kinds of files by extension.
var groups = func() map[string]string {
	m := map[string]string{}
	for group, list := range map[string]string{
		"code":    "c h cc cpp cxx hpp m mm cs go java kt kts scala groovy swift rs hs clj cljc cljs ex exs erl dart vb fs f90 pas d nim zig j tl smali gml",
		"script":  "js jsx mjs cjs ts tsx vue svelte py rb php pl pm lua r jl coffee tcl erb haml slim pp vbs",
		"shell":   "sh bash zsh fish ps1 psm1 bat cmd ksh ks bats",
		"config":  "yml yaml toml ini cfg conf config properties env envrc dist example tf tfvars hcl plist gradle cnf service rc desktop inc nix pkla netrc npmrc pypirc pgpass htpasswd",
		"data":    "json json5 jsonl ndjson har csv tsv sql tfstate backup ldif graphql proto xml resx ipynb dump postman_collection",
		"docs":    "md markdown rst txt adoc asciidoc html htm mdx tex org rdoc pod wiki 1 man",
		"lock":    "lock sum integrity",
		"text":    "strings po pot xlf xliff lproj ftl arb",
		"key":     "pem key p8 crt cer asc ppk ovpn",
		"log":     "log out trace",
		"minimum": "min.js bundle map css scss less svg storyboard xib snap",
	} {
		for e := range strings.FieldsSeq(list) {
			m[e] = group
		}
	}
	return m
}()

// folders are words of paths that say what a file is for.
var folders = partsOf("test", "spec", "mock", "fixture", "example", "sample", "demo", "doc", "vendor", "node_modules", "lang", "locale", "i18n", "translation", "conf", "setting", "secret", "docker", "kube", "deploy", "script", "template", "resource", "asset", "public", "fuzz", "bench", "lib", "src", "app", "server", "client", "api", "model", "migration", "tool", "build", "env", "prod", "credential", "password")

// catalogue are folders of translations, translated the groups of files that hold
// them.
var (
	catalogue  = words("lang langs language languages locale locales i18n l10n translation translations intl nls messages")
	translated = words("data config script text")
)

// tongues are the languages that programs are translated into most, as files and
// folders of translations are named after them.
var tongues = words("en de fr es it pt ru zh ja ko pl nl sv da nb nn no fi cs sk hu ro bg el tr uk ar he fa hi bn ta te th vi id ms ca eu gl hr sr bs sl et lv lt af cy ga is mk sq ka hy az kk uz fil eo")

// translation reports whether a path in small letters is that of a file of
// translations: in a folder of them, or named after a language.
func translation(low, base string) bool {
	for part := range strings.SplitSeq(low[:len(low)-len(base)], "/") {
		if catalogue[part] || strings.HasPrefix(part, "values-") && strings.HasSuffix(base, ".xml") {
			return true
		}
	}
	stem, _, _ := strings.Cut(base, ".")
	parts := strings.FieldsFunc(stem, func(r rune) bool { return r == '_' || r == '-' })
	for i, p := range parts {
		if tongues[p] && i >= len(parts)-2 && (i == 0 || catalogues[parts[0]]) {
			return true
		}
	}
	return false
}

// catalogues are what files of translations are named before the language.
var catalogues = words("messages message strings labels label text texts lang language locale translation translations translate errors validation validationmessages resources resource bundle i18n app common")

// path adds the terms of a path, and of path and value together. No path, as of
// standard input, has the terms of none.
func (t *terms) path(p string, local Result) {
	if p == "" {
		return
	}
	low := strings.ToLower(p)
	base := path.Base(low)
	group := "other"
	if i := strings.LastIndexByte(base, '.'); i >= 0 {
		ext := base[i+1:]
		if g := groups[ext]; g != "" {
			group = g
		}
	} else {
		group = "no extension"
	}
	for _, suffix := range []string{"-lock.json", "-lock.yaml", "go.sum", ".min.js", ".min.css", ".bundle"} {
		if strings.HasSuffix(base, suffix) {
			group = "lock"
		}
	}
	if strings.HasPrefix(base, ".env") {
		group = "config"
	}
	if translated[group] && translation(low, base) {
		group = "text"
	}
	t.add("file of ", group)
	dir := low[:len(low)-len(base)]
	for held := folders.in([]byte(dir)); held != 0; held &= held - 1 {
		t.add("folder ", folders.words[bits.TrailingZeros64(held)])
	}
	written := "quoted"
	if local.Has("bare") {
		written = "bare"
	}
	t.add(group, ", ", written)
	for _, lt := range local.Terms {
		switch {
		case strings.HasPrefix(lt.Name, "words "), lt.Name == "few letters", strings.HasPrefix(lt.Name, "name ends in "), strings.HasPrefix(lt.Name, "given by "):
			t.add(group, ", ", lt.Name)
		}
	}
	t.when(written == "bare" && local.Has("made of 0"), group, ", bare digits")
	t.when(local.Has("written as a variable is") && !local.Has("in a comment"), group, ", written as a variable is")
	t.when(strings.Contains(low, "test") || strings.Contains(low, "spec"), "in tests, ", written)
}
