// Package candidate finds the runs of a text in which a token of a registry could
// lie.
//
// It knows the shapes of tokens and nothing of which there are. Start reading at
// Each.
package candidate

import "slices"

// Shape is the form of one or more tokens: a length and the bytes they are
// made of.
type Shape struct {
	Len int
	// Extra are the bytes beyond [0-9A-Za-z] that such tokens hold, sorted.
	Extra string
}

// MaxLen is the longest token of the registry that is looked for in text:
// GitHub's installation tokens have about 520 characters, JWTs of identity
// providers rarely more than 2,000.
const MaxLen = 4096

// Each calls is with every candidate that starts in buf[lo:hi], and f with those
// that it says are tokens.
//
// A candidate of length L is decided by its own bytes and one more on each
// side: all L belong to the shape's class, and it begins or ends where a run
// does or at a delimiter, a byte of the class that is not alphanumeric. So a
// token is found as the value of key=T, in "T", as u:T@h, /T/, T. and T-more,
// though '=', '/', '.' or '-' may be bytes of the token itself.
func Each[T any](shapes []Shape, buf []byte, lo, hi int, is func(candidate []byte) (T, bool), f func(start, end int, t T)) {
	classes := map[string][]int{} // extra bytes → lengths
	var order []string
	for _, s := range shapes {
		if s.Len <= 0 || s.Len > MaxLen {
			continue
		}
		if classes[s.Extra] == nil {
			order = append(order, s.Extra)
		}
		classes[s.Extra] = append(classes[s.Extra], s.Len)
	}
	for _, extra := range order {
		class := byteSet(alnum + extra)
		shortest := slices.Min(classes[extra])
		seen := map[[2]int]bool{} // within one run: a start and an end can name one span
		for s := runStart(buf, lo, &class); s < hi; {
			if s = nextRun(buf, s, shortest, &class); s >= hi {
				break
			}
			end := s
			for end < len(buf) && class[buf[end]] {
				end++
			}
			clear(seen)
			for _, n := range classes[extra] {
				if end-s < n {
					continue
				}
				inRun(buf, s, end, lo, hi, n, seen, is, f)
			}
			s = end
		}
	}
}

// runStart is where to begin looking for a run that holds lo: one byte before
// it when that belongs to the run too. How much further back the run began does
// not matter, since no candidate starts before lo.
func runStart(buf []byte, lo int, class *[256]bool) int {
	if lo > 0 && class[buf[lo-1]] {
		return lo - 1
	}
	return lo
}

// nextRun finds the first run of at least n bytes of class that starts at or
// after s, or a shorter one that the end of buf cuts; len(buf) if there is none. It
// looks at every n-th byte only, as long as those are outside the class.
func nextRun(buf []byte, s, n int, class *[256]bool) int {
	for s+n <= len(buf) {
		i := s + n - 1
		for i >= s && class[buf[i]] {
			i--
		}
		if i < s {
			return s
		}
		s = i + 1
	}
	return len(buf)
}

// inRun tries candidates of length n in the run buf[s:end].
func inRun[T any](buf []byte, s, end, lo, hi, n int, seen map[[2]int]bool, is func([]byte) (T, bool), f func(int, int, T)) {
	try := func(c int) {
		if c < lo || c >= hi || c < s || c+n > end || seen[[2]int{c, n}] {
			return
		}
		if t, ok := is(buf[c : c+n]); ok {
			seen[[2]int{c, n}] = true
			f(c, c+n, t)
		}
	}
	try(s)
	if end-n != s {
		try(end - n)
	}
	for p := max(s, lo-1); p < min(end, hi+n); p++ {
		if !isAlnum(buf[p]) {
			try(p + 1) // after a delimiter
			try(p - n) // before it
			try(p)     // or with it, where the token itself begins so
			try(p + 1 - n)
		}
	}
}

func isAlnum(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' }

const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func byteSet(s string) (t [256]bool) {
	for i := range len(s) {
		t[s[i]] = true
	}
	return t
}
