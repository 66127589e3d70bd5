package rules

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"sort"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ShapeState is what an offline check found.
type ShapeState int

// The outcomes of a shape. Invalid means that the text is certainly not such a
// secret: the scanner drops the match. Unknown keeps it, no surer than it was.
// Harmless means that it is such a secret and yet opens nothing by itself, since it
// has expired or is encrypted: the scanner keeps it with Low confidence and says why.
const (
	ShapeUnknown ShapeState = iota
	ShapeValid
	ShapeInvalid
	ShapeHarmless
)

func (s ShapeState) String() string {
	switch s {
	case ShapeValid:
		return "valid"
	case ShapeInvalid:
		return "invalid"
	case ShapeHarmless:
		return "harmless"
	}
	return "unknown"
}

// ShapeResult is the answer of a shape: a state and, in words that fit after
// "because", what it rests on. Why never holds bytes of the secret.
type ShapeResult struct {
	State ShapeState
	Why   string
}

func valid(why string) ShapeResult   { return ShapeResult{ShapeValid, why} }
func invalid(why string) ShapeResult { return ShapeResult{ShapeInvalid, why} }
func unknown(why string) ShapeResult { return ShapeResult{ShapeUnknown, why} }

func harmless(why string) ShapeResult { return ShapeResult{ShapeHarmless, why} }

// shape is one named offline check.
type shape struct {
	doc string
	// checksum says that Valid rests on a checksum, so that a rule with this
	// shape is High unless it says otherwise.
	checksum bool
	check    func(secret []byte) ShapeResult
}

// shapes are the checks a rule can name. They see the secret, prefix included,
// and neither keep nor change it.
var shapes = map[string]shape{
	"crc32-base62":    {"last 6 bytes are the CRC-32 of the 30 before them in base 62 (GitHub, npm)", true, crc32Base62},
	"crc32-hex":       {"last 8 bytes are the CRC-32 of the 32 before the '_' in hexadecimal (Grafana)", true, crc32Hex},
	"gitlab-routable": {"last 7 bytes are the CRC-32 of all before them in base 36 (GitLab)", true, gitlabRoutable},
	"luhn":            {"digits with a Luhn check digit at the end", true, luhn},
	"jwt":             {"three base64url parts, the first two JSON, the first with alg", false, jwtShape},
	"base64-json":     {"base64 of a JSON object, after the prefix and before a signature", false, base64JSON},
	"basic-auth":      {"base64 of user:password", false, basicAuth},
	"pem":             {"a PEM block of a private key whose body is base64", false, pemShape},
	"aws-key-id":      {"4 characters of type and 16 of the base-32 alphabet, which name the account", false, awsKeyID},
	"pypi-macaroon":   {"a macaroon of pypi.org after the prefix", false, pypiMacaroon},
	"quench":          {"a token of a Quench registry: see ParseToken", true, quenchShape},
}

// CheckShape runs the shape called name on secret. A name that the loader would
// refuse is Unknown.
func CheckShape(name string, secret []byte) ShapeResult {
	s, ok := shapes[name]
	if !ok {
		return unknown("no such shape")
	}
	return s.check(secret)
}

// ShapeNames lists the shapes a rule can name, sorted.
func ShapeNames() []string {
	names := make([]string, 0, len(shapes))
	for n := range shapes {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// ShapeDoc says in a phrase what the shape called name checks.
func ShapeDoc(name string) string { return shapes[name].doc }

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base36 = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// base62Sum writes the CRC-32 (IEEE) of body in base 62, zero-padded to the six
// digits that hold any 32-bit number (62^6 > 2^32).
func base62Sum(body []byte) (out [6]byte) {
	n := crc32.ChecksumIEEE(body)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return out
}

// base36Sum is the CRC-32 (IEEE) of body in base 36, zero-padded to seven.
func base36Sum(body []byte) (out [7]byte) {
	n := crc32.ChecksumIEEE(body)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base36[n%36]
		n /= 36
	}
	return out
}

func crc32Base62(s []byte) ShapeResult {
	if len(s) < 36 {
		return invalid("too short for its checksum")
	}
	body, sum := s[len(s)-36:len(s)-6], s[len(s)-6:]
	if want := base62Sum(body); !bytes.Equal(sum, want[:]) {
		return invalid("wrong checksum")
	}
	return valid("right checksum")
}

func crc32Hex(s []byte) ShapeResult {
	if len(s) < 41 || s[len(s)-9] != '_' {
		return invalid("too short for its checksum")
	}
	body, sum := s[len(s)-41:len(s)-9], s[len(s)-8:]
	if fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) != string(sum) {
		return invalid("wrong checksum")
	}
	return valid("right checksum")
}

// gitlabRoutable checks the sum of routable tokens. The versioned form
// (….01.…) is documented; that the older one is summed alike is likely but
// not, so there a wrong sum proves nothing.
func gitlabRoutable(s []byte) ShapeResult {
	dot := bytes.LastIndexByte(s, '.')
	if dot < 0 || len(s)-dot-1 != 9 {
		return invalid("no checksum field")
	}
	if want := base36Sum(s[:len(s)-7]); bytes.Equal(s[len(s)-7:], want[:]) {
		return valid("right checksum")
	}
	if bytes.HasSuffix(s[:dot], []byte(".01")) {
		return invalid("wrong checksum")
	}
	return unknown("checksum of an older form")
}

func luhn(s []byte) ShapeResult {
	if len(s) < 2 {
		return invalid("too short for a check digit")
	}
	sum := 0
	for i := range s {
		c := s[len(s)-1-i]
		if c < '0' || c > '9' {
			return invalid("not all digits")
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
		return invalid("wrong check digit")
	}
	return valid("right check digit")
}

// jwtShape wants header and payload to be JSON objects. The signature cannot
// be checked without the key; an unsigned token ("alg":"none", empty signature)
// lets nobody in and is not a secret.
func jwtShape(s []byte) ShapeResult {
	if i := bytes.Index(s, []byte("eyJ")); i > 0 {
		s = s[i:] // a prefix before the JWT, as in ghs_<app>_<jwt>
	}
	parts := bytes.Split(s, []byte("."))
	if len(parts) != 3 || len(parts[2]) == 0 {
		return invalid("not three parts")
	}
	var head struct {
		Alg string `json:"alg"`
	}
	var claims map[string]json.RawMessage
	if !decodeJSON(parts[0], &head) || !decodeJSON(parts[1], &claims) {
		return invalid("header or payload is not JSON")
	}
	if head.Alg == "" || strings.EqualFold(head.Alg, "none") {
		return invalid("not signed")
	}
	if exp, ok := expiry(claims["exp"]); ok && exp.Before(now()) {
		return harmless("it expired on " + exp.UTC().Format(time.DateOnly))
	}
	return valid("header and payload are JSON")
}

// decodeJSON reads base64 or base64url, padded or not, of one JSON value.
func decodeJSON(b []byte, v any) bool {
	raw, ok := decode64(b)
	return ok && json.Unmarshal(raw, v) == nil
}

func decode64(b []byte) ([]byte, bool) {
	b = bytes.TrimRight(b, "=")
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(b, "-_") {
		enc = base64.RawURLEncoding
	}
	raw := make([]byte, enc.DecodedLen(len(b)))
	n, err := enc.Decode(raw, b)
	return raw[:n], err == nil
}

// base64JSON finds the base64 of a JSON object ("eyJ" or "ey" and more) in the
// secret, up to the first byte that is not base64.
func base64JSON(s []byte) ShapeResult {
	i := bytes.Index(s, []byte("ey"))
	if i < 0 {
		return invalid("no base64 of a JSON object")
	}
	s = s[i:]
	end := 0
	for end < len(s) && (isAlnum(s[end]) || s[end] == '+' || s[end] == '/') {
		end++
	}
	var obj map[string]json.RawMessage
	if !decodeJSON(s[:end], &obj) {
		return invalid("not base64 of a JSON object")
	}
	return valid("decodes to a JSON object")
}

// basicAuth decodes the credentials of HTTP Basic. Passwords that stand for
// one in documents are none.
func basicAuth(s []byte) ShapeResult {
	raw, ok := decode64(s)
	user, pass, cut := bytes.Cut(raw, []byte(":"))
	if !ok || !cut || len(user) == 0 || len(pass) == 0 || !utf8.Valid(raw) || bytes.ContainsFunc(raw, unicode.IsControl) {
		return invalid("not base64 of user:password")
	}
	low := bytes.ToLower(pass)
	if len(pass) < 4 || bytes.HasPrefix(low, []byte("pass")) || bytes.ContainsAny(pass, "<>{}$") {
		return invalid("its password is a placeholder")
	}
	// "open sesame" is the password of the RFC's own example.
	for _, w := range append([]string{"open sesame", "opensesame"}, GlobalStopWords...) {
		if bytes.Contains(low, []byte(w)) {
			return invalid("its password is a placeholder")
		}
	}
	return valid("decodes to a user name and a password")
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// pemShape reads one PEM block, its line ends real or escaped (\n in JSON and
// source code). Tools put anything between the lines; the body is what is left
// after white space, escapes, quotes and joining operators are taken out.
func pemShape(s []byte) ShapeResult {
	label, rest, ok := cutPEMLabel(s)
	if !ok || !strings.HasSuffix(label, "PRIVATE KEY") && label != "PGP PRIVATE KEY BLOCK" {
		return invalid("not a private key")
	}
	if i := bytes.Index(rest, []byte("-----END")); i >= 0 {
		rest = rest[:i]
	}
	encrypted := strings.HasPrefix(label, "ENCRYPTED") || bytes.Contains(rest, []byte("ENCRYPTED"))
	body, ok := pemBody(rest)
	if !ok {
		return invalid("its body is not base64")
	}
	if len(body) < 64 {
		return invalid("its body is too short for a key")
	}
	raw, ok := decode64(body)
	switch {
	case encrypted || ok && sshEncrypted(raw):
		return harmless("the key is encrypted with a passphrase")
	case !ok || len(raw) == 0:
		return unknown("its body is cut or damaged")
	}
	if kind := keyKind(raw); kind != "" {
		return valid("it parses as " + kind)
	}
	switch {
	case raw[0] == 0x30 || bytes.HasPrefix(raw, sshMagic):
		return valid("a private key that decodes")
	}
	return unknown("its body decodes, but not to a known kind of key")
}

func cutPEMLabel(s []byte) (label string, rest []byte, ok bool) {
	s, ok = bytes.CutPrefix(s, []byte("-----BEGIN "))
	if !ok {
		return "", nil, false
	}
	i := bytes.Index(s, []byte("-----"))
	if i < 0 {
		return "", nil, false
	}
	return string(s[:i]), s[i+5:], true
}

// pemBody joins the base64 characters of a PEM body. Header lines of encrypted
// keys ("DEK-Info: …") and PGP armour ("Version: …") are left out, as is PGP's
// own checksum line.
func pemBody(b []byte) ([]byte, bool) {
	for _, esc := range []string{`\\r`, `\\n`, `\r`, `\n`, "\r"} {
		b = bytes.ReplaceAll(b, []byte(esc), []byte("\n"))
	}
	var out []byte
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		line = unquoteLine(line)
		if bytes.Contains(line, []byte(": ")) || len(line) == 5 && line[0] == '=' {
			continue
		}
		for _, c := range line {
			switch {
			case isAlnum(c) || c == '+' || c == '/' || c == '=':
				out = append(out, c)
			case c == ' ' || c == '\t':
			default:
				return nil, false
			}
		}
	}
	return out, true
}

// unquoteLine takes off what languages put around the lines of a key: indents,
// comment signs, quotes, and a joining '+' outside of quotes, which is also a
// character of base64.
func unquoteLine(line []byte) []byte {
	const around, quotes = " \t,;\\>|#*", "\"'`"
	line = bytes.Trim(line, around)
	if head, ok := bytes.CutSuffix(line, []byte("+")); ok {
		if head = bytes.TrimRight(head, around); len(head) > 0 && bytes.IndexByte([]byte(quotes), head[len(head)-1]) >= 0 {
			line = head
		}
	}
	if tail, ok := bytes.CutPrefix(line, []byte("+")); ok {
		if tail = bytes.TrimLeft(tail, around); len(tail) > 0 && bytes.IndexByte([]byte(quotes), tail[0]) >= 0 {
			line = tail
		}
	}
	return bytes.Trim(line, around+quotes)
}

func quenchShape(s []byte) ShapeResult {
	if _, ok := ParseToken(s); !ok {
		return invalid("wrong checksum")
	}
	return valid("right checksum")
}
