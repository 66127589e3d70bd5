package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/quench-dev/quench/sources"
)

// file is an excerpt and what its makers say of its lines.
type file struct {
	Path   string  `json:"path"`
	Text   string  `json:"text"`
	Labels []label `json:"labels"`
	clean  bool    // believed to hold no secret
	repo   string  // where it is not the first part of the path
}

// label is what people said of one value: JSON [first line, last line, "T", "F" or
// "X", value, categories joined by ':'].
type label struct {
	start, end int
	kind       string
	value      string
	categories []string
}

func (l *label) UnmarshalJSON(b []byte) error {
	var categories string
	row := []any{&l.start, &l.end, &l.kind, &l.value, &categories}
	want := len(row)
	if err := json.Unmarshal(b, &row); err != nil || len(row) != want {
		return errors.Join(fmt.Errorf("a label has %d parts, want %d", len(row), want), err)
	}
	if l.start < 1 || l.end < l.start || !strings.Contains("TFX", l.kind) || l.kind == "" {
		return fmt.Errorf("a label of kind %q for lines %d to %d", l.kind, l.start, l.end)
	}
	l.categories = strings.Split(categories, ":")
	return nil
}

// repository is the first part of the path.
func (f *file) repository() string {
	if f.repo != "" {
		return f.repo
	}
	repo, _, _ := strings.Cut(f.Path, "/")
	return repo
}

// folds is how many parts the repositories are cut into: with fifths, four parts in
// five are learned from.
const folds = 5

// fold is which fifth of the repositories the file belongs to, 0 to 4.
func (f *file) fold() int {
	h := fnv.New32a()
	h.Write([]byte(f.repository()))
	return int(h.Sum32() % folds)
}

// load reads every *.jsonl and *.jsonl.gz in dir that holds excerpts.
func load(dir string) ([]*file, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl*"))
	if err != nil {
		return nil, err
	}
	var out []*file
	for _, name := range names {
		fs, err := loadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading labelled excerpts from %q: %w", name, err)
		}
		out = append(out, fs...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no labelled excerpts in %q: want a folder with *.jsonl or *.jsonl.gz, an object with path, text and labels on each line", dir)
	}
	return out, nil
}

func loadFile(name string) ([]*file, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		r = z
	}
	var out []*file
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		var e file
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, &e)
	}
	return out, lines.Err()
}

// excerpts is the labelled files as a source.
type excerpts []*file

// Items implements sources.Source.
func (fs excerpts) Items(ctx context.Context, yield func(sources.Item) error) error {
	for _, f := range fs {
		it := sources.Item{
			Origin: sources.Origin{Source: "file", Path: f.Path},
			Size:   int64(len(f.Text)),
			Open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader([]byte(f.Text))), nil
			},
		}
		if err := yield(it); err != nil {
			return err
		}
	}
	return ctx.Err()
}
