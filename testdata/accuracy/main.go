// Command accuracy measures detection on labelled lines.
//
//	go run ./testdata/accuracy [-show misses|alarms] [-category NAME] [-rule ID] DIR
//	go run ./testdata/accuracy -cross [-clean DIR] DIR
//	go run ./testdata/accuracy -learn FILE [-clean DIR] DIR
//
// DIR holds *.jsonl or *.jsonl.gz files, one excerpt a line: an object of path,
// text and labels, each label [first line, last line, "T", "F" or "X", value,
// categories]. The engine scans the excerpts as it scans files. A finding whose
// lines overlap a row T is true; one that overlaps rows F or X only is false; one
// that overlaps none is unlabelled. Several findings on the same lines of a file
// count once. Then, over all,
//
//	P   = true / (true + false)                  R  = rows T touched / rows T
//	P_u = true / (true + false + unlabelled)     F1, F1_u of P and R, of P_u and R
//	mR  = the mean over repositories (the first part of a path) of their R
//
// It knows labels and findings and decides nothing about secrets. Start reading at
// judge.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

var (
	show     = flag.String("show", "", "list the misses (rows T that no finding touches) or the alarms (findings that touch none), with their lines")
	category = flag.String("category", "", "list only rows of this category")
	ruleID   = flag.String("rule", "", "count only findings of this rule")
	cross    = flag.Bool("cross", false, "measure each fifth of the repositories with points learned from the others")
	counts   = flag.Bool("counts", false, "print the counts as JSON, for -cross")
	learnTo  = flag.String("learn", "", "learn the points of the generic rule's terms, and write them to this file")
	fold     = flag.Int("fold", -1, "a fifth of the repositories, 0 to 4: left out when learning, the only ones measured otherwise")
	least    = flag.String("min-confidence", string(rules.Medium), "least confidence of a finding that counts")
)

func main() {
	log.SetFlags(0)
	var clean []string
	flag.Func("clean", "when learning, a folder of text without secrets (repeatable)", func(v string) error {
		clean = append(clean, v)
		return nil
	})
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("want the folder of the labelled excerpts: make accuracy DATA=DIR")
	}
	files, err := load(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	if *cross {
		if err := crossValidate(flag.Arg(0), clean); err != nil {
			log.Fatal(err)
		}
		return
	}
	if *fold >= 0 {
		files = slices.DeleteFunc(files, func(f *file) bool { return (f.fold() == *fold) == (*learnTo != "") })
	}
	if *learnTo != "" {
		if err := learn(files, clean, *learnTo); err != nil {
			log.Fatal(err)
		}
		return
	}
	found, err := scan(files)
	if err != nil {
		log.Fatal(err)
	}
	j := judge(files, found)
	if *counts {
		if err := json.NewEncoder(os.Stdout).Encode(j.all); err != nil {
			log.Fatal(err)
		}
		return
	}
	switch *show {
	case "":
		j.print()
	case "misses":
		j.misses()
	case "alarms":
		j.alarms()
	default:
		log.Fatalf("-show %q: want misses or alarms", *show)
	}
}

// found is a finding as far as it is judged.
type found struct {
	start, end int
	rules      []string
}

// scan gives the findings of each path, those on the same lines as one.
func scan(files []*file) (map[string][]found, error) {
	set, err := rules.Builtin()
	if err != nil {
		return nil, err
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		return nil, err
	}
	out := map[string][]found{}
	_, err = e.Run(context.Background(), excerpts(files), scanner.RunOptions{Finding: func(f scanner.Finding) {
		if !f.Confidence.AtLeast(rules.Confidence(*least)) || *ruleID != "" && f.Rule.ID != *ruleID {
			return
		}
		fs := out[f.Origin.Path]
		i := slices.IndexFunc(fs, func(o found) bool { return o.start == f.Line && o.end == f.EndLine })
		if i < 0 {
			i = len(fs)
			fs = append(fs, found{start: f.Line, end: f.EndLine})
		}
		fs[i].rules = append(fs[i].rules, f.Rule.ID)
		out[f.Origin.Path] = fs
	}})
	if err != nil {
		return nil, err
	}
	return out, e.Err()
}

// tally counts rows and findings.
type tally struct {
	Rows, Hit                    int // T
	True, False, Unlabelled      int // findings
	RepositoryRows, RepositoryOK map[string]int
}

type verdict struct {
	found
	file *file
	kind string // "true", "false" or "unlabelled"
	cats []string
}

type judgement struct {
	all        tally
	categories map[string]*tally
	missed     []verdict
	verdicts   []verdict
}

// judge compares findings with labels.
func judge(files []*file, found map[string][]found) *judgement {
	j := &judgement{categories: map[string]*tally{}}
	j.all.RepositoryRows, j.all.RepositoryOK = map[string]int{}, map[string]int{}
	of := func(c string) *tally {
		if j.categories[c] == nil {
			j.categories[c] = &tally{}
		}
		return j.categories[c]
	}
	for _, f := range files {
		touched := make([]bool, len(f.Labels))
		for _, x := range found[f.Path] {
			v := verdict{found: x, file: f, kind: "unlabelled"}
			for i, l := range f.Labels {
				if x.start > l.end || x.end < l.start {
					continue
				}
				if l.kind == "T" {
					touched[i], v.kind = true, "true"
				} else if v.kind == "unlabelled" {
					v.kind = "false"
				}
				for _, c := range l.categories {
					if !slices.Contains(v.cats, c) {
						v.cats = append(v.cats, c)
					}
				}
			}
			j.verdicts = append(j.verdicts, v)
			j.all.count(v.kind)
			for _, c := range v.cats {
				of(c).count(v.kind)
			}
		}
		for i, l := range f.Labels {
			if l.kind != "T" {
				continue
			}
			j.all.row(touched[i])
			for _, c := range l.categories {
				of(c).row(touched[i])
			}
			j.all.RepositoryRows[f.repository()]++
			if touched[i] {
				j.all.RepositoryOK[f.repository()]++
			} else {
				j.missed = append(j.missed, verdict{file: f, cats: l.categories})
				j.missed[len(j.missed)-1].start = l.start
			}
		}
	}
	return j
}

func (t *tally) count(kind string) {
	switch kind {
	case "true":
		t.True++
	case "false":
		t.False++
	default:
		t.Unlabelled++
	}
}

func (t *tally) row(hit bool) {
	t.Rows++
	if hit {
		t.Hit++
	}
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func f1(p, r float64) float64 {
	if p+r == 0 {
		return 0
	}
	return 2 * p * r / (p + r)
}

func (t *tally) String() string {
	p, pu, r := ratio(t.True, t.True+t.False), ratio(t.True, t.True+t.False+t.Unlabelled), ratio(t.Hit, t.Rows)
	return fmt.Sprintf("T %5d hit %5d false %4d unlabelled %4d  P %.3f P_u %.3f R %.3f F1 %.3f F1_u %.3f", t.Rows, t.Hit, t.False, t.Unlabelled, p, pu, r, f1(p, r), f1(pu, r))
}

// print gives the figures over all, and the mean recall over repositories.
func (t *tally) print() {
	fmt.Printf("%-30s %v\n", "overall", t)
	sum := 0.0
	for repo, n := range t.RepositoryRows {
		sum += ratio(t.RepositoryOK[repo], n)
	}
	fmt.Printf("mR %.3f over %d repositories\n", sum/float64(max(1, len(t.RepositoryRows))), len(t.RepositoryRows))
}

func (j *judgement) print() {
	j.all.print()
	names := make([]string, 0, len(j.categories))
	for c := range j.categories {
		names = append(names, c)
	}
	sort.Slice(names, func(a, b int) bool {
		x, y := j.categories[names[a]], j.categories[names[b]]
		return x.Rows > y.Rows || x.Rows == y.Rows && names[a] < names[b]
	})
	for _, c := range names[:min(25, len(names))] {
		fmt.Printf("%-30s %v\n", c, j.categories[c])
	}
}

func (j *judgement) misses() {
	for _, v := range j.missed {
		v.print(os.Stdout)
	}
}

func (j *judgement) alarms() {
	for _, v := range j.verdicts {
		if v.kind != "true" {
			v.print(os.Stdout)
		}
	}
}

// shown is how much of a line is listed: two lines of a terminal.
const shown = 200

func (v verdict) print(w *os.File) {
	if *category != "" && !slices.Contains(v.cats, *category) {
		return
	}
	lines := strings.Split(v.file.Text, "\n")
	line := strings.TrimSpace(lines[min(v.start, len(lines))-1])
	fmt.Fprintf(w, "%s %s:%d [%s] %s\t%.*s\n", v.kind, v.file.Path, v.start, strings.Join(v.cats, ":"), strings.Join(v.rules, ","), shown, line)
}
