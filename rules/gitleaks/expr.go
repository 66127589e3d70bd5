package gitleaks

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
)

// expr is an expression of gitleaks, on its way to one that is matched byte by
// byte.
type expr struct {
	re     *syntax.Regexp
	text   string
	groups int
	// changed says that re is not text any more, approximate that it is not quite
	// the same.
	changed, approximate bool
}

// maxExpr bounds an expression in bytes: the longest of gitleaks' own has 1,000.
const maxExpr = 32 << 10

func parseExpr(text string) (*expr, error) {
	if len(text) > maxExpr {
		return nil, fmt.Errorf("its regex has %d bytes, more than %d", len(text), maxExpr)
	}
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, explain(text, err)
	}
	e := &expr{text: text, groups: re.MaxCap()}
	e.re = e.bytes(re)
	return e, nil
}

// explain says what RE2 has not and what to write instead.
func explain(text string, err error) error {
	var se *syntax.Error
	if !errors.As(err, &se) {
		return fmt.Errorf("regex: %w", err)
	}
	begins := func(ps ...string) bool {
		return slices.ContainsFunc(ps, func(p string) bool { return strings.HasPrefix(se.Expr, p) })
	}
	switch {
	case begins("(?=", "(?!", "(?<=", "(?<!"):
		return fmt.Errorf("its regex uses %q, to look around, which RE2 has not: put the secret in a group and name it with secretGroup", se.Expr)
	case begins("(?>", "(?|", "(?#", "(?("):
		return fmt.Errorf("its regex uses %q, which RE2 has not: write a plain group (?:…)", se.Expr)
	case se.Code == syntax.ErrInvalidEscape && len(se.Expr) > 1 && se.Expr[1] >= '1' && se.Expr[1] <= '9', begins(`\k`, "(?P="):
		return fmt.Errorf("its regex uses the back-reference %q, which RE2 has not: repeat what it may match", se.Expr)
	case se.Code == syntax.ErrInvalidRepeatOp:
		return fmt.Errorf("its regex repeats a repeat at %q: possessive and double quantifiers are not RE2; write one quantifier", se.Expr)
	case se.Code == syntax.ErrInvalidRepeatSize || se.Code == syntax.ErrLarge:
		return fmt.Errorf("its regex repeats too often at %q: RE2 repeats at most 1000 times; write + or {n,}", se.Expr)
	}
	return fmt.Errorf("its regex does not parse: %s at %q", se.Code, se.Expr)
}

// String is the expression in ASCII.
func (e *expr) String() string {
	if !e.changed {
		return e.text
	}
	var b strings.Builder
	for _, r := range e.re.String() {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%x}`, r)
		}
	}
	return b.String()
}

// lines reports whether a match can hold a line feed.
func (e *expr) lines() bool {
	found := false
	each(e.re, func(re *syntax.Regexp) {
		switch re.Op {
		case syntax.OpAnyChar:
			found = true
		case syntax.OpLiteral:
			found = found || slices.Contains(re.Rune, '\n')
		case syntax.OpCharClass:
			found = found || holds(re.Rune, '\n')
		}
	})
	return found
}

func each(re *syntax.Regexp, f func(*syntax.Regexp)) {
	f(re)
	for _, s := range re.Sub {
		each(s, f)
	}
}

func holds(ranges []rune, c rune) bool {
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] <= c && c <= ranges[i+1] {
			return true
		}
	}
	return false
}

// spelled is how many characters beyond ASCII a class may name to have each spelt
// out in bytes; those of more mean "or any other", and take any byte beyond ASCII.
const spelled = 16

// bytes makes an expression over characters one over the bytes of UTF-8.
func (e *expr) bytes(re *syntax.Regexp) *syntax.Regexp {
	for i, s := range re.Sub {
		re.Sub[i] = e.bytes(s)
	}
	beyond := func(r rune) bool { return r > 0x7f }
	switch re.Op {
	case syntax.OpLiteral:
		if !slices.ContainsFunc(re.Rune, beyond) {
			return re
		}
		e.changed = true
		var out []rune
		for _, b := range []byte(string(re.Rune)) {
			out = append(out, rune(b))
		}
		re.Rune = out
	case syntax.OpCharClass:
		return e.class(re)
	}
	return re
}

func (e *expr) class(re *syntax.Regexp) *syntax.Regexp {
	var ascii, others []rune
	n := 0
	for i := 0; i+1 < len(re.Rune); i += 2 {
		lo, hi := re.Rune[i], re.Rune[i+1]
		if lo <= 0x7f {
			ascii = append(ascii, lo, min(hi, 0x7f))
		}
		if lo == hi && (lo == 0x17f || lo == 0x212a) {
			e.changed = true
			continue // the long s and the Kelvin sign, which only folding names
		}
		for r := max(lo, 0x80); r <= hi && n <= spelled; r++ {
			others = append(others, r)
			n++
		}
	}
	switch {
	case n == 0 && !e.changed:
		return re
	case n > spelled:
		// A negated class, nearly always: it takes every byte of such characters.
		if negated := re.Rune[len(re.Rune)-1] == 0x10ffff; !negated {
			e.approximate = true
		}
		e.changed = true
		return &syntax.Regexp{Op: syntax.OpCharClass, Flags: re.Flags, Rune: append(ascii, 0x80, 0xff)}
	}
	plain := &syntax.Regexp{Op: syntax.OpCharClass, Flags: re.Flags, Rune: ascii}
	if n == 0 {
		return plain
	}
	e.changed = true
	out := &syntax.Regexp{Op: syntax.OpAlternate, Flags: re.Flags}
	if len(ascii) > 0 {
		out.Sub = append(out.Sub, plain)
	}
	for _, r := range others {
		lit := &syntax.Regexp{Op: syntax.OpLiteral}
		for _, b := range []byte(string(r)) {
			lit.Rune = append(lit.Rune, rune(b))
		}
		out.Sub = append(out.Sub, lit)
	}
	if len(out.Sub) == 1 {
		return out.Sub[0]
	}
	return out
}

// withinLines makes an expression for the search line by line: where it takes a
// line feed, or the end of the text, it takes the end of the line.
func (e *expr) withinLines() {
	e.changed = true
	e.re = withinLines(e.re)
}

func withinLines(re *syntax.Regexp) *syntax.Regexp {
	for i, s := range re.Sub {
		re.Sub[i] = withinLines(s)
	}
	edge := func(rest *syntax.Regexp) *syntax.Regexp {
		out := &syntax.Regexp{Op: syntax.OpAlternate}
		if rest != nil {
			out.Sub = append(out.Sub, rest)
		}
		out.Sub = append(out.Sub, &syntax.Regexp{Op: syntax.OpEndLine}, &syntax.Regexp{Op: syntax.OpBeginLine})
		return out
	}
	switch re.Op {
	case syntax.OpBeginText:
		return &syntax.Regexp{Op: syntax.OpBeginLine}
	case syntax.OpEndText:
		return &syntax.Regexp{Op: syntax.OpEndLine}
	case syntax.OpAnyChar:
		return &syntax.Regexp{Op: syntax.OpAnyCharNotNL, Flags: re.Flags}
	case syntax.OpLiteral:
		if len(re.Rune) == 1 && re.Rune[0] == '\n' {
			return edge(nil)
		}
	case syntax.OpCharClass:
		if !holds(re.Rune, '\n') {
			return re
		}
		var rest []rune
		for i := 0; i+1 < len(re.Rune); i += 2 {
			lo, hi := re.Rune[i], re.Rune[i+1]
			if lo > '\n' || hi < '\n' {
				rest = append(rest, lo, hi)
				continue
			}
			if lo < '\n' {
				rest = append(rest, lo, '\n'-1)
			}
			if hi > '\n' {
				rest = append(rest, '\n'+1, hi)
			}
		}
		if len(rest) == 0 {
			return edge(nil)
		}
		return edge(&syntax.Regexp{Op: syntax.OpCharClass, Flags: re.Flags, Rune: rest})
	}
	return re
}
