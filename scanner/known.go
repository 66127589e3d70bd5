package scanner

import "slices"

// maxKnown is the longest token of the registry that is looked for in text:
// GitHub's installation tokens have about 520 characters, JWTs of identity
// providers rarely more than 2,000.
const maxKnown = 4096

// findKnown asks the registry about every run in which a token could lie, for
// candidates that start in buf[lo:hi].
//
// A candidate of length L is decided by its own bytes and one more on each
// side: all L belong to the shape's class, and it begins or ends where a run
// does or at a delimiter, a byte of the class that is not alphanumeric. So a
// token is found as the value of key=T, in "T", as u:T@h, /T/, T. and T-more,
// though '=', '/', '.' or '-' may be bytes of the token itself.
func findKnown(known Known, buf []byte, lo, hi int, f func(start, end int, t KnownToken)) {
	classes := map[string][]int{} // extra bytes → lengths
	var order []string
	for _, s := range known.Shapes() {
		if s.Len <= 0 || s.Len > maxKnown {
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
				knownInRun(known, buf, s, end, lo, hi, n, seen, f)
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

// knownInRun tries candidates of length n in the run buf[s:end].
func knownInRun(known Known, buf []byte, s, end, lo, hi, n int, seen map[[2]int]bool, f func(int, int, KnownToken)) {
	try := func(c int) {
		if c < lo || c >= hi || c < s || c+n > end || seen[[2]int{c, n}] {
			return
		}
		if t, ok := known.Lookup(buf[c : c+n]); ok {
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

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }
