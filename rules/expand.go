package rules

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"

	"github.com/quench-dev/quench/rules/internal/shape"
)

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base36 = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// classes are the alphabets of {N:class}.
var classes = map[string]string{
	"alnum":    base62,
	"letters":  base62[10:],
	"upper":    base62[10:36],
	"lower":    base62[36:],
	"digits":   base62[:10],
	"uppernum": base62[:36],
	"lowernum": base36,
	"hex":      base36[:16],
	"upperhex": base62[:16],
	"base32":   base62[10:36] + "234567",
	"lower32":  base62[36:] + "234567",
	"bech32":   "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
	"b64":      base62 + "+/",
	"b64url":   base62 + "-_",
	"x":        "x", // a placeholder, for negatives
}

// sums are the placeholders that cover text to their left.
var sums = map[string]struct {
	width int
	all   bool // covers the whole token, not only the last random part
	sum   func(covered []byte) string
}{
	"crc32":         {6, false, func(b []byte) string { s := shape.Base62(b); return string(s[:]) }},
	"crc32-all":     {6, true, func(b []byte) string { s := shape.Base62(b); return string(s[:]) }},
	"crc32-hex":     {8, false, shape.Hex},
	"crc32-hex-le":  {8, true, func(b []byte) string { return shape.HexLE(bytes.TrimRight(b, "_")) }},
	"crc32-hex-all": {8, true, shape.Hex},
	"crc32-base36":  {7, true, func(b []byte) string { s := shape.Base36(b); return string(s[:]) }},
	"bech32-sum":    {6, true, shape.Bech32},
	"crc32-base64":  {6, false, shape.Base64},
	"sha256-base32": {8, true, shape.SHA256Base32},
	"luhn":          {1, false, luhnDigit},
}

// pemLabels are the labels of {pem:LABEL}, by the short name.
var pemLabels = map[string]string{
	"RSA": "RSA PRIVATE KEY", "EC": "EC PRIVATE KEY", "DSA": "DSA PRIVATE KEY", "PKCS8": "PRIVATE KEY",
	"OPENSSH": "OPENSSH PRIVATE KEY", "ENCRYPTED": "ENCRYPTED PRIVATE KEY", "PGP": "PGP PRIVATE KEY BLOCK",
	"PUBLIC": "PUBLIC KEY", "CERTIFICATE": "CERTIFICATE",
}

// maxPlaceholder bounds N, so that a mistyped rule file does not fill memory.
const maxPlaceholder = 8192

// Expand makes a text of an example template, the same text for the same seed.
// Templates let a rule bring examples without a token ever standing in a
// repository. Placeholders are
//
//	{N:CLASS}        N random characters: alnum, letters, upper, lower, digits,
//	                 uppernum, lowernum, hex, upperhex, base32, lower32, bech32,
//	                 b64, b64url, and x for the placeholder "xxx…"
//	{6:crc32}        the base-62 CRC-32 of the placeholder before it
//	{8:crc32-hex}    the same in hexadecimal
//	{6:crc32-base64} the same in base64, least significant byte first
//	{6:crc32-all}    the base-62 CRC-32 of the token up to here, prefix and all
//	{7:crc32-base36} the same in base 36
//	{8:crc32-hex-all} the same in hexadecimal
//	{8:crc32-hex-le} the same in hexadecimal, least significant byte first, without
//	                 the '_' before it
//	{6:bech32-sum}   the checksum of BIP 173, in capitals
//	{8:sha256-base32} the first 40 bits of the token's SHA-256 in base 32
//	{1:luhn}         the Luhn digit of the placeholder before it
//	{uuid} {jwt}     a version 4 UUID; a JSON Web Token signed with HS256
//	{b64json}        unpadded base64 of a JSON object
//	{b64digits}      base64 of a number of 18 digits
//	{userpass}       base64 of user:password, as in HTTP Basic
//	{pem:LABEL}      a PEM block: RSA, EC, DSA, PKCS8, OPENSSH, ENCRYPTED, PGP,
//	                 PUBLIC, CERTIFICATE; {pem-escaped:LABEL} with \n for line ends
//
// and {{ and }} stand for single braces. "The token up to here" is the run of
// letters, digits and "_.-" that ends at the placeholder.
func Expand(template string, seed uint64) (string, error) {
	e := expander{rnd: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
	for rest := template; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			e.out = append(e.out, rest...)
			break
		}
		e.out = append(e.out, rest[:i]...)
		rest = rest[i:]
		if len(rest) > 1 && rest[1] == rest[0] {
			e.out = append(e.out, rest[0])
			rest = rest[2:]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if rest[0] == '}' || end < 0 {
			return "", fmt.Errorf("template: unpaired %q at byte %d; write %q for the character itself", rest[:1], len(template)-len(rest), strings.Repeat(rest[:1], 2))
		}
		if err := e.placeholder(rest[1:end]); err != nil {
			return "", err
		}
		rest = rest[end+1:]
	}
	return string(e.out), nil
}

// ExampleSeed is the seed of example (or negative) number i of the rule called
// id: examples of one rule differ, and the same example is always the same.
func ExampleSeed(id string, i int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", id, i)
	return h.Sum64()
}

// ExpandExamples expands the rule's examples and negatives.
func (r *Rule) ExpandExamples() (examples, negatives []string, err error) {
	all := make([]string, 0, len(r.Examples)+len(r.Negatives))
	for i, t := range append(append([]string(nil), r.Examples...), r.Negatives...) {
		kind, n := "example", i+1
		if i >= len(r.Examples) {
			kind, n = "negative", i-len(r.Examples)+1
		}
		s, err := Expand(t, ExampleSeed(r.ID, i))
		if err != nil {
			return nil, nil, fmt.Errorf("%s %d: %w", kind, n, err)
		}
		all = append(all, s)
	}
	return all[:len(r.Examples)], all[len(r.Examples):], nil
}

type expander struct {
	rnd  *rand.Rand
	out  []byte
	last []byte // what the last {N:CLASS} gave
}

func (e *expander) placeholder(p string) error {
	size, name, counted := strings.Cut(p, ":")
	if !counted {
		switch p {
		case "uuid":
			e.out = append(e.out, e.uuid()...)
		case "jwt":
			e.out = append(e.out, e.jwt()...)
		case "b64digits":
			e.out = append(e.out, base64.StdEncoding.EncodeToString(append([]byte{'1' + byte(e.rnd.IntN(9))}, e.random(17, classes["digits"])...))...)
		case "userpass":
			e.out = append(e.out, base64.StdEncoding.EncodeToString([]byte("svc:"+string(e.random(16, base62))))...)
		case "b64json":
			e.out = append(e.out, base64.RawStdEncoding.EncodeToString([]byte(fmt.Sprintf(`{"iat":%d.5,"url":"https://acme.example"}`, 1700000000+e.rnd.IntN(1e7))))...)
		default:
			return badPlaceholder(p, "write {N:CLASS}, {uuid}, {jwt}, {b64json}, {b64digits}, {userpass} or {pem:LABEL}, and {{ for a brace")
		}
		return nil
	}
	if size == "pem" || size == "pem-escaped" {
		return e.pem(p, name, size == "pem-escaped")
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 1 || n > maxPlaceholder || size[0] == '0' || size[0] == '+' {
		return badPlaceholder(p, fmt.Sprintf("the count before ':' must be a number from 1 to %d", maxPlaceholder))
	}
	if s, ok := sums[name]; ok {
		if n != s.width {
			return badPlaceholder(p, fmt.Sprintf("a %s has %d characters", name, s.width))
		}
		covered := e.last
		if s.all {
			covered = tokenTailOf(e.out)
		}
		if len(covered) == 0 {
			return badPlaceholder(p, "nothing stands before it that it could cover")
		}
		e.out = append(e.out, s.sum(covered)...)
		return nil
	}
	alphabet, ok := classes[name]
	if !ok {
		return badPlaceholder(p, "the classes are "+strings.Join(classNames(), ", "))
	}
	from := len(e.out)
	e.out = append(e.out, e.random(n, alphabet)...)
	e.last = bytes.Clone(e.out[from:])
	return nil
}

// badPlaceholder quotes at most 40 bytes: a template could be a token by
// mistake.
func badPlaceholder(p, hint string) error {
	if len(p) > 40 {
		p = p[:40] + "…"
	}
	return fmt.Errorf("template: cannot expand %q: %s", "{"+p+"}", hint)
}

func classNames() []string {
	var names []string
	for n := range classes {
		names = append(names, n)
	}
	for n := range sums {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func tokenTailOf(b []byte) []byte {
	i := len(b)
	for i > 0 && (isAlnum(b[i-1]) || strings.IndexByte("_.-", b[i-1]) >= 0) {
		i--
	}
	return b[i:]
}

func (e *expander) random(n int, alphabet string) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[e.rnd.IntN(len(alphabet))]
	}
	return b
}

func (e *expander) uuid() string {
	h := string(e.random(32, classes["hex"]))
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

func (e *expander) jwt() string {
	enc := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":"%s","iat":%d}`, e.random(10, classes["digits"]), 1700000000+e.rnd.IntN(1e7))
	return enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc([]byte(claims)) + "." + string(e.random(43, classes["b64url"]))
}

// pem makes a block that looks like a key and is none: a DER sequence header
// (or OpenSSH's magic) and random bytes.
func (e *expander) pem(p, short string, escaped bool) error {
	label, ok := pemLabels[short]
	if !ok {
		return badPlaceholder(p, "the labels are RSA, EC, DSA, PKCS8, OPENSSH, ENCRYPTED, PGP, PUBLIC, CERTIFICATE")
	}
	body := []byte{0x30, 0x82, 0x02, 0x5c}
	if short == "OPENSSH" {
		body = []byte("openssh-key-v1\x00")
	}
	for len(body) < 608 {
		body = append(body, byte(e.rnd.UintN(256)))
	}
	text := base64.StdEncoding.EncodeToString(body)
	nl := "\n"
	if escaped {
		nl = `\n`
	}
	e.out = append(e.out, "-----BEGIN "+label+"-----"+nl...)
	if short == "PGP" {
		e.out = append(e.out, nl...)
	}
	for ; len(text) > 64; text = text[64:] {
		e.out = append(e.out, text[:64]+nl...)
	}
	e.out = append(e.out, text+nl+"-----END "+label+"-----"...)
	return nil
}

func luhnDigit(b []byte) string {
	for d := byte('0'); d <= '9'; d++ {
		if CheckShape("luhn", append(bytes.Clone(b), d)).State == ShapeValid {
			return string(d)
		}
	}
	return "x" // not digits: the check will say so
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
