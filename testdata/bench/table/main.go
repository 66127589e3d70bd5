// Command table measures whole processes and prints the comparison as Markdown.
//
//	go run ./testdata/bench/table [-mb 1000] [-runs 3] [-repo NAME=DIR ...] [-range NAME=A..B] [-histories] [-doc FILE]
//
// -repo adds a table of a repository's history, against git cat-file; -range adds a
// row to it, and -histories leaves all other tables out. -doc writes the tables between
// two comments of a document that is there.
// Everything is measured in one run on one machine: CPU is user plus system
// seconds of the process, the median of -runs runs after one that warms the page
// cache. Peers are measured when they are installed: rg, gitleaks. One that says that
// it met errors did not do the whole work, and its row says so: gitleaks ends at the
// first blob that a partial clone has not.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

type result struct {
	cpu, wall time.Duration
	rss       int64 // kB, 0 where unknown
	exit      int
	skipped   bool
	errors    bool // it says that it met some
}

type command struct {
	name  string
	args  []string
	stdin string // file
	once  bool   // slow peers run once
}

var (
	mb   = flag.Int("mb", 1000, "size of the log in MB")
	runs = flag.Int("runs", 3, "counted runs of each command")
	doc  = flag.String("doc", "", "write the table to this file")

	histories = flag.Bool("histories", false, "measure the repositories only")

	repos  []string
	ranges = map[string]string{} // of repositories' names
)

func main() {
	log.SetFlags(0)
	flag.Func("repo", "NAME=DIR of a repository to measure (repeatable)", func(v string) error {
		if name, dir, ok := strings.Cut(v, "="); !ok || name == "" || dir == "" {
			return fmt.Errorf("%q: want NAME=DIR", v)
		}
		repos = append(repos, v)
		return nil
	})
	flag.Func("range", "NAME=A..B of a repository to measure alone (repeatable)", func(v string) error {
		name, r, ok := strings.Cut(v, "=")
		if !ok || name == "" || r == "" {
			return fmt.Errorf("%q: want NAME=A..B", v)
		}
		ranges[name] = r
		return nil
	})
	flag.Parse()
	dir, err := os.MkdirTemp("", "quench-bench-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var out bytes.Buffer
	w := io.MultiWriter(os.Stdout, &out)
	if err := bench(w, dir); err != nil {
		os.RemoveAll(dir)
		log.Fatal(err)
	}
	if *doc != "" {
		if err := write(*doc, out.String()); err != nil {
			log.Fatal(err)
		}
	}
}

// What is between these lines of the document is written anew.
const (
	docBegin = "<!-- make bench-doc writes from here -->\n"
	docEnd   = "<!-- to here -->\n"
)

func write(doc, tables string) error {
	b, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), docBegin)
	_, after, ok2 := strings.Cut(rest, docEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q to write between", doc, strings.TrimSpace(docBegin), strings.TrimSpace(docEnd))
	}
	return os.WriteFile(doc, []byte(before+docBegin+tables+docEnd+after), 0o644)
}

func bench(w io.Writer, dir string) error {
	quench := filepath.Join(dir, "quench")
	if err := build(quench, "./cmd/quench"); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nMeasured %s on %s, %s/%s, %d CPUs, %s. CPU is user plus system seconds of the\nwhole process, the median of %d runs; ratios are to the first row of each table.\n",
		time.Now().Format(time.DateOnly), cpuName(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), *runs)
	if *histories {
		historyTables(w, quench, dir)
		return nil
	}
	portable := filepath.Join(dir, "quench-portable")
	if err := build(portable, "./cmd/quench", "-tags", "purego"); err != nil {
		return err
	}
	logFile := filepath.Join(dir, "app.log")
	gen := exec.Command("go", "run", "./testdata/bench/genlog", "-mb", fmt.Sprint(*mb), logFile)
	gen.Stderr = os.Stderr
	if err := gen.Run(); err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	literals := filepath.Join(dir, "literals")
	if b, err := exec.Command(quench, "rules", "literals").Output(); err != nil {
		return fmt.Errorf("listing the literals: %w", err)
	} else if err := os.WriteFile(literals, b, 0o600); err != nil {
		return err
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		return err
	}
	goroot := runtimeRoot()
	for _, tree := range []string{filepath.Join(goroot, "src"), goroot} {
		table(w, "The Go tree as a folder: $GOROOT"+strings.TrimPrefix(tree, goroot), []command{
			{name: "cat", args: []string{"sh", "-c", "find \"$0\" -type f -exec cat {} + >/dev/null", tree}},
			{name: "rg -iF with our literals", args: []string{"rg", "-uuu", "-iF", "-c", "-f", literals, tree}},
			{name: "quench scan --archive-depth=0, what the others read", args: []string{quench, "scan", "--history=false", "--archive-depth=0", "-f", "jsonl", "dir:" + tree}},
			{name: "quench scan", args: []string{quench, "scan", "--history=false", "-f", "jsonl", "dir:" + tree}},
			{name: "quench scan, built without assembly", args: []string{portable, "scan", "--history=false", "-f", "jsonl", "dir:" + tree}},
			{name: "quench scan --engine=plain", args: []string{quench, "scan", "--history=false", "--engine=plain", "-f", "jsonl", "dir:" + tree}},
			{name: "gitleaks dir", args: []string{"gitleaks", "dir", "--no-banner", "-l", "error", tree}, once: true},
		})
	}
	table(w, fmt.Sprintf("A log of %d MB on standard input", *mb), []command{
		{name: "cat", args: []string{"sh", "-c", "cat | cat >/dev/null"}, stdin: logFile},
		{name: "rg -iF with our literals", args: []string{"rg", "-iF", "-c", "-f", literals, "-"}, stdin: logFile},
		{name: "quench scan -", args: []string{quench, "scan", "-f", "jsonl", "-"}, stdin: logFile},
		{name: "quench scan -, built without assembly", args: []string{portable, "scan", "-f", "jsonl", "-"}, stdin: logFile},
	})
	if err := planted(w, quench, logFile); err != nil {
		return err
	}
	historyTables(w, quench, dir)
	table(w, "Start-up", []command{
		{name: "true", args: []string{"true"}},
		{name: "quench version", args: []string{quench, "version"}},
		{name: "quench scan, empty folder", args: []string{quench, "scan", empty}},
	})
	return nil
}

// historyTables measures each of repos.
func historyTables(w io.Writer, quench, dir string) {
	for i, r := range repos {
		name, repo, _ := strings.Cut(r, "=")
		cache := filepath.Join(dir, fmt.Sprint("cache", i))
		scan := func(args ...string) []string {
			return append(append([]string{quench, "scan", "--worktree=false", "-f", "jsonl"}, args...), repo)
		}
		cs := []command{
			{name: "git cat-file --batch-all-objects --batch", args: []string{"sh", "-c", "git -C \"$0\" cat-file --batch-all-objects --batch --unordered --buffer >/dev/null", repo}},
			{name: "quench scan --worktree=false", args: scan()},
			{name: "quench scan --worktree=false --workers=1", args: scan("--workers=1")},
			{name: "quench scan --worktree=false --cache, again", args: scan("--cache", cache)},
		}
		if r := ranges[name]; r != "" {
			cs = append(cs, command{name: "quench scan --worktree=false --range of one commit", args: scan("--range", r)})
		}
		cs = append(cs, command{name: "gitleaks git", args: []string{"gitleaks", "git", "--no-banner", "-l", "error", repo}, once: true})
		table(w, "The history of "+name, cs)
	}
}

// planted compares what a scan of the log finds with what was planted in it.
func planted(w io.Writer, quench, logFile string) error {
	tsv, err := os.ReadFile(logFile + ".planted.tsv")
	if err != nil {
		return err
	}
	lines := map[string]bool{}
	for row := range strings.Lines(string(tsv)) {
		line, _, _ := strings.Cut(row, "\t")
		if _, err := strconv.Atoi(line); err == nil {
			lines[line] = false
		}
	}
	out, err := exec.Command(quench, "scan", "-f", "jsonl", logFile).Output()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return fmt.Errorf("scanning the log: %w", err)
	}
	others := 0
	for row := range strings.Lines(string(out)) {
		var f struct {
			Line int `json:"start_line"`
		}
		if err := json.Unmarshal([]byte(row), &f); err != nil {
			return fmt.Errorf("reading a finding: %w", err)
		}
		if f.Line == 0 {
			continue // the summary
		}
		if _, ok := lines[strconv.Itoa(f.Line)]; ok {
			lines[strconv.Itoa(f.Line)] = true
		} else {
			others++
		}
	}
	found := 0
	for _, ok := range lines {
		if ok {
			found++
		}
	}
	fmt.Fprintf(w, "\nOf %d lines with a planted token %d have a finding; %d findings are on other lines.\n", len(lines), found, others)
	return nil
}

func build(out, pkg string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", out}, flags...), pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w", pkg, err)
	}
	return nil
}

func table(w io.Writer, title string, cs []command) {
	fmt.Fprintf(w, "\n## %s\n\n| command | CPU s | wall s | peak RSS MB | CPU ratio |\n|---|---|---|---|---|\n", title)
	var base time.Duration
	for _, c := range cs {
		r := measure(c)
		if r.skipped {
			fmt.Fprintf(w, "| %s | not installed | | | |\n", c.name)
			continue
		}
		if r.errors {
			c.name += ", stopped by an error on the way"
		}
		if base == 0 {
			base = max(r.cpu, time.Millisecond)
		}
		fmt.Fprintf(w, "| %s | %.3f | %.3f | %d | %.2f |\n", c.name, r.cpu.Seconds(), r.wall.Seconds(), r.rss/1024, float64(r.cpu)/float64(base))
	}
}

func measure(c command) result {
	if _, err := exec.LookPath(c.args[0]); err != nil {
		return result{skipped: true}
	}
	n := *runs
	if c.once {
		n = 1
	} else {
		once(c)
	}
	var rs []result
	for range n {
		rs = append(rs, once(c))
	}
	slices.SortFunc(rs, func(a, b result) int { return int(a.cpu - b.cpu) })
	return rs[len(rs)/2]
}

func once(c command) result {
	cmd := exec.Command(c.args[0], c.args[1:]...)
	if c.stdin != "" {
		f, err := os.Open(c.stdin)
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		cmd.Stdin = f
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	start := time.Now()
	if err := cmd.Run(); cmd.ProcessState == nil {
		log.Fatalf("running %s: %v", c.name, err)
	}
	s := cmd.ProcessState
	return result{cpu: s.UserTime() + s.SystemTime(), wall: time.Since(start), rss: maxRSS(s), exit: s.ExitCode(), errors: strings.Contains(said.String(), "ERR") || strings.Contains(said.String(), "fatal:")}
}

func runtimeRoot() string {
	b, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		log.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func cpuName() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return "unknown CPU"
}
