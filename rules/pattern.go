package rules

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
)

// Patterns are read with Go's parser, which takes RE2's syntax, and matched by
// RE2 in Latin-1 mode, where one byte is one character. So a width counted in
// runes here is a width in bytes there, as long as the pattern itself is ASCII
// and names no character above 0xFF: checkPattern sees to that.

// unbounded is the width of a pattern whose matches have no longest length.
const unbounded = math.MaxInt

// Width is the longest match of pattern in bytes; ok is false when there is no
// bound, or the pattern does not parse.
func Width(pattern string) (n int, ok bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, false
	}
	n = width(re)
	return n, n != unbounded
}

func width(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpQuest:
		return width(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return times(width(re.Sub[0]), unbounded)
	case syntax.OpRepeat:
		if re.Max < 0 {
			return times(width(re.Sub[0]), unbounded)
		}
		return times(width(re.Sub[0]), re.Max)
	case syntax.OpConcat:
		n := 0
		for _, s := range re.Sub {
			if n = plus(n, width(s)); n == unbounded {
				break
			}
		}
		return n
	case syntax.OpAlternate:
		n := 0
		for _, s := range re.Sub {
			n = max(n, width(s))
		}
		return n
	}
	return 0 // zero-width assertions, the empty match, no match
}

func times(a, b int) int {
	switch {
	case a == 0 || b == 0:
		return 0
	case a == unbounded || b == unbounded || a > unbounded/b:
		return unbounded
	}
	return a * b
}

func plus(a, b int) int {
	if a > unbounded-b {
		return unbounded
	}
	return a + b
}

// multiline reports whether a match of re can hold a line feed.
func multiline(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if r == '\n' {
				return true
			}
		}
	case syntax.OpAnyChar:
		return true
	case syntax.OpCharClass:
		return inClass(re.Rune, '\n')
	}
	for _, s := range re.Sub {
		if multiline(s) {
			return true
		}
	}
	return false
}

func inClass(ranges []rune, c rune) bool {
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] <= c && c <= ranges[i+1] {
			return true
		}
	}
	return false
}

// folds reports whether a part of re matches letters without regard to case.
func folds(re *syntax.Regexp) bool {
	if re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase != 0 {
		return true
	}
	for _, s := range re.Sub {
		if folds(s) {
			return true
		}
	}
	return false
}

// required is the longest text that every match of re holds, as far as it is
// written in one piece; "" when there is none.
func required(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		best := ""
		for _, s := range re.Sub {
			if lit := required(s); len(lit) > len(best) {
				best = lit
			}
		}
		return best
	}
	return ""
}

// literal counts the bytes that every match of re holds as they are written.
func literal(re *syntax.Regexp) (n int) {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return literal(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * literal(re.Sub[0])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			n += literal(s)
		}
	case syntax.OpAlternate:
		n = unbounded
		for _, s := range re.Sub {
			n = min(n, literal(s))
		}
	}
	return n
}

// Needs gives bytes that every match of the rule's pattern holds and none of its
// keywords does: where one is missing around a keyword, the pattern need not be
// tried. Letters, which may be matched in either case, are left out.
func (r *Rule) Needs() (out []byte) {
	re, err := syntax.Parse(r.Pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	keywords := strings.Join(r.Keywords, "")
	var walk func(re *syntax.Regexp)
	walk = func(re *syntax.Regexp) {
		switch re.Op {
		case syntax.OpLiteral:
			for _, c := range re.Rune {
				if c < 0x80 && !(c|0x20 >= 'a' && c|0x20 <= 'z') && !strings.ContainsRune(keywords, c) && bytes.IndexByte(out, byte(c)) < 0 {
					out = append(out, byte(c))
				}
			}
		case syntax.OpCapture, syntax.OpPlus, syntax.OpConcat:
			for _, sub := range re.Sub {
				walk(sub)
			}
		case syntax.OpRepeat:
			if re.Min > 0 {
				walk(re.Sub[0])
			}
		}
	}
	walk(re)
	return out
}

// Lead is how many bytes a match holds at most before one of the rule's keywords: it
// need not be looked for farther back from a keyword than that. It is Width where the
// pattern does not tell.
func (r *Rule) Lead() int {
	re, err := syntax.Parse(r.Pattern, syntax.Perl) // gitleaks' may hold what parsePattern refuses
	if err != nil {
		return r.Width
	}
	return min(r.Width, lead(re, r.Keywords, r.Fold))
}

func lead(re *syntax.Regexp, keywords []string, fold bool) (n int) {
	if prefixed(re, keywords, fold) {
		return 0
	}
	switch re.Op {
	case syntax.OpCapture:
		return lead(re.Sub[0], keywords, fold)
	case syntax.OpAlternate:
		for _, s := range re.Sub {
			n = max(n, lead(s, keywords, fold))
		}
		return n
	case syntax.OpConcat:
		for i, s := range re.Sub {
			n = plus(n, width(s))
			if prefixed(&syntax.Regexp{Op: syntax.OpConcat, Sub: re.Sub[i+1:]}, keywords, fold) {
				return n
			}
		}
	}
	return unbounded
}

// prefixed reports whether every match of re begins with one of keywords. It
// may say no where the truth is yes (a repeat before the keyword is complete),
// never the other way round: a rule that is not Prefixed is searched for, which
// is slower and as right.
func prefixed(re *syntax.Regexp, keywords []string, fold bool) bool {
	p := prefixer{fold: fold}
	for _, k := range keywords {
		p.keywords = append(p.keywords, p.norm(k))
	}
	open := p.extend([]string{""}, re)
	return !p.failed && len(open) == 0
}

// prefixer follows the ways in which a match can begin. An open beginning is
// text that is not yet a keyword but could become one; beginnings that hold a
// whole keyword are dropped, and one that can become none fails it all.
type prefixer struct {
	keywords []string
	fold     bool
	failed   bool
}

func (p *prefixer) norm(s string) string {
	if p.fold {
		return strings.ToLower(s)
	}
	return s
}

// extend gives what the open beginnings become when re follows them.
func (p *prefixer) extend(open []string, re *syntax.Regexp) []string {
	if len(open) == 0 || p.failed {
		return nil
	}
	switch re.Op {
	case syntax.OpLiteral:
		return p.literal(nil, open, p.norm(string(re.Rune)))
	case syntax.OpCharClass:
		return p.class(open, re.Rune)
	case syntax.OpCapture:
		return p.extend(open, re.Sub[0])
	case syntax.OpAlternate:
		var out []string
		for _, s := range re.Sub {
			out = union(out, p.extend(open, s))
		}
		return out
	case syntax.OpQuest:
		return union(p.extend(open, re.Sub[0]), open)
	case syntax.OpRepeat:
		return p.repeat(open, re)
	case syntax.OpConcat:
		for _, s := range re.Sub {
			open = p.extend(open, s)
		}
		return open
	case syntax.OpPlus:
		if open = p.extend(open, re.Sub[0]); len(open) > 0 {
			p.failed = true
		}
		return nil
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return open
	}
	p.failed = true
	return nil
}

func (p *prefixer) literal(out, open []string, lit string) []string {
	for _, s := range open {
		s += lit
		switch {
		case p.holds(s):
		case p.viable(s):
			out = union(out, []string{s})
		default:
			p.failed = true
		}
	}
	return out
}

// class extends by each character of a class. One with more than 16 is never
// spelled out in keywords.
func (p *prefixer) class(open []string, ranges []rune) (out []string) {
	n := 0
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if n++; n > 16 {
				p.failed = true
				return nil
			}
			out = p.literal(out, open, p.norm(string(r)))
		}
	}
	return out
}

func (p *prefixer) repeat(open []string, re *syntax.Regexp) []string {
	for range re.Min {
		open = p.extend(open, re.Sub[0])
		if len(open) == 0 {
			return nil
		}
	}
	out := open
	for i := re.Min; i < re.Max && len(open) > 0; i++ {
		open = p.extend(open, re.Sub[0])
		out = union(out, open)
	}
	if re.Max < 0 && len(open) > 0 {
		p.failed = true
	}
	return out
}

// holds reports whether s begins with a keyword, viable whether a keyword
// begins with s.
func (p *prefixer) holds(s string) bool {
	return slices.ContainsFunc(p.keywords, func(k string) bool { return strings.HasPrefix(s, k) })
}

func (p *prefixer) viable(s string) bool {
	return slices.ContainsFunc(p.keywords, func(k string) bool { return strings.HasPrefix(k, s) })
}

// union adds to a what of b it lacks.
func union(a, b []string) []string {
	a = slices.Clip(a)
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// canHold reports whether some match of re can contain keyword. It runs the
// pattern's automaton from all of its states at once, so that the keyword may
// lie anywhere, and lets zero-width assertions pass.
func canHold(re *syntax.Regexp, keyword string, fold bool) bool {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return false
	}
	now := make([]bool, len(prog.Inst))
	for i := range now {
		now[i] = true
	}
	for i := range len(keyword) {
		next := make([]bool, len(prog.Inst))
		found := false
		for pc := range prog.Inst {
			in := &prog.Inst[pc]
			if now[pc] && matchesByte(in, keyword[i], fold) {
				found = true
				follow(prog, int(in.Out), next)
			}
		}
		if !found {
			return false
		}
		now = next
	}
	return true
}

func matchesByte(in *syntax.Inst, c byte, fold bool) bool {
	switch in.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
	default:
		return false
	}
	if in.MatchRune(rune(c)) {
		return true
	}
	other := c ^ 0x20
	return fold && 'a' <= c|0x20 && c|0x20 <= 'z' && in.MatchRune(rune(other))
}

// follow marks every state reached from pc without reading a character.
func follow(prog *syntax.Prog, pc int, seen []bool) {
	stack := []int{pc}
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch in := &prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			stack = append(stack, int(in.Out), int(in.Arg))
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			stack = append(stack, int(in.Out))
		}
	}
}

// parsePattern parses pattern and refuses what the scanner cannot match, each
// with what to write instead.
func parsePattern(pattern string) (*syntax.Regexp, error) {
	for i := range len(pattern) {
		if c := pattern[i]; c < 0x20 || c > 0x7e {
			return nil, fmt.Errorf("pattern holds the byte 0x%02x: patterns are printable ASCII; write a byte as \\x%02x", c, c)
		}
	}
	if p := unicodeClass(pattern); p != "" {
		return nil, fmt.Errorf("pattern uses the Unicode class %s: text is matched byte by byte; write the bytes, such as [A-Za-z]", p)
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, explainSyntax(pattern, err)
	}
	if err := checkOps(re); err != nil {
		return nil, err
	}
	return re, nil
}

// unicodeClass finds \p or \P outside an escape.
func unicodeClass(pattern string) string {
	for i := 0; i+1 < len(pattern); i++ {
		if pattern[i] != '\\' {
			continue
		}
		if i++; pattern[i] == 'p' || pattern[i] == 'P' {
			return `\` + string(pattern[i])
		}
	}
	return ""
}

func explainSyntax(pattern string, err error) error {
	var se *syntax.Error
	if !errors.As(err, &se) {
		return fmt.Errorf("pattern: %w", err)
	}
	bad := se.Expr
	has := func(ps ...string) bool {
		for _, p := range ps {
			if strings.HasPrefix(bad, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("(?=", "(?!"):
		return fmt.Errorf("pattern uses a lookahead %q, which RE2 has not: put the secret in a group and name it with secret_group, or forbid the bytes that may follow with boundary", bad)
	case has("(?<=", "(?<!"):
		return fmt.Errorf("pattern uses a lookbehind %q, which RE2 has not: put the secret in a group and name it with secret_group, or forbid the bytes that may precede with boundary_before", bad)
	case has("(?>", "(?|", "(?#", "(?("):
		return fmt.Errorf("pattern uses %q, which RE2 has not: write a plain group (?:…)", bad)
	case se.Code == syntax.ErrInvalidEscape && len(bad) > 1 && bad[1] >= '1' && bad[1] <= '9', has(`\k`, "(?P="):
		return fmt.Errorf("pattern uses the back-reference %q, which RE2 has not: repeat what it may match", bad)
	case se.Code == syntax.ErrInvalidRepeatSize || se.Code == syntax.ErrLarge:
		return fmt.Errorf("pattern repeats too often at %q: RE2 repeats at most 1000 times; use + or {n,} with maxlen", bad)
	case se.Code == syntax.ErrInvalidRepeatOp:
		return fmt.Errorf("pattern repeats a repeat at %q: possessive and double quantifiers are not RE2; write one quantifier", bad)
	}
	return fmt.Errorf("pattern does not parse: %s at %q", se.Code, bad)
}

var errNoMatch = errors.New("pattern holds a part that can never match")

func checkOps(re *syntax.Regexp) error {
	switch re.Op {
	case syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine:
		return fmt.Errorf("pattern uses %s: a secret is matched wherever it stands; remove the anchor, and say with boundary and boundary_before what may not stand next to it", anchorName(re))
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if r > 0xff {
				return fmt.Errorf("pattern names the character U+%04X: text is matched byte by byte; write its UTF-8 bytes as \\xNN\\xNN", r)
			}
		}
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return errNoMatch
		}
		for i := 0; i+1 < len(re.Rune); i += 2 {
			// Negated classes reach up to U+10FFFF, and folding adds the long s
			// and the Kelvin sign; neither names such a character on purpose.
			lo, hi := re.Rune[i], re.Rune[i+1]
			if hi > 0xff && hi != 0x10ffff && !(lo == hi && (lo == 0x17f || lo == 0x212a)) {
				return fmt.Errorf("pattern names the character U+%04X in a class: text is matched byte by byte; write its UTF-8 bytes as \\xNN\\xNN", hi)
			}
		}
	case syntax.OpNoMatch:
		return errNoMatch
	}
	for _, s := range re.Sub {
		if err := checkOps(s); err != nil {
			return err
		}
	}
	return nil
}

func anchorName(re *syntax.Regexp) string {
	switch {
	case re.Op == syntax.OpBeginText:
		return `^ or \A`
	case re.Op == syntax.OpEndText && re.Flags&syntax.WasDollar != 0:
		return "$"
	case re.Op == syntax.OpEndText:
		return `\z`
	case re.Op == syntax.OpBeginLine:
		return "^"
	}
	return "$"
}
