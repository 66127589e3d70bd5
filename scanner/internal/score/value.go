package score

import (
	"bytes"
	"encoding/base64"
	"math"
	"sync"

	"github.com/quench-dev/quench/scanner/internal/assign"
)

// minValue is the shortest value that is a secret: PINs and passwords of four
// letters protect something, shorter ones nothing.
const minValue = 4

// refusal says why val is plainly no secret, whatever else holds; "" when nothing
// does. It quotes nothing of the value.
func (t *terms) refusal(buf []byte, v assign.Value, val []byte) string {
	if len(val) < minValue {
		return "the value is shorter than 4 characters"
	}
	low := t.low
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
	case v.Wrapped && v.Closed && oneOfSeveral(buf, v):
		return "the value is one of several arguments of a call"
	case bytes.HasPrefix(val, []byte("eyJ")) && bytes.IndexByte(val, '.') > 0:
		return "the value looks like a JSON Web Token, which a rule of its own judges"
	case digitsOnly(val) && !passwordKind(t.words) && v.Op != assign.Address:
		return "the value is a number"
	case reference(buf, v, val):
		return "the value is an expression of the program"
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
	}
	for _, w := range placeholders {
		if bytes.Contains(low, []byte(w)) {
			return "the value is a placeholder"
		}
	}
	return ""
}

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
var templates = []string{"${", "{{", "}}", "<%", "%>", "#{", "$(", "%(", "$[", "@{", "{%", "\\(", "&lt;", "$$", "\\x", "\\u", "A-Z", "a-z", "0-9", "(?"}

// template finds the forms in which languages and tools write "put a value here".
func template(val []byte, v assign.Value) bool {
	if !bytes.ContainsFunc(val, func(r rune) bool { return r >= 0x80 || !isLetter(byte(r)) && !isDigit(byte(r)) }) {
		return false
	}
	for _, s := range templates {
		if bytes.Contains(val, []byte(s)) {
			return true
		}
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
	case "PWD", "OLDPWD":
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
// digits may be a password.
func numeric(val []byte) bool {
	digits, other := 0, 0
	for _, c := range val {
		switch {
		case isDigit(c):
			digits++
		case bytes.IndexByte([]byte(".-:/+_TZ, "), c) >= 0:
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
		"default", "unknown", "empty", "unset", "blank", "hidden", "masked", "password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "basic", "bearer", "digest", "oauth", "oauth2", "key", "auth", "authorization", "user", "username", "test", "text", "value", "name", "type", "email", "admin", "root", "nil", "yes", "await", "const", "return", "credentials", "include", "same-origin", "omit", "mypassword", "mysecret", "mytoken", "secretkey", "secret_key", "private", "public", "sha256", "sha1", "md5", "rsa", "ed25519", "env", "file", "vault", "prompt", "ask", "input", "read", "write", "not", "new"} {
		m[w] = true
	}
	return m
}()

// placeholders are parts of made-up values.
var placeholders = []string{"example", "xxxx", "placeholder", "changeme", "change_me", "change-me", "change_this", "changethis", "your_", "your-", "yourpass", "yoursecret", "yourtoken", "yourkey", "yourapi",
	"dummy", "redacted", "sample", "notreal", "not-real", "not_real", "fake", "insert", "replace", "todo", "_here", "-here", "tokenhere", "keyhere", "...", "****", "####", "____", "process.env", "getenv", "os.environ", "my-secret", "my_secret", "<your", "foobar", "lorem", "1234567890", "abcdefgh", "deadbeef", "0000000", "blahblah", "undefined"}

// public finds what says itself that it is no secret: digests of passwords and
// files, public keys, certificates.
func public(val, low []byte) bool {
	for _, p := range []string{"sha1", "sha256", "sha384", "sha512", "md5"} {
		if bytes.HasPrefix(low, []byte(p)) && len(low) > len(p) && bytes.IndexByte([]byte(":-$_="), low[len(p)]) >= 0 {
			return true
		}
	}
	for _, p := range []string{"$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$", "$argon2", "$apr1$", "{ssha}", "{sha}", "{md5}", "{crypt}", "pbkdf2", "bcrypt", "ssh-rsa", "ssh-ed25519", "ssh-dss", "ecdsa-sha2", "-----begin", "h1:"} {
		if bytes.HasPrefix(low, []byte(p)) {
			return true
		}
	}
	for _, p := range []string{"AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "MIIBIjANBg", "MIGfMA0GCSq", "MIICIjANBg", "MFkwEwYHKo", "LS0tLS1CRUdJTi"} {
		if bytes.HasPrefix(val, []byte(p)) {
			return true
		}
	}
	return false
}

// makeup counts what a value is made of.
type makeup struct {
	lower, upper, digits, spaces, dashes, base64, other, hex, switches int
}

func makeupOf(val []byte) (m makeup) {
	last := byte(0)
	for _, c := range val {
		kind := byte('o')
		switch {
		case isLower(c):
			m.lower++
			kind = 'a'
		case isUpper(c):
			m.upper++
			kind = 'A'
		case isDigit(c):
			m.digits++
			kind = '0'
		case c == ' ':
			m.spaces++
		case c == '-' || c == '_':
			m.dashes++
		case c == '+' || c == '/' || c == '=':
			m.base64++
		default:
			m.other++
		}
		if isHex(c) {
			m.hex++
		}
		if last != 0 && kind != last {
			m.switches++
		}
		last = kind
	}
	return m
}

// class names the alphabet of the letters and digits.
func (m makeup) class() string {
	s := ""
	if m.lower > 0 {
		s += "a"
	}
	if m.upper > 0 {
		s += "A"
	}
	if m.digits > 0 {
		s += "0"
	}
	if s == "" {
		return "punctuation"
	}
	return s
}

// value adds the terms of the value itself, and some of value and name together.
func (t *terms) value(v assign.Value, val, name []byte) {
	m := makeupOf(val)
	n := len(val)
	class := m.class()
	hex := m.hex == n && m.digits > 0 && (m.lower == 0 || m.upper == 0) && n >= 8
	if hex {
		class = "hex"
	}
	if uuid(val) {
		class = "uuid"
	}
	length := level(n, 6, 8, 10, 12, 16, 20, 24, 32, 33, 40, 41, 64, 65, 128)
	t.add("length ", length)
	t.add("made of ", class)
	t.add(class, " of ", level(n, 8, 16, 24, 32, 48))
	t.when(m.spaces > 0, "with spaces")
	t.when(m.dashes > 0, "with - or _")
	t.when(m.dashes > 2, "with many - or _")
	t.when(m.base64 > 0, "with + / or =")
	t.when(m.other > 0, "with punctuation")
	t.when(m.other*4 > n, "with much punctuation")
	t.when(bytes.IndexByte(val, '.') >= 0, "with a dot")
	t.when(bytes.IndexByte(val, ':') >= 0, "with a colon")
	t.when(bytes.IndexByte(val, '\\') >= 0, "with a backslash")
	t.when(bytes.ContainsAny(val, "()[]"), "with brackets")
	t.when(bytes.IndexByte(val, '@') >= 0, "with @")
	t.when(val[n-1] == '=' && n%4 == 0, "padded as base64")
	t.when(hex && n%2 == 0 && n >= 16, "hex bytes")
	t.when(n > 8, "switches ", level(m.switches*16/n, 1, 2, 4, 6, 8))
	t.when(walk(t.low), "walk of the keyboard")

	cover, letters := language(val)
	look := "few letters"
	if letters >= 4 && class != "hex" && class != "uuid" {
		look = levelOf("words ", cover*100/letters, 1, 25, 45, 65, 85, 100)
	}
	people := letters > 0 && cover*100/letters >= 65 && asPeopleDo(val) && (v.Op == assign.Address || passwordKind(t.words))
	if people {
		look = "word and digits, as people make passwords"
	}
	t.add(look)
	chance := "few pairs"
	if people {
		chance = "pairs of a word"
	} else if x, pairs := likeChance(val); pairs >= 3 && class != "hex" {
		chance = levelOf("pairs ", int(math.Floor(x*4)), -6, -4, -2, 0, 2, 4)
	}
	t.add(chance)
	quote := "quoted"
	if v.Quote == 0 {
		quote = "bare"
	}
	t.add(quote, ", ", look)
	t.add(quote, ", ", chance)
	t.add(class, ", ", chance)
	kind := "other"
	for _, w := range t.words {
		if k := kinds[w]; k != "" && k != "api" {
			kind = k
		}
	}
	t.add(kind, " of ", class)
	t.add(kind, ", ", look)
	t.add(kind, " of length ", level(n, 8, 12, 16, 24, 40))
	t.add(kind, " given by ", assign.Words[v.Op], ", ", quote)
	t.add("entropy ", level(int(4*entropy(val)/math.Log2(float64(min(n, 64)))*5), 12, 14, 16, 17, 18, 19, 20))
	t.said(name)
	if n >= 8 && m.upper > 0 && m.lower > 0 && m.digits+m.spaces+m.dashes+m.base64+m.other == 0 && letters > 0 && cover*100/letters >= 65 {
		t.add("written like a name of a program")
	}
}

// said adds the terms of words in the value, and of the name in it.
func (t *terms) said(name []byte) {
	low := t.low
	for _, w := range valueWords {
		if bytes.Contains(low, []byte(w[0])) {
			t.add(w[1])
			break
		}
	}
	if len(name) > 3 {
		t.squeezed = squeeze(t.squeezed[:0], low)
		k := len(t.squeezed)
		t.squeezed = lower(t.squeezed, squeeze(nil, name))
		t.when(bytes.Contains(t.squeezed[:k], t.squeezed[k:]), "holds its name")
	}
}

// asPeopleDo reports whether val is made as people make passwords that they must
// remember: a word, then digits or a mark, and nothing of those that stand for a
// password in tests and manuals.
func asPeopleDo(val []byte) bool {
	if len(val) < 6 || len(val) > 24 || !isLetter(val[0]) {
		return false
	}
	letters, digits, marks := 0, 0, 0
	for _, c := range val {
		switch {
		case isLetter(c):
			letters++
		case isDigit(c):
			digits++
		case bytes.IndexByte([]byte("!@#$%&*?+"), c) >= 0:
			marks++
		default:
			return false
		}
	}
	last := val[len(val)-1]
	if letters < 3 || digits+marks == 0 || marks > 3 || digits == 0 && isLetter(last) {
		return false
	}
	low := bytes.ToLower(val)
	for _, w := range madeUp {
		if bytes.Contains(low, []byte(w)) {
			return false
		}
	}
	return true
}

// madeUp are parts of passwords in tests and manuals, and of names of algorithms.
var madeUp = []string{"pass", "pwd", "secret", "test", "user", "admin", "example", "token", "key", "foo", "bar", "baz", "dummy", "demo", "your", "value", "abc", "root", "guest", "default", "login", "name", "field", "string", "node", "type", "param", "input", "var", "arg", "index", "column", "base64", "base32", "sha", "utf", "rfc", "int", "uint", "float", "text", "data", "info", "http", "oauth", "version"}

// valueWords are parts of values that name secrets instead of being one.
var valueWords = [][2]string{
	{"password", "holds a key word"}, {"passwd", "holds a key word"}, {"secret", "holds a key word"}, {"token", "holds a key word"},
	{"apikey", "holds a key word"}, {"api_key", "holds a key word"}, {"credential", "holds a key word"}, {"private", "holds a key word"},
	{"test", "holds test"}, {"key", "holds key"},
}

// squeeze appends the letters and digits of b.
func squeeze(out, b []byte) []byte {
	for _, c := range b {
		if isLetter(c) || isDigit(c) {
			out = append(out, c)
		}
	}
	return out
}

func uuid(v []byte) bool {
	if len(v) != 36 {
		return false
	}
	for i, c := range v {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !isHex(c) {
			return false
		}
	}
	return true
}

func entropy(b []byte) float64 {
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	h, n := 0.0, float64(len(b))
	for _, k := range count {
		if k > 0 {
			p := float64(k) / n
			h -= p * math.Log2(p)
		}
	}
	return h
}

// walk finds runs of neighbours, on the keyboard or in the alphabet, over half the
// value, which is in lower case.
func walk(low []byte) bool {
	in, three := 0, triples()
	for i := 0; i+3 <= len(low); {
		if !three[[3]byte(low[i:])] {
			i++
			continue
		}
		j := i + 4
		for j <= len(low) && low[j-1] != ' ' && bytes.Contains(rows, low[i:j]) {
			j++
		}
		in += j - 1 - i
		i = j - 1
	}
	return in*2 > len(low)
}

// rows are neighbours; triples are three of them in a row.
var (
	rows    = []byte("qwertyuiop asdfghjkl zxcvbnm 1234567890 0987654321 poiuytrewq lkjhgfdsa mnbvcxz abcdefghijklmnopqrstuvwxyz qazwsx 1q2w3e4r5t")
	triples = sync.OnceValue(func() map[[3]byte]bool {
		m := map[[3]byte]bool{}
		for i := range len(rows) - 2 {
			if t := [3]byte(rows[i:]); bytes.IndexByte(t[:], ' ') < 0 {
				m[t] = true
			}
		}
		return m
	})
)
