// Package found has what scans find: matches, and the two events that a secret is
// told by. Package scanner gives these types their names.
//
// It knows nothing of how anything is found. Start reading at Match.
package found

import (
	"cmp"
	"slices"
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/scanner/internal/findingid"
	"github.com/quench-dev/quench/scanner/internal/held"
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
	Token *Token
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
	// Object is the git object that it lies in, and Of the one of whose header that is
	// lines; zero elsewhere: see sources.Item.
	Object, Of sources.ObjectID
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

// Settled gives findings by path, so that a report can group them.
func Settled(list []*held.Finding[Finding]) []Finding {
	slices.SortStableFunc(list, func(a, b *held.Finding[Finding]) int { return cmp.Compare(a.Origin.Path, b.Origin.Path) })
	fs := make([]Finding, 0, len(list))
	for _, h := range list {
		f := h.First
		f.Origin, f.Blobs, f.MovedTo, f.Marked = h.Origin, h.Blobs, h.MovedTo, h.Marked
		f.ID = f.Name()
		f.OtherIDs = slices.DeleteFunc(slices.Sorted(slices.Values(h.IDs)), func(id string) bool { return id == f.ID })
		fs = append(fs, f)
	}
	return fs
}

// Token is what the scanner may know of a token in the registry.
type Token struct {
	ID    string
	State string // "live", "expired", "revoked", "suspended"
	Hint  string
}

// compareMatches orders the matches of one text by place, then by how they were
// found, so that the order does not depend on when each was decided.
func compareMatches(a, b Match) int {
	return cmp.Or(
		cmp.Compare(a.Start, b.Start),
		cmp.Compare(a.End, b.End),
		cmp.Compare(a.Rule.ID, b.Rule.ID),
		cmp.Compare(len(a.DecodedVia), len(b.DecodedVia)),
		slices.Compare(a.DecodedVia, b.DecodedVia),
	)
}

// Compare orders findings in one item by place, then by how they were found.
func (f Finding) Compare(g Finding) int { return compareMatches(f.Match, g.Match) }

// Name is the ID of a finding: see findingid.Of.
func (f *Finding) Name() string {
	return findingid.Of(f.Rule.ID, f.Origin.Path, f.Key, f.Context, f.Secret)
}
