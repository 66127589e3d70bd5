package shape

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// now is the clock that expiry is told by.
var now = time.Now

// expiry reads the exp claim of a token: seconds since 1970. What lies before 2001 is
// no time but a number that a document or test made up.
func expiry(claim json.RawMessage) (t time.Time, ok bool) {
	seconds, err := strconv.ParseFloat(string(claim), 64)
	if err != nil || seconds < 1e9 || seconds > 1e11 {
		return t, false
	}
	return time.Unix(int64(seconds), 0), true
}

var sshMagic = []byte("openssh-key-v1\x00")

// sshEncrypted reports whether an OpenSSH key names a cipher: "none" stands for no
// encryption. The format is that of PROTOCOL.key in OpenSSH's sources.
func sshEncrypted(raw []byte) bool {
	rest, ok := bytes.CutPrefix(raw, sshMagic)
	if !ok || len(rest) < 4 {
		return false
	}
	n := binary.BigEndian.Uint32(rest)
	return n > 0 && int64(n) <= int64(len(rest)-4) && string(rest[4:4+n]) != "none"
}

// keyKind parses DER of a private key and names it; "" when it does not parse.
func keyKind(der []byte) string {
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return fmt.Sprintf("an RSA private key of %d bits", k.N.BitLen())
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return "an EC private key on " + k.Params().Name
	}
	any, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return ""
	}
	switch k := any.(type) {
	case *rsa.PrivateKey:
		return fmt.Sprintf("an RSA private key of %d bits", k.N.BitLen())
	case *ecdsa.PrivateKey:
		return "an EC private key on " + k.Params().Name
	case ed25519.PrivateKey:
		return "an Ed25519 private key"
	}
	return "a private key"
}

// maxAccount is the greatest number of an account: they have 12 digits.
const maxAccount = 999_999_999_999

// awsKeyID checks the alphabet: the 16 characters after the type are base 32, so that
// 0, 1, 8 and 9 cannot occur, and 40 bits from their second on are the account's
// number. Ids of before 2019 hold none; theirs begin with I or J.
func awsKeyID(s []byte) Result {
	if len(s) != 20 {
		return No("not 20 characters")
	}
	raw, err := base32.StdEncoding.DecodeString(string(s[4:]))
	if err != nil {
		return No("not base 32")
	}
	if s[4] == 'I' || s[4] == 'J' {
		return Perhaps("base 32 as it should be")
	}
	n := binary.BigEndian.Uint64(append([]byte{0, 0}, raw[:6]...)) & 0x7fffffffff80 >> 7
	if n > maxAccount {
		return Perhaps("base 32, but of an account of more than 12 digits")
	}
	return Yes(fmt.Sprintf("its account is %012d", n))
}

// pypiMacaroon reads the packets of a macaroon, version 2: each a type, a length and
// bytes, a zero after the head and after each caveat, and a signature of 32 bytes at
// the end. Text that does not parse is kept: the prefix alone says "pypi.org".
func pypiMacaroon(s []byte) Result {
	body, ok := bytes.CutPrefix(s, []byte("pypi-"))
	if !ok {
		return No("no pypi- before it")
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(body))
	if err != nil || len(raw) < 2 || raw[0] != 2 {
		return Perhaps("not a whole macaroon")
	}
	for b := raw[1:]; len(b) > 0; {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		n, w := binary.Uvarint(b[1:])
		if w <= 0 || n > uint64(len(b)-1-w) {
			return Perhaps("not a whole macaroon")
		}
		if b[0] == 6 {
			if n == 32 && len(b) == 1+w+32 {
				return Yes("a macaroon of pypi.org with its signature")
			}
			return Perhaps("not a whole macaroon")
		}
		b = b[1+w+int(n):]
	}
	return Perhaps("not a whole macaroon")
}
