package scanner

import (
	"bytes"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/gate"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// Marks say on a line that what is found on it is no leak: our own, and those that
// files written for other scanners hold.
var Marks = []string{"quench:allow", "gitleaks:allow", "trufflehog:ignore"}

// markRule is the rule of marks where they are carried as matches are.
var markRule = &rules.Rule{ID: "mark", Keywords: Marks}

// itemGate takes the matches of items, one after the other, to their two events.
type itemGate struct {
	gate.Gate[Hit]
	r     *run
	job   job
	noted func(Match) // is told of each, where it is not nil
	file  bytes.Buffer
}

// gated gives a gate for the items of one worker.
func (r *run) gated() *itemGate {
	g := &itemGate{r: r}
	g.Gate = gate.Gate[Hit]{Whole: r.engine.composed, Tell: func(h Hit, marked bool) { r.find(g.job, h, marked) },
		Of: func(h *Hit) gate.Place {
			p := gate.Place{Rule: h.Rule, Start: h.Start, End: h.End, Line: h.Line, EndLine: h.EndLine, Col: h.Column}
			if g.Whole && !h.Rule.Word {
				_, p.Allowed = r.engine.allow.Allows(h.Rule.ID, h.Allowed, h.Origin.Path, h.Origin.Commit)
			}
			return p
		}}
	return g
}

func (g *itemGate) begin(j job) {
	g.Reset()
	g.job, g.noted = j, nil
}

func (g *itemGate) match(m Match) {
	switch {
	case m.Rule == markRule:
		g.Mark(m.Line)
	case g.job.seq < 0: // read once more, for what earlier scans found
		g.r.mem.Found(-1-g.job.seq, m)
	default:
		if g.noted != nil {
			g.noted(m)
		}
		if h, ok := g.r.hit(g.job.Origin, m); ok {
			g.Add(h)
		}
	}
}

// first is how many lines of the whole lie before the item.
func (g *itemGate) first() int { return max(0, g.job.Origin.Line-1) }

// passed reports whether there is nothing to read of an item, and tells what is known
// of it without.
func (r *run) passed(seq int, it sources.Item) bool {
	if it.Skip == nil || !it.Skip.Reason.Wanted() {
		r.named(job{seq, it})
	}
	if it.Skip != nil {
		r.skip(it.Origin, it.Skip)
	}
	if it.Skip == nil && it.Origin.Source == "git" {
		r.listed++
	}
	return it.Skip != nil
}

// named tells of what rules find in the item's path alone. What they find is the
// path, no secret.
func (r *run) named(j job) {
	o := j.Origin
	for _, rule := range r.engine.paths {
		if o.Path == "" || o.Before || !rule.InPath(o.Path) {
			continue
		}
		m := Match{Rule: rule, Line: 1, Column: 1, EndLine: 1, EndColumn: 1, Secret: secret.NewString(o.Path), Confidence: rule.Confidence,
			Masked: "the file's path", Context: "the file's path", Why: []string{"its path"}}
		r.find(j, Hit{Match: m, Origin: o, FoundAt: r.o.Now()}, false)
	}
}
