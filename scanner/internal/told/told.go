// Package told keeps what a scan told of a history, to be told again while that is
// as it was.
//
// A finding is kept with all that was decided about it, and without its secret: that
// is taken from the git object again that it lies in, as bytes of it or, where it was
// decoded or unpacked, by scanning that object once more. The package knows nothing
// of how either is done. Start reading at Report.
package told

import (
	"bytes"
	"cmp"
	"context"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/scanner/internal/coverage"
	"github.com/quench-dev/quench/scanner/internal/found"
	"github.com/quench-dev/quench/scanner/internal/held"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// Report is what a scan told.
type Report struct {
	Coverage coverage.Coverage
	Findings []Finding
	// Files are those of the working tree that were read.
	Files []File
	// Known is a hash of what the scan knew of which runs a registry was asked about.
	Known [32]byte
}

// Finding is one without its secret.
type Finding struct {
	found.Finding
	// From says where the secret is to be had.
	From From
	// Loose says that it is at no path and in no commit.
	Loose bool
}

// From is a place of secrets.
type From int

// The places.
const (
	Bytes From = iota // from Start to End of the object
	Path              // it is the path
	Scan              // it was decoded, or lies in an archive or a message
)

// Lasting reports whether a scan that covered this would not cover more when it was
// done again: what is missing then has to be brought, which is a change.
func Lasting(c *coverage.Coverage) bool {
	for r, n := range c.Skipped {
		switch r {
		case sources.SkipMissing, sources.SkipPromised, sources.SkipShallow:
		default:
			if n > 0 && r.Wanted() {
				return false
			}
		}
	}
	return !c.Interrupted
}

// Held is the finding as it was held, with its key.
func (f *Finding) Held(key held.Secret) *held.Finding[found.Finding] {
	return &held.Finding[found.Finding]{Secret: key, First: f.Finding, Origin: f.Origin, Seq: -1, Blobs: f.Blobs, MovedTo: f.MovedTo, Marked: f.Marked, IDs: append(f.OtherIDs, f.ID), Loose: f.Loose}
}

// Add adds a finding; plain says that its object was scanned as it is. It reports
// whether that can be told again.
func (r *Report) Add(f found.Finding, plain, loose bool) bool {
	from, o := Scan, &f.Origin
	switch {
	case o.Line != 0 || o.Offset != 0 || !o.Time.IsZero(): // of no history
		return false
	case !keeps(&f):
		return false
	case f.End == 0:
		from = Path
	case f.Object == (sources.ObjectID{}):
		return false
	case plain && o.Blob != "" && o.Entry == "" && len(f.DecodedVia) == 0 && f.Allowed.Equal(allow.Verdict{}):
		from = Bytes
	}
	r.Findings = append(r.Findings, Finding{f, from, loose})
	return true
}

// keeps reports whether all that is told of a finding is kept.
func keeps(f *found.Finding) bool { return f.Token == nil && f.Dropped == "" && f.Rule != nil }

// record is a Finding as it is written.
type record struct {
	Rule                  string
	Start, End            int64
	Lines                 [6]int
	Entropy               float64
	Via                   []string
	Key, Masked, Context  string
	Also, Why             []string
	Confidence            rules.Confidence
	Source, Root          string
	Path, Entry, Blob     string
	Commit, Author, Email string
	Date                  time.Time
	InHead                int // 0 not known, 1 no, 2 yes
	Refs, Labels          []int
	RefCount              int
	ID                    string
	OtherIDs              []string
	Marked                bool
	Object, Of            sources.ObjectID
	Blobs                 int
	MovedTo               []string
	From                  From
	Loose                 bool
}

type whole struct {
	Coverage coverage.Coverage
	Known    [32]byte
	Names    []string // of refs and labels, by number
	Records  []record
	Files    []fileRecord
}

type fileRecord struct {
	Path    string
	Sum     [32]byte
	Size    int64
	Records []record
}

var errFormat = errors.New("it is not what a scan told")

// Bytes gives what Parse reads.
func (r *Report) Bytes() ([]byte, error) {
	out := whole{Coverage: r.Coverage, Known: r.Known}
	numbers := map[string]int{}
	number := func(names []string) (ns []int) {
		for _, name := range names {
			n, known := numbers[name]
			if !known {
				n = len(out.Names)
				numbers[name], out.Names = n, append(out.Names, name)
			}
			ns = append(ns, n)
		}
		return ns
	}
	out.Records = recordsOf(r.Findings, number)
	for _, f := range r.Files {
		out.Files = append(out.Files, fileRecord{f.Path, f.Sum, f.Size, recordsOf(f.Findings, number)})
	}
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(out)
	return b.Bytes(), err
}

func recordsOf(fs []Finding, number func([]string) []int) (out []record) {
	for _, f := range fs {
		o := &f.Origin
		w := record{
			f.Rule.ID, f.Start, f.End, [6]int{f.Line, f.Column, f.EndLine, f.EndColumn, f.Column16, f.EndColumn16}, f.Entropy, f.DecodedVia,
			f.Key, f.Masked, f.Context, f.Also, f.Why, f.Confidence,
			o.Source, o.Root, o.Path, o.Entry, o.Blob, o.Commit, o.Author, o.Email, o.Date, 0, number(o.Refs), number(o.Labels), o.RefCount,
			f.ID, f.OtherIDs, f.Marked, f.Object, f.Of, f.Blobs, f.MovedTo, f.From, f.Loose,
		}
		if o.InHead != nil {
			if w.InHead = 1; *o.InHead {
				w.InHead = 2
			}
		}
		out = append(out, w)
	}
	return out
}

// Parse reads a report; rule gives the rule of an ID. Of the findings the secrets and
// FoundAt are missing.
func Parse(data []byte, rule func(id string) (*rules.Rule, bool)) (*Report, error) {
	var in whole
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&in); err != nil {
		return nil, err
	}
	r := &Report{Coverage: in.Coverage, Known: in.Known}
	ok := true
	findings := func(records []record) (fs []Finding) {
		for i := range records {
			f, sound := records[i].finding(rule, in.Names)
			fs, ok = append(fs, f), ok && sound
		}
		return fs
	}
	r.Findings = findings(in.Records)
	for _, f := range in.Files {
		r.Files = append(r.Files, File{f.Path, f.Sum, f.Size, findings(f.Records)})
	}
	if !ok {
		return nil, errFormat
	}
	return r, nil
}

func (w *record) finding(rule func(id string) (*rules.Rule, bool), all []string) (f Finding, ok bool) {
	set, ok := rule(w.Rule)
	named := func(ns []int) (names []string) {
		for _, n := range ns {
			if ok = ok && n >= 0 && n < len(all); ok {
				names = append(names, all[n])
			}
		}
		return names
	}
	l := w.Lines
	f = Finding{found.Finding{Hit: found.Hit{
		Match: found.Match{Rule: set, Start: w.Start, End: w.End, Line: l[0], Column: l[1], EndLine: l[2], EndColumn: l[3], Column16: l[4], EndColumn16: l[5],
			Entropy: w.Entropy, DecodedVia: w.Via, Key: w.Key, Masked: w.Masked, Context: w.Context, Also: w.Also, Why: w.Why, Confidence: w.Confidence},
		Origin: sources.Origin{Source: w.Source, Root: w.Root, Path: w.Path, Entry: w.Entry, Blob: w.Blob, Commit: w.Commit, Author: w.Author, Email: w.Email,
			Date: w.Date, Refs: named(w.Refs), Labels: named(w.Labels), RefCount: w.RefCount},
	}, ID: w.ID, OtherIDs: w.OtherIDs, Marked: w.Marked, Object: w.Object, Of: w.Of, Blobs: w.Blobs, MovedTo: w.MovedTo}, w.From, w.Loose}
	if w.InHead > 0 {
		in := w.InHead == 2
		f.Origin.InHead = &in
	}
	return f, ok
}

// Objects gives for each object that secrets are taken from the numbers of its
// findings.
func (r *Report) Objects(from From) map[sources.ObjectID][]int {
	of := map[sources.ObjectID][]int{}
	for i, f := range r.Findings {
		if f.From == from {
			of[f.Object] = append(of[f.Object], i)
		}
	}
	return of
}

// Fill gives the i-th finding its secret, and reports whether it is that.
func (r *Report) Fill(i int, s secret.Secret) bool { return r.Findings[i].fill(s) }

func (f *Finding) fill(s secret.Secret) bool {
	f.Secret = s
	return f.Name() == f.ID
}

// Read takes all secrets from the objects of v that hold them as they are, and from
// paths, and reports whether they are those that were found. open opens an item by its
// object.
func (r *Report) Read(ctx context.Context, v sources.Visitor, open func(sources.Item) func(context.Context) (io.ReadCloser, error), workers int) bool {
	for i, f := range r.Findings {
		if f.From == Path && !r.Fill(i, secret.NewString(f.Origin.Path)) {
			return false
		}
	}
	var items []sources.Item
	var of [][]int
	for id, list := range r.Objects(Bytes) {
		it := sources.Item{Origin: sources.Origin{Source: "git", Blob: hex.EncodeToString(id[:])}, Object: id}
		it.Open = open(it)
		items, of = append(items, it), append(of, list)
	}
	var wrong atomic.Bool
	fill := func(n int, data []byte) {
		for _, i := range of[n] {
			if !r.Findings[i].fillBytes(data) {
				wrong.Store(true)
			}
		}
	}
	left, err := v.Visit(ctx, items, workers, func(c *sources.Content) any { fill(c.Index, c.Data); return nil })
	for _, n := range left {
		rc, openErr := items[n].Open(ctx)
		if openErr != nil {
			return false
		}
		end := slices.MaxFunc(of[n], func(a, b int) int { return cmp.Compare(r.Findings[a].End, r.Findings[b].End) })
		data, readErr := io.ReadAll(io.LimitReader(rc, r.Findings[end].End))
		rc.Close()
		if readErr != nil {
			return false
		}
		fill(n, data)
	}
	return err == nil && !wrong.Load()
}

func (f *Finding) fillBytes(data []byte) bool {
	return f.Start >= 0 && f.Start < f.End && f.End <= int64(len(data)) && f.fill(secret.New(data[f.Start:f.End]))
}
