package sources

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// The parsers here read what a walk needs and nothing else; go-git's own copy
// every name and message and are the oracle in the tests.

// Modes of tree entries, by their type bits (git's S_IFMT).
const (
	modeType    = 0o170000
	modeTree    = 0o040000
	modeGitlink = 0o160000
)

type treeEntry struct {
	mode uint32
	name []byte // lies in the tree's bytes
	hash plumbing.Hash
}

var errTree = errors.New("malformed tree")

// treeEntries iterates over a tree object: "MODE NAME\0" and 20 bytes of object
// id, repeated. It ends after the first error.
func treeEntries(data []byte) iter.Seq2[treeEntry, error] {
	return func(yield func(treeEntry, error) bool) {
		for len(data) > 0 {
			var e treeEntry
			sp := bytes.IndexByte(data[:min(len(data), 8)], ' ')
			if sp < 1 {
				yield(e, errTree)
				return
			}
			for _, c := range data[:sp] {
				if c < '0' || c > '7' {
					yield(e, errTree)
					return
				}
				e.mode = e.mode<<3 | uint32(c-'0')
			}
			data = data[sp+1:]
			nul := bytes.IndexByte(data, 0)
			if nul < 1 || len(data) < nul+1+len(e.hash) {
				yield(e, errTree)
				return
			}
			e.name = data[:nul]
			copy(e.hash[:], data[nul+1:])
			data = data[nul+1+len(e.hash):]
			if !yield(e, nil) {
				return
			}
		}
	}
}

// commitInfo is what a walk needs of a commit.
type commitInfo struct {
	tree      plumbing.Hash
	parents   []plumbing.Hash
	author    string
	email     string
	date      time.Time // of the author
	committed int64     // seconds since 1970
}

var (
	errCommit = errors.New("malformed commit")
	errTag    = errors.New("malformed tag")
)

// parseCommit reads a commit's headers and gives its message.
func parseCommit(data []byte) (c commitInfo, message []byte, err error) {
	head, message := cutMessage(data)
	for line := range bytes.SplitSeq(head, []byte{'\n'}) {
		key, value, _ := bytes.Cut(line, []byte{' '})
		switch string(key) {
		case "tree":
			c.tree, err = parseHash(value)
		case "parent":
			var h plumbing.Hash
			if h, err = parseHash(value); err == nil {
				c.parents = append(c.parents, h)
			}
		case "author":
			c.author, c.email, c.date = parseIdent(value)
		case "committer":
			_, _, when := parseIdent(value)
			c.committed = when.Unix()
		}
		if err != nil {
			return c, nil, fmt.Errorf("%w: %w", errCommit, err)
		}
	}
	if c.tree.IsZero() {
		return c, nil, fmt.Errorf("%w: no tree", errCommit)
	}
	return c, message, nil
}

// tagInfo is what a walk needs of an annotated tag.
type tagInfo struct {
	target plumbing.Hash
	kind   string
	tagger string
	email  string
	date   time.Time
}

func parseTag(data []byte) (t tagInfo, message []byte, err error) {
	head, message := cutMessage(data)
	for line := range bytes.SplitSeq(head, []byte{'\n'}) {
		key, value, _ := bytes.Cut(line, []byte{' '})
		switch string(key) {
		case "object":
			if t.target, err = parseHash(value); err != nil {
				return t, nil, fmt.Errorf("%w: %w", errTag, err)
			}
		case "type":
			t.kind = string(value)
		case "tagger":
			t.tagger, t.email, t.date = parseIdent(value)
		}
	}
	if t.target.IsZero() {
		return t, nil, fmt.Errorf("%w: no object", errTag)
	}
	return t, message, nil
}

// cutMessage splits the headers from the message at the first empty line.
// Continuation lines of headers begin with a space and match no key.
func cutMessage(data []byte) (head, message []byte) {
	if bytes.HasPrefix(data, []byte{'\n'}) {
		return nil, data[1:]
	}
	head, message, _ = bytes.Cut(data, []byte("\n\n"))
	return head, message
}

func parseHash(b []byte) (plumbing.Hash, error) {
	if len(b) != 40 || !plumbing.IsHash(string(b)) {
		return plumbing.ZeroHash, errors.New("not an object id")
	}
	return plumbing.NewHash(string(b)), nil
}

// parseIdent reads "NAME <EMAIL> SECONDS ZONE". What does not parse is zero:
// histories hold broken lines, and they are no reason not to read a commit.
func parseIdent(b []byte) (name, email string, when time.Time) {
	lt, gt := bytes.IndexByte(b, '<'), bytes.LastIndexByte(b, '>')
	if lt < 0 || gt < lt {
		return strings.TrimSpace(string(b)), "", time.Time{}
	}
	name, email = strings.TrimSpace(string(b[:lt])), string(b[lt+1:gt])
	fields := strings.Fields(string(b[gt+1:]))
	if len(fields) == 0 {
		return name, email, time.Time{}
	}
	sec, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || sec < 0 || sec > maxSeconds {
		return name, email, time.Time{}
	}
	loc := time.UTC
	if len(fields) > 1 {
		loc = parseZone(fields[1])
	}
	return name, email, time.Unix(sec, 0).In(loc)
}

// maxSeconds is the end of the year 9999, the last that RFC 3339 can write.
const maxSeconds = 253402300799

func parseZone(z string) *time.Location {
	n, err := strconv.Atoi(z)
	if err != nil || n == 0 || n < -9959 || n > 9959 {
		return time.UTC
	}
	return time.FixedZone("", (n/100*60+n%100)*60)
}
