package scanner

import (
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/scanner/internal/candidate"
	"github.com/quench-dev/quench/scanner/internal/coverage"
	"github.com/quench-dev/quench/scanner/internal/findingid"
	"github.com/quench-dev/quench/scanner/internal/score"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// Match is a rule and a span: what the engine found in one view of a text,
// before anybody knows where that text was.
type Match struct {
	// Rule is the rule that matched; RegistryRule for a token that only the
	// registry knows.
	Rule *rules.Rule
	// Start and End span the secret in the original bytes, from 0, End
	// exclusive; for a decoded secret they span its encoded form.
	Start, End int64
	// Line and Column (in bytes) are where Start lies, EndLine and EndColumn
	// where the last byte lies, all from 1.
	Line, Column, EndLine, EndColumn int
	// Column16 and EndColumn16 are the columns in UTF-16 code units, as SARIF
	// counts them; 0 where the start of a very long line was gone.
	Column16, EndColumn16 int
	Secret                secret.Secret
	// Entropy is the secret's, in bits per character.
	Entropy float64
	// DecodedVia names the decoders from the outside in: "base64".
	DecodedVia []string
	// Key is the name left of the value where the rule knows it, such as
	// "db_password".
	Key string
	// Masked is the line of the secret with every secret found on it masked,
	// at most mask.Context bytes on each side of the secret.
	Masked string
	// Context is the same with this secret and all that looks like one masked,
	// and nothing else: FindingID is made of it.
	Context string
	// Token is set when the registry knows the secret.
	Token *KnownToken
	// Also names other rules that match here, less specific ones.
	Also []string
	// Dropped says why this is no secret although it has the form of one; it is set
	// only in an Engine that was asked for what it drops.
	Dropped string
	// Why lists in words what the confidence rests on.
	Why []string
	// Confidence is the rule's, raised or lowered by what Why lists.
	Confidence rules.Confidence

	// Allowed is what the engine's allow lists say of its text.
	Allowed allow.Verdict

	// Score is what the confidence of an assigned value rests on but for its path.
	Score *score.Result
}

// Coverage tells what a scan read and what it did not.
type Coverage = coverage.Coverage

// Progress counts what Runs have done so far, for whoever shows it. The zero
// Progress is ready; reading it is safe at any time.
type Progress = coverage.Progress

// Unread is one wanted thing that could not be read.
type Unread = coverage.Unread

// Hit is the first event of a secret: what match and containment need, sent
// as soon as the engine decided it.
type Hit struct {
	Match
	Origin sources.Origin
	// FoundAt is when the engine decided the match.
	FoundAt time.Time
}

// Finding is the second event: a Hit with all that attribution knows, for the
// report.
type Finding struct {
	Hit
	// Pair is the public half of the credential, found a few lines away and told by
	// this finding alone.
	Pair *Half
	// ID is stable over rebases, line moves and re-scans: see FindingID.
	ID string
	// OtherIDs are the ids of the same secret elsewhere in the path's history,
	// where the line around it was another.
	OtherIDs []string
	// Marked says that its line holds one of Marks, in the newest text that has it.
	Marked bool
	// Blobs counts the distinct blobs that hold it, 0 outside git.
	Blobs int
	// MovedTo are the paths that its secret was moved to since, in order.
	MovedTo []string
	// IncidentID is set by whoever contained the leak.
	IncidentID string
	// Contained says in words what was done about it, or would be.
	Contained string
	// Ignored says in words why it is left out of the report, where it is shown all
	// the same.
	Ignored string
}

// Half is the public half of a credential: it names what the secret opens.
type Half struct {
	Rule         *rules.Rule
	Line, Column int
	Secret       secret.Secret
	Why          []string
}

// FindingID names a finding by what stays when lines move, histories are rebased and
// scans repeated: see findingid.Of.
func FindingID(ruleID, path, key, maskedLine string, s secret.Secret) string {
	return findingid.Of(ruleID, path, key, maskedLine, s)
}

// KnownToken is what the scanner may know of a token in the registry.
type KnownToken struct {
	ID    string
	State string // "live", "expired", "revoked", "suspended"
	Hint  string
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
