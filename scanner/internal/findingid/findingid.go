// Package findingid names findings by what stays when lines move.
//
// It knows the parts of a name and nothing of findings. Start reading at Of.
package findingid

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/quench-dev/quench/scanner/secret"
)

// idSecretBits is how much of a secret's hash a finding id rests on. Ids are
// committed in ignore files and reports, where they must not confirm a guess:
// with 20 bits one guess in a million passes by chance, so that an id cannot
// tell a short password, yet two secrets at one place are told apart.
const idSecretBits = 20

// Of names a finding by what stays when lines move, histories are
// rebased and scans repeated: the rule, the path, the name of the value, the
// line around it with its secrets masked, and idSecretBits of the secret's hash.
// It has 16 hexadecimal digits.
func Of(ruleID, path, key, maskedLine string, s secret.Secret) string {
	h := sha256.New()
	for _, part := range []string{"quench finding v1", ruleID, path, key, maskedLine} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	m := s.MAC([]byte("quench finding id"))
	h.Write([]byte{m[0], m[1], m[2] & byte(0xff<<(24-idSecretBits)&0xff)})
	return hex.EncodeToString(h.Sum(nil)[:8])
}
