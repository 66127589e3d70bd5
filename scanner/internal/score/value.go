package score

import (
	"bytes"
	"math"
	"math/bits"
	"sync"

	"github.com/quench-dev/quench/scanner/internal/assign"
	"github.com/quench-dev/quench/scanner/internal/chars"
)

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
	hex := m.hex == n && m.digits > 0 && m.digits < n && (m.lower == 0 || m.upper == 0) && n >= 8
	if hex {
		class = "hex"
	}
	if uuid(val) {
		class = "uuid"
	}
	cover, letters := language(val)
	kind, quote := kindOf(t.words), "quoted"
	if v.Quote == 0 {
		quote = "bare"
	}
	t.when(walk(t.low), "walk of the keyboard")
	// The labelled lines hold no password as people make them, and hex as tokens are
	// only as secrets, so that what is learned of length, alphabet and letters does
	// not hold of these.
	switch {
	case (v.Op == assign.Address || passwordKind(t.words)) && (asPeopleDo(val) || asPeopleDo(t.text)):
		t.add("word and digits, as people make passwords")
	case hex && n%8 == 0 && n >= 32 && !v.Wrapped && !derived(t.words) && (kind == "secret" || kind == "token" || v.Scheme || keyOfAPI(t.words)):
		t.add("hex as tokens are")
	default:
		t.shape(val, m, class, quote, kind)
		t.letters(val, class, quote, kind, cover, letters)
	}
	t.add(kind, " given by ", assign.Words[v.Op], ", ", quote)
	t.said(name)
	if n >= 8 && m.upper > 0 && m.lower > 0 && m.digits+m.spaces+m.dashes+m.base64+m.other == 0 && letters > 0 && cover*100/letters >= 65 {
		t.add("written like a name of a program")
	}
}

// shape adds the terms of the alphabet and the length of a value.
func (t *terms) shape(val []byte, m makeup, class, quote, kind string) {
	n := len(val)
	t.add("length ", level(n, 6, 8, 10, 12, 16, 20, 24, 32, 33, 40, 41, 64, 65, 128))
	t.add("made of ", class)
	t.add(class, " of ", level(n, 8, 16, 24, 32, 48))
	t.add(kind, " of ", class)
	t.add(kind, " of length ", level(n, 8, 12, 16, 24, 40))
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
	t.when(class == "hex" && n%2 == 0 && n >= 16, "hex bytes")
	t.when(n > 8, "switches ", level(m.switches*16/n, 1, 2, 4, 6, 8))
	t.add("entropy ", level(int(4*chars.Entropy(val)/math.Log2(float64(min(n, 64)))*5), 12, 14, 16, 17, 18, 19, 20))
	t.when(quote == "bare" && identifier(val), "written as a variable is")
	t.when(m.spaces > 0 && prose(val), "written as text is")
}

// letters adds the terms of how much of a value is language.
func (t *terms) letters(val []byte, class, quote, kind string, cover, letters int) {
	look := "few letters"
	if letters >= 4 && class != "hex" && class != "uuid" {
		look = levelOf("words ", cover*100/letters, 1, 25, 45, 65, 85, 100)
	}
	chance := "few pairs"
	if bits, pairs := likeChance(val); pairs >= 3 && class != "hex" {
		chance = levelOf("pairs ", int(math.Floor(bits*4)), -6, -4, -2, 0, 2, 4)
	}
	t.add(look)
	t.add(chance)
	t.add(quote, ", ", look)
	t.add(quote, ", ", chance)
	t.add(class, ", ", chance)
	t.add(kind, ", ", look)
}

// identifier reports whether val can be the name of a variable, and not a word and
// a number.
func identifier(val []byte) bool {
	if isDigit(val[0]) || isDigit(val[len(val)-1]) {
		return false
	}
	for _, c := range val {
		if !isLetter(c) && !isDigit(c) && c != '_' {
			return false
		}
	}
	return true
}

// prose reports whether val is words between spaces, as sentences are written.
func prose(val []byte) bool {
	start := true
	for _, c := range val {
		switch {
		case c == ' ':
			start = true
			continue
		case isUpper(c) && !start, isDigit(c):
			return false
		case !isLetter(c) && bytes.IndexByte([]byte(".,!?:;'\\-"), c) < 0:
			return false
		}
		start = false
	}
	return true
}

// said adds the terms of words in the value, and of the name in it.
func (t *terms) said(name []byte) {
	low := t.low
	if held := valueWords.in(low); held != 0 { // the first of them says most
		t.add(valueTerms[bits.TrailingZeros64(held)])
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
	low := spelled(val)
	if madeUp.in(low) != 0 {
		return false
	}
	cover, n := language(low)
	if cover*100 >= 65*n {
		return true
	}
	bits, _ := likeChance(low)
	return bits >= spoken
}

// spoken is from how many bits a pair of letters on letters can be a word of any
// language: random ones are below it nine times in ten.
const spoken = 0.75

// spelled gives val in small letters, with the digits and marks that people write
// for letters within words as those letters: "s3cr3t", "p@ss".
func spelled(val []byte) []byte {
	const marks, letters = "0134578@$!", "oieasttasi"
	low := bytes.ToLower(val)
	for i := 1; i+1 < len(low); i++ {
		if k := bytes.IndexByte([]byte(marks), low[i]); k >= 0 && isLetter(low[i-1]) && isLetter(low[i+1]) {
			low[i] = letters[k]
		}
	}
	return low
}

// madeUp are parts of passwords in tests and manuals, and of names of algorithms.
var madeUp = partsOf("pass", "pwd", "secret", "test", "user", "admin", "example", "token", "key", "foo", "bar", "baz", "dummy", "demo", "your", "value", "abc", "root", "guest", "default", "login", "name", "field", "string", "node", "type", "param", "input", "var", "arg", "index", "column", "base64", "base32", "sha", "utf", "rfc", "int", "uint", "float", "text", "data", "info", "http", "oauth", "version")

// valueWords are parts of values that name secrets instead of being one, and
// valueTerms the terms of each.
var (
	valueWords = partsOf("password", "passwd", "secret", "token", "apikey", "api_key", "credential", "private", "test", "key")
	valueTerms = []string{"holds a key word", "holds a key word", "holds a key word", "holds a key word", "holds a key word", "holds a key word", "holds a key word", "holds a key word", "holds test", "holds key"}
)

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

// walk finds runs of neighbours, on the keyboard or in the alphabet, over half the
// value, which is in lower case, also where letters and digits take turns: "a1b2c3d4".
func walk(low []byte) bool {
	if runs(low)*2 > len(low) {
		return true
	}
	var letters, digits [64]byte
	n, k := 0, 0
	for _, c := range low[:min(len(low), len(letters))] {
		switch {
		case isLower(c):
			letters[n] = c
			n++
		case isDigit(c):
			digits[k] = c
			k++
		}
	}
	return n > 2 && k > 2 && (runs(letters[:n])+runs(digits[:k]))*4 > 3*len(low)
}

// runs counts the bytes that lie in runs of three neighbours or more.
func runs(low []byte) (in int) {
	three := triples()
	for i := 0; i+3 <= len(low); {
		if !three.has(low[i], low[i+1], low[i+2]) {
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
	return in
}

// rows are neighbours; triples are three of them in a row.
var (
	rows    = []byte("qwertyuiop asdfghjkl zxcvbnm 1234567890 0987654321 poiuytrewq lkjhgfdsa mnbvcxz abcdefghijklmnopqrstuvwxyz zyxwvutsrqponmlkjihgfedcba qazwsx 1q2w3e4r5t")
	triples = sync.OnceValue(func() *triple {
		t := new(triple)
		for i := range len(rows) - 2 {
			if a, b, c := keyOf[rows[i]], keyOf[rows[i+1]], keyOf[rows[i+2]]; a > 0 && b > 0 && c > 0 {
				t[a][b] |= 1 << c
			}
		}
		return t
	})
)

// triple holds a bit for the third of three keys.
type triple [64][64]uint64

func (t *triple) has(a, b, c byte) bool { return t[keyOf[a]&63][keyOf[b]&63]>>(keyOf[c]&63)&1 != 0 }

// keyOf numbers the small letters and digits from 1 on; all else is 0.
var keyOf = func() (t [256]uint8) {
	for i, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789") {
		t[c] = uint8(i + 1)
	}
	return t
}()
