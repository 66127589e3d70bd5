package scope

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// Ends are where a walk begins and where it stops.
type Ends struct {
	Include, Exclude []plumbing.Hash
	Since            int64 // seconds since 1970: of commits, the oldest wanted
	Max              int   // how many commits, 0 for all
}

// Ends finds where the walk of s begins and stops. target is what the user calls
// the repository.
func (s *Scope) Ends(repo *gitrepo.Repository, target string) (e Ends, err error) {
	e = Ends{Max: s.MaxCount, Since: -1 << 62}
	switch {
	case len(s.NewTips) > 0:
		err = s.tips(repo, &e)
	case s.Range != "":
		if err = s.rangeEnds(repo, &e); err != nil {
			err = fmt.Errorf("range %q of %q: %w", s.Range, target, err)
		}
	case len(s.Branches) > 0 || len(s.RefGlobs) > 0:
		err = s.refs(repo, &e, target)
	default:
		e.Include = repo.Tips()
	}
	if err != nil || s.Since == "" {
		return e, err
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	if t, ok := parseTime(s.Since, now()); ok {
		e.Since = t.Unix()
		return e, nil
	}
	id, err := repo.Resolve(s.Since)
	if err != nil {
		return e, fmt.Errorf("since %q: it is no time (2026-01-31, 2026-01-31T12:00:00Z, 36h, 14d, 2w, 3.months.ago), nor a commit of %q: %w", s.Since, target, err)
	}
	e.Exclude = append(e.Exclude, id)
	return e, nil
}

func (s *Scope) tips(repo *gitrepo.Repository, e *Ends) error {
	for _, t := range s.NewTips {
		h, err := gitrepo.ParseHash([]byte(t))
		if err != nil {
			return fmt.Errorf("new tip %q: %w", t, err)
		}
		e.Include = append(e.Include, h)
	}
	for _, t := range s.Exclude {
		h, err := gitrepo.ParseHash([]byte(t))
		if err != nil {
			return fmt.Errorf("excluded tip %q: %w", t, err)
		}
		if repo.Objects.Has(h) {
			e.Exclude = append(e.Exclude, h)
		}
	}
	if s.ExcludeRefs {
		for _, r := range repo.Refs {
			e.Exclude = append(e.Exclude, r.Hash())
		}
	}
	return nil
}

func (s *Scope) rangeEnds(repo *gitrepo.Repository, e *Ends) error {
	if rev, alone := strings.CutSuffix(s.Range, "^!"); alone {
		h, err := repo.Resolve(rev)
		if err != nil {
			return err
		}
		c, err := repo.Commit(h)
		e.Include, e.Exclude = append(e.Include, h), append(e.Exclude, c.Parents...)
		return err
	}
	a, b, dots := strings.Cut(s.Range, "..")
	b, symmetric := strings.CutPrefix(b, ".")
	if !dots {
		a, b = "", a
	}
	h, err := repo.Resolve(b)
	if err != nil {
		return err
	}
	e.Include = append(e.Include, h)
	if !dots {
		return nil
	}
	if h, err = repo.Resolve(a); err != nil {
		return err
	}
	if !symmetric {
		e.Exclude = append(e.Exclude, h)
		return nil
	}
	e.Include = append(e.Include, h)
	e.Exclude, err = mergeBases(repo, e.Include[0], h)
	return err
}

// refs begins at branches and refs.
func (s *Scope) refs(repo *gitrepo.Repository, e *Ends, target string) error {
	for _, b := range s.Branches {
		found := false
		for _, r := range repo.Refs {
			name := r.Name().String()
			_, remote, _ := strings.Cut(strings.TrimPrefix(name, "refs/remotes/"), "/")
			if name == "refs/heads/"+b || name == "refs/remotes/"+b || strings.HasPrefix(name, "refs/remotes/") && remote == b {
				e.Include, found = append(e.Include, r.Hash()), true
			}
		}
		if !found {
			return fmt.Errorf("there is no branch %q in %q; git branch --all lists them", b, target)
		}
	}
	for _, glob := range s.RefGlobs {
		found := false
		for _, r := range repo.Refs {
			name := r.Name().String()
			if refGlob(glob, name) {
				e.Include, found = append(e.Include, r.Hash()), true
			}
		}
		if !found {
			return fmt.Errorf("no ref of %q fits %q; git for-each-ref lists them", target, glob)
		}
	}
	return nil
}

// refGlob matches as git log --glob does: refs/ in front may be left out, a pattern
// without a special character stands for what lies below it, and * fits slashes.
func refGlob(glob, name string) bool {
	if !strings.HasPrefix(glob, "refs/") {
		glob = "refs/" + glob
	}
	if !strings.ContainsAny(glob, "*?[{") {
		return name == glob || strings.HasPrefix(name, strings.TrimSuffix(glob, "/")+"/")
	}
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	return doublestar.MatchUnvalidated(glob, name) || doublestar.MatchUnvalidated(flat(glob), flat(name))
}

// parseTime reads a date, a time (RFC 3339, or @ and seconds since 1970), or how long
// ago: 36h, 14d, 2w, "3 months ago", 1.year.ago, yesterday. A date alone begins at
// midnight; to git log it is that day at the present time of day.
func parseTime(s string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, true
		}
	}
	if sec, ok := strings.CutPrefix(s, "@"); ok {
		n, err := strconv.ParseInt(sec, 10, 62)
		return time.Unix(n, 0), err == nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), true
	}
	if n, err := strconv.Atoi(s[:max(0, len(s)-1)]); err == nil && n >= 0 {
		switch s[len(s)-1] {
		case 'd':
			return now.AddDate(0, 0, -n), true
		case 'w':
			return now.AddDate(0, 0, -7*n), true
		}
	}
	return ago(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ' ' || r == '.' }), now)
}

// ago reads "3 months ago" and the like.
func ago(words []string, now time.Time) (time.Time, bool) {
	if len(words) == 1 && words[0] == "yesterday" {
		return now.AddDate(0, 0, -1), true
	}
	if len(words) != 3 || words[2] != "ago" {
		return time.Time{}, false
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || n < 0 {
		return time.Time{}, false
	}
	switch strings.TrimSuffix(words[1], "s") {
	case "second":
		return now.Add(-time.Duration(n) * time.Second), true
	case "minute":
		return now.Add(-time.Duration(n) * time.Minute), true
	case "hour":
		return now.Add(-time.Duration(n) * time.Hour), true
	case "day":
		return now.AddDate(0, 0, -n), true
	case "week":
		return now.AddDate(0, 0, -7*n), true
	case "month":
		return now.AddDate(0, -n, 0), true
	case "year":
		return now.AddDate(-n, 0, 0), true
	}
	return time.Time{}, false
}
