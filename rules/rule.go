// Package rules knows what a secret looks like.
//
// A Rule is data: a pattern, the keywords that anchor it, an offline check of
// its shape and the examples that prove it. Rules live in TOML files, one per
// provider (builtin/ holds ours), and are read by Load, strictly. Nothing here
// searches text for secrets, compiles a regular expression at start-up, or
// imports any other package of ours; the scanner does the searching. Start
// reading at Rule, then Load.
package rules

// Confidence says how sure a match of a rule is a live secret.
type Confidence string

// The three confidences, by what stands behind a match.
const (
	High   Confidence = "high"   // a provider's own prefix or a checksum
	Medium Confidence = "medium" // a telling context and a random-looking value
	Low    Confidence = "low"    // a guess, for those who want all
)

// Kind says how the scanner decides a rule.
type Kind string

const (
	// KindPattern rules match their pattern around each keyword. The default.
	KindPattern Kind = "pattern"
	// KindAssignment rules start at the value: a token run to the right of an
	// operator whose left side holds one of the keywords. They have no pattern.
	KindAssignment Kind = "assignment"
)

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
	// Keywords anchor the pattern: a match is decided once per occurrence of a
	// keyword and contains it. Compared in ASCII without case when Fold is set.
	Keywords []string `toml:"keywords"`
	// Entropy is the least Shannon entropy of the secret in bits per
	// character; 0 asks for none.
	Entropy float64 `toml:"entropy"`
	// Shape names the offline check in Shapes that the secret must pass.
	Shape string `toml:"shape"`
	// MaxLen bounds an unbounded pattern: the longest match in bytes.
	MaxLen int `toml:"maxlen"`
	// StopWords drop a secret that holds one of them, without case.
	StopWords []string `toml:"stop_words"`
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

	// The rest is read off the pattern by the loader.

	// Width is the longest match in bytes.
	Width int `toml:"-"`
	// Prefixed says that every match begins with its keyword, so that a match
	// is decided by one anchored trial at the keyword.
	Prefixed bool `toml:"-"`
	// Fold says that keywords are found without regard to ASCII case: the
	// pattern, or part of it, is case-insensitive.
	Fold bool `toml:"-"`
	// Multiline says that a match can hold a line feed. All other rules are
	// decided as soon as their line is complete.
	Multiline bool `toml:"-"`
}
