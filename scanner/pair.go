package scanner

import (
	"slices"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/pair"
)

// Pairs joins the halves of credentials in one text that comes in pieces; its All ends
// the text. One goroutine uses it.
type Pairs = pair.Queue[Finding]

// AllLines is what Pairs.Take is told at the end of a text, or where it goes quiet.
const AllLines = pair.All

// NewPairs starts a text.
func (e *Engine) NewPairs() *Pairs { return &Pairs{Half: e.half, Join: joinHalves} }

func (e *Engine) half(f *Finding) (pair.Half, bool) {
	o := &f.Origin
	return pair.Half{Rule: f.Rule.ID, Partner: f.Rule.Partner, Text: o.Root + "\x00" + o.Path + "\x00" + o.Blob, Line: f.Line, Column: f.Column},
		e.halves[f.Rule.ID] && f.Dropped == ""
}

// joinHalves puts the public half into the finding of its secret, as it does with what
// matches the secret itself less specifically and was decided apart, since it spans
// lines. A token of ours is a finding of its own.
func joinHalves(f, p *Finding) bool {
	if p.Start < f.End && f.Start < p.End { // the same, less specifically
		f.Also = append(slices.Clip(f.Also), p.Rule.ID)
		return p.Token == nil
	}
	f.Pair = &Half{Rule: p.Rule, Line: p.Line, Column: p.Column, Secret: p.Secret, Why: p.Why}
	f.Confidence, f.Why = rules.High, append(slices.Concat(f.Why, p.Why), "its public half stands near it")
	return p.Token == nil
}

// release emits the findings of an item that waited for their other halves, as far as
// no line after its first ones can hold them.
func (r *run) release(seq, lines int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.waiting[seq]
	if q == nil {
		return
	}
	for _, f := range q.Take(lines) {
		r.tell(f)
	}
	if lines == AllLines {
		delete(r.waiting, seq)
	}
}

// waits reports whether anything of an item does.
func (r *run) waits(seq int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting[seq] != nil
}

// tell emits a finding. The lock is held.
func (r *run) tell(f Finding) {
	if r.o.Finding != nil {
		r.o.Finding(f)
	}
}
