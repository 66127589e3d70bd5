package ignore

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// GitleaksName is what gitleaks' ignore file is called.
const GitleaksName = ".gitleaksignore"

// Place is a line of gitleaks' ignore file: COMMIT:PATH:RULE:LINE, or without the
// commit for every one.
type Place struct {
	Commit, Path, Rule string
	Line               int
}

// Places are the lines of such a file.
type Places struct {
	Name string
	at   map[Place]int // the line in the file
	used map[Place]bool
}

// Len counts them.
func (p *Places) Len() int { return len(p.at) }

// ReadGitleaks reads gitleaks' ignore file. All faults are told at once, each with
// its line, and then there are no Places.
func ReadGitleaks(name string, data []byte) (*Places, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d an ignore file may have", name, len(data), MaxFile)
	}
	p := &Places{Name: name, at: map[Place]int{}, used: map[Place]bool{}}
	var errs faults
	for n, line := range lines(data) {
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' {
			continue
		}
		e, err := parsePlace(text)
		if err != nil {
			errs.add(name, n+1, err)
			continue
		}
		if p.at[e] == 0 {
			p.at[e] = n + 1
		}
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return p, nil
}

var errPlace = errors.New("want COMMIT:PATH:RULE:LINE or PATH:RULE:LINE, as gitleaks writes it")

// parsePlace reads from the right, since a path may hold colons.
func parsePlace(text string) (e Place, err error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return e, errPlace
	}
	if e.Line, err = strconv.Atoi(text[i+1:]); err != nil || e.Line < 0 {
		return e, errPlace
	}
	text = text[:i]
	if i = strings.LastIndexByte(text, ':'); i < 0 {
		return e, errPlace
	}
	e.Rule, text = text[i+1:], text[:i]
	if commit, rest, ok := strings.Cut(text, ":"); ok && isCommit(commit) {
		e.Commit, text = strings.ToLower(commit), rest
	}
	e.Path = cleanPath(text)
	if e.Rule == "" || text == "" {
		return e, errPlace
	}
	return e, nil
}

func isCommit(s string) bool {
	return len(s) >= 7 && len(s) <= 64 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// cleanPath is a path as findings have it.
func cleanPath(p string) string { return path.Clean(strings.ReplaceAll(p, `\`, "/")) }
