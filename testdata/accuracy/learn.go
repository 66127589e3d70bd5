package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// sample is an assigned value: what holds of it and whether people called it a
// secret.
type sample struct {
	repo   string
	terms  []int
	secret bool
	weight float64
}

const (
	// minRepositories is how many repositories a term must hold in to have points:
	// what one or two projects do is not learned.
	minRepositories = 4
	// ridge pulls points to zero: a term needs some ten values that speak for it
	// to move the odds by a factor of e.
	ridge = 8.0
	// wordRidge is that of single words of names, of which there are many and of
	// which each says little.
	wordRidge = 24.0
	// cleanWeight is that of a value in clean text: there are many, and some few of
	// them are secrets.
	cleanWeight = 0.25
	// falseWeight is how much worse a false alarm is than a miss: people stop
	// reading reports that cry wolf.
	falseWeight = 2.0
	// cap bounds how much one repository counts, in values of each kind.
	repositoryCap = 60.0
	rounds        = 400
)

// priors are the points, in nats, that terms have before anything is learned, where
// the labelled lines hold too few cases and people know: translations, names of other
// things, digests.
var priors = map[string]float64{
	"file of text": -2.5, "file of lock": -2.5, "name ends in a word for something else": -1.5, "name begins with a word for something else": -1,
	"name says digest": -3, "name with dots before a colon": -0.5, "name begins a quoted text": -1, "folder node_modules": -0.5,
	"walk of the keyboard": -2.5, "holds its name": -1, "holds a key word": -0.5, "written like a name of a program": -1, "made of uuid": -1,
	// The makers of the labelled lines replaced words in secrets by random letters,
	// so that no such password is left in them.
	"word and digits, as people make passwords": 3.4,
	// Tokens of 32 or 40 hexadecimal digits look like digests; the name tells.
	"hex as tokens are": 3.4,
	// Bare words are variables where the language wants quotes around texts.
	"code, written as a variable is": -3, "script, written as a variable is": -3, "written as text is": -2, "code, bare digits": -4, "script, bare digits": -4, "name ends in id": -1.5,
}

// held are the terms that stand for the whole look of a value, in place of those of
// its letters and length. They keep the points they have in priors, and values that
// have them teach nothing else: the labelled lines hold no passwords as people make
// them, and all that looks like hex tokens in them are secrets.
var held = map[string]bool{"word and digits, as people make passwords": true, "hex as tokens are": true}

// learn fits the points of all terms to the labels by logistic regression, and
// writes them to file.
func learn(files []*file, clean []string, out string) error {
	for _, dir := range clean {
		more, err := cleanFiles(dir)
		if err != nil {
			return fmt.Errorf("reading clean text in %q: %w", dir, err)
		}
		files = append(files, more...)
	}
	samples, names, err := gather(files)
	if err != nil {
		return err
	}
	fmt.Printf("%d values of %d files\n", len(samples), len(files))
	return write(out, fit(samples, names), names, samples)
}

// gather lists the assigned values of the excerpts with the terms that hold in
// enough repositories.
func gather(files []*file) (out []sample, names []string, err error) {
	set, err := rules.Builtin()
	if err != nil {
		return nil, nil, err
	}
	e, err := scanner.New(set, scanner.Options{DecodeDepth: -1})
	if err != nil {
		return nil, nil, err
	}
	index := map[string]int{}
	repos := map[int]map[string]bool{}
	for _, f := range files {
		for i, text := range strings.Split(f.Text, "\n") {
			seen := map[[2]int]bool{} // a name can hold several key words
			for _, v := range e.Explain(f.Path, []byte(text), 1) {
				if len(v.Terms) == 0 || seen[[2]int{v.Start, v.End}] {
					continue
				}
				seen[[2]int{v.Start, v.End}] = true
				s := sample{repo: f.repository(), weight: 1}
				known := false
				s.secret, known = f.says(i+1, text[v.Start:v.End])
				if !known {
					s.weight = 0.5
				}
				if f.clean {
					s.weight = cleanWeight
				}
				if slices.ContainsFunc(v.Terms, func(t scanner.Term) bool { return held[t.Name] }) {
					s.weight = 0
				}
				for _, t := range v.Terms {
					i, ok := index[t.Name]
					if !ok {
						i = len(names)
						index[t.Name], names, repos[i] = i, append(names, t.Name), map[string]bool{}
					}
					repos[i][s.repo] = true
					s.terms = append(s.terms, i)
				}
				out = append(out, s)
			}
		}
	}
	type kind struct {
		repo   string
		secret bool
	}
	count := map[kind]float64{}
	for i := range out {
		s := &out[i]
		s.terms = slices.DeleteFunc(s.terms, func(t int) bool { return len(repos[t]) < minRepositories })
		slices.Sort(s.terms)
		s.terms = slices.Compact(s.terms)
		count[kind{s.repo, s.secret}] += s.weight
	}
	for i := range out {
		s := &out[i]
		if n := count[kind{s.repo, s.secret}]; n > repositoryCap {
			s.weight *= math.Sqrt(repositoryCap / n)
		}
		if !s.secret {
			s.weight *= falseWeight
		}
	}
	return out, names, nil
}

// cleanFiles reads the text files under dir, none of which is believed to hold a
// secret, each folder two below it as a repository of its own.
func cleanFiles(dir string) (out []*file, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > maxClean {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil || bytes.IndexByte(b, 0) >= 0 {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		parts := strings.Split(filepath.ToSlash(rel), "/")
		out = append(out, &file{Path: strings.Join(parts, "/"), Text: string(b), clean: true, repo: "clean " + strings.Join(parts[:min(3, len(parts)-1)], "/")})
		return nil
	})
	return out, err
}

// maxClean is the longest clean file read: longer ones are tables.
const maxClean = 1 << 20

// says gives what the labels of a line say of a value on it, and whether they say
// anything of it.
func (f *file) says(line int, value string) (secret, known bool) {
	for _, l := range f.Labels {
		if line < l.start || line > l.end {
			continue
		}
		same := l.value == "" || strings.Contains(l.value, value) || strings.Contains(value, l.value)
		if l.kind == "T" && same {
			return true, true
		}
		known = known || same
	}
	return false, known
}

// fit minimises the weighted logistic loss by coordinate steps of Newton's method,
// which need no rate and end where the loss is least.
func fit(samples []sample, names []string) []float64 {
	terms := len(names)
	w := make([]float64, terms)
	sums := make([]float64, len(samples))
	holds := make([][]int, terms)
	for i, s := range samples {
		for _, t := range s.terms {
			holds[t] = append(holds[t], i)
		}
	}
	for range rounds {
		moved := 0.0
		for t := range terms {
			if len(holds[t]) == 0 {
				continue
			}
			r := ridge
			if strings.HasPrefix(names[t], "word ") || strings.HasPrefix(names[t], "last word ") {
				r = wordRidge
			}
			if held[names[t]] {
				w[t] = priors[names[t]]
				continue
			}
			if names[t] == "always" {
				r = 0.1
			}
			g, h := r*(w[t]-priors[names[t]]), r
			for _, i := range holds[t] {
				p := 1 / (1 + math.Exp(-sums[i]))
				y := 0.0
				if samples[i].secret {
					y = 1
				}
				g += samples[i].weight * (p - y)
				h += samples[i].weight * max(p*(1-p), 0.02)
			}
			step := -g / h
			w[t] += step
			for _, i := range holds[t] {
				sums[i] += step
			}
			moved = max(moved, math.Abs(step))
		}
		if moved < 1e-3 {
			break
		}
	}
	return w
}

// write stores the points, ten to a nat, those that round to none left out.
func write(out string, w []float64, names []string, samples []sample) error {
	count := make([]int, len(names))
	for _, s := range samples {
		for _, t := range s.terms {
			count[t]++
		}
	}
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(names[a], names[b]) })
	var b strings.Builder
	b.WriteString("# The points of each term, learned from labelled lines and clean text:\n#\tmake points DATA=DIR   (this file anew; the same bytes for the same data and Go release)\n# Ten points make the odds e times as good. A term that is not here adds none.\n")
	for _, t := range order {
		if p := int(math.Round(10 * w[t])); p != 0 && count[t] > 0 {
			fmt.Fprintf(&b, "%s\t%d\n", names[t], p)
		}
	}
	return os.WriteFile(out, []byte(b.String()), 0o644)
}
