package values

import (
	"bytes"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

// URIScheme is that of RFC 8959, which marks a value as a secret wherever it lands.
const URIScheme = "secret-token:"

// Bare is the value within a secret-token URI of one of our own tokens. Another
// value that begins so may have been imported as it is.
func Bare(value secret.Secret) secret.Secret {
	if in, ok := bytes.CutPrefix(value.Reveal(), []byte(URIScheme)); ok {
		if _, own := rules.ParseToken(in); own {
			return secret.New(in)
		}
	}
	return value
}
