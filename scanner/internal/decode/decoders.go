package decode

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/quench-dev/quench/scanner/internal/runs"
)

// decoders are all encodings looked into.
var decoders = [...]decoder{
	{runSeek(runs.Base64, minBase64, couldBeBase64), runExtend(runs.Base64), minBase64, decodeBase64},
	{runSeek(runs.Hex, minHex, couldBeHex), runExtend(runs.Hex), minHex, decodeHex},
	{triggerSeek(runs.Percent, percentAt, urlByte), classExtend(urlByte), minEscaped, decodePercent},
	{triggerSeek(runs.Backslash, escapeAt, wordByte), classExtend(wordByte), minEscaped, decodeEscapes},
	{triggerSeek(runs.NUL, utf16At, nil), extendUTF16, 2 * minWide, decodeUTF16},
	{seekLine(runs.Plus, plusJoins), extendLines(plusGoesOn), minEscaped, decodeJoined},
	{seekLine(runs.Backslash, continues), extendLines(backslashGoesOn), minEscaped, decodeContinued},
}

const (
	// minBase64 is the shortest base64 run looked into: 16 bytes of secret, the
	// least the registry accepts, take 22 characters; 20 leaves room for
	// passwords of 15.
	minBase64 = 20
	minHex    = 32 // 16 bytes of secret
	minWide   = 8  // characters of a UTF-16 run: the shortest value looked at
	// minEscaped is the shortest run with an escape: the shortest value with
	// one escaped quote.
	minEscaped = 10
)

const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

var (
	hexByte  = byteSet("0123456789ABCDEFabcdef")
	urlByte  = byteSet(alnum + "%._~!*'()+-=&:/?#@,;$")
	wordByte = func() *[256]bool { // anything printable but quotes and white space
		t := byteSet("")
		for c := 0x21; c < 0x7f; c++ {
			t[c] = c != '"' && c != '\'' && c != '`'
		}
		return t
	}()
	base64Value = func() (t [256]byte) {
		for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
			t[c] = byte(i)
		}
		t['-'], t['_'] = 62, 63
		return t
	}()
	printable = func() *[256]bool {
		t := byteSet("\n\t\r")
		for c := 0x20; c < 0x7f; c++ {
			t[c] = true
		}
		return t
	}()
)

func byteSet(s string) *[256]bool {
	t := new([256]bool)
	for i := range len(s) {
		t[s[i]] = true
	}
	return t
}

// runSeek finds runs of at least n bytes of class. Most hold no text, which
// could tells from their first bytes: those are passed over, if their end is
// known and they are decoded in one piece.
func runSeek(class runs.Class, n int, could func(run []byte) bool) seeker {
	return func(t *input, p, _ int) (int, int) {
		for {
			start, end := t.Run(class, p, n)
			if start < 0 || end == len(t.text) || end-start > segmentLen || could(t.text[start:end]) {
				return start, end
			}
			p = end
		}
	}
}

func runExtend(class runs.Class) extender {
	return func(t *input, _, at int, _ bool) (int, bool) {
		at = t.End(class, at)
		return at, at < len(t.text)
	}
}

func classExtend(class *[256]bool) extender {
	return func(t *input, _, at int, _ bool) (int, bool) {
		for at < len(t.text) && class[t.text[at]] {
			at++
		}
		return at, at < len(t.text)
	}
}

// seen is how many bytes from a trigger on are needed to judge it.
const seen = 3

// triggerSeek finds runs of class around a byte that good accepts.
func triggerSeek(b runs.Class, good func(text []byte, i int) bool, class *[256]bool) seeker {
	return func(t *input, p, floor int) (int, int) {
		text := t.text
		for {
			i := t.Index(b, p)
			if i < 0 {
				return -1, len(text)
			}
			if i+seen > len(text) {
				return -1, i
			}
			if !good(text, i) {
				p = i + 1
				continue
			}
			s := i
			if class == nil {
				if s > floor && printable[text[s-1]] {
					s--
				}
				return s, 0
			}
			for s > floor && i-s < lookBack && class[text[s-1]] {
				s--
			}
			return s, 0
		}
	}
}

func percentAt(t []byte, i int) bool {
	return hexByte[t[i+1]] && hexByte[t[i+2]]
}

func escapeAt(t []byte, i int) bool {
	return (t[i+1] == 'u' || t[i+1] == 'x' || t[i+1] == 'U') && (hexByte[t[i+2]] || t[i+2] == '{')
}

// utf16At accepts a NUL whose neighbours are those of UTF-16 text in ASCII.
func utf16At(t []byte, i int) bool {
	return printable[t[i+1]] && t[i+2] == 0
}

// extendUTF16 goes on while NULs and printable bytes alternate. The start of a
// long run may have been dropped, the byte before at never is.
func extendUTF16(t *input, start, at int, _ bool) (int, bool) {
	text := t.text
	if at == len(text) {
		return at, false
	}
	nul := text[at] == 0
	if at > start {
		nul = text[at-1] != 0
	}
	for ; at < len(text); at++ {
		if nul != (text[at] == 0) || !nul && !printable[text[at]] {
			return at, true
		}
		nul = !nul
	}
	return at, false
}

// decodeUTF16 leaves the NULs out, which is right for either byte order.
func decodeUTF16(run []byte) (Segment, bool) {
	s := newSegment("utf-16", len(run)/2+1)
	for i, c := range run {
		if c != 0 {
			s.put(c, i)
		}
	}
	return s.done(run), len(s.View) >= minWide
}

// newSegment has room for all of a run of n bytes, of which decoding leaves most.
func newSegment(via string, n int) Segment {
	return Segment{Via: []string{via}, View: make([]byte, 0, n), source: make([]int32, 0, n+1)}
}

func (s *Segment) put(c byte, from int) {
	s.View = append(s.View, c)
	s.source = append(s.source, int32(from))
}

func (s *Segment) done(run []byte) Segment {
	s.source = append(s.source, int32(len(run)))
	return *s
}

// decodePercent decodes %XX (RFC 3986, section 2.1).
func decodePercent(run []byte) (Segment, bool) {
	s, n := newSegment("percent", len(run)), 0
	for i := 0; i < len(run); {
		if run[i] == '%' && i+2 < len(run) && hexByte[run[i+1]] && hexByte[run[i+2]] {
			s.put(unhex(run[i+1])<<4|unhex(run[i+2]), i)
			i, n = i+3, n+1
			continue
		}
		s.put(run[i], i)
		i++
	}
	return s.done(run), n > 0
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// decodeEscapes decodes \uXXXX, \u{X}, \UXXXXXXXX and \xXX, and the escaped
// quotes, slashes and backslashes that come with them.
func decodeEscapes(run []byte) (Segment, bool) {
	s, n := newSegment("escapes", len(run)), 0
	for i := 0; i < len(run); {
		c, size := escape(run[i:])
		if size == 0 {
			s.put(run[i], i)
			i++
			continue
		}
		if size > 2 {
			n++
		}
		var b [utf8.UTFMax]byte
		for _, x := range b[:encodeLatin(b[:], c)] {
			s.put(x, i)
		}
		i += size
	}
	return s.done(run), n > 0
}

// encodeLatin writes characters up to U+00FF as one byte, as all matching is in
// Latin-1, and others in UTF-8.
func encodeLatin(b []byte, c rune) int {
	if c < 0x100 {
		b[0] = byte(c)
		return 1
	}
	return utf8.EncodeRune(b, c)
}

// escape reads one escape at the start of b; size 0 means there is none.
func escape(b []byte) (c rune, size int) {
	if len(b) < 2 || b[0] != '\\' {
		return 0, 0
	}
	digits := 0
	switch b[1] {
	case '\\', '/':
		return rune(b[1]), 2
	case 'x':
		digits = 2
	case 'u':
		if len(b) > 2 && b[2] == '{' {
			end := bytes.IndexByte(b[:min(len(b), 12)], '}')
			if end < 4 {
				return 0, 0
			}
			n, err := strconv.ParseUint(string(b[3:end]), 16, 21)
			if err != nil {
				return 0, 0
			}
			return rune(n), end + 1
		}
		digits = 4
	case 'U':
		digits = 8
	default:
		return 0, 0
	}
	if len(b) < 2+digits {
		return 0, 0
	}
	n, err := strconv.ParseUint(string(b[2:2+digits]), 16, 32)
	if err != nil || n > utf8.MaxRune {
		return 0, 0
	}
	return rune(n), 2 + digits
}

// couldBeHex asks that the first four bytes be printable, which one digest in
// fifty is.
func couldBeHex(run []byte) bool {
	return printable[unhex(run[0])<<4|unhex(run[1])] && printable[unhex(run[2])<<4|unhex(run[3])] &&
		printable[unhex(run[4])<<4|unhex(run[5])] && printable[unhex(run[6])<<4|unhex(run[7])]
}

// decodeHex decodes pairs of hexadecimal digits.
func decodeHex(run []byte) (Segment, bool) {
	if !couldBeHex(run) {
		return Segment{}, false
	}
	s := Segment{Via: []string{"hex"}, View: make([]byte, len(run)/2)}
	if _, err := hex.Decode(s.View, run[:len(run)&^1]); err != nil || !isText(s.View) {
		return Segment{}, false
	}
	for i := range s.View {
		s.source = append(s.source, int32(2*i))
	}
	return s.done(run), true
}

// decodeBase64 decodes one segment of the standard or the URL alphabet. What
// decodes to noise was neither text nor compressed before.
func decodeBase64(run []byte) (Segment, bool) {
	packed := packedFirst(run)
	if !packed && !textFirst(run) {
		return Segment{}, false
	}
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(run, "-_") {
		if enc = base64.RawURLEncoding; bytes.ContainsAny(run, "+/") {
			return Segment{}, false
		}
	}
	if len(run)%4 == 1 {
		run = run[:len(run)-1]
	}
	// The first 12 characters tell most runs apart: random base64 decodes to
	// nine printable bytes once in 8,000 times.
	var head [9]byte
	if n, err := enc.Decode(head[:], run[:12]); err != nil || !packed && !isText(head[:n]) {
		return Segment{}, false
	}
	view := make([]byte, enc.DecodedLen(len(run)))
	n, err := enc.Decode(view, run)
	if err != nil {
		return Segment{}, false
	}
	view = view[:n]
	if packed {
		if plain, via, ok := inflate(view); ok {
			return Segment{Via: []string{"base64", via}, View: plain, whole: true}, true
		}
	}
	return Segment{Via: []string{"base64"}, View: view}, isText(view)
}

func couldBeBase64(run []byte) bool { return textFirst(run) || packedFirst(run) }

// packedFirst reports whether run begins as gzip or zlib data in base64 does.
func packedFirst(run []byte) bool {
	return run[0] == 'H' && string(run[:4]) == "H4sI" || run[0] == 'e' && (run[1] == 'J' || run[1] == 'N' || run[1] == 'A')
}

// textFirst decodes the first three bytes of a segment by table and asks that
// they be printable, which one run in twenty is by chance: hexadecimal digests
// and paths, which logs and code are full of, mostly end here.
func textFirst(run []byte) bool {
	v := uint32(base64Value[run[0]])<<18 | uint32(base64Value[run[1]])<<12 | uint32(base64Value[run[2]])<<6 | uint32(base64Value[run[3]])
	return printable[byte(v>>16)] && printable[byte(v>>8)] && printable[byte(v)]
}

// isText reports whether nearly all of b is printable ASCII or white space: one
// byte in eight may be something else, for text in other scripts.
func isText(b []byte) bool {
	odd := 0
	for _, c := range b {
		if !printable[c] {
			odd++
		}
	}
	return odd*8 <= len(b)
}
