package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

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
// the flow, and rules and scanner to make and find tokens. What lies in testdata is a
// test's as well.
var testsMayImport = map[string][]string{
	"rules":   {"scanner"},
	"scanner": {"rules", "sources"},
	"revoker": {"rules", "sources", "scanner", "registry"},
	"cmd":     {"testdata"}, // a server that may be stopped
}

// topLevel are the names allowed at the root: the layout the user fixed, what we
// add, and what tools look for there.
var topLevel = []string{"cmd", "scanner", "rules", "sources", "registry", "revoker", "docs", "testdata", "fuzz", "go.mod", "go.sum", "Makefile", "README.md",
	"LICENSE", "action.yml", ".pre-commit-hooks.yaml", ".github", ".ci", ".gitignore", "Dockerfile", ".gitattributes"}

const (
	maxPackage  = 2500 // lines without tests: what a reviewer holds in mind in a day
	maxFunction = 80   // lines: two screens
	maxMain     = 60   // lines of main.go: it starts the program and knows nothing
)

// longFunctions are the exceptions, each with its reason.
var longFunctions = map[string]string{
	"sources/internal/inflate.fast": "the inner loop of decompression: its state lives in registers, which a call would spill",
}

// revealers may open a Secret, each with its reason.
var revealers = map[string]string{
	"scanner/secret/secret.go":          "the door itself",
	"scanner/report/reveal.go":          "--show-secrets",
	"registry/issued/issued.go":         "a token is shown once, when it is issued",
	"registry/pepper.go":                "the fingerprint of a token is made of its bytes",
	"registry/pepper/source.go":         "the pepper of the environment is decoded",
	"registry/findable/findable.go":     "an imported value is tried in the contexts it would leak in",
	"registry/findable/finder.go":       "the same, many at a time",
	"registry/bulk/fingerprint.go":      "the same: what a value can be is checked before",
	"registry/pepper/pair.go":           "a value that stays where it lives is hashed there",
	"registry/verify.go":                "the checksum of our own form is checked before the database is asked",
	"registry/issue.go":                 "an imported value is checked for what could not be found again",
	"registry/values/uri.go":            "a token in a secret-token URI is taken out of it",
	"registry/httpauth/remote.go":       "a value is asked about at the registry's own service, and the caller's token shown to it",
	"cmd/internal/demo/reveal.go":       "the demo leaks its own token",
	"revoker/partner/partner.go":        "a reported value's hash is told back to partners enrolled in feedback",
	"revoker/receive/receive.go":        "the registry is asked whether a reported value is one of its tokens",
	"revoker/notify/sinks.go":           "addresses and keys of those who are told of alerts go into the call",
	"revoker/internal/sealed/sealed.go": "a leaked secret is encrypted until its provider was called",
	"revoker/provider/render.go":        "a request to a provider holds the leaked secret and the operator's credential",
	"revoker/provider/run.go":           "parts of a secret, such as its id, are taken by pattern",
	"revoker/provider/read.go":          "the entry of a provider's list that is the secret is found by its redacted form",
	"revoker/provider/github.go":        "requests to GitHub hold it",
	"revoker/provider/aws.go":           "requests to AWS are signed with it",
	"revoker/provider/gcp.go":           "a key file is parsed, and an assertion signed with it",
	"revoker/provider/report.go":        "a report in the format of secret scanning partners holds it, and is signed",
	"revoker/provider/pypi.go":          "a report to the index holds it, and is signed",
	"cmd/internal/providercmd/whose.go": "the rules are asked who issued a secret that is to be checked",
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
	if n := strings.Count(files["cmd/quench/main.go"], "\n"); n > maxMain {
		faults = append(faults, fmt.Sprintf("cmd/quench/main.go has %d lines, more than %d", n, maxMain))
	}
	for dir, n := range lines {
		if n > maxPackage {
			faults = append(faults, fmt.Sprintf("package %s has %d lines, more than %d", dir, n, maxPackage))
		}
	}
	return faults
}

// houseComments wants the comment where a reader of the package finds it: a test
// file counts only in a package of tests.
func houseComments(files tree) (faults []string) {
	code, tests := map[string]bool{}, map[string]bool{}
	for name, text := range goFiles(files) {
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return append(faults, err.Error())
		}
		has := code
		if strings.HasSuffix(name, "_test.go") {
			has = tests
		}
		dir := path.Dir(name)
		has[dir] = has[dir] || f.Doc != nil && len(strings.Fields(f.Doc.Text())) >= 8
	}
	for dir, ok := range tests {
		if _, hasCode := code[dir]; !hasCode {
			code[dir] = ok
		}
	}
	for dir, ok := range code {
		if !ok {
			faults = append(faults, "package "+dir+" has no comment that says what it knows and where to start reading")
		}
	}
	return faults
}

// houseReveal finds those who open a Secret and may not, and those who may and do
// not: a door left open for nobody.
func houseReveal(files tree) (faults []string) {
	for name, text := range goFiles(files) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			return append(faults, err.Error())
		}
		opens := false
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				opens = opens || n.Sel.Name == "Reveal"
			case *ast.FuncDecl:
				opens = opens || n.Name.Name == "Reveal" // the door itself
			}
			return true
		})
		switch listed := revealers[name] != ""; {
		case opens && !listed:
			faults = append(faults, name+" opens a Secret; who may is listed in the house test")
		case listed && !opens:
			faults = append(faults, name+" may open a Secret and does not: take it off the list in the house test")
		}
	}
	return faults
}

// matchers are the packages that compile patterns.
var matchers = []string{"regexp", "github.com/wasilibs/go-re2", "github.com/wasilibs/go-re2/experimental"}

// houseStartup finds patterns compiled at start-up, whatever their package is
// called in the file. What a function literal does is not done at start-up, unless
// it is called on the spot: sync.OnceValue is the right way.
func houseStartup(files tree) (faults []string) {
	for name, text := range goFiles(files) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			return append(faults, err.Error())
		}
		names := map[string]bool{}
		for _, imp := range f.Imports {
			p := strings.Trim(imp.Path.Value, `"`)
			if !slices.Contains(matchers, p) {
				continue
			}
			names[strings.TrimPrefix(path.Base(p), "go-")] = true
			if imp.Name != nil {
				names[imp.Name.Name] = true
			}
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				if d.Tok == token.VAR && compiles(d, names) {
					faults = append(faults, name+" compiles a pattern in a package variable, at every start of the program")
				}
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil && compiles(d.Body, names) {
					faults = append(faults, name+" compiles a pattern in init, at every start of the program")
				}
			}
		}
	}
	return faults
}

// compiles reports whether running n calls a Compile function of one of the
// packages.
func compiles(n ast.Node, packages map[string]bool) (found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if lit, ok := n.Fun.(*ast.FuncLit); ok {
				found = found || compiles(lit.Body, packages)
			}
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && strings.Contains(sel.Sel.Name, "Compile") {
				x, ok := sel.X.(*ast.Ident)
				found = found || ok && packages[x.Name]
			}
		case *ast.FuncLit:
			return false
		}
		return true
	})
	return found
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
			if m.Confidence == rules.High && m.Rule.Kind != rules.KindAssignment && leaksAllowed[name+" "+m.Rule.ID] == "" {
				faults = append(faults, fmt.Sprintf("%s:%d looks like a real secret (%s): build it from a template at run time", name, m.Line, m.Rule.ID))
			}
		}
	}
	return faults
}

// housePaths finds the folders of somebody's machine.
func housePaths(files tree) (faults []string) {
	// A folder that stands for itself: not the end of a longer path or address.
	machine := regexp.MustCompile(`(?:^|[^\w./-])(?:/(?:work|root)/|/(?:home|Users)/\w+/|[A-Z]:\\Users\\)`)
	for name, text := range files {
		for i, line := range strings.Split(text, "\n") {
			if machine.MatchString(line) {
				faults = append(faults, fmt.Sprintf("%s:%d names a folder of one machine", name, i+1))
			}
		}
	}
	return faults
}

// houseDependencies compares the list that gives each dependency its licence and
// reason with go.mod.
func houseDependencies(files tree) (faults []string) {
	mod, err := modfile.Parse("go.mod", []byte(files["go.mod"]), nil)
	if err != nil {
		return []string{err.Error()}
	}
	want := map[string]bool{}
	for _, r := range mod.Require {
		// The module of a tool is required indirectly, and still our choice.
		tool := slices.ContainsFunc(mod.Tool, func(t *modfile.Tool) bool { return strings.HasPrefix(t.Path+"/", r.Mod.Path+"/") })
		if !r.Indirect || tool {
			want[r.Mod.Path] = true
		}
	}
	for _, line := range strings.Split(files["docs/dependencies.md"], "\n") {
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		first, _, _ := strings.Cut(cells[0], "/")
		if !strings.HasPrefix(line, "|") || !strings.Contains(first, ".") {
			continue // prose, or the head of the table
		}
		if len(cells) < 3 || cells[1] == "" || cells[2] == "" {
			faults = append(faults, cells[0]+" has no licence or no reason in docs/dependencies.md")
		}
		if !want[cells[0]] {
			faults = append(faults, cells[0]+" is in docs/dependencies.md and not a direct requirement in go.mod, or there twice")
		}
		delete(want, cells[0])
	}
	for m := range want {
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

// house reads the repository: what git tracks and what it would, or every file
// where there is no git, as in an archive. It never gives up, since a check that is
// skipped looks like one that passed.
func house(t *testing.T) tree {
	t.Helper()
	root := filepath.Join("..", "..")
	var names []string
	// A checkout owned by somebody else, as in a container, is only listed here.
	list, err := exec.Command("git", "-c", "safe.directory=*", "-C", root, "ls-files", "-zco", "--exclude-standard").Output()
	if err == nil {
		names = strings.FieldsFunc(string(list), func(r rune) bool { return r == 0 })
	} else {
		names = walk(t, root)
	}
	files := tree{}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err == nil { // a tracked file may be deleted
			files[name] = string(b)
		}
	}
	if len(files) < 100 {
		t.Fatalf("the house has %d files: that is not all of it", len(files))
	}
	return files
}

// walk lists the files under root but for what .gitignore names.
func walk(t *testing.T, root string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, p)
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "bin", "dist"}, rel):
			return fs.SkipDir
		case d.Type().IsRegular():
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestHouse(t *testing.T) {
	files := house(t)
	for rule, check := range houseRules {
		for _, fault := range check(files) {
			t.Errorf("%s: %s", rule, fault)
		}
	}
	for name := range revealers {
		if _, ok := files[name]; !ok {
			t.Errorf("reveal: %s may open a Secret and does not exist: take it off the list", name)
		}
	}
}

// An archive is checked as a checkout is.
func TestHouseWithoutGit(t *testing.T) {
	files := house(t)
	for _, name := range walk(t, filepath.Join("..", "..")) {
		delete(files, name)
	}
	for name := range files {
		t.Errorf("walking the tree does not find %s", name)
	}
}

// Every house rule reports a tree that breaks it, and a good tree passes all.
func TestHouseRulesBite(t *testing.T) {
	const doc = "// Package x does what it does, knows little, and is read from its top.\n"
	good := func() tree {
		return tree{
			"go.mod": "module " + module + "\n\nrequire (\n\tgithub.com/a/b v1.0.0\n)\n", "docs/dependencies.md": "| github.com/a/b | MIT | because |\n",
			"rules/r.go":        doc + "package rules\n\nimport (\n\t\"regexp\"\n\t\"sync\"\n)\n\nvar p = sync.OnceValue(func() any { return regexp.MustCompile(`x`) })\n",
			"fuzz/only_test.go": doc + "package fuzz\n", "docs/x.md": "see https://example.com/home/ann/x and ./work/x\n",
			"scanner/s.go": doc + "package scanner\n\nimport _ \"" + module + "/rules\"\n",
		}
	}
	// A comment in a test file is not the package's.
	hidden := good()
	hidden["rules/r.go"], hidden["rules/r_test.go"] = "package rules\n", doc+"package rules\n"
	if len(houseComments(hidden)) == 0 {
		t.Error("comments: a package whose comment is in a test is not faulted")
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
		{"sizes", "cmd/quench/main.go", doc + "package main\n" + strings.Repeat("// line\n", maxMain)},
		{"reveal", "registry/verify.go", doc + "package registry\n"},
		{"reveal", "scanner/report/text.go", doc + "package report\n\nfunc f(s secret.Secret) func() []byte { return s.Reveal }\n"},
		{"start-up", "rules/r.go", doc + "package rules\n\nimport re \"github.com/wasilibs/go-re2\"\n\nvar p = re.MustCompile(`x`)\n"},
		{"start-up", "rules/r.go", doc + "package rules\n\nimport \"regexp\"\n\nvar p = map[string]any{\"x\": regexp.MustCompilePOSIX(`x`)}\n"},
		{"start-up", "rules/r.go", doc + "package rules\n\nimport \"regexp\"\n\nvar p = func() any { return regexp.MustCompile(`x`) }()\n"},
		{"paths", "docs/x.md", "see `/" + "root/x`\n"},
		{"paths", "docs/x.md", "see /" + "home/ann/x\n"},
		{"dependencies", "docs/dependencies.md", "| github.com/a/b | MIT | |\n"},
		{"dependencies", "docs/dependencies.md", "| github.com/a/b | MIT | because |\n| github.com/a/c | MIT | because |\n"},
		{"dependencies", "go.mod", "module " + module + "\n\nrequire github.com/a/b v1.0.0 // indirect\n"},
		{"dependencies", "go.mod", "module " + module + "\n\nrequire (\n\tgithub.com/a/b v1.0.0\n\tgithub.com/c/d v1.0.0 // for tests\n)\n"},
		{"dependencies", "go.mod", "module " + module + "\n\ntool github.com/c/d/cmd/x\n\nrequire (\n\tgithub.com/a/b v1.0.0\n\tgithub.com/c/d v1.0.0 // indirect\n)\n"},
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
