package scanner

import (
	"encoding/base64"
)

const (
	// minEncoded is the shortest base64 run looked into: 16 bytes of secret, the
	// least the registry accepts, take 22 characters; 20 leaves room for
	// passwords of 15.
	minEncoded = 20
	// A longer run is looked into in pieces of segmentLen that begin every
	// segmentStep, both multiples of 4 so that each piece decodes by itself;
	// the overlap of 16 KB is wider than any rule's window once decoded.
	segmentLen  = 64 << 10
	segmentStep = 48 << 10
)

var base64Byte = byteSet(alnum + "+/_-")

// segment is a piece of a base64 run. Of what two neighbours both see, each
// owns the half of the overlap that lies further from its edge.
type segment struct {
	start, end  int
	first, last bool // of its run
}

// owns reports whether a match that starts at off, counted in encoded bytes
// from the segment's start, is this segment's to report.
func (g segment) owns(off int64) bool {
	const half = (segmentLen - segmentStep) / 2
	return (g.first || off >= half) && (g.last || off < segmentLen-half)
}

// encodedRuns walks the base64 runs of a text that comes in pieces. Positions
// are in the buffer of the Stream that owns it.
type encodedRuns struct {
	pos  int  // everything before was walked
	open bool // a run reached the end of the text so far
	next int  // of that run, where the next segment starts
	mid  bool // of that run, a segment was given already
}

// find calls f for each segment that is complete: its run has ended, the text
// is final, or the segment is full.
func (r *encodedRuns) find(text []byte, final bool, f func(segment)) {
	for {
		if !r.open && !r.seek(text) {
			return
		}
		for r.pos < len(text) && base64Byte[text[r.pos]] {
			r.pos++
		}
		for ; r.next+segmentLen < r.pos; r.next += segmentStep {
			f(segment{r.next, r.next + segmentLen, !r.mid, false})
			r.mid = true
		}
		if r.pos == len(text) && !final {
			return
		}
		r.open = false
		if r.pos-r.next >= minEncoded {
			f(segment{r.next, r.pos, !r.mid, true})
		}
	}
}

// seek opens the next run that could be long enough. It looks at every
// minEncoded-th byte only: one outside the class rules out all runs that would
// hold it.
func (r *encodedRuns) seek(text []byte) bool {
	p := r.pos
	for p+minEncoded <= len(text) {
		last := p + minEncoded - 1
		i := last
		for i >= p && base64Byte[text[i]] {
			i--
		}
		if i < p {
			break
		}
		p = i + 1
	}
	for p < len(text) && !base64Byte[text[p]] {
		p++
	}
	// The last bytes may be the beginning of a run, which goes on or ends early.
	r.pos = p
	if p == len(text) {
		return false
	}
	r.open, r.next, r.mid = true, p, false
	return true
}

// keep is the first position the walk still needs.
func (r *encodedRuns) keep() int {
	if r.open {
		return r.next
	}
	return r.pos
}

func (r *encodedRuns) shift(n int) {
	r.pos -= n
	r.next -= n
}

// decodeBase64 decodes one segment of the standard or the URL alphabet and
// says whether the result is text: what decodes to noise was not text before.
func decodeBase64(seg []byte) ([]byte, bool) {
	if !textFirst(seg) {
		return nil, false
	}
	enc, url := base64.RawStdEncoding, false
	for _, c := range seg {
		switch c {
		case '-', '_':
			enc, url = base64.RawURLEncoding, true
		}
	}
	if url {
		for _, c := range seg {
			if c == '+' || c == '/' {
				return nil, false
			}
		}
	}
	if len(seg)%4 == 1 {
		seg = seg[:len(seg)-1]
	}
	// The first 12 characters tell most runs apart: random base64 decodes to
	// nine printable bytes once in 8,000 times.
	var head [9]byte
	if n, err := enc.Decode(head[:], seg[:12]); err != nil || !isText(head[:n]) {
		return nil, false
	}
	out := make([]byte, enc.DecodedLen(len(seg)))
	n, err := enc.Decode(out, seg)
	if err != nil {
		return nil, false
	}
	return out[:n], isText(out[:n])
}

// textFirst decodes the first three bytes of a segment by table and asks that
// they be printable, which one run in twenty is by chance: hexadecimal digests
// and paths, which logs and code are full of, mostly end here.
func textFirst(seg []byte) bool {
	v := uint32(base64Value[seg[0]])<<18 | uint32(base64Value[seg[1]])<<12 | uint32(base64Value[seg[2]])<<6 | uint32(base64Value[seg[3]])
	return printable[byte(v>>16)] && printable[byte(v>>8)] && printable[byte(v)]
}

var (
	base64Value = func() (t [256]byte) {
		const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		for i := range len(digits) {
			t[digits[i]] = byte(i)
		}
		t['-'], t['_'] = 62, 63
		return t
	}()
	printable = func() (t [256]bool) {
		for c := byte(0x20); c < 0x7f; c++ {
			t[c] = true
		}
		t['\n'], t['\t'], t['\r'] = true, true, true
		return t
	}()
)

// isText reports whether nearly all of b is printable ASCII or white space:
// one byte in eight may be something else, for text in other scripts.
func isText(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\t' && c != '\r' || c >= 0x7f {
			odd++
		}
	}
	return odd*8 <= len(b)
}
