// Package record makes of a hit what the registry keeps of it.
//
// It knows hits and rows, and does nothing with either. Start reading at Of.
package record

import (
	"github.com/quench-dev/quench/registry/finding"
	"github.com/quench-dev/quench/scanner"
)

// Of is how a hit is stored: redacted, and under a key that the same place
// has again whenever it is scanned.
func Of(h scanner.Hit) finding.Record {
	o := h.Origin
	f := finding.Record{
		Source: o.Source + ":" + o.Root, Identity: o.Path, Offset: h.Start, Rule: h.Rule.ID,
		Path: o.Path, Line: int64(h.Line), Commit: o.Commit, Redacted: h.Secret.Redacted(), Confidence: string(h.Confidence),
		FindingID: scanner.FindingID(h.Rule.ID, o.Path, h.Key, h.Context, h.Secret), FoundAt: h.FoundAt,
	}
	switch {
	case o.Blob != "":
		f.Identity = o.Blob
	case o.Source == "tail":
		// Its root names the file, whatever it is called; what came into it after it was
		// truncated is another.
		f.Identity = o.Root
	}
	if h.Token != nil {
		f.TokenID = h.Token.ID
	}
	return f
}
