package scanner

import "bytes"

// Rules without keywords are searched line by line: leftmost-first, each search
// beginning where the match before it ended. A line longer than slowPiece is
// searched in pieces that begin every slowPiece bytes from the line's first and
// overlap by the rule's width; each piece tells the matches that start in its
// first slowPiece bytes. So the answer depends on the text alone.

// slowPiece is how much of a long line is searched at a time: such lines are
// minified code and data, where 64 KB is hundreds of windows.
const slowPiece = 64 << 10

// slowLines is how much text is searched by one call of RE2, which costs about
// as much as reading 200 bytes.
const slowLines = 64 << 10

// decideSlow searches what is complete by now and was not searched yet.
func (s *Stream) decideSlow(final bool, add func(raw)) {
	if len(s.e.slow) == 0 {
		s.slow = len(s.buf)
		return
	}
	for s.slow < len(s.buf) {
		if !s.slowMid && !s.e.plain && s.lastNL > s.slow {
			if end := s.shortLines(); end > s.slow {
				s.searchSlow(s.slow, end, end, add)
				s.slow = end
				continue
			}
		}
		rest := s.buf[s.slow:]
		limit := slowPiece + s.e.slowWidth + 1
		end, ended := len(rest), final
		if i := bytes.IndexByte(rest[:min(limit, len(rest))], '\n'); i >= 0 {
			end, ended = i, true
		}
		if !ended && end < limit {
			return
		}
		if end <= slowPiece { // the last piece of its line
			s.searchSlow(s.slow, s.slow+end, s.slow+end, add)
			s.slow = min(s.slow+end+1, len(s.buf))
			s.slowMid = false
			continue
		}
		s.searchSlow(s.slow, s.slow+slowPiece, s.slow+end, add)
		s.slow += slowPiece
		s.slowMid = true
	}
}

// shortLines is the end of as many complete lines from s.slow on as are searched
// together, none of them longer than a piece; s.slow when the first one is. No
// match holds a line feed, so that searching several is searching each.
func (s *Stream) shortLines() int {
	end := s.slow
	for end < s.lastNL && end-s.slow < slowLines {
		i := bytes.IndexByte(s.buf[end:s.lastNL], '\n')
		if i > slowPiece {
			break
		}
		end += i + 1
	}
	return end
}

// searchSlow finds the matches that start in s.buf[lo:own] and end by hi.
func (s *Stream) searchSlow(lo, own, hi int, add func(raw)) {
	from := lo
	if s.slowMid {
		from-- // for \b
	}
	for _, c := range s.e.slow {
		if c.Compile() != nil {
			continue
		}
		to := min(hi, own+c.Rule.Width+1)
		s.work += to - from
		for _, loc := range c.Find.FindAllSubmatchIndex(s.buf[from:to], -1) {
			start, end := from+loc[0], from+loc[1]
			if start < lo || start >= own || end-start > c.Rule.Width {
				continue
			}
			a, b, ok := c.Secret(s.buf[from:to], loc)
			if !ok {
				continue
			}
			m, refusal := s.e.judge(c.Rule, s.buf, from+a, from+b)
			m.lead, m.tail = a-loc[0], loc[1]-b
			if refusal == "" && c.Rule.Score {
				m, refusal = scoreSecret(m, s.buf, nameOf(c.Rule, loc, from))
			}
			if refusal == "" {
				add(m)
			}
		}
	}
}
