// Package near finds values by the name of their service.
//
// Keys of many services are 32 hexadecimal digits and nothing more. Such a value is
// one service's when that service is named near it and it is given to a name that
// holds secrets: NETLIFY_AUTH_TOKEN=…, "datadog": {"api_key": "…"}, or a header in a
// call to the service's address. Values says of one occurrence of a service's name
// which values on its line could be meant; what a value looks like is the caller's
// business, and so is what it is worth.
//
// It looks at one line, Reach bytes and a value to either side of the service's name
// and Name bytes before the value, and knows nothing of rules. Start reading at
// Search.Values.
package near

import (
	"bytes"
	"slices"

	"github.com/quench-dev/quench/scanner/internal/assign"
	"github.com/quench-dev/quench/scanner/internal/score"
)

// Search says what is looked for.
type Search struct {
	// Match gives how long a value that begins at the first byte of b is; 0 when
	// none does.
	Match func(b []byte) int
	// Has, where it is not nil, is false for a b that Match gives 0 all over: most
	// lines that name a service hold no value.
	Has func(b []byte) bool
	// Width is the longest value in bytes.
	Width int
	// Reach is how far from the service's name a value may begin or end, Name how
	// far before the value its own name is looked for, in bytes.
	Reach, Name int
	// Words are parts of names of which a value's name must have one, in lower case;
	// none ask for nothing.
	Words []string
}

// shortName is the length of a service's name below which it must be a word of its
// own: "box" is part of "textbox", and nothing else holds "cloudflare".
const shortName = 7

// Values calls f with each value near the service's name buf[at:end], and with the
// span of the name that the value is given to.
func (s *Search) Values(buf []byte, at, end int, f func(start, end int, name [2]int)) {
	if end-at < shortName && !wordAt(buf, at, end) {
		return
	}
	lo, hi := max(0, at-s.Reach-s.Width), min(len(buf), end+s.Reach+s.Width)
	if i := bytes.LastIndexByte(buf[lo:at], '\n'); i >= 0 {
		lo += i + 1
	}
	if i := bytes.IndexByte(buf[end:hi], '\n'); i >= 0 {
		hi = end + i
	}
	if s.Has != nil && !s.Has(buf[lo:hi]) {
		return
	}
	for p := lo; p < hi && p <= end+s.Reach; p++ {
		if p >= at && p < end {
			p = end - 1 // the service's name is no value
			continue
		}
		if !starts(buf, p) {
			continue
		}
		n := s.Match(buf[p:hi])
		if n == 0 || p < at && (p+n > at || p+n+s.Reach < at) {
			continue
		}
		if name, ok := s.given(buf, p); ok {
			f(p, p+n, name)
		}
		p += n - 1
	}
}

// starts reports whether a value may begin at p: where no word goes on. The letter of
// \n, \r or \t written out is no part of one.
func starts(buf []byte, p int) bool {
	if !isWord(buf[p]) && buf[p] != '/' && buf[p] != '+' && buf[p] != '-' {
		return false
	}
	if p == 0 || !isWord(buf[p-1]) {
		return true
	}
	return p >= 2 && buf[p-2] == '\\' && (buf[p-1] == 'n' || buf[p-1] == 'r' || buf[p-1] == 't')
}

// wordAt reports whether buf[at:end] is a word of its own, or a part of a name in
// camel case.
func wordAt(buf []byte, at, end int) bool {
	if at > 0 && isLetter(buf[at-1]) && (isLower(buf[at-1]) != isUpper(buf[at]) || isUpper(buf[at-1])) {
		return false
	}
	return end == len(buf) || !isLower(buf[end])
}

// given is the name that the value at p is given to, when it is one that holds
// secrets. What stands before the value in the same expression counts
// as its name: --header "X-Api-Key: …", Client("app", token="…").
func (s *Search) given(buf []byte, p int) (name [2]int, ok bool) {
	lo := max(0, p-s.Name)
	if i := bytes.LastIndexByte(buf[lo:p], '\n'); i >= 0 {
		lo += i + 1
	}
	i := back(buf, lo, p, "\"'`\\")
	j := back(buf, lo, i, " \t")
	k := back(buf, lo, j, "=:,(>[{")
	bare := k == j // after a word and a space, as in "Bearer …"
	if bare && (j == i || j == lo) {
		return name, false
	}
	k = back(buf, lo, k, "\"'`\\ \t)]}=:")
	from := k
	for from > lo && isWord(buf[from-1]) {
		from--
	}
	if bare {
		lo = from
	}
	return [2]int{from, k}, s.tells(bytes.ToLower(buf[lo:k])) && !s.otherWord(buf[from:k])
}

func back(buf []byte, lo, p int, set string) int {
	for p > lo && bytes.IndexByte([]byte(set), buf[p-1]) >= 0 {
		p--
	}
	return p
}

func (s *Search) tells(low []byte) bool {
	if len(s.Words) == 0 {
		return true
	}
	for _, w := range s.Words {
		if bytes.Contains(low, []byte(w)) {
			return true
		}
	}
	return false
}

// others are the last words of names that hold what is public or made up of such
// characters by accident.
var others = map[string]bool{
	"id": true, "ids": true, "uid": true, "uuid": true, "guid": true, "sid": true, "sha": true, "sha1": true, "sha256": true, "commit": true,
	"hash": true, "digest": true, "checksum": true, "integrity": true, "md5": true, "etag": true, "rev": true, "revision": true, "ref": true,
	"version": true, "fingerprint": true, "thumbprint": true, "url": true, "uri": true, "path": true, "file": true, "name": true, "host": true,
	"user": true, "username": true, "email": true, "account": true, "zone": true, "region": true, "project": true, "org": true, "index": true,
	"table": true, "image": true, "tag": true, "resolved": true, "signature": true, "nonce": true, "salt": true, "page": true, "bucket": true,
}

// otherWord reports whether the last word of a name is one of others, and none of
// s.Words. Words of a name are told apart by case and by what is no letter or digit.
func (s *Search) otherWord(name []byte) bool {
	end := len(name)
	for end > 0 && !isAlnum(name[end-1]) {
		end--
	}
	from := end
	for from > 0 && isAlnum(name[from-1]) && (from == end || !isUpper(name[from]) || isUpper(name[from-1])) {
		from--
	}
	word := string(bytes.ToLower(name[from:end]))
	return others[word] && !slices.Contains(s.Words, word)
}

func isLower(c byte) bool  { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool  { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool { return isLower(c | 0x20) }
func isAlnum(c byte) bool  { return isLetter(c) || '0' <= c && c <= '9' }
func isWord(c byte) bool   { return isAlnum(c) || c == '_' || c == '-' || c == '.' }

// leastKey is the points from which letters alone are a key: of 15,000 random ones of 30
// to 40 letters none had fewer than 0, names of variables and classes had -28 at most.
const leastKey = -10

// shortKey is the length below which keys are taken as they are: chance writes words.
const shortKey = 20

// Wordy reports whether a value of letters alone is the name of something. Nearly every
// key has a digit.
func Wordy(buf []byte, name [2]int, start, end int) bool {
	if end-start < shortKey || bytes.ContainsAny(buf[start:end], "0123456789") {
		return false
	}
	s := score.Sum(buf, assign.Value{Name: name, Start: start, End: end, Op: assign.Equals})
	return s.Refusal != "" || s.Points < leastKey
}
