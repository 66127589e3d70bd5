// Package shape tells by its bytes alone whether a text can be the secret that it
// looks like: by a checksum that its issuer put in, by a structure that must parse,
// by a date that has passed.
//
// It knows formats and nothing of rules, texts or scanning, and asks nobody: no
// network, no clock but that of expiry. A new check is one function and one line in
// shapes; sums are in sums.go, structures in structure.go, keys in keys.go and
// pem.go. Start reading at Check.
package shape

import "sort"

// State is what an offline check found.
type State int

// The outcomes of a shape. Invalid means that the text is certainly not such a
// secret: the scanner drops the match. Unknown keeps it, no surer than it was.
// Harmless means that it is such a secret and yet opens nothing by itself, since it
// has expired or is encrypted: the scanner keeps it with Low confidence and says why.
const (
	Unknown State = iota
	Valid
	Invalid
	Harmless
)

func (s State) String() string {
	switch s {
	case Valid:
		return "valid"
	case Invalid:
		return "invalid"
	case Harmless:
		return "harmless"
	}
	return "unknown"
}

// Result is the answer of a shape: a state and, in words that fit after
// "because", what it rests on. Why never holds bytes of the secret.
type Result struct {
	State State
	Why   string
}

// Yes, No, Perhaps and Spent are results of the four states.
func Yes(why string) Result     { return Result{Valid, why} }
func No(why string) Result      { return Result{Invalid, why} }
func Perhaps(why string) Result { return Result{Unknown, why} }
func Spent(why string) Result   { return Result{Harmless, why} }

// Shape is one named offline check.
type Shape struct {
	Doc string
	// Checksum says that Valid rests on a checksum and that a wrong one is
	// Invalid, so that a rule with this shape is High unless it says otherwise.
	Checksum bool
	// Check sees the secret, prefix included, and neither keeps nor changes it.
	Check func(secret []byte) Result
}

// shapes are the checks a rule can name.
var shapes = map[string]Shape{
	"crc32-base62":      {"last 6 bytes are the CRC-32 of those after the prefix's '_' in base 62 (GitHub, npm, Vercel)", true, crc32Base62},
	"crc32-hex":         {"last 8 bytes are the CRC-32 of those between the '_' in hexadecimal (Zuplo)", true, crc32Hex},
	"crc32-hex-le":      {"last 8 bytes are the CRC-32 of all before the last '_', its bytes in reverse (Grafana)", true, crc32HexLE},
	"crc32-hex-all":     {"last 8 bytes are the CRC-32 of all before them in hexadecimal (Packagist)", true, crc32HexAll},
	"crc32-base64":      {"last 6 bytes are the CRC-32 of those after the prefix of 4 in base64 (Confluent)", true, crc32Base64},
	"sha256-base32":     {"8 of the last 16 bytes are the SHA-256 of all before them in base 32 (GitHub)", false, sha256Base32},
	"bech32":            {"last 6 characters are the checksum of BIP 173 (age)", true, bech32},
	"gitlab-routable":   {"last 7 bytes are the CRC-32 of all before them in base 36 (GitLab)", true, gitlabRoutable},
	"luhn":              {"digits with a Luhn check digit at the end", true, luhn},
	"jwt":               {"three base64url parts, the first two JSON, the first with alg", false, jwt},
	"base64-json":       {"base64 of a JSON object, after the prefix and before a signature", false, base64JSON},
	"basic-auth":        {"base64 of user:password", false, basicAuth},
	"pem":               {"a PEM block of a private key whose body is base64", false, pem},
	"aws-key-id":        {"4 characters of type and 16 of the base-32 alphabet, which name the account", false, awsKeyID},
	"gcp-key-base64":    {"base64 of a service account's key file", false, gcpKeyBase64},
	"grafana-key":       {"base64 of a JSON object with the key, a name and an id", false, grafanaKey},
	"pypi-macaroon":     {"a macaroon of pypi.org after the prefix", false, pypiMacaroon},
	"discord-bot-token": {"its first part is base64 of the bot's number", false, discordBotToken},
}

// Named finds the shape called name.
func Named(name string) (Shape, bool) {
	s, ok := shapes[name]
	return s, ok
}

// Names lists the shapes, sorted.
func Names() []string {
	names := make([]string, 0, len(shapes))
	for n := range shapes {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// StopWords are parts of made-up values.
var StopWords = []string{
	"example", "xxxx", "0000000", "1234567", "abcdefg", "placeholder", "changeme", "change_me", "change-me",
	"your_", "your-", "yourpass", "yoursecret", "yourtoken", "yourkey", "dummy", "redacted", "sample",
	"notreal", "not-real", "fake", "insert", "replace", "todo", "secret_here", "secrethere", "...", "****",
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
