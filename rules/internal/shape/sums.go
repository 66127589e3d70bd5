package shape

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
)

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base36 = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// Base62 writes the CRC-32 (IEEE) of body in base 62, zero-padded to the six digits
// that hold any 32-bit number (62^6 > 2^32).
func Base62(body []byte) (out [6]byte) {
	n := crc32.ChecksumIEEE(body)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return out
}

// Base36 is the CRC-32 (IEEE) of body in base 36, zero-padded to seven digits.
func Base36(body []byte) (out [7]byte) {
	n := crc32.ChecksumIEEE(body)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base36[n%36]
		n /= 36
	}
	return out
}

// Hex is the CRC-32 (IEEE) of body in hexadecimal, most significant byte first.
func Hex(body []byte) string {
	return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
}

// HexLE is Hex with the least significant byte first.
func HexLE(body []byte) string {
	return hex.EncodeToString(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
}

// Base64 is the CRC-32 (IEEE) of body, least significant byte first, in base64
// without padding.
func Base64(body []byte) string {
	return base64.RawStdEncoding.EncodeToString(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
}

// SHA256Base32 is the first 40 bits of body's SHA-256 in base 32.
func SHA256Base32(body []byte) string {
	sum := sha256.Sum256(body)
	return base32.StdEncoding.EncodeToString(sum[:5])
}

// compare says how a token's sum compares with the one it should have.
func compare[A, B string | []byte](got A, want B) Result {
	if string(got) != string(want) {
		return No("wrong checksum")
	}
	return Yes("right checksum")
}

var short = No("too short for its checksum")

// crc32Base62 covers what lies between the prefix and the sum. Refresh tokens of
// GitHub have 70 characters there, its others and npm's 30, Vercel's 50.
func crc32Base62(s []byte) Result {
	from := bytes.IndexByte(s, '_') + 1
	if len(s)-from <= 6 {
		return short
	}
	want := Base62(s[from : len(s)-6])
	return compare(s[len(s)-6:], want[:])
}

func crc32Hex(s []byte) Result {
	from := bytes.IndexByte(s, '_') + 1
	if len(s)-from <= 9 || s[len(s)-9] != '_' {
		return short
	}
	return compare(s[len(s)-8:], Hex(s[from:len(s)-9]))
}

// crc32HexLE is that of Grafana's tokens (pkg/components/satokengen of its sources).
func crc32HexLE(s []byte) Result {
	if len(s) <= 9 || s[len(s)-9] != '_' {
		return short
	}
	return compare(s[len(s)-8:], HexLE(s[:len(s)-9]))
}

func crc32HexAll(s []byte) Result {
	if len(s) <= 8 {
		return short
	}
	return compare(s[len(s)-8:], Hex(s[:len(s)-8]))
}

func crc32Base64(s []byte) Result {
	if len(s) <= 10 {
		return short
	}
	return compare(s[len(s)-6:], Base64(s[4:len(s)-6]))
}

// sha256Base32 is that of GitHub's fine-grained tokens. GitHub did not publish it, so
// that a wrong one drops nothing.
func sha256Base32(s []byte) Result {
	if len(s) <= 16 {
		return short
	}
	at := len(s) - 16
	if string(s[at:at+8]) != SHA256Base32(s[:at]) {
		return Perhaps("its inner checksum is not as expected")
	}
	return Yes("right checksum")
}

// gitlabRoutable checks the sum of routable tokens. The versioned form
// (….01.…) is documented; that the older one is summed alike is likely but
// not, so there a wrong sum proves nothing.
func gitlabRoutable(s []byte) Result {
	dot := bytes.LastIndexByte(s, '.')
	if dot < 0 || len(s)-dot-1 != 9 {
		return No("no checksum field")
	}
	want := Base36(s[:len(s)-7])
	switch {
	case bytes.Equal(s[len(s)-7:], want[:]):
		return Yes("right checksum")
	case bytes.HasSuffix(s[:dot], []byte(".01")):
		return No("wrong checksum")
	}
	return Perhaps("checksum of an older form")
}

func luhn(s []byte) Result {
	if len(s) < 2 {
		return No("too short for a check digit")
	}
	sum := 0
	for i := range s {
		c := s[len(s)-1-i]
		if c < '0' || c > '9' {
			return No("not all digits")
		}
		d := int(c - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	if sum%10 != 0 {
		return No("wrong check digit")
	}
	return Yes("right check digit")
}
