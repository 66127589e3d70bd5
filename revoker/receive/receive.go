// Package receive turns what others tell of leaks into hits on tokens of the registry.
//
// How they tell it is package partner's, what is done about a hit is package revoker's.
// Start reading at Handle.
package receive

import (
	"context"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/partner"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// Handle contains what others tell of, as they tell it: a value that set knows is a
// hit at the place they name. Others are forgotten.
func Handle(r *revoker.Revoker, set scanner.Known) partner.Handle {
	return func(ctx context.Context, l partner.Leak) (bool, error) {
		tok, known := set.Lookup(l.Secret.Reveal())
		if !known {
			return false, nil
		}
		place := l.URL
		if place == "" {
			place = "(no address)"
		}
		h := scanner.Hit{FoundAt: r.Registry().Now(),
			Match: scanner.Match{Rule: scanner.RegistryRule, Secret: l.Secret, Token: &tok, Confidence: rules.High},
			// A report has no time and no number: the token and its place are its
			// identity, so that the same told twice is one finding.
			Origin: sources.Origin{Source: "report", Root: l.From, Path: place, Blob: tok.ID + " " + place}}
		_, err := r.Contain(ctx, h)
		return true, err
	}
}
