package rules

import (
	"bytes"
	"fmt"

	"github.com/quench-dev/quench/rules/internal/shape"
)

// A token of a Quench registry is
//
//	<brand>_<env>_<id><secret><sum>
//
// brand: 2 to 8 lower-case letters, the issuer and the kind of token, "qnk"
// unless configured; env: "live" or "test"; id: 10 characters that name the
// token and are no secret; secret: 32 characters, 190 bits; sum: 6 characters,
// the CRC-32 of all before them. All three are base 62, so that a double click
// selects the whole token. The sum comes last and the varying part early, so
// that tokens do not look alike at a glance.
const (
	DefaultBrand = "qnk"

	TokenIDLen     = 10
	TokenSecretLen = 32
	TokenSumLen    = 6

	tokenTail   = TokenIDLen + TokenSecretLen + TokenSumLen
	minBrandLen = 2
	maxBrandLen = 8
)

// TokenParts is a token taken apart. Its slices alias the token.
type TokenParts struct {
	Brand, Env, ID, Secret, Sum []byte
}

// TokenChecksum is the sum of body, a token without its last TokenSumLen bytes.
func TokenChecksum(body []byte) [TokenSumLen]byte { return shape.Base62(body) }

// ParseToken takes b apart. It reports false unless b is wholly one token with
// the right sum; the comparison need not be constant-time, since the sum is no
// secret: anybody can compute it from the rest.
func ParseToken(b []byte) (TokenParts, bool) {
	head := len(b) - tokenTail
	if head < minBrandLen+len("_live_") || head > maxBrandLen+len("_live_") {
		return TokenParts{}, false
	}
	tail := b[head:]
	for _, c := range tail {
		if !isAlnum(c) {
			return TokenParts{}, false
		}
	}
	p := TokenParts{
		Brand:  b[:head-len("_live_")],
		Env:    b[head-len("live_") : head-1],
		ID:     tail[:TokenIDLen],
		Secret: tail[TokenIDLen : TokenIDLen+TokenSecretLen],
		Sum:    tail[TokenIDLen+TokenSecretLen:],
	}
	if b[len(p.Brand)] != '_' || b[head-1] != '_' || CheckBrand(string(p.Brand)) != nil || !validEnv(p.Env) {
		return TokenParts{}, false
	}
	sum := TokenChecksum(b[:len(b)-TokenSumLen])
	return p, bytes.Equal(sum[:], p.Sum)
}

// CheckBrand says what is wrong with a brand that tokens cannot carry.
func CheckBrand(brand string) error {
	if len(brand) < minBrandLen || len(brand) > maxBrandLen {
		return fmt.Errorf("brand %q: must be %d to %d lower-case letters", brand, minBrandLen, maxBrandLen)
	}
	for i := range len(brand) {
		if brand[i] < 'a' || brand[i] > 'z' {
			return fmt.Errorf("brand %q: must be lower-case letters only, such as %q", brand, DefaultBrand)
		}
	}
	return nil
}

func validEnv(env []byte) bool { return string(env) == "live" || string(env) == "test" }

// QuenchToken assembles a token from its parts and adds the sum. The caller
// brings the randomness: id and secret must be TokenIDLen and TokenSecretLen
// base-62 characters. Errors name lengths, never the parts.
func QuenchToken(brand, env string, id, secret []byte) ([]byte, error) {
	if err := CheckBrand(brand); err != nil {
		return nil, err
	}
	if !validEnv([]byte(env)) {
		return nil, fmt.Errorf("token environment %q: must be \"live\" or \"test\"", env)
	}
	if len(id) != TokenIDLen || len(secret) != TokenSecretLen {
		return nil, fmt.Errorf("token parts of %d and %d bytes: must be %d and %d", len(id), len(secret), TokenIDLen, TokenSecretLen)
	}
	b := make([]byte, 0, len(brand)+len("_live_")+tokenTail)
	b = append(b, brand...)
	b = append(append(append(b, '_'), env...), '_')
	b = append(append(b, id...), secret...)
	for _, c := range b[len(b)-TokenIDLen-TokenSecretLen:] {
		if !isAlnum(c) {
			return nil, fmt.Errorf("token parts must be base-62 characters, 0-9A-Za-z")
		}
	}
	sum := TokenChecksum(b)
	return append(b, sum[:]...), nil
}
