package deliver

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/nacl/box"
)

// sealed is value as only the holder of a public key, 32 bytes in base64, can read it:
// libsodium's sealed box, in base64, as GitHub takes secrets.
func sealed(publicKey string, value []byte) (string, error) {
	b, err := base64.StdEncoding.DecodeString(publicKey)
	if err != nil {
		return "", fmt.Errorf("reading the public key: %w", err)
	}
	if len(b) != 32 {
		return "", errors.New("reading the public key: it is not 32 bytes long")
	}
	out, err := box.SealAnonymous(nil, value, (*[32]byte)(b), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("sealing the value: %w", err)
	}
	return base64.StdEncoding.EncodeToString(out), nil
}
