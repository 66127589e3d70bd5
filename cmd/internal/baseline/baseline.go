// Package baseline writes ignore files and baselines: it adds findings to them,
// lists them and takes out what is stale.
//
// It knows files and findings; package ignore knows their form and what they
// mean. Files are replaced whole or not at all. Start reading at Collector.
package baseline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/cmd/internal/config"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/ignore"
	"github.com/quench-dev/quench/scanner/report"
)

// Collector is a report that only keeps what findings are called.
type Collector struct {
	found []scanner.Finding
	// Coverage is that of the scan, when it is over.
	Coverage scanner.Coverage
}

// Finding implements report.Writer.
func (c *Collector) Finding(f scanner.Finding) error {
	c.found = append(c.found, f)
	return nil
}

// Close implements report.Writer.
func (c *Collector) Close(cov scanner.Coverage, _ report.Totals) error {
	c.Coverage = cov
	return nil
}

// open reads a file; one that is not there is empty where it may be.
func open(name string, mayMiss bool) (*ignore.File, error) {
	f, err := config.ReadIgnore(name)
	if mayMiss && errors.Is(err, fs.ErrNotExist) {
		return &ignore.File{Name: name}, nil
	}
	return f, err
}

func write(name string, data []byte) error {
	t, err := atomicfile.Create(name)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if _, err := t.Write(data); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), t.Discard())
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	// It is for everybody who reads the tree that it lies in.
	if fi, err := os.Stat(name); err != nil || !fi.Mode().IsRegular() {
		return err
	}
	return os.Chmod(name, 0o644)
}

// Add adds entries for ids to a file, which is made when it is missing, and says
// how many were not in it.
func Add(name string, ids []string, e ignore.Entry) (n int, err error) {
	f, err := open(name, true)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if !ignore.IsID(id) {
			return 0, fmt.Errorf("%q is no finding's id: those have 16 hexadecimal digits, see finding_id in reports", id)
		}
		if e.ID = strings.ToLower(id); !f.Has(e.ID) {
			f.Add(e)
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	return n, write(name, f.Bytes())
}

// Create writes a baseline of what was found and is not ignored: an entry for each
// id. It says how many findings those are.
func Create(name string, c *Collector, reason string) (n int, err error) {
	f := &ignore.File{Name: name}
	seen, count := map[string]bool{}, 0
	for _, fd := range c.found {
		if fd.Ignored != "" {
			continue
		}
		count++
		for _, id := range append([]string{fd.ID}, fd.OtherIDs...) {
			if !seen[id] {
				seen[id] = true
				f.Add(ignore.Entry{ID: id, Rule: fd.Rule.ID, Path: fd.Origin.Path, Reason: reason})
			}
		}
	}
	head := "# Findings known already; see quench baseline --help. Remove what is dealt with.\n"
	return count, write(name, append([]byte(head), f.Bytes()...))
}

// Prune removes from a file the entries that no finding meets and those whose day
// is over, and gives them as they stood.
func Prune(name string, c *Collector, now time.Time) (gone []string, err error) {
	if !c.Coverage.Complete() {
		return nil, errors.New("the scan is not complete, so that what it did not find may still be there: nothing is removed")
	}
	f, err := open(name, false)
	if err != nil {
		return nil, err
	}
	filter := ignore.New(ignore.Options{Files: []*ignore.File{f}, Now: func() time.Time { return now }})
	for _, fd := range c.found {
		filter.Ignored(fd)
	}
	lines := map[int]bool{}
	for _, s := range filter.Stale(true) {
		lines[s.Entry.Line] = true
		gone = append(gone, s.String())
	}
	if len(gone) == 0 {
		return nil, nil
	}
	return gone, write(name, f.Without(lines))
}

// Listed is an entry for people and programs.
type Listed struct {
	ID      string `json:"id"`
	Rule    string `json:"rule,omitempty"`
	Path    string `json:"path,omitempty"`
	Until   string `json:"until,omitempty"`
	Expired bool   `json:"expired,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// List lists the entries of a file; one that is missing has none.
func List(name string, now time.Time) ([]Listed, error) {
	f, err := open(name, true)
	if err != nil {
		return nil, err
	}
	out := []Listed{}
	for _, e := range f.Entries {
		l := Listed{ID: e.ID, Rule: e.Rule, Path: e.Path, Reason: e.Reason, Expired: e.Expired(now)}
		if !e.Until.IsZero() {
			l.Until = e.Until.Format(time.DateOnly)
		}
		out = append(out, l)
	}
	return slices.Clip(out), nil
}
