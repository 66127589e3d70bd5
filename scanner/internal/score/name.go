package score

import (
	"bytes"
	"slices"
	"strings"

	"github.com/quench-dev/quench/scanner/internal/assign"
)

// kinds says what sort of secret a key word names. Words of one kind speak alike.
var kinds = map[string]string{
	"password": "password", "passwd": "password", "passwords": "password", "passphrase": "password", "passcode": "password", "pwd": "password", "pass": "password", "pw": "password", "passw": "password", "passin": "password", "passout": "password",
	"secret": "secret", "secrets": "secret", "token": "token", "tokens": "token", "apitoken": "token", "authtoken": "token", "accesstoken": "token",
	"apikey": "apikey", "key": "key", "keys": "key", "nkey": "key", "accesskey": "apikey", "secretkey": "apikey", "privatekey": "apikey", "authkey": "apikey", "signingkey": "apikey", "masterkey": "apikey", "encryptionkey": "apikey", "accountkey": "apikey", "clientsecret": "secret", "appsecret": "secret", "appkey": "apikey",
	"auth": "auth", "oauth": "auth", "authorization": "auth", "authentication": "auth", "bearer": "token", "authenticity": "auth",
	"credential": "credential", "credentials": "credential", "cred": "credential", "creds": "credential",
	"seed": "seed", "otp": "seed", "totp": "seed", "salt": "seed", "nonce": "seed",
	"api": "api", "access": "api", "private": "api", "signing": "api", "encryption": "api", "master": "api", "account": "api", "client": "api", "shared": "api", "sas": "api",
}

// Words that say a name is of something else than a secret: behind the key word
// ("token_url", "key_id"), and before it ("public_key", "csrf_token").
var (
	elseLast  = words("id ids name names path paths file files filename dir folder url urls uri endpoint host port type types kind count counter len length size max min limit index idx field fields column label title text texts message messages msg hint prompt placeholder description desc desription header headers prefix suffix pattern regex regexp format formatter algorithm algorithms alg method mode policy policies strategy class service services provider providers manager factory handler helper util error errors err status state version expires expiry expiration expired ttl timeout lifetime age date time at created updated enabled enable disabled required allowed valid invalid ref reference arn param params parameter parameters var variable env option options config configuration settings map list set attribute attributes property properties prop role scope scopes user username email account issuer audience subject domain realm region number event action icon image button link page form input output view model table schema store storage cache request response source target object obj struct impl builder parser reader writer generator validator checker check test tests is has word words screen dialog tab menu panel section box char chars code codes block blocks bits bytes usage uses used lock unlock press up down left right binding board verify verification pin pins in")
	elseFirst = words("verification verify recv public pub csrf xsrf primary foreign partition sort cache object row next page continuation sync cancel cancellation design lexer syntax paren current start end first last map dict keyboard hot shortcut translation i18n locale label error err invalid missing wrong bad forgot reset change confirm enter show hide toggle validate check verify has is no not use enable disable min max feature json yaml group unique idempotency message event routing host known fingerprint thumb get set find lookup parse scan peek eof comment unknown expected any this that each every which arrow escape esc shift ctrl alt meta space tab delete registry config option options property field column index hash sub child parent node tree entry item data type state store storage cell legend color font attribute api's video stream track")
)

// digests are words of names whose values are made to be seen.
var digests = words("hash hashed digest checksum sha sha1 sha256 sha512 md5 fingerprint thumbprint signature sig crc etag integrity sum encrypted bcrypt")

func words(list string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		m[w] = true
	}
	return m
}

// telling lists the kinds, those first that say most: a secret_key is a secret.
var telling = []string{"password", "secret", "token", "apikey", "credential", "auth", "seed", "key"}

// kindOf gives the most telling kind among the words of a name, or "other".
func kindOf(ws []string) string {
	best := len(telling)
	for _, w := range ws {
		if k := kinds[w]; k != "" && k != "api" {
			best = min(best, slices.Index(telling, k))
		}
	}
	if best == len(telling) {
		return "other"
	}
	return telling[best]
}

// exchanged are words of names of secrets that a protocol derives anew each time.
var exchanged = words("shared master premaster traffic handshake exporter resumption session early ephemeral derived")

// derived reports whether a name is that of such a secret.
func derived(ws []string) bool {
	return slices.ContainsFunc(ws, func(w string) bool { return exchanged[w] })
}

// keyOfAPI reports whether a name says api, access, private and the like before key.
func keyOfAPI(ws []string) bool {
	for i, w := range ws {
		if kinds[w] == "apikey" || i > 0 && w == "key" && kinds[ws[i-1]] == "api" && ws[i-1] != "private" {
			return true
		}
	}
	return false
}

// identifiedBy is the key word of SQL that is two words, and stands for a password.
var identifiedBy, sqlName = []byte("identified by"), []byte("password")

// nameOf gives the name of a value as terms read it.
func nameOf(buf []byte, v assign.Value) []byte {
	name := buf[v.Name[0]:v.Name[1]]
	if len(name) == len(identifiedBy) && bytes.EqualFold(name, identifiedBy) {
		return sqlName
	}
	return name
}

// name adds the terms of the name: its words, and where the key word stands.
func (t *terms) name(v assign.Value, name []byte) {
	ws := t.words
	last := ""
	for i, w := range ws {
		k := kinds[w]
		switch {
		case k == "":
		case i == len(ws)-1:
			last = k
			t.add("name ends in ", k)
		case k != "api":
			t.add("name holds ", k)
		}
		if k == "" || k == "api" {
			if i == len(ws)-1 {
				t.add("last word ", w)
			} else {
				t.add("word ", w)
			}
		}
	}
	t.when(last == "" || last == "api", "name ends in another word")
	t.add("name of words ", level(len(ws), 2, 3, 4, 5))
	if last == "key" && len(ws) == 1 {
		t.add("name is key alone")
	}
	t.when(ofSomethingElse(ws), "name ends in a word for something else")
	t.when(len(ws) > 1 && (ws[len(ws)-1] == "id" || ws[len(ws)-1] == "kid"), "name ends in id")
	own := ws // of a member, config.password, what it is a member of says less
	if i := bytes.LastIndexByte(name, '.'); i >= 0 && (v.Quote != 0 || v.Op != assign.Colon) {
		t.own = appendWords(t.own[:0], name[i+1:])
		own = t.own
	}
	for i, w := range own[:max(0, len(own)-1)] {
		if elseFirst[w] && !(v.Op == assign.Call && i == 0 && w == "set") {
			t.add("name begins with a word for something else")
			break
		}
	}
	for _, w := range ws {
		if digests[w] {
			t.add("name says digest")
			break
		}
	}
	t.when(bytes.IndexByte(name, '.') >= 0 && v.Quote == 0 && v.Op == assign.Colon, "name with dots before a colon")
	t.when(len(name) > 3 && !bytes.ContainsFunc(name, func(r rune) bool { return 'a' <= r && r <= 'z' }), "name in capitals")
}

// beside adds the terms of what stands right before and behind the name.
func (t *terms) beside(buf []byte, v assign.Value) {
	if v.Name[0] > 0 {
		switch c := buf[v.Name[0]-1]; c {
		case '$':
			t.add("name after $")
		case '"', '\'', '`':
			if q := v.Name[1]; q < len(buf) && (buf[q] == c || buf[q] == '\\') {
				t.add("name in quotes")
			} else {
				t.add("name begins a quoted text")
			}
		case ':', '@':
			t.add("name after : or @")
		case '?', '&':
			t.add("name after ? or &")
		case '<':
			t.add("name after <")
		}
	}
}

// ofSomethingElse reports whether the last of a name's words says that it is no secret's.
func ofSomethingElse(ws []string) bool {
	return len(ws) > 1 && elseLast[ws[len(ws)-1]]
}

// appendWords takes a name apart at case, digits and punctuation, in lower case: at
// most the last eight, since what stands further left says little.
func appendWords(out []string, name []byte) []string {
	from, low := 0, string(lower(make([]byte, 0, assign.MaxName+1), name))
	cut := func(to int) {
		if to > from {
			out = split(out, low[from:to])
		}
		from = to
	}
	for i, c := range name {
		switch {
		case !isLetter(c):
			cut(i)
			from = i + 1
		case i > 0 && isUpper(c) && isLower(name[i-1]):
			cut(i)
		case i > 1 && isLower(c) && isUpper(name[i-1]) && isUpper(name[i-2]):
			cut(i - 1)
		}
	}
	cut(len(name))
	if n := len(out); n > 2 && out[n-1] == "base" && out[n-2] == "key" {
		out = out[:n-1] // secret_key_base, of Rails and Phoenix, is a key
	}
	return out[max(0, len(out)-8):]
}

// split takes a key word off the end of a word that is none itself: "dbpassword", not
// "compass" or "monkey".
func split(out []string, w string) []string {
	if kinds[w] == "" && !lex().has(w) {
		for _, k := range keyWords {
			if head, ok := strings.CutSuffix(w, k); ok && len(head) > 1 {
				return append(out, head, k)
			}
		}
	}
	return append(out, w)
}

var keyWords = []string{"password", "passwd", "passphrase", "pass", "pwd", "secret", "token", "key", "auth", "credential", "credentials"}

// syntax adds the terms of how the value is given.
func (t *terms) syntax(v assign.Value) {
	t.add("given by ", assign.Words[v.Op])
	switch {
	case v.Quote == 0:
		t.add("bare")
	case v.Quote == '`':
		t.add("in backquotes")
	case v.Escaped:
		t.add("in escaped quotes")
	default:
		t.add("in quotes")
	}
	t.when(v.Wrapped, "in a call or list")
	t.when(v.Scheme, "after a scheme")
	t.when(v.Flag, "given to an option")
	t.when(v.Quote != 0 && !v.Closed, "quote not closed")
}

// line adds the terms of what else stands on the line.
func (t *terms) line(buf []byte, v assign.Value) {
	left := lineLeft(buf, v.Name[0])
	trim := bytes.TrimLeft(left, " \t*-+>")
	switch {
	case bytes.HasPrefix(trim, []byte("//")), bytes.HasPrefix(trim, []byte("#")), bytes.HasPrefix(trim, []byte("/*")), bytes.HasPrefix(trim, []byte("--")), bytes.HasPrefix(trim, []byte(";")):
		t.add("in a comment")
	case len(trim) == 0 || len(trim) == 1:
		t.add("name begins the line")
	case bytes.HasPrefix(trim, []byte("export ")), bytes.HasPrefix(trim, []byte("ENV ")), bytes.HasPrefix(trim, []byte("set ")):
		t.add("exported")
	}
	var room [Aside]byte
	low := lower(room[:0], left)
	held := lineWords.in(low)
	for i, w := range lineWords.words {
		t.when(held>>i&1 != 0, "line says ", strings.TrimSpace(w))
	}
	end := v.End
	if v.Quote != 0 {
		for end < len(buf) && end < v.End+4 && (buf[end] == '\\' || buf[end] == v.Quote) {
			end++
		}
	}
	right := lineRight(buf, end)
	switch next := bytes.TrimLeft(right, " \t\r"); {
	case len(next) == 0:
		t.add("ends the line")
	case bytes.HasPrefix(next, []byte("//")), bytes.HasPrefix(next, []byte("#")), bytes.HasPrefix(next, []byte("--")):
		t.add("before a comment")
	default:
		switch c := right[0]; {
		case bytes.IndexByte([]byte(",;)]}&<|"), c) >= 0:
			t.add("before ", string(right[:1]))
		case c == ' ' && v.Quote == 0:
			t.add("bare, before a space")
		case c == ' ':
			t.add("before a space")
		case c == '.':
			t.add("before .")
		default:
			t.add("before another byte")
		}
	}
}

// lineWords are what a line says of the value on it.
var lineWords = partsOf("assert", "expect", "user", "curl", "error", "example", "mock", "host", "email", "function", "return", "const ", "label", "title", "message", "description")

// lineLeft is at most Aside bytes before pos on its line.
func lineLeft(buf []byte, pos int) []byte {
	left := buf[max(0, pos-Aside):pos]
	return left[bytes.LastIndexByte(left, '\n')+1:]
}

// lineRight is at most Aside bytes after pos on its line.
func lineRight(buf []byte, pos int) []byte {
	right := buf[min(pos, len(buf)):min(len(buf), pos+Aside)]
	if i := bytes.IndexByte(right, '\n'); i >= 0 {
		right = right[:i]
	}
	return right
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLower(c byte) bool  { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool  { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool { return isLower(c | 0x20) }
func isHex(c byte) bool    { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
