package report

import (
	"crypto/rand"
	"crypto/sha256"
	"math"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// SchemaVersion is that of Record and CoverageRecord. It grows by one when a
// field changes its meaning or goes; new fields do not change it.
const SchemaVersion = 1

// Record is a finding in the machine formats. Fields that are not known are
// absent. Lines and columns count from 1, columns in bytes.
type Record struct {
	SchemaVersion int        `json:"schema_version"`
	RuleID        string     `json:"rule_id"`
	Description   string     `json:"description"`
	Provider      string     `json:"provider,omitempty"`
	Confidence    string     `json:"confidence"`
	Why           []string   `json:"why,omitempty"`
	Source        string     `json:"source"`
	Target        string     `json:"target,omitempty"`
	Path          string     `json:"path,omitempty"`
	StartLine     int        `json:"start_line"`
	EndLine       int        `json:"end_line"`
	StartColumn   int        `json:"start_column"`
	EndColumn     int        `json:"end_column"`
	Commit        string     `json:"commit,omitempty"`
	Author        string     `json:"author,omitempty"`
	Email         string     `json:"email,omitempty"`
	Date          *time.Time `json:"date,omitempty"`
	Refs          []string   `json:"refs,omitempty"`
	RefCount      int        `json:"ref_count,omitempty"`
	InHead        *bool      `json:"in_head,omitempty"`
	MovedTo       []string   `json:"moved_to,omitempty"`
	Blobs         int        `json:"blobs,omitempty"`
	Labels        []string   `json:"labels,omitempty"`
	Secret        string     `json:"secret"`
	SecretGroup   int        `json:"secret_group"`
	Masked        string     `json:"masked,omitempty"`
	Entropy       float64    `json:"entropy"`
	FindingID     string     `json:"finding_id"`
	TokenID       string     `json:"token_id,omitempty"`
	IncidentID    string     `json:"incident_id,omitempty"`
	Contained     string     `json:"contained,omitempty"`
	DecodedVia    []string   `json:"decoded_via,omitempty"`
	Ignored       string     `json:"ignored,omitempty"`
	Also          []string   `json:"also,omitempty"`
	PairRuleID    string     `json:"pair_rule_id,omitempty"`
	PairLine      int        `json:"pair_start_line,omitempty"`
	PairColumn    int        `json:"pair_start_column,omitempty"`
	PairSecret    string     `json:"pair_secret,omitempty"`
	Dropped       string     `json:"dropped,omitempty"`
}

func record(f scanner.Finding, o Options) Record {
	r := Record{
		SchemaVersion: SchemaVersion,
		RuleID:        f.Rule.ID, Description: f.Rule.Description, Provider: f.Rule.Provider,
		Confidence: string(f.Confidence), Why: f.Why,
		Source: f.Origin.Source, Target: target(f, o), Path: f.Origin.Path,
		StartLine: f.Line, EndLine: f.EndLine, StartColumn: f.Column, EndColumn: f.EndColumn,
		Commit: f.Origin.Commit, Author: f.Origin.Author, Email: f.Origin.Email,
		Refs: f.Origin.Refs, RefCount: f.Origin.RefCount, InHead: f.Origin.InHead, MovedTo: f.MovedTo, Blobs: f.Blobs, Labels: f.Origin.Labels,
		Secret: shown(f.Secret, o), SecretGroup: o.groups.of(f.Secret), Masked: strings.TrimSpace(f.Masked), Entropy: math.Round(f.Entropy*100) / 100,
		FindingID: f.ID, IncidentID: f.IncidentID, Contained: f.Contained, DecodedVia: f.DecodedVia, Ignored: f.Ignored, Also: f.Also, Dropped: f.Dropped,
	}
	if p := f.Pair; p != nil {
		r.PairRuleID, r.PairSecret, r.PairLine, r.PairColumn = p.Rule.ID, shown(p.Secret, o), p.Line, p.Column
	}
	if !f.Origin.Date.IsZero() {
		r.Date = &f.Origin.Date
	}
	if f.Token != nil {
		r.TokenID = f.Token.ID
	}
	return r
}

// target is which of several targets a finding lies in, where its path does not
// say so itself: two folders scanned at once may both hold a .env.
func target(f scanner.Finding, o Options) string {
	outer := strings.TrimSuffix(f.Origin.Path, "!/"+f.Origin.Entry)
	if len(o.Targets) < 2 || outer == filepath.ToSlash(f.Origin.Root) {
		return ""
	}
	switch f.Origin.Source {
	case "file", "git", "worktree":
		return f.Origin.Root
	}
	return "" // standard input and logs have no folder
}

// CoverageRecord tells what a scan read and what it did not, in the machine
// formats.
type CoverageRecord struct {
	Complete     bool                     `json:"complete"`
	Interrupted  bool                     `json:"interrupted,omitempty"`
	Repositories int                      `json:"repositories,omitempty"`
	Commits      int                      `json:"commits,omitempty"`
	Refs         int                      `json:"refs,omitempty"`
	Unreachable  int                      `json:"unreachable,omitempty"`
	Shallow      *ShallowRecord           `json:"shallow,omitempty"`
	Partial      *PartialRecord           `json:"partial,omitempty"`
	Blobs        int64                    `json:"blobs"`
	Files        int64                    `json:"files"`
	Archives     int64                    `json:"archives,omitempty"`
	Entries      int64                    `json:"entries,omitempty"`
	Bytes        int64                    `json:"bytes"`
	Cached       int64                    `json:"cached,omitempty"`
	Skipped      map[sources.Reason]int64 `json:"skipped,omitempty"`
	Unread       []UnreadRecord           `json:"unread,omitempty"`
	NotCovered   []UnreadRecord           `json:"not_covered,omitempty"`
	Findings     int                      `json:"findings"`
	Below        int                      `json:"below_min_confidence,omitempty"`
	Earlier      int64                    `json:"earlier,omitempty"`
	Ignored      map[string]int           `json:"ignored,omitempty"`
	Stale        []string                 `json:"stale,omitempty"`
	Incidents    int                      `json:"incidents,omitempty"`
	Revoked      int                      `json:"revoked,omitempty"`
	ElapsedMS    int64                    `json:"elapsed_ms"`
}

// ShallowRecord tells of shallow clones how deep they go.
type ShallowRecord struct {
	Commits  int `json:"commits"`
	Boundary int `json:"boundary"`
}

// PartialRecord tells of partial clones how many objects are with their origins
// alone, of those that were come to.
type PartialRecord struct {
	Missing int64 `json:"missing"`
}

// UnreadRecord is one wanted thing that could not be read.
type UnreadRecord struct {
	What   string         `json:"what"`
	Reason sources.Reason `json:"reason"`
	Error  string         `json:"error,omitempty"`
}

func coverageRecord(c scanner.Coverage, t Totals) CoverageRecord {
	r := CoverageRecord{
		Complete: c.Complete() && !c.Nothing(), Interrupted: c.Interrupted,
		Repositories: c.Repositories, Commits: c.Commits, Refs: c.Refs, Unreachable: c.Unreachable,
		Blobs: c.Blobs, Files: c.Files, Archives: c.Archives, Entries: c.Entries, Bytes: c.Bytes, Cached: c.Cached, Skipped: c.Skipped,
		Findings: t.Findings, Below: t.Below, Earlier: c.Earlier, Ignored: t.Ignored, Stale: t.Stale, Incidents: t.Incidents, Revoked: t.Revoked,
		ElapsedMS: c.Elapsed.Milliseconds(),
	}
	if c.Boundary > 0 {
		r.Shallow = &ShallowRecord{c.Commits, c.Boundary}
	}
	if c.Partial > 0 {
		r.Partial = &PartialRecord{c.Skipped[sources.SkipPromised]}
	}
	for _, u := range c.Unread {
		r.Unread = append(r.Unread, UnreadRecord{u.What, u.Reason, u.Err})
	}
	for _, u := range c.Elsewhere {
		r.NotCovered = append(r.NotCovered, UnreadRecord{u.What, u.Reason, u.Err})
	}
	return r
}

// groups number the secrets of one report, so that findings of the same secret
// can be told by it. The key is thrown away with the report: a number says nothing
// about the secret, and nothing in another report.
type groups struct {
	mu  sync.Mutex
	key [sha256.Size]byte
	n   map[[sha256.Size]byte]int
}

func newGroups() *groups {
	g := &groups{n: map[[sha256.Size]byte]int{}}
	rand.Read(g.key[:])
	return g
}

// of is the number of a secret, from 1 in the order of the report.
func (g *groups) of(s secret.Secret) int {
	k := s.MAC(g.key[:])
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n[k] == 0 {
		g.n[k] = len(g.n) + 1
	}
	return g.n[k]
}

// place is where a finding lies, in one string: its target where that is not
// clear, and its path or else its source.
func (r *Record) place() string {
	name := r.Path
	if name == "" {
		name = "<" + r.Source + ">"
		if len(r.Labels) > 0 {
			name = "<" + r.Labels[len(r.Labels)-1] + ">"
		}
	}
	if r.Target != "" {
		name = path.Join(filepath.ToSlash(r.Target), name)
	}
	return name
}
