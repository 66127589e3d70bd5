// Package assign reads what a name is given: the value behind a key word.
//
// At says, of one occurrence of a key word such as "password", which name it
// belongs to, how a value is given to that name, and which bytes that value is, in
// the syntaxes people write: code, JSON, YAML, TOML, properties, shells, command
// lines, SQL, XML, addresses. It looks at one line, Reach bytes to the left
// of the word and Reach and the longest value to the right, and judges nothing:
// whether the value is a secret is package score's business. Start reading at At.
package assign

import "bytes"

// Op is how a name is given its value.
type Op uint8

// The ways. A word of each stands in the terms of package score.
const (
	None    Op = iota
	Equals     // name = value, :=, ||=, ?=, +=, <-
	Colon      // name: value, "name": value
	Arrow      // name => value
	Compare    // name == value, !=
	Call       // name("value")
	Comma      // "name", "value"
	Element    // <name>value</name>
	Pair       // name="name" value="value", {"key": "name", "value": "value"}
	Space      // --name value, PASSWORD 'value', ENV name value
	Address    // scheme://name:value@host; read by rules, not by At
)

// Words are the ways in a word each, for those who explain.
var Words = [...]string{"none", "equals", "colon", "arrow", "compare", "call", "comma", "element", "pair", "space", "address"}

// Value is a name and what it is given, as spans of the text it was found in.
type Value struct {
	Name       [2]int
	Start, End int
	Op         Op
	// Quote is the byte the value is quoted with, 0 when it is bare.
	Quote byte
	// Escaped says that the quote is written \", in a string within a string.
	Escaped bool
	// Wrapped says that a call or a bracket stands between operator and value:
	// Some("value"), []byte("value"), ["value"].
	Wrapped bool
	// Scheme says that a word such as Bearer stood before the value and was left out.
	Scheme bool
	// Flag says that the name is an option: --name.
	Flag bool
	// Closed says that a quoted value ends with its quote on this line.
	Closed bool
}

const (
	// MaxName bounds a name to either side of its key word: longer ones are not
	// written by people.
	MaxName = 64
	// maxGap bounds white space around operators: aligned columns stay below it.
	maxGap = 24
	// maxWrap bounds the name of a call around a value.
	maxWrap = 32
	// minNested and maxNested bound values in objects: shorter ones are names of
	// fields and words, and what lies further away is another thing.
	minNested, maxNested = 16, 160
	// Reach is how far from the key word's first byte a value can start: the rest
	// of the name, what closes it, a type, operators, gaps, a call and a scheme.
	Reach = MaxName + 6 + 5*maxGap + 2*maxWrap + 16 + maxNested
)

// At reads the value of the name that holds the key word buf[at:end]. A value is
// at most maxLen bytes long.
func At(buf []byte, at, end, maxLen int) (v Value, ok bool) {
	if !WordEnds(buf, end) {
		return v, false
	}
	r := reader{buf: buf, p: end, hi: min(len(buf), at+Reach)}
	for r.p < len(buf) && r.p-at < MaxName && nameByte[buf[r.p]] {
		r.p++
	}
	for r.p > end && (buf[r.p-1] == '-' || buf[r.p-1] == '.') {
		r.p--
	}
	if r.p >= len(buf) || !follows[buf[r.p]] {
		return v, false
	}
	s := at
	for s > 0 && at-s < MaxName && nameByte[buf[s-1]] {
		s--
	}
	for s < at && (buf[s] == '-' || buf[s] == '.') {
		v.Flag = v.Flag || buf[s] == '-'
		s++
	}
	v.Name = [2]int{s, r.p}
	if !r.operator(&v) || !r.opening(&v) {
		return v, false
	}
	return v, r.value(&v, maxLen)
}

// Found describes a secret that something else found: as given to the name or, where
// there is none, in an address, user:secret@host, to the user.
func Found(buf []byte, name [2]int, start, end int) Value {
	v := Value{Name: name, Start: start, End: end, Op: Pair}
	if name == [2]int{} {
		user := start - 1
		for user > 0 && start-user <= MaxName && buf[user-1] != '/' && buf[user-1] > ' ' {
			user--
		}
		v.Name, v.Op = [2]int{user, max(user, start-1)}, Address
		return v
	}
	if q := buf[start-1]; q == '"' || q == '\'' {
		v.Quote, v.Closed = q, end < len(buf) && buf[end] == q
	}
	if name[1] < len(buf) {
		switch buf[name[1]] {
		case ' ', '\t':
			v.Op = Space
		case '<':
			v.Op = Element
		}
	}
	return v
}

// WordEnds reports whether a word ends before buf[end]: another key word of the
// name, or its plural, may follow, a longer word not.
func WordEnds(buf []byte, end int) bool {
	if end >= len(buf) {
		return true
	}
	if c := buf[end]; c == 's' && (end+1 == len(buf) || !isLower(buf[end+1])) {
		return true
	}
	return !isLower(buf[end]) && (!isUpper(buf[end]) || !isUpper(buf[end-1]) || end+1 == len(buf) || isLower(buf[end+1]))
}

// reader walks to the right of a name.
type reader struct {
	buf   []byte
	p, hi int
}

func (r *reader) at(i int) byte {
	if i < r.hi && i >= 0 {
		return r.buf[i]
	}
	return '\n'
}

func (r *reader) gap() (n int) {
	for ; n < maxGap && (r.at(r.p) == ' ' || r.at(r.p) == '\t'); n++ {
		r.p++
	}
	return n
}

func (r *reader) has(s string) bool {
	if r.p+len(s) <= r.hi && string(r.buf[r.p:r.p+len(s)]) == s {
		r.p += len(s)
		return true
	}
	return false
}

// operator steps over what closes the name and what gives it a value.
func (r *reader) operator(v *Value) bool {
	quoted := false
	for n := 0; n < 4; n++ {
		switch c := r.at(r.p); {
		case c == '"' || c == '\'' || c == '`':
			quoted = true
		case c == '\\' && (r.at(r.p+1) == '"' || r.at(r.p+1) == '\''):
		case c == ']' || c == ')' && quoted || c == '?' || c == '!' && r.at(r.p+1) != '=' || c == '*':
		case c == '[' && r.at(r.p+1) == ']':
		default:
			n = 4
			continue
		}
		r.p++
	}
	spaces := r.gap()
	switch {
	case r.has("=>"):
		v.Op = Arrow
	case r.has("==="), r.has("!=="), r.has("=="), r.has("!="):
		v.Op = Compare
	case r.has("||="), r.has(":="), r.has("?="), r.has("+="), r.has("<-"), r.has("="):
		v.Op = Equals
	case r.at(r.p) == ':' && r.at(r.p+1) != ':':
		r.p++
		v.Op = Colon
		r.typed(v)
	case spaces == 0 && r.at(r.p) == '(':
		v.Op = Call
		r.p++
	case r.at(r.p) == '>' && (quoted || v.Name[0] > 0 && (r.buf[v.Name[0]-1] == '<' || r.buf[v.Name[0]-1] == ':')):
		v.Op = Element
		r.p++
	case r.pair():
		v.Op = Pair
	case r.at(r.p) == ',' && (quoted || v.Name[0] > 0 && r.buf[v.Name[0]-1] == ':'):
		v.Op = Comma
		r.p++
	case spaces > 0 && !quoted || quoted && v.Flag:
		v.Op = Space
		if !v.Flag && r.prose() && !r.command(v) {
			return false
		}
		r.preposition()
		return r.at(r.p) != '`' // names in prose stand in backquotes
	}
	return v.Op != None
}

// prose reports whether a word stands here and another after it: nothing opens a
// value then, however often key words stand in sentences. Shorter words may begin
// one: r"", new Token("").
func (r *reader) prose() bool {
	const least = 4
	n := 0
	for n < maxWrap && nameByte[r.at(r.p+n)] {
		n++
	}
	return n >= least && r.at(r.p+n) == ' '
}

// typed steps over a type between a colon and an equals sign: `token: &str = "…"`.
func (r *reader) typed(v *Value) {
	p := r.p
	r.gap()
	if r.at(r.p) == '\'' {
		r.p = p
		return
	}
	for _, w := range proofs {
		if r.has(w) {
			r.p = p
			return
		}
	}
	from := r.p
	for r.p-from < maxWrap && (nameByte[r.at(r.p)] || bytes.IndexByte([]byte("&<>[]?'|* "), r.at(r.p)) >= 0) {
		r.p++
	}
	if r.p > from && r.at(r.p) == '=' && r.at(r.p+1) != '=' && r.at(r.p+1) != '>' {
		apart := r.at(r.p-1) == ' '
		r.p++
		if c := r.at(r.p); (apart || c == ' ' || c == '"' || c == '\'' || c == '`') && r.begins() {
			v.Op = Equals
			return
		}
	}
	r.p = p
}

// proofs are the schemes of HTTP whose parameters, name="value", are made anew for
// each request: no type stands there.
var proofs = []string{"Digest ", "Hawk ", "OAuth ", "AWS4-HMAC", "Signature ", "NTLM ", "Negotiate "}

// begins reports whether a value can begin here, behind an equals sign, which also
// ends base64.
func (r *reader) begins() bool {
	p := r.p
	r.gap()
	c, next := r.at(r.p), r.at(r.p+1)
	r.p = p
	if c == '"' || c == '\'' || c == '`' {
		return bytes.IndexByte([]byte("\n\r,;)}] "), next) < 0
	}
	return bytes.IndexByte([]byte("\n\r,;)}]#<"), c) < 0
}

// preposition steps over the word of SQL before a value: BY 'value'.
func (r *reader) preposition() {
	for _, w := range []string{"by ", "BY ", "as ", "AS ", "is ", "to ", "TO "} {
		if r.has(w) {
			return
		}
	}
}

// pair steps over `, "value":` and ` value=`, the other half of a pair.
func (r *reader) pair() bool {
	p := r.p
	for n := 0; n < 4 && (r.at(r.p) == ',' || r.at(r.p) == ' ' || r.at(r.p) == '"' || r.at(r.p) == '\'' || r.at(r.p) == '\\'); n++ {
		r.p++
	}
	if r.has("value") || r.has("Value") || r.has("default") {
		for r.at(r.p) == '"' || r.at(r.p) == '\'' || r.at(r.p) == '\\' {
			r.p++
		}
		r.gap()
		if c := r.at(r.p); c == ':' || c == '=' {
			r.p++
			return true
		}
	}
	r.p = p
	return false
}

// opening steps to the first byte of the value.
func (r *reader) opening(v *Value) bool {
	r.gap()
	if v.Op == Element && r.has("<![CDATA[") {
		return true
	}
	for range 2 {
		if r.quote(v) {
			return r.at(r.p) != '{' || r.nested(v)
		}
		if r.at(r.p) == '{' && r.nested(v) {
			return true
		}
		if !r.wrapper() {
			break
		}
		v.Wrapped = true
	}
	if r.quote(v) {
		return true
	}
	// Without quotes a call holds an expression, and prose follows words.
	switch v.Op {
	case Call, Comma:
		return false
	case Space:
		return v.Flag || r.command(v)
	case Arrow, Compare:
		return true
	}
	return !v.Wrapped || r.buf[r.p-1] == '['
}

// nested steps to the longest quoted run of token characters in an object written
// after the name, as JSON or as JSON in a string: {"id": "x", "value": "…"}.
func (r *reader) nested(v *Value) bool {
	best, from := minNested-1, -1
	for i := r.p + 1; i < min(len(r.buf), r.p+maxNested) && r.buf[i] != '\n' && r.buf[i] != '}'; i++ {
		if c := r.buf[i]; c != '"' && c != '\'' {
			continue
		}
		n := i + 1
		for n < len(r.buf) && n-i < maxNested && nameByte[r.buf[n]] {
			n++
		}
		if n-i-1 > best && n < len(r.buf) && (r.buf[n] == r.buf[i] || r.buf[n] == '\\' && n+1 < len(r.buf) && r.buf[n+1] == r.buf[i]) {
			best, from = n-i-1, i
		}
		i = n - 1
	}
	if from < 0 {
		return false
	}
	v.Wrapped, v.Quote, v.Escaped = true, r.buf[from], r.buf[from-1] == '\\'
	r.p = from + 1
	return true
}

// command reports whether the words left of the name are of a command that gives
// names values after a space: Docker's ENV, set of shells, psql's \set.
func (r *reader) command(v *Value) bool {
	left := r.buf[max(0, v.Name[0]-MaxName):v.Name[0]]
	if n := len(left); n < 4 || left[n-1] != ' ' || !setterEnds[left[n-2]] {
		return false
	}
	if i := bytes.LastIndexByte(left, '\n'); i >= 0 {
		left = left[i+1:]
	}
	left = bytes.TrimLeft(left, " \t>$%#")
	for _, w := range setters {
		if string(left) == w {
			return true
		}
	}
	return false
}

// setters are the commands, as they stand at the beginning of a line.
var setters = []string{"ENV ", "ARG ", "set -x ", "set -gx ", "set -Ux ", "set -lx ", "set -xg ", "setenv ", "setx ", "\\set "}

// setterEnds are the bytes that their words end with.
var setterEnds = func() (t [256]bool) {
	for _, w := range setters {
		t[w[len(w)-2]] = true
	}
	return t
}()

// quote steps over an opening quote.
func (r *reader) quote(v *Value) bool {
	p := r.p
	for n := 0; n < 2 && isAlpha(r.at(p)) || r.at(p) == '@'; n++ {
		p++ // b"", r"", u"", @""
	}
	if r.at(p) == '\\' && (r.at(p+1) == '"' || r.at(p+1) == '\'') {
		v.Escaped = true
		p++
	}
	c := r.at(p)
	if c != '"' && c != '\'' && c != '`' {
		v.Escaped = false
		return false
	}
	if r.at(p+1) == c && r.at(p+2) == c { // Python, Scala
		p += 2
	}
	v.Quote, r.p = c, p+1
	return true
}

// wrapper steps over `Some(`, `[]byte(`, `new String(`, `[`, `{`.
func (r *reader) wrapper() bool {
	p := r.p
	if r.has("new ") || r.has("&") || r.has("*") {
	}
	r.has("[]")
	for n := 0; n < maxWrap && (nameByte[r.at(r.p)] || r.at(r.p) == ':' && n > 0); n++ {
		r.p++
	}
	if c := r.at(r.p); c == '(' || c == '[' || c == '{' {
		r.p++
		r.gap()
		if q := r.at(r.p); q == '"' || q == '\'' || q == '`' || q == '\\' || q == '[' || c == '[' && r.p == p+1 || (q == 'b' || q == 'u') && (r.at(r.p+1) == '"' || r.at(r.p+1) == '\'') {
			return true
		}
	}
	r.p = p
	return false
}

// value finds where the value ends.
func (r *reader) value(v *Value, maxLen int) bool {
	r.scheme(v)
	v.Start = r.p
	limit := min(len(r.buf), v.Start+maxLen+1)
	i := v.Start
	if v.Quote != 0 {
		for ; i < limit && r.buf[i] != '\n'; i++ {
			if r.buf[i] == v.Quote && (!v.Escaped || r.buf[i-1] == '\\') {
				v.Closed = true
				break
			}
			if r.buf[i] == '\\' && !v.Escaped && i+1 < limit && r.buf[i+1] != '\n' {
				i++
			}
		}
		i = min(i, limit)
		if v.Closed && v.Escaped {
			i--
		}
	} else {
		for i < limit && !ends[r.buf[i]] && (r.buf[i] != '&' || v.Op != Equals) {
			i++
		}
	}
	if i >= v.Start+maxLen {
		return false // longer than any value looked at
	}
	for i > v.Start && (v.Quote == 0 && (r.buf[i-1] == '.' || r.buf[i-1] == ':') || v.Quote != 0 && !v.Closed && (r.buf[i-1] == '\\' || r.buf[i-1] == '\r' || r.buf[i-1] == ' ')) {
		i--
	}
	v.End = i
	return v.End > v.Start && !r.objectKey(v)
}

// objectKey reports whether a quoted text in brackets is itself a name that is
// given a value: {"password": {"min": 8}}.
func (r *reader) objectKey(v *Value) bool {
	if !v.Wrapped || !v.Closed {
		return false
	}
	i := v.End + 1
	if v.Escaped {
		i++
	}
	for i < len(r.buf) && i < v.End+maxGap && (r.buf[i] == ' ' || r.buf[i] == '\t') {
		i++
	}
	return i < len(r.buf) && (r.buf[i] == ':' || r.buf[i] == '=' && i+1 < len(r.buf) && r.buf[i+1] == '>')
}

// scheme steps over the word that says what kind of credentials follow.
func (r *reader) scheme(v *Value) {
	for _, w := range []string{"Bearer ", "bearer ", "Basic ", "basic ", "Token ", "token ", "ApiKey ", "apikey ", "OAuth ", "Key ", "pass:"} {
		if r.has(w) {
			v.Scheme = true
			r.gap()
			return
		}
	}
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isAlpha(c byte) bool { return isLower(c | 0x20) }

const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func byteSet(s string) (t [256]bool) {
	for i := range len(s) {
		t[s[i]] = true
	}
	return t
}

var (
	nameByte = byteSet(alnum + "_-.")
	// follows are the bytes that can stand behind a name that is given a value.
	follows = byteSet("\"'`\\])?!*[ \t=:|+<%(>,")
	// ends are the bytes that end a bare value.
	ends = byteSet("\n\r\t \"'`<>,;)]}({[\\|")
)
