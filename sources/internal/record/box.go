package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
)

// SealBox gives head in clear, and behind it plain, sealed with a key and bound to
// head (AES-256-GCM).
func SealBox(head, plain []byte, key [sha256.Size]byte) ([]byte, error) {
	box, err := boxOf(key)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(head)+box.NonceSize()+len(plain)+box.Overhead()), head...)
	out = out[:len(head)+box.NonceSize()]
	nonce := out[len(head):]
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return box.Seal(out, nonce, plain, head), nil
}

// OpenBox gives what SealBox sealed with the same head and key; sealed is what lies
// behind the head.
func OpenBox(head, sealed []byte, key [sha256.Size]byte) ([]byte, error) {
	box, err := boxOf(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < box.NonceSize() {
		return nil, errOther
	}
	plain, err := box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], head)
	if err != nil {
		return nil, errOther
	}
	return plain, nil
}

func boxOf(key [sha256.Size]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
