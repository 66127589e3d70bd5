package scanner

import (
	"bytes"

	"github.com/quench-dev/quench/rules"
)

// assignment decides a KindAssignment rule from the value backwards: a value,
// an operator to its left, and a name that holds a keyword left of that. Logs
// and code hold a keyword on half their lines and such a value on few, so
// starting at the keyword would cost most of the time for nothing.
type assignment struct {
	rule     *rules.Rule
	keywords [][]byte // lower case
	maxLen   int
}

const (
	// minValue is the shortest value looked at: shorter ones are words and
	// numbers far more often than secrets.
	minValue = 8
	// defaultMaxValue bounds values of rules that name no maxlen. Longer
	// values are certificates, blobs and paragraphs.
	defaultMaxValue = 256
	// maxName bounds the name left of the operator, and the white space around
	// it is bounded by maxGap: aligned columns of configuration files stay
	// below it.
	maxName = 64
	maxGap  = 24
)

func newAssignment(r *rules.Rule) *assignment {
	a := &assignment{rule: r, maxLen: r.MaxLen}
	if a.maxLen == 0 {
		a.maxLen = defaultMaxValue
	}
	for _, k := range r.Keywords {
		a.keywords = append(a.keywords, lowerASCII([]byte(k)))
	}
	return a
}

// width is how far a decision at a value's first byte can look to either side.
func (a *assignment) width() int { return max(a.maxLen+2, maxName+2*maxGap+8) }

// find calls f for every assignment whose value starts in buf[lo:hi].
func (a *assignment) find(buf []byte, lo, hi int, f func(raw)) {
	for i := lo; i < hi; i++ {
		if !valueStart(buf, i) {
			continue
		}
		if m, refusal := a.decide(buf, i); refusal == "" {
			f(m)
		}
	}
}

// valueStart reports whether a value could start at i: a token run does, or
// goes on behind an operator that is a token character itself.
func valueStart(buf []byte, i int) bool {
	return valueByte[buf[i]] && (i == 0 || !valueByte[buf[i-1]] || buf[i-1] == '=' || buf[i-1] == ':')
}

// decide looks at the value that starts at s.
func (a *assignment) decide(buf []byte, s int) (m raw, refusal string) {
	end, quoted, ok := a.value(buf, s)
	switch {
	case !ok:
		return raw{}, "no value of a usual length starts here"
	case end-s < minValue:
		return raw{}, "the value is shorter than 8 characters"
	}
	name, ok := nameLeftOf(buf, s, quoted)
	if !ok {
		return raw{}, "no name is assigned this value"
	}
	if !a.named(name) {
		return raw{}, "no keyword is a word of the name it is assigned to"
	}
	v := buf[s:end]
	// From here on a refusal keeps the name, so that it can be explained.
	m = raw{rule: a.rule, start: s, end: end, entropy: Entropy(v), key: string(name), confidence: a.rule.Confidence,
		why: []string{"assigned to " + string(name)}}
	if refusal = implausible(v, quoted); refusal != "" {
		return m, refusal
	}
	if end < len(buf) && !quoted && (buf[end] == '(' || buf[end] == '[' || buf[end] == '{') {
		return m, "the value is a call or an index"
	}
	return m, random(m, v)
}

// value gives the end of the value at s: up to the closing quote when an
// opening one stands before it, else up to the end of the token run.
func (a *assignment) value(buf []byte, s int) (end int, quoted, ok bool) {
	limit := min(len(buf), s+a.maxLen+1)
	if s > 0 && (buf[s-1] == '"' || buf[s-1] == '\'' || buf[s-1] == '`') {
		for end = s; end < limit; end++ {
			switch c := buf[end]; {
			case c == buf[s-1], c == '\\' && end+1 < len(buf) && buf[end+1] == buf[s-1]:
				return end, true, true
			case c == '\n' || c == ' ' || c == '\\' || c < 0x20 || c >= 0x7f:
				return 0, true, false
			}
		}
		return 0, true, false
	}
	for end = s; end < limit && valueByte[buf[end]]; end++ {
	}
	if end == limit && limit < len(buf) {
		return 0, false, false // longer than any value looked at
	}
	for end > s && (buf[end-1] == '.' || buf[end-1] == ':') {
		end-- // the end of a sentence, not of the value
	}
	return end, false, true
}

// nameLeftOf finds `name op` before the value at s, on the same line.
func nameLeftOf(buf []byte, s int, quoted bool) ([]byte, bool) {
	i := s
	if quoted {
		i--
		if i > 0 && buf[i-1] == '\\' {
			i-- // a string inside a string
		}
		for i > 0 && isLetter(buf[i-1]) && s-i < 3 {
			i-- // string prefixes: b"", r"", u"", f""
		}
	}
	i = skipGap(buf, i)
	j := skipOperator(buf, i)
	if j == i {
		return nil, false
	}
	j = skipGap(buf, j)
	if j > 0 && (buf[j-1] == '"' || buf[j-1] == '\'' || buf[j-1] == '`') {
		j--
		if j > 0 && buf[j-1] == '\\' {
			j--
		}
	} else if j > 1 && buf[j-1] == ']' { // config["name"] = value
		if j--; buf[j-1] == '"' || buf[j-1] == '\'' {
			j--
		}
	}
	k := j
	for k > 0 && j-k < maxName && nameByte[buf[k-1]] {
		k--
	}
	return buf[k:j], j-k >= 3
}

func skipGap(buf []byte, i int) int {
	for n := 0; i > 0 && n < maxGap && (buf[i-1] == ' ' || buf[i-1] == '\t'); n++ {
		i--
	}
	return i
}

// skipOperator steps left over one assignment operator: = : := => ?= ||= <-
// but not a comparison, which compares more often than it holds a secret.
func skipOperator(buf []byte, i int) int {
	for _, op := range [...]string{"||=", "==", "!=", "<=", ">=", ":=", "=>", "?=", "+=", "<-", "::", "=", ":"} {
		if i >= len(op) && string(buf[i-len(op):i]) == op {
			switch op {
			case "==", "!=", "<=", ">=", "::":
				return i
			}
			return i - len(op)
		}
	}
	return i
}

// named reports whether a keyword stands in name as a word or at its end:
// "db_password" and "authToken", not "keyboard", "tokenizer" or "AUTHOR".
func (a *assignment) named(name []byte) bool {
	low := lowerASCII(name)
	for _, k := range a.keywords {
		for from := 0; ; {
			i := bytes.Index(low[from:], k)
			if i < 0 {
				break
			}
			i += from
			if end := i + len(k); end == len(low) || wordEnds(name, end) {
				return true
			}
			from = i + 1
		}
	}
	return false
}

// wordEnds reports whether a word ends before name[end], of which end > 0.
func wordEnds(name []byte, end int) bool {
	return !isLetter(name[end]) || isUpper(name[end]) && !isUpper(name[end-1])
}

// implausible says why v is plainly not a random value: words, references to
// variables, paths, identifiers of other things.
func implausible(v []byte, quoted bool) string {
	var digits, lowers, uppers, others int
	for _, c := range v {
		switch {
		case isDigit(c):
			digits++
		case isUpper(c):
			uppers++
		case isLetter(c):
			lowers++
		default:
			others++
		}
	}
	switch {
	case digits == len(v):
		return "the value is a number"
	case digits == 0 && (uppers == 0 || lowers == 0 || !quoted):
		return "the value is made of words"
	case bytes.ContainsAny(v, "<>{}$%*()[]|,;"), bytes.Contains(v, []byte("://")), bytes.Contains(v, []byte("...")):
		return "the value is a template, an expression or an address"
	case bytes.IndexByte([]byte("-/.@#&"), v[0]) >= 0:
		return "the value begins like an option, a path or a reference"
	case isUUID(v):
		return "the value is a UUID"
	case !quoted && dotted(v):
		return "the value is made of names joined by dots"
	case others*3 >= len(v):
		return "the value is mostly punctuation"
	}
	return ""
}

// dotted reports whether v is made of names joined by dots: a field or method
// of a program, a host name, a file name.
func dotted(v []byte) bool {
	if bytes.IndexByte(v, '.') < 0 {
		return false
	}
	for _, part := range bytes.Split(v, []byte(".")) {
		if len(part) == 0 || isDigit(part[0]) || Entropy(part) > 3.6 {
			return false
		}
	}
	return true
}

func isUUID(v []byte) bool {
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

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isUpper(c byte) bool  { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isHex(c byte) bool    { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

var (
	valueByte = byteSet(alnum + "_-+/=.~!@#^&:")
	nameByte  = byteSet(alnum + "_-.")
)

const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func byteSet(s string) (t [256]bool) {
	for i := range len(s) {
		t[s[i]] = true
	}
	return t
}
