package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// The house rules: what keeps the program drawable. Each is a function over a
// list of files, run on this repository and, in TestHouseRulesBite, on a small
// tree that breaks it.

const module = "github.com/quench-dev/quench"

// tree is a set of files by slash-separated path.
type tree map[string]string

// mayImport says which top folders a top folder may import besides itself.
var mayImport = map[string][]string{
	"rules":    {},
	"sources":  {},
	"scanner":  {"rules", "sources"},
	"registry": {"rules", "scanner"},
	"revoker":  {"rules", "sources", "scanner", "registry"},
	"cmd":      {"rules", "sources", "scanner", "registry", "revoker"},
	"fuzz":     {"rules", "sources", "scanner", "registry", "revoker"},
	"testdata": {"rules", "sources", "scanner"},
}

// testsMayImport widens that for tests, which may use anything left of them in
// the flow, and rules and scanner to make and find tokens.
var testsMayImport = map[string][]string{
	"rules":   {"scanner"},
	"scanner": {"rules", "sources"},
	"revoker": {"rules", "sources", "scanner", "registry"},
}

// topLevel are the names allowed at the root: the layout the user fixed, what we
// add, and what tools look for there.
var topLevel = []string{"cmd", "scanner", "rules", "sources", "registry", "revoker", "docs", "testdata", "fuzz", "go.mod", "go.sum", "Makefile", "README.md",
	"LICENSE", "action.yml", ".pre-commit-hooks.yaml", ".github", ".ci", ".gitignore", "Dockerfile", ".gitattributes"}

const (
	maxPackage  = 2500 // lines without tests: what a reviewer holds in mind in a day
	maxFunction = 80   // lines: two screens
)

// longFunctions are the exceptions, each with its reason.
var longFunctions = map[string]string{}

// revealers may open a Secret, each with its reason.
var revealers = map[string]string{
	"scanner/secret/secret.go":    "the door itself",
	"scanner/report/reveal.go":    "--show-secrets",
	"registry/print.go":           "a token is shown once, when it is issued",
	"registry/pepper.go":          "the pepper is written to its file, and decoded",
	"registry/findable.go":        "an imported value is tried in the contexts it would leak in",
	"registry/verify.go":          "the checksum of our own form is checked before the database is asked",
	"registry/issue.go":           "an imported value is checked for what could not be found again",
	"cmd/internal/demo/reveal.go": "the demo leaks its own token",
}

func houseLayers(files tree) (faults []string) {
	for name, text := range goFiles(files) {
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			return append(faults, err.Error())
		}
		top, _, _ := strings.Cut(name, "/")
		allowed := mayImport[top]
		if strings.HasSuffix(name, "_test.go") {
			allowed = append(slices.Clone(allowed), testsMayImport[top]...)
		}
		for _, imp := range f.Imports {
			p, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module+"/")
			to, _, _ := strings.Cut(p, "/")
			if ours && to != top && !slices.Contains(allowed, to) {
				faults = append(faults, fmt.Sprintf("%s imports %s: %s may import only %v", name, p, top, allowed))
			}
		}
	}
	return faults
}

func houseTopLevel(files tree) (faults []string) {
	for name := range files {
		if top, _, _ := strings.Cut(name, "/"); !slices.Contains(topLevel, top) {
			faults = append(faults, top+" is not a name for the top level")
		}
	}
	return faults
}

func houseSizes(files tree) (faults []string) {
	lines := map[string]int{}
	for name, text := range goFiles(files) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		lines[path.Dir(name)] += strings.Count(text, "\n")
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, text, 0)
		if err != nil {
			return append(faults, err.Error())
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			if id := path.Dir(name) + "." + fn.Name.Name; n > maxFunction && longFunctions[id] == "" {
				faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d", id, n, maxFunction))
			}
		}
	}
	for dir, n := range lines {
		if n > maxPackage {
			faults = append(faults, fmt.Sprintf("package %s has %d lines, more than %d", dir, n, maxPackage))
		}
	}
	return faults
}

func houseComments(files tree) (faults []string) {
	has := map[string]bool{}
	for name, text := range goFiles(files) {
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return append(faults, err.Error())
		}
		onlyTests := strings.HasSuffix(name, "_test.go")
		dir := path.Dir(name)
		if !onlyTests || !has[dir] {
			has[dir] = has[dir] || f.Doc != nil && len(strings.Fields(f.Doc.Text())) >= 8
		}
	}
	for dir, ok := range has {
		if !ok {
			faults = append(faults, "package "+dir+" has no comment that says what it knows and where to start reading")
		}
	}
	return faults
}

// houseReveal finds calls of Reveal, and patterns compiled before they are
// needed.
func houseReveal(files tree) (faults []string) {
	for name, text := range goFiles(files) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			return append(faults, err.Error())
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" && revealers[name] == "" {
				faults = append(faults, name+" opens a Secret; who may is listed in the house test")
			}
			return true
		})
	}
	return faults
}

var compiles = regexp.MustCompile(`\b(regexp|re2|experimental)\.(Must)?Compile`)

// houseStartup finds patterns compiled at start-up.
func houseStartup(files tree) (faults []string) {
	for name, text := range goFiles(files) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, text, 0)
		if err != nil {
			return append(faults, err.Error())
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				if d.Tok == token.VAR && compiles.MatchString(text[fset.Position(d.Pos()).Offset:fset.Position(d.End()).Offset]) {
					faults = append(faults, name+" compiles a pattern in a package variable, at every start of the program")
				}
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil && compiles.MatchString(text[fset.Position(d.Pos()).Offset:fset.Position(d.End()).Offset]) {
					faults = append(faults, name+" compiles a pattern in init, at every start of the program")
				}
			}
		}
	}
	return faults
}

// leaksAllowed are texts that look like secrets and are none, by path and rule.
var leaksAllowed = map[string]string{}

// houseSecrets runs our own rules over every file.
func houseSecrets(files tree) (faults []string) {
	set, err := rules.Builtin()
	if err != nil {
		return []string{err.Error()}
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		return []string{err.Error()}
	}
	for name, text := range files {
		for _, m := range e.ScanBytes([]byte(text)) {
			if m.Confidence == rules.High && leaksAllowed[name+" "+m.Rule.ID] == "" {
				faults = append(faults, fmt.Sprintf("%s:%d looks like a real secret (%s): build it from a template at run time", name, m.Line, m.Rule.ID))
			}
		}
	}
	return faults
}

// housePaths finds the folders of somebody's machine.
func housePaths(files tree) (faults []string) {
	machine := regexp.MustCompile(`(?:^|[\s"'(=])/(?:` + "work|ro" + `ot)/`)
	for name, text := range files {
		for i, line := range strings.Split(text, "\n") {
			if machine.MatchString(line) {
				faults = append(faults, fmt.Sprintf("%s:%d names a folder of one machine", name, i+1))
			}
		}
	}
	return faults
}

// houseDependencies compares the list that gives each dependency its reason with
// go.mod.
func houseDependencies(files tree) (faults []string) {
	want := map[string]bool{}
	for _, line := range strings.Split(files["go.mod"], "\n") {
		f := strings.Fields(strings.TrimPrefix(line, "require"))
		if len(f) == 2 && strings.HasPrefix(f[1], "v") {
			want[f[0]] = true
		}
		if len(f) == 2 && f[0] == "tool" {
			want[strings.Join(strings.Split(f[1], "/")[:3], "/")] = true
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z0-9.]+\.[a-z]+\S*) \|`).FindAllStringSubmatch(files["docs/dependencies.md"], -1) {
		if !want[m[1]] {
			faults = append(faults, m[1]+" is in docs/dependencies.md and not in go.mod")
		}
		delete(want, m[1])
	}
	for m := range want {
		// The tool's module is required indirectly.
		faults = append(faults, m+" is required in go.mod and has no row in docs/dependencies.md")
	}
	return faults
}

func goFiles(files tree) tree {
	out := tree{}
	for name, text := range files {
		if strings.HasSuffix(name, ".go") {
			out[name] = text
		}
	}
	return out
}

var houseRules = map[string]func(tree) []string{
	"layers": houseLayers, "top level": houseTopLevel, "sizes": houseSizes, "comments": houseComments, "reveal": houseReveal,
	"start-up": houseStartup, "secrets": houseSecrets, "paths": housePaths, "dependencies": houseDependencies,
}

func TestHouse(t *testing.T) {
	root := filepath.Join("..", "..")
	list, err := exec.Command("git", "-C", root, "ls-files", "-co", "--exclude-standard").Output()
	if err != nil {
		t.Skipf("the house is checked in a git checkout: %v", err)
	}
	files := tree{}
	for _, name := range strings.Fields(string(list)) {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err == nil {
			files[name] = string(b)
		}
	}
	if len(files) < 100 {
		t.Fatalf("the house has %d files", len(files))
	}
	for rule, check := range houseRules {
		for _, fault := range check(files) {
			t.Errorf("%s: %s", rule, fault)
		}
	}
}

// Every house rule reports a tree that breaks it, and a good tree passes all.
func TestHouseRulesBite(t *testing.T) {
	const doc = "// Package x does what it does, knows little, and is read from its top.\n"
	good := func() tree {
		return tree{
			"go.mod": "module " + module + "\n\nrequire (\n\tgithub.com/a/b v1.0.0\n)\n", "docs/dependencies.md": "| github.com/a/b | MIT | because |\n",
			"rules/r.go": doc + "package rules\n", "scanner/s.go": doc + "package scanner\n\nimport _ \"" + module + "/rules\"\n",
		}
	}
	for rule, check := range houseRules {
		if faults := check(good()); len(faults) > 0 {
			t.Errorf("%s: a good tree is faulted: %v", rule, faults)
		}
	}
	pat, err := rules.Expand("ghp_{30:alnum}{6:crc32}", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ rule, file, text string }{
		{"layers", "rules/r.go", doc + "package rules\n\nimport _ \"" + module + "/scanner\"\n"},
		{"layers", "sources/s.go", doc + "package sources\n\nimport _ \"" + module + "/rules\"\n"},
		{"layers", "scanner/x.go", doc + "package scanner\n\nimport _ \"" + module + "/revoker\"\n"},
		{"layers", "registry/x.go", doc + "package registry\n\nimport _ \"" + module + "/cmd/internal/watch\"\n"},
		{"top level", "util/u.go", doc + "package util\n"},
		{"sizes", "rules/r.go", doc + "package rules\n" + strings.Repeat("// line\n", maxPackage)},
		{"sizes", "rules/r.go", doc + "package rules\n\nfunc f() {\n" + strings.Repeat("\t_ = 1\n", maxFunction) + "}\n"},
		{"comments", "rules/r.go", "package rules\n"},
		{"comments", "rules/sub/r.go", "// Package sub.\npackage sub\n"},
		{"reveal", "cmd/quench/x.go", doc + "package main\n\nfunc f(s interface{ Reveal() []byte }) { s.Reveal() }\n"},
		{"start-up", "rules/r.go", doc + "package rules\n\nimport \"regexp\"\n\nvar p = regexp.MustCompile(`x`)\n"},
		{"start-up", "rules/r.go", doc + "package rules\n\nimport \"regexp\"\n\nfunc init() { regexp.MustCompile(`x`) }\n"},
		{"secrets", "docs/x.md", "use " + pat + " to log in\n"},
		{"paths", "docs/x.md", "see /" + "work/main\n"},
		{"dependencies", "docs/dependencies.md", "| module |\n"},
		{"dependencies", "go.mod", "module " + module + "\n"},
	} {
		files := good()
		files[c.file] = c.text
		if faults := houseRules[c.rule](files); len(faults) == 0 {
			t.Errorf("%s: %s with %q is not faulted", c.rule, c.file, c.text[:min(60, len(c.text))])
		}
	}
}
