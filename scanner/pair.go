package scanner

import (
	"slices"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/pair"
)

// pairUp joins the halves of credentials among findings: the public half goes into the
// finding of its secret, as does what matches the secret itself less specifically and
// was decided apart, since it spans lines.
func (e *Engine) pairUp(list []Finding) []Finding {
	hs := make([]pair.Half, len(list))
	for i, f := range list {
		if e.halves[f.Rule.ID] && f.Dropped == "" {
			hs[i] = pair.Half{Rule: f.Rule.ID, Partner: f.Rule.Partner, Text: f.Origin.Root + "\x00" + f.Origin.Path + "\x00" + f.Origin.Blob, Line: f.Line, Column: f.Column}
		}
	}
	gone := map[int]bool{}
	for i, j := range pair.Up(hs) {
		if j < 0 {
			continue
		}
		f, p := &list[i], list[j]
		gone[j] = p.Token == nil
		if p.Start < f.End && f.Start < p.End { // the same, less specifically
			f.Also = append(slices.Clip(f.Also), p.Rule.ID)
			continue
		}
		f.Pair = &Half{Rule: p.Rule, Line: p.Line, Column: p.Column, Secret: p.Secret, Why: p.Why}
		f.Confidence, f.Why = rules.High, append(slices.Concat(f.Why, p.Why), "its public half stands near it")
	}
	if len(gone) == 0 {
		return list
	}
	out := list[:0]
	for i, f := range list {
		if !gone[i] {
			out = append(out, f)
		}
	}
	return out
}

// settle emits the findings of an item that waited for their other halves.
func (r *run) settle(seq int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.waiting[seq]
	delete(r.waiting, seq)
	if r.o.Finding == nil {
		return
	}
	for _, f := range r.engine.pairUp(list) {
		r.o.Finding(f)
	}
}
