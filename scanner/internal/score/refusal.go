package score

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/quench-dev/quench/scanner/internal/assign"
)

// minValue is the shortest value that is a secret: PINs and passwords of four
// letters protect something, shorter ones nothing.
const minValue = 4

// refusal says why val is plainly no secret, whatever else holds; "" when nothing
// does. It quotes nothing of the value.
func (t *terms) refusal(buf []byte, v assign.Value, val []byte) string {
	if r := t.ofValue(buf, v, val); r != "" {
		return r
	}
	return t.ofPlace(buf, v, val)
}

// ofValue says why the name and the value alone make it none; "" when they do not.
func (t *terms) ofValue(buf []byte, v assign.Value, val []byte) string {
	if len(val) < minValue {
		return "the value is shorter than 4 characters"
	}
	low := t.low
	t.text = nil
	switch {
	case distinct(val) <= 2:
		return "the value is one character over and over"
	case template(val, v):
		return "the value is a template or a reference"
	case jobOfAnother(buf, v, val):
		return "what stands here is judged by the rule for HTTP Basic, or is a word of tests and shells"
	case len(val) < 6 && v.Op != assign.Address && !passwordKind(t.words):
		return "the value is shorter than any token"
	case uuid(val) && ofSomethingElse(t.words):
		return "the value is a UUID"
	case bytes.HasPrefix(val, []byte("eyJ")) && bytes.IndexByte(val, '.') > 0:
		return "the value looks like a JSON Web Token, which a rule of its own judges"
	case digitsOnly(val) && !passwordKind(t.words) && v.Op != assign.Address:
		return "the value is a number"
	case bytes.Contains(val, []byte("://")), bytes.IndexByte([]byte("/.~"), val[0]) >= 0 && !padded(val), bytes.HasPrefix(val, []byte(`C:\`)):
		return "the value is an address or a path"
	case fileName(low):
		return "the value is a file name"
	case bytes.ContainsFunc(val, func(r rune) bool { return r >= 0x80 || r < 0x20 }):
		return "the value holds characters beyond ASCII"
	case bytes.Count(val, []byte(" ")) > 2:
		return "the value is a sentence"
	case numeric(val):
		return "the value is a number, a version, a date or an address"
	case notSecret[string(low)]:
		return "the value is a word that stands for none"
	case public(val, low):
		return "the value is a digest or a public key"
	case standsForNone(low):
		return "the value is a placeholder"
	case algorithm(low):
		return "the value names an algorithm"
	case stretch(val):
		return "the value is filled up with one character"
	case bytes.HasPrefix(low, []byte("urn:")):
		return "the value is a name of the Web"
	case v.Op == assign.Space && !v.Flag && v.Quote != 0 && bytes.IndexByte(val, '/') > 0 && !padded(val):
		return "the value is an address or a path"
	case v.Quote != 0 && bytes.HasPrefix(bytes.TrimLeft(val, " "), []byte("+ ")):
		return "the value is an expression of the program"
	case bytes.HasSuffix(low, []byte("4_request")):
		return "the value is the scope of a signature"
	case uuid(val) && !telltale(t.words):
		return "the value is a UUID"
	case directory(low):
		return "the value is a name in a directory"
	case v.Quote == '`' && tag(val):
		return "the value is a tag of a field"
	}
	if t.text = textIn(t.decoded[:0], val); t.text != nil && (standsForNone(t.text) || notSecret[string(t.text)] || distinct(t.text) <= 2 || wordy(t.text)) {
		return "the value is a placeholder in base64"
	}
	return t.ofName(buf, v, val)
}

// ofName says why the name makes it none; "" when it does not.
func (t *terms) ofName(buf []byte, v assign.Value, val []byte) string {
	t.squeezed = lower(t.squeezed[:0], buf[v.Name[0]:v.Name[1]])
	name := squeeze(t.squeezed[:0], t.squeezed)
	if shown.in(name) != 0 {
		return "the name is of something that is shown to everybody"
	}
	if bytes.Contains(val, []byte(`="`)) && bytes.Contains(name, []byte("authorization")) {
		return "the value is a proof made for one request"
	}
	return ""
}

// telltale reports whether a name says more than key or seed: values of maps have
// such names, too.
func telltale(ws []string) bool {
	k := kindOf(ws)
	return k != "key" && k != "seed" && k != "other" || keyOfAPI(ws)
}

// standsForNone reports whether a value in small letters is made up.
func standsForNone(low []byte) bool {
	return placeholders.in(low) != 0
}

// ofPlace says why what stands around val makes it none; "" when nothing does.
func (t *terms) ofPlace(buf []byte, v assign.Value, val []byte) string {
	left := lineLeft(buf, v.Name[0])
	switch {
	case v.Wrapped && v.Closed && oneOfSeveral(buf, v):
		return "the value is one of several arguments of a call"
	case reference(buf, v, val):
		return "the value is an expression of the program"
	case v.Name[0] > 0 && bytes.IndexByte([]byte("?&"), buf[v.Name[0]-1]) >= 0 && (bytes.Contains(left, []byte(".svg")) || bytes.Contains(left, []byte("badge"))):
		return "the value belongs to a badge, which is shown to everybody"
	case v.Op == assign.Address && bytes.Equal(val, user(buf, v)):
		return "the password is the name of the user"
	case v.Op == assign.Address && exampleHost(buf[min(len(buf), v.End+1):]):
		return "the address is one of the names kept for examples"
	case v.Op == assign.Element && v.Name[0] > 0 && buf[v.Name[0]-1] == '"' && prose(val):
		return "the value is text of an interface"
	case fingerprint(val, left) || fingerprint(val, lineRight(buf, v.End)):
		return "the value is the fingerprint of a public key"
	case v.Op == assign.Call && (!t.ownCall(buf, v) || dotted(val)):
		return "the value is the argument of a call of another name"
	case v.Wrapped && t.lookup(buf, v):
		return "the value is the argument of a call that looks something up"
	}
	return ""
}

// user is the name before a password in an address or an option: the letters,
// digits and dashes that end there.
func user(buf []byte, v assign.Value) []byte {
	from := v.Name[1]
	for from > v.Name[0] && (isLetter(buf[from-1]) || isDigit(buf[from-1]) || bytes.IndexByte([]byte("_.-"), buf[from-1]) >= 0) {
		from--
	}
	return buf[from:v.Name[1]]
}

// shown are parts of names, in small letters without punctuation, of what a page
// or a connection shows to the other side: tokens against forged requests, keys of
// handshakes, pins of public keys.
var shown = partsOf("csrf", "xsrf", "authenticitytoken", "requestverificationtoken", "websocketkey", "websocketaccept", "publickeypin", "pinnedpubkey", "dkim", "sitekey", "recaptchakey", "publishablekey", "rspauth", "publickey", "pubkey", "pagetoken", "credentialid")

// exampleHost reports whether a host begins here that RFC 2606 keeps for examples.
func exampleHost(after []byte) bool {
	end := 0
	for end < len(after) && end < 64 && (isLetter(after[end]) || isDigit(after[end]) || after[end] == '.' || after[end] == '-') {
		end++
	}
	host := "." + strings.ToLower(string(after[:end]))
	for _, s := range []string{".example.com", ".example.org", ".example.net", ".example", ".invalid"} {
		if strings.HasSuffix(host, s) {
			return true
		}
	}
	return false
}

// tag reports whether val is a tag of a field of a Go struct: json:"name".
func tag(val []byte) bool {
	i := bytes.Index(val, []byte(`:"`))
	for _, c := range val[:max(i, 0)] {
		if !isLetter(c) {
			return false
		}
	}
	return i > 0
}

// fingerprint reports whether val is as long as one of a PGP or SSH key on a line
// that speaks of such keys.
func fingerprint(val, left []byte) bool {
	if n := len(val); n != 8 && n != 16 && n != 32 && n != 40 {
		return false
	}
	for _, c := range val {
		if !isHex(c) {
			return false
		}
	}
	low := bytes.ToLower(left)
	for _, w := range []string{"gpg", "pgp", "fingerprint", "thumbprint", "keyserver", "apt-key", "recv-key"} {
		if bytes.Contains(low, []byte(w)) {
			return true
		}
	}
	return false
}

// ownCall reports whether a call is named after the secret it is given: setPassword,
// not UserPassword.of, nor one that is given the name of the user first.
func (t *terms) ownCall(buf []byte, v assign.Value) bool {
	name := nameOf(buf, v)
	several := false
	if v.Closed {
		next := bytes.TrimLeft(lineRight(buf, v.End+1), "\\\"' ")
		several = len(next) > 0 && next[0] == ','
	}
	member := name
	if i := bytes.LastIndexByte(name, '.'); i >= 0 {
		member = name[i+1:]
	}
	own := false
	t.own = appendWords(t.own[:0], member)
	for _, w := range t.own {
		own = own || kinds[w] != "" && kinds[w] != "api"
	}
	if !own || !several {
		return own || makers[string(member)] && !several
	}
	return !bytes.Contains(bytes.ToLower(name), []byte("user"))
}

// makers are members that make a value of what the name before them says.
var makers = words("of from new parse fromString fromHex fromBase64 from_string from_str valueOf create make with init decode set put value")

// lookup reports whether the call around a value is one whose argument is a name.
func (t *terms) lookup(buf []byte, v assign.Value) bool {
	p := v.Start - 1
	for p > 0 && bytes.IndexByte([]byte("\"'`\\ bu"), buf[p]) >= 0 {
		p--
	}
	if buf[p] == '[' && p > 0 { // an index
		return isLetter(buf[p-1]) || isDigit(buf[p-1]) || bytes.IndexByte([]byte("_])"), buf[p-1]) >= 0
	}
	if buf[p] != '(' {
		return false
	}
	from := p
	for from > 0 && p-from < 32 && (isLetter(buf[from-1]) || isDigit(buf[from-1]) || buf[from-1] == '_') {
		from--
	}
	t.own = appendWords(t.own[:0], buf[from:p])
	ws := t.own
	return len(ws) > 0 && (lookups[ws[0]] || lookups[ws[len(ws)-1]])
}

// lookups are the first or last words of names of calls that are given a name, a
// format or a path, and not a value.
var lookups = words("get getenv env fetch find read load lookup query select require import open encode format sprintf printf render translate trans gettext ngettext prompt ask input path file property parameter header resource element generate strip lstrip rstrip trim split replace join print log equal equals contains")

// maxDecoded is the longest base64 looked into, decoded: longer ones are no
// passwords.
const maxDecoded = 96

// textIn gives what val is the base64 of, in small letters, when that is text; nil
// when it is not. room is where it is put.
func textIn(room, val []byte) []byte {
	n := base64.StdEncoding.DecodedLen(len(val))
	if len(val) < 8 || len(val)%4 != 0 || n > maxDecoded {
		return nil
	}
	room = room[:n]
	n, err := base64.StdEncoding.Decode(room, val)
	if err != nil {
		return nil
	}
	room = bytes.TrimRight(room[:n], "\r\n")
	for i, c := range room {
		if c < 0x20 || c > 0x7e {
			return nil
		}
		if isUpper(c) {
			room[i] = c | 0x20
		}
	}
	if len(room) < minValue {
		return nil
	}
	return room
}

// wordy reports whether a text is words joined by dashes, as made-up names are:
// "test-account-key".
func wordy(text []byte) bool {
	joined := false
	for _, c := range text {
		joined = joined || c == '-' || c == '_'
		if !isLower(c) && c != '-' && c != '_' {
			return false
		}
	}
	cover, letters := language(text)
	return joined && cover*100 >= 85*letters
}

// stretch reports whether one character is repeated over and over.
func stretch(val []byte) bool {
	n := 1
	for i := 1; i < len(val); i++ {
		if n++; val[i] != val[i-1] {
			n = 1
		}
		if n == maxStretch {
			return true
		}
	}
	return false
}

// maxStretch is from how many equal characters in a row a value is filled up: of
// random letters and digits one value in ten million has so many.
const maxStretch = 6

// directory reports whether a value in small letters is a name of LDAP.
func directory(low []byte) bool {
	for _, w := range []string{"cn=", "ou=", "dc="} {
		if i := bytes.Index(low, []byte(w)); i == 0 || i > 0 && low[i-1] == ',' {
			return true
		}
	}
	return false
}

// algorithm reports whether a value in small letters is the name of an algorithm
// or of a way to log in: "aes-256-cbc", "a128cbc-hs256", "scram-sha-256".
func algorithm(low []byte) bool {
	if bytes.Contains(low, []byte("-hmac-sha")) {
		return true
	}
	known, from := 0, 0
	for i := 0; i <= len(low); i++ {
		if i < len(low) && bytes.IndexByte([]byte("-_/+. "), low[i]) < 0 {
			continue
		}
		part := low[from:i]
		from = i + 1
		switch {
		case algorithms[string(part)]:
			known++
		case !digitsOnly(part) && !isVersion(part):
			return false
		}
	}
	return known > 0
}

func isVersion(b []byte) bool { return len(b) > 1 && len(b) < 4 && b[0] == 'v' && digitsOnly(b[1:]) }

var algorithms = words("aes aes128 aes192 aes256 des 3des rc4 chacha20 xchacha20 poly1305 gcm cbc ctr ecb kw siv ccm cfb ofb xts hmac sha sha1 sha2 sha3 sha256 sha384 sha512 md5 blake2b pbkdf2 scrypt argon2 argon2id argon2i bcrypt hkdf rsa rsa1 dsa ec ecdsa eddsa ed25519 x25519 ecdh es oaep pss pkcs1 pkcs7 pbes2 pkcs5padding pkcs7padding nopadding padding secp256k1 secp256r1 prime256v1 p256 p384 p521 curve25519 hs256 hs384 hs512 rs256 rs384 rs512 es256 es384 es512 ps256 ps384 ps512 a128cbc a192cbc a256cbc a128gcm a192gcm a256gcm a128kw a192kw a256kw a128gcmkw a192gcmkw a256gcmkw scram cram ntlm gssapi kerberos sigv4 aws4 aws mtls tls s2a oauth2 oauthbearer xoauth2 spnego none with and openssl crypt")

func distinct(b []byte) (n int) {
	var seen [256]bool
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

// templates are parts of them, each with a mark in it.
var templates = partsOf("${", "{{", "}}", "<%", "%>", "#{", "$(", "%(", "$[", "@{", "{%", "\\(", "&lt;", "$$", "\\x", "\\u", "A-Z", "a-z", "0-9", "(?")

// template finds the forms in which languages and tools write "put a value here".
func template(val []byte, v assign.Value) bool {
	if !bytes.ContainsFunc(val, func(r rune) bool { return r >= 0x80 || !isLetter(byte(r)) && !isDigit(byte(r)) }) {
		return false
	}
	if templates.in(val) != 0 {
		return true
	}
	n := len(val)
	first, last := val[0], val[n-1]
	switch {
	case first == '$' && (isLetter(val[1]) || val[1] == '_'),
		first == '<' || first == '{' && last == '}' || first == '[' && last == ']' || first == '(' && last == ')',
		first == '%' && (last == '%' || isLetter(last) && n < 6),
		first == '_' && val[1] == '_' && last == '_',
		first == '@' && last == '@', first == '-',
		first == '&' && v.Quote == 0, first == '*' && v.Quote == 0:
		return true
	}
	for i := 0; i+1 < n; i++ {
		if val[i] == '%' && (val[i+1] == 's' || val[i+1] == 'd' || val[i+1] == 'v' || val[i+1] == 'q') && (i+2 == n || !isHex(val[i+2])) {
			return true
		}
		if val[i] == '{' && bytes.IndexByte(val[i:], '}') > 0 {
			return true
		}
	}
	return false
}

// reference finds a bare value that goes on as an expression: a call, an index, a
// member.
func reference(buf []byte, v assign.Value, val []byte) bool {
	if v.Quote != 0 {
		return false
	}
	if v.End < len(buf) {
		switch c := buf[v.End]; c {
		case '(', '[', '{', '<':
			return c != '<' || v.Op != assign.Element
		case '>':
			return val[len(val)-1] == '-'
		case ':':
			return v.End+1 == len(buf) || buf[v.End+1] == ' ' // "password: debug: …", a message
		case ' ':
			return v.End+1 < len(buf) && buf[v.End+1] == '{' && v.Op != assign.Space
		}
	}
	for i := range val {
		if i > 0 && (val[i] == ':' && val[i-1] == ':' || val[i] == '>' && val[i-1] == '-') {
			return true
		}
	}
	return dotted(val)
}

// jobOfAnother finds what looks like an assignment and is known to be none:
// credentials of HTTP Basic, which a rule of their own decodes and judges; lines of
// test logs ("--- PASS: name (0.1s)"); the shell's working folder.
func jobOfAnother(buf []byte, v assign.Value, val []byte) bool {
	switch string(buf[v.Name[0]:v.Name[1]]) {
	case "PASS":
		return v.Op == assign.Colon && v.Quote == 0
	case "OLDPWD":
		return true
	}
	if !v.Scheme {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(string(val))
	return err == nil && bytes.IndexByte(raw, ':') > 0 && !bytes.ContainsFunc(raw, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// oneOfSeveral reports whether a call around the value goes on after it.
func oneOfSeveral(buf []byte, v assign.Value) bool {
	open := v.Start - 2
	if v.Escaped {
		open--
	}
	if open < 0 || buf[open] != '(' {
		return false
	}
	next := bytes.TrimLeft(lineRight(buf, v.End+1), "\\\"' ")
	return len(next) > 0 && next[0] == ','
}

func digitsOnly(val []byte) bool {
	for _, c := range val {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

// passwordKind reports whether a name of such words is that of a password, which may
// be digits.
func passwordKind(ws []string) bool {
	for _, w := range ws {
		if kinds[w] == "password" || w == "pin" || w == "secret" {
			return true
		}
	}
	return false
}

// dotted reports whether v is made of names joined by dots: a field or method of a
// program, a host name.
func dotted(v []byte) bool {
	if bytes.IndexByte(v, '.') < 0 {
		return false
	}
	for part := range bytes.SplitSeq(v, []byte(".")) {
		if len(part) == 0 || isDigit(part[0]) || len(part) > 40 {
			return false
		}
		for _, c := range part {
			if !isLetter(c) && !isDigit(c) && c != '_' && c != '-' && c != '?' && c != '!' && c != '$' && c != '@' {
				return false
			}
		}
		if cover, letters := language(part); letters > 3 && cover*2 < letters {
			return false
		}
	}
	return true
}

func padded(val []byte) bool {
	return val[len(val)-1] == '=' || len(val) > 24 && val[0] == '/' && bytes.IndexByte(val[1:], '/') < 0
}

var extensions = []string{".pem", ".key", ".crt", ".cer", ".p12", ".pfx", ".jks", ".json", ".yml", ".yaml", ".txt", ".xml", ".html", ".conf", ".cfg", ".ini", ".properties",
	".md", ".js", ".ts", ".py", ".rb", ".go", ".php", ".java", ".sh", ".env", ".png", ".svg", ".jpg", ".css", ".log", ".pub", ".asc", ".gpg", ".com", ".org", ".net", ".io", ".local"}

func fileName(low []byte) bool {
	if bytes.IndexByte(low, '.') < 0 {
		return false
	}
	for _, e := range extensions {
		if bytes.HasSuffix(low, []byte(e)) {
			return true
		}
	}
	return false
}

// numeric finds numbers with something in them: 1.2.3, 2020-01-02, 0x1f, 10ms. Bare
// digits may be a password. Ranges of versions are such, too: "^1.2 || ~3.4".
func numeric(val []byte) bool {
	digits, other := 0, 0
	for _, c := range val {
		switch {
		case isDigit(c):
			digits++
		case bytes.IndexByte([]byte(".-:/+_TZ, ^~<>=|*"), c) >= 0:
			other++
		default:
			if len(val) > 2 && val[0] == '0' && (val[1] == 'x' || val[1] == 'X') && len(val) <= 18 {
				return true
			}
			return digits > 0 && digits+2 >= len(val) && len(val) < 8 && isLetter(val[len(val)-1]) && !isLetter(val[0])
		}
	}
	return other > 0
}

// notSecret are words that say there is no value here, or name the thing itself.
var notSecret = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range []string{"true", "false", "null", "none", "undefined", "string", "number", "object", "boolean", "bool", "integer", "bytes", "array", "function", "self", "this", "required", "optional", "enabled", "disabled",
		"default", "unknown", "empty", "unset", "blank", "hidden", "masked", "password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "basic", "bearer", "digest", "oauth", "oauth2", "key", "auth", "authorization", "user", "username", "test", "text", "value", "name", "type", "email", "admin", "root", "nil", "yes", "await", "const", "return", "credentials", "include", "same-origin", "omit", "mypassword", "mysecret", "mytoken", "secretkey", "secret_key", "private", "public", "sha256", "sha1", "md5", "rsa", "ed25519", "env", "file", "vault", "prompt", "ask", "input", "read", "write", "not", "new", "latin1", "utf8", "utf-8", "utf16", "utf-16", "ascii", "iso-8859-1", "base64", "hex", "base32", "not-secret", "s3cr3t", "pswd", "passw", "psswd", "passwrd"} {
		m[w] = true
	}
	return m
}()

// placeholders are parts of made-up values.
var placeholders = partsOf("example", "xxxx", "placeholder", "changeme", "change_me", "change-me", "change_this", "changethis", "your_", "your-", "yourpass", "yoursecret", "yourtoken", "yourkey", "yourapi",
	"dummy", "mock", "redacted", "sample", "notreal", "not-real", "not_real", "fake", "insert", "replace", "todo", "_here", "-here", "tokenhere", "keyhere", "...", "****", "####", "____", "process.env", "getenv", "os.environ", "my-secret", "my_secret", "<your", "foobar", "lorem", "1234567890", "abcdefgh", "deadbeef", "0000000", "blahblah", "undefined", "yyyy-mm")

// public finds what says itself that it is no secret: digests of passwords and
// files, public keys, certificates.
func public(val, low []byte) bool {
	if n := digestNames.of(low); n > 0 && len(low) > n && bytes.IndexByte([]byte(":-$_="), low[n]) >= 0 {
		return true
	}
	if digestForms.of(low) > 0 || publicKeys.of(val) > 0 {
		return true
	}
	return bytes.IndexByte(low, '$') > 0 && (bytes.Contains(low, []byte(":$apr1$")) || bytes.Contains(low, []byte(":$2y$")))
}

var (
	digestNames = prefixesOf("sha1", "sha256", "sha384", "sha512", "md5")
	digestForms = prefixesOf("$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$", "$argon2", "$apr1$", "{ssha}", "{sha}", "sha256//", "{md5}", "{crypt}", "pbkdf2", "bcrypt", "ssh-rsa", "ssh-ed25519", "ssh-dss", "ecdsa-sha2", "-----begin", "h1:")
	publicKeys  = prefixesOf("AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "MIIBIjANBg", "MIGfMA0GCSq", "MIICIjANBg", "MFkwEwYHKo", "LS0tLS1CRUdJTi")
)
