package scanner

import (
	"github.com/quench-dev/quench/scanner/internal/candidate"
	"github.com/quench-dev/quench/scanner/internal/coverage"
	"github.com/quench-dev/quench/scanner/internal/findingid"
	"github.com/quench-dev/quench/scanner/internal/found"
	"github.com/quench-dev/quench/scanner/secret"
)

// Match is a rule and a span: what the engine found in one view of a text,
// before anybody knows where that text was.
type Match = found.Match

// Hit is the first event of a secret: what match and containment need, sent
// as soon as the engine decided it.
type Hit = found.Hit

// Finding is the second event: a Hit with all that attribution knows, for the
// report.
type Finding = found.Finding

// Half is the public half of a credential: it names what the secret opens.
type Half = found.Half

// KnownToken is what the scanner may know of a token in the registry.
type KnownToken = found.Token

// Coverage tells what a scan read and what it did not.
type Coverage = coverage.Coverage

// Progress counts what Runs have done so far, for whoever shows it. The zero
// Progress is ready; reading it is safe at any time.
type Progress = coverage.Progress

// Unread is one wanted thing that could not be read.
type Unread = coverage.Unread

// FindingID names a finding by what stays when lines move, histories are rebased and
// scans repeated: see findingid.Of.
func FindingID(ruleID, path, key, maskedLine string, s secret.Secret) string {
	return findingid.Of(ruleID, path, key, maskedLine, s)
}

// Known is the registry as the scanner sees it: a set of tokens that is asked
// about every token-like run. Implementations are safe for concurrent use.
type Known interface {
	// Shapes lists the forms of the tokens in the set, at most 64, so that
	// runs are cut as those tokens would lie in them. It may change while a
	// scan runs, when tokens are issued.
	Shapes() []Shape
	// Lookup says whether candidate, exactly, is a token of the set. Most
	// calls say no; it must cost well under a microsecond then.
	Lookup(candidate []byte) (KnownToken, bool)
}

// Shape is the form of one or more tokens: a length and the bytes they are
// made of.
type Shape = candidate.Shape
