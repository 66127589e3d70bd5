// Package rules knows what a secret looks like.
//
// A Rule is data: a pattern, the keywords that anchor it, an offline check of
// its shape and the examples that prove it. Rules live in TOML files, one per
// provider (builtin/ holds ours), and are read by Load, strictly. Nothing here
// searches text for secrets, compiles a regular expression at start-up, or
// imports any other package of ours; the scanner does the searching. Start
// reading at Rule, then Load.
package rules

import (
	"fmt"
	"regexp"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/quench-dev/quench/rules/internal/shape"
)

// Confidence says how sure a match of a rule is a live secret.
type Confidence string

// The three confidences, by what stands behind a match.
const (
	High   Confidence = "high"   // a provider's own prefix or a checksum
	Medium Confidence = "medium" // a telling context and a random-looking value
	Low    Confidence = "low"    // a guess, for those who want all
)

// AtLeast reports whether c is as sure as d, or surer. What is neither high nor
// medium counts as low.
func (c Confidence) AtLeast(d Confidence) bool { return c.rank() >= d.rank() }

func (c Confidence) rank() int {
	switch c {
	case High:
		return 2
	case Medium:
		return 1
	}
	return 0
}

// Kind says how the scanner decides a rule.
type Kind string

const (
	// KindPattern rules match their pattern around each keyword. The default.
	KindPattern Kind = "pattern"
	// KindAssignment rules start at the value: a token run to the right of an
	// operator whose left side holds one of the keywords. They have no pattern.
	KindAssignment Kind = "assignment"
	// KindContext rules match their pattern, the value alone, near each keyword, which
	// is the service's name: values of a form that many services use.
	KindContext Kind = "context"
	// KindPath rules name files whose mere path tells of a secret. Only gitleaks'
	// configurations have them.
	KindPath Kind = "path"
)

// FirstGroup as a rule's Group is the first group that took part in the match and
// is not empty, or else all of the match but line feeds at its ends.
const FirstGroup = -1

// ContextReach is how far from the name of its service the value of a KindContext
// rule may begin or end, in bytes: the rest of a variable's name, an operator and
// quotes, or an address and the header before it.
const ContextReach = 48

// ContextName is how far before its value a KindContext rule looks for the name that
// the value is given to.
const ContextName = 64

// Rule describes one kind of secret. Rules are immutable once loaded.
type Rule struct {
	// ID names the rule: lower-case words joined by '-', the provider first.
	ID string `toml:"id"`
	// Description says in a phrase what leaked, for people.
	Description string `toml:"description"`
	// Provider issued the secret: the provider key of the file it stands in.
	Provider string `toml:"-"`
	// Kind is KindPattern unless said otherwise.
	Kind Kind `toml:"kind"`
	// Pattern is RE2 syntax without ^ $ \A \z, matched as Latin-1: one byte is
	// one character, no Unicode classes.
	Pattern string `toml:"pattern"`
	// Group is the capture group that is the secret; 0 is the whole match, and
	// also means group 1 when the pattern has exactly one group.
	Group int `toml:"secret_group"`
	// NameGroup is the capture group that holds the name the secret is given to,
	// for rules with Score; 0 when the pattern has no such group.
	NameGroup int `toml:"name_group"`
	// Keywords anchor the pattern: a match is decided once per occurrence of a
	// keyword and contains it, or lies near it in a rule of KindContext. Compared in
	// ASCII without case when Fold is set.
	// A pattern of which no text is part of every match has none: it is Slow.
	Keywords []string `toml:"keywords"`
	// Words are parts of names, of which one must be given the value of a KindContext
	// rule, in lower case; unset means SecretWords.
	Words []string `toml:"words"`
	// Entropy is the least Shannon entropy of the secret in bits per
	// character; 0 asks for none.
	Entropy float64 `toml:"entropy"`
	// Shape names the offline check in Shapes that the secret must pass.
	Shape string `toml:"shape"`
	// Score has the scanner judge the secret as it judges assigned values, by
	// what speaks for and against it, since the pattern matches placeholders too.
	Score bool `toml:"score"`
	// MaxLen bounds an unbounded pattern: the longest match in bytes.
	MaxLen int `toml:"maxlen"`
	// StopWords drop a secret that holds one of them, without case. Rules of
	// Medium and Low confidence have GlobalStopWords as well, but for the short ones,
	// which chance puts into random values, where the entropy is bounded.
	StopWords []string `toml:"stop_words"`
	// Boundary names the bytes that may not stand directly after the secret,
	// as the inside of a character class ("A-Za-z0-9_-"): RE2 has no
	// lookahead, and a token of fixed length that goes on is another thing.
	// Unset means DefaultBoundary; "none" allows every byte.
	Boundary string `toml:"boundary"`
	// BoundaryBefore is the same for the byte before the secret; unset means
	// DefaultBoundaryBefore.
	BoundaryBefore string `toml:"boundary_before"`
	// Paths and ExcludePaths are doublestar globs on the slash-separated path
	// of the finding; empty Paths means every path. They narrow the report
	// only, never the match against issued tokens.
	Paths        []string `toml:"paths"`
	ExcludePaths []string `toml:"exclude_paths"`
	// Confidence defaults to Medium, and to High for rules with a checksum.
	Confidence Confidence `toml:"confidence"`
	// Reference links to the vendor's description of the format.
	Reference string `toml:"reference"`
	// Examples are texts in which the rule finds exactly one secret, Negatives
	// texts in which it finds none. Both are templates, see Expand.
	Examples  []string `toml:"examples"`
	Negatives []string `toml:"negatives"`
	// Partner is the rule that finds the public half of such a credential, as an access
	// key's id is that of its secret: a few lines apart they are one finding, of High
	// confidence. A rule whose matches span lines names here one that matches the same
	// secret less specifically.
	Partner string `toml:"partner"`
	// Overlaps names other rules that may match this rule's examples too,
	// since the formats cannot be told apart.
	Overlaps []string `toml:"overlaps"`

	// The rest is read off the pattern by the loader.

	// File is the rule file, as it was named to the loader.
	File string `toml:"-"`
	// Line is where the rule starts in File, from 1; 0 for built-in rules.
	Line int `toml:"-"`
	// ProviderName is the provider's name for people: the file's name key.
	ProviderName string `toml:"-"`
	// Width is the longest match in bytes.
	Width int `toml:"-"`
	// Prefixed says that every match begins with its keyword, so that a match
	// is decided by one anchored trial at the keyword.
	Prefixed bool `toml:"-"`
	// Fold says that keywords are found without regard to ASCII case: the
	// pattern, or part of it, is case-insensitive; or the rule is of KindContext and
	// none of them has a capital letter.
	Fold bool `toml:"-"`
	// Multiline says that a match can hold a line feed. All other rules are
	// decided as soon as their line is complete.
	Multiline bool `toml:"-"`

	// PathExpr must be found in the path, as Paths must match it.
	PathExpr *regexp.Regexp `toml:"-"`
	// Requires, Hidden and Yields are of rules read from gitleaks configurations.
	// Requires are rules that must be found near by in the same text; a Hidden rule
	// serves others only; one that Yields is not told where another found as much.
	Requires []Requirement `toml:"-"`
	Hidden   bool          `toml:"-"`
	Yields   bool          `toml:"-"`
	// Word rules find keywords of other rules, whatever lists allow.
	Word bool `toml:"-"`
	// Apart rules are told whatever others find in the same text, as gitleaks does.
	Apart bool `toml:"-"`

	after, before *byteClass
	literal       int // bytes that every match holds as the pattern writes them
}

// MoreSpecific reports whether a match of r says more than one of o of the same text:
// by the confidence of the rules, then by an offline check, then by how much text the
// pattern itself spells out. Of any two rules one is more specific.
func (r *Rule) MoreSpecific(o *Rule) bool {
	if a, b := r.Confidence.rank(), o.Confidence.rank(); a != b {
		return a > b
	}
	if (r.Shape == "") != (o.Shape == "") {
		return r.Shape != ""
	}
	if r.literal != o.literal {
		return r.literal > o.literal
	}
	return r.ID < o.ID
}

// Requirement asks for a match of one of Rules in the same text, at most Lines
// lines and Columns columns away, each of any number where nil.
type Requirement struct {
	Rules          []string
	Lines, Columns *int
}

// Slow says that the rule has a pattern and no keywords: each line is searched
// with the pattern, which costs more than all other rules together.
func (r *Rule) Slow() bool { return r.Kind == KindPattern && len(r.Keywords) == 0 }

// The boundaries of rules that state none. After: a token that goes on with a
// word character is another thing. Before: a letter or digit, but not '_' or
// '-', since names are put before tokens with both ("staging_ghp_…").
const (
	DefaultBoundary       = "A-Za-z0-9_"
	DefaultBoundaryBefore = "A-Za-z0-9"
	noBoundary            = "none"
)

// byteClass is a set of bytes.
type byteClass [256]bool

// BoundaryOK reports whether the secret may stand between the bytes before and
// after it; -1 is the edge of the text.
func (r *Rule) BoundaryOK(before, after int) bool {
	if before >= 0 && r.before != nil && r.before[byte(before)] {
		return false
	}
	return after < 0 || r.after == nil || !r.after[byte(after)]
}

// InPath reports whether the rule's path filters let the report name path. An
// empty path, of a stream or a message, passes every filter but a list of
// paths. The loader has checked the globs.
func (r *Rule) InPath(path string) bool {
	any := func(globs []string) bool {
		for _, g := range globs {
			if doublestar.MatchUnvalidated(g, path) {
				return true
			}
		}
		return false
	}
	if r.PathExpr != nil && !r.PathExpr.MatchString(path) {
		return false
	}
	return (len(r.Paths) == 0 || any(r.Paths)) && !any(r.ExcludePaths)
}

// parseBoundary reads the inside of a character class: bytes and ranges, where
// '-' is itself first or last.
func parseBoundary(s string) (*byteClass, error) {
	if s == noBoundary {
		return nil, nil
	}
	var c byteClass
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e || s[i] == '[' || s[i] == ']' || s[i] == '\\' {
			return nil, fmt.Errorf("boundary %q: must be the inside of a plain character class such as %q, or %q", s, DefaultBoundary, noBoundary)
		}
		if i+2 < len(s) && s[i+1] == '-' {
			if s[i+2] < s[i] {
				return nil, fmt.Errorf("boundary %q: the range %q runs backwards", s, s[i:i+3])
			}
			for b := int(s[i]); b <= int(s[i+2]); b++ {
				c[b] = true
			}
			i += 2
			continue
		}
		c[s[i]] = true
	}
	return &c, nil
}

// SecretWords are the parts of names that hold keys and the like.
var SecretWords = []string{"key", "token", "secret", "pass", "pwd", "auth", "cred", "bearer", "private"}

// GlobalStopWords are parts of made-up values. They are added to the stop
// words of rules below High confidence, whose patterns alone do not tell a
// placeholder from a secret. Provider tokens do without: chance would find
// short words in long random text.
var GlobalStopWords = shape.StopWords
