// Command noise counts what is found in text that is believed to hold no secret.
//
//	go run ./testdata/noise [-show] [-min-confidence high] [-reviewed FILE] DIR...
//
// Each DIR is read as files, without history and ignoring no file. For each, and
// over all, it prints the bytes, the findings, and the findings for each 5 MB: of 1 or
// less, people still read them. Not all that is found is a false alarm: -show lists
// the findings with the lines they stand on, secrets and all, to look through, and
// FILE holds the ids of those that were looked at and are secrets, one a line, the
// rest of the line being a remark. They are not counted.
//
// It decides nothing about secrets. Start reading at scan.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

var (
	show     = flag.Bool("show", false, "list the findings with their lines, to be looked through: this prints secrets")
	least    = flag.String("min-confidence", string(rules.Medium), "least confidence of a finding that counts")
	reviewed = flag.String("reviewed", "", "file of ids of findings that are secrets, and are not counted")
)

// unit is the text that one finding is allowed for, in bytes.
const unit = 5 << 20

func main() {
	log.SetFlags(0)
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal(`want folders of text without secrets: make noise DATA="DIR DIR"`)
	}
	known, err := readReviewed(*reviewed)
	if err != nil {
		log.Fatal(err)
	}
	set, err := rules.Builtin()
	if err != nil {
		log.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		log.Fatal(err)
	}
	all := count{rules: map[string]int{}}
	for _, dir := range flag.Args() {
		c, err := scan(e, dir, known)
		if err != nil {
			log.Fatalf("scanning %q: %v", dir, err)
		}
		c.print(filepath.Base(dir))
		all.bytes, all.found, all.reviewed = all.bytes+c.bytes, all.found+c.found, all.reviewed+c.reviewed
		for r, n := range c.rules {
			all.rules[r] += n
		}
	}
	all.print("all")
	for _, r := range slices.SortedFunc(maps.Keys(all.rules), func(a, b string) int { return all.rules[b] - all.rules[a] }) {
		fmt.Printf("  %6d  %s\n", all.rules[r], r)
	}
}

// count is what was found in some text.
type count struct {
	bytes           int64
	found, reviewed int
	rules           map[string]int
}

func (c count) print(name string) {
	fmt.Printf("%-40s %7.1f MB  %5d found  %5d reviewed  %6.2f for each 5 MB\n", name, float64(c.bytes)/(1<<20), c.found, c.reviewed, float64(c.found)*unit/float64(max(1, c.bytes)))
}

// scan reads the files of a folder.
func scan(e *scanner.Engine, dir string, known map[string]bool) (count, error) {
	c := count{rules: map[string]int{}}
	srcs, err := sources.Open("dir:"+dir, sources.OpenOptions{NoGitignore: true})
	if err != nil {
		return c, err
	}
	for _, src := range srcs {
		cov, err := e.Run(context.Background(), src, scanner.RunOptions{Finding: func(f scanner.Finding) {
			if !f.Confidence.AtLeast(rules.Confidence(*least)) {
				return
			}
			if known[f.ID] {
				c.reviewed++
				return
			}
			c.found++
			c.rules[f.Rule.ID]++
			if *show {
				fmt.Printf("%s  %s %s  %s:%d  %s\n\t%s\n", f.ID, f.Rule.ID, f.Confidence, f.Origin.Path, f.Line, strings.Join(f.Why, ", "), lineOf(dir, f))
			}
		}})
		if err != nil {
			return c, err
		}
		c.bytes += cov.Bytes
	}
	return c, e.Err()
}

// shown is how much of a line is listed to either side of a secret.
const shown = 90

// lineOf is the line of a finding in its file, as far as a person looks; the masked
// line where it was decoded or lies in an archive.
func lineOf(dir string, f scanner.Finding) string {
	for _, p := range []string{f.Origin.Path, filepath.Join(dir, f.Origin.Path)} {
		b, err := os.ReadFile(p)
		if err != nil || f.End > int64(len(b)) || len(f.DecodedVia) > 0 {
			continue
		}
		lo, hi := max(0, int(f.Start)-shown), min(len(b), int(f.Start)+shown)
		lo += strings.LastIndexByte(string(b[lo:f.Start]), '\n') + 1
		if i := strings.IndexByte(string(b[f.Start:hi]), '\n'); i >= 0 {
			hi = int(f.Start) + i
		}
		return strings.TrimSpace(string(b[lo:hi]))
	}
	return f.Masked
}

func readReviewed(file string) (map[string]bool, error) {
	known := map[string]bool{}
	if file == "" {
		return known, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the ids of reviewed findings: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if id, _, _ := strings.Cut(lines.Text(), " "); id != "" && !strings.HasPrefix(id, "#") {
			known[id] = true
		}
	}
	return known, lines.Err()
}
