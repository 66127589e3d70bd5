package gitrepo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// The parsers here read what a walk needs and nothing else; go-git's own copy
// every name and message and are the oracle in the tests.

// Modes of tree entries, by their type bits (git's S_IFMT).
const (
	ModeType    = 0o170000
	ModeTree    = 0o040000
	ModeGitlink = 0o160000
)

// TreeEntry is one name in a tree.
type TreeEntry struct {
	Mode uint32
	Name []byte // lies in the tree's bytes
	Hash plumbing.Hash
}

var errTree = errors.New("malformed tree")

// TreeEntries iterates over a tree object: "MODE NAME\0" and 20 bytes of object
// id, repeated. It ends after the first error.
func TreeEntries(data []byte) iter.Seq2[TreeEntry, error] {
	return func(yield func(TreeEntry, error) bool) {
		for len(data) > 0 {
			var e TreeEntry
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
				e.Mode = e.Mode<<3 | uint32(c-'0')
			}
			data = data[sp+1:]
			nul := bytes.IndexByte(data, 0)
			if nul < 1 || len(data) < nul+1+len(e.Hash) {
				yield(e, errTree)
				return
			}
			e.Name = data[:nul]
			copy(e.Hash[:], data[nul+1:])
			data = data[nul+1+len(e.Hash):]
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Join is path.Join without cleaning: a tree may hold names like "..", and the path
// told is the one that git would tell.
func Join(dir string, name []byte) string {
	if dir == "" {
		return string(name)
	}
	return dir + "/" + string(name)
}

// IsLink reports whether a tree's entry is a submodule.
func IsLink(entry []byte) bool {
	for e, err := range TreeEntries(entry) {
		return err == nil && e.Mode&ModeType == ModeGitlink
	}
	return false
}

// NewEntries is TreeEntries without the entries that stand in prev too, another
// and well-formed version of the tree, as far as they are met in order. Most of a tree is as it
// was in the version before, and comparing its bytes is all that this costs.
func NewEntries(data, prev []byte) iter.Seq2[TreeEntry, error] {
	return func(yield func(TreeEntry, error) bool) {
		for len(data) > 0 {
			n := entryLen(data)
			if n == 0 {
				yield(TreeEntry{}, errTree)
				return
			}
			// One entry may have been taken out before this one.
			skip := entryLen(prev)
			switch {
			case skip > 0 && bytes.HasPrefix(prev, data[:n]):
				data, prev = data[n:], prev[n:]
				continue
			case skip > 0 && bytes.HasPrefix(prev[skip:], data[:n]):
				data, prev = data[n:], prev[skip+n:]
				continue
			case skip == n && bytes.Equal(data[:n-20], prev[:n-20]):
				prev = prev[n:] // the same name, changed
			}
			for e, err := range TreeEntries(data[:n]) {
				if !yield(e, err) || err != nil {
					return
				}
			}
			data = data[n:]
		}
	}
}

// entryLen is the length of the first entry of a tree; 0 when there is none, or
// none that is well-formed.
func entryLen(data []byte) int {
	nul := bytes.IndexByte(data, 0)
	if nul < 0 || nul+21 > len(data) {
		return 0
	}
	return nul + 21
}

// Commit is what a walk needs of a commit.
type Commit struct {
	Tree      plumbing.Hash
	Parents   []plumbing.Hash
	Author    string
	Email     string
	Date      time.Time // of the author
	Committed int64     // seconds since 1970
}

var (
	errCommit = errors.New("malformed commit")
	errTag    = errors.New("malformed tag")
)

// ParseCommit reads a commit's headers and gives its message.
func ParseCommit(data []byte) (c Commit, message []byte, err error) {
	_, message = cutMessage(data)
	c, err = parseCommit(data, true)
	return c, message, err
}

// ParseLinks is ParseCommit without author and message.
func ParseLinks(data []byte) (Commit, error) { return parseCommit(data, false) }

func parseCommit(data []byte, author bool) (c Commit, err error) {
	head, _ := cutMessage(data)
	for line := range bytes.SplitSeq(head, []byte{'\n'}) {
		key, value, _ := bytes.Cut(line, []byte{' '})
		switch string(key) {
		case "tree":
			c.Tree, err = ParseHash(value)
		case "parent":
			var h plumbing.Hash
			if h, err = ParseHash(value); err == nil {
				c.Parents = append(c.Parents, h)
			}
		case "author":
			if author {
				c.Author, c.Email, c.Date = parseIdent(value)
			}
		case "committer":
			_, _, when := cutIdent(value)
			c.Committed, _, _ = parseSeconds(when)
		}
		if err != nil {
			return c, fmt.Errorf("%w: %w", errCommit, err)
		}
	}
	if c.Tree.IsZero() {
		return c, fmt.Errorf("%w: no tree", errCommit)
	}
	return c, nil
}

// Tag is what a walk needs of an annotated tag.
type Tag struct {
	Target plumbing.Hash
	Kind   string
	Tagger string
	Email  string
	Date   time.Time
}

// ParseTag reads a tag's headers and gives its message.
func ParseTag(data []byte) (t Tag, message []byte, err error) {
	head, message := cutMessage(data)
	for line := range bytes.SplitSeq(head, []byte{'\n'}) {
		key, value, _ := bytes.Cut(line, []byte{' '})
		switch string(key) {
		case "object":
			if t.Target, err = ParseHash(value); err != nil {
				return t, nil, fmt.Errorf("%w: %w", errTag, err)
			}
		case "type":
			t.Kind = string(value)
		case "tagger":
			t.Tagger, t.Email, t.Date = parseIdent(value)
		}
	}
	if t.Target.IsZero() {
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

// Headers are header lines that were met. The zero Headers is ready.
type Headers struct{ met map[string]struct{} }

// New gives the lines of HeaderLines that were not met yet.
func (h *Headers) New(head []byte) (text []byte) {
	if h.met == nil {
		h.met = map[string]struct{}{}
	}
	for line := range HeaderLines(head) {
		if _, met := h.met[string(line)]; !met {
			h.met[string(line)] = struct{}{}
			text = append(append(text, line...), '\n')
		}
	}
	return text
}

// HeaderLines iterates over the lines of a commit's or tag's headers that people
// write, such as authors, without times, and what tools add, but for ids, types and
// signatures, whose text is random.
func HeaderLines(head []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		signature := false
		for line := range bytes.SplitSeq(bytes.TrimRight(head, "\n"), []byte{'\n'}) {
			key, value, _ := bytes.Cut(line, []byte{' '})
			switch string(key) {
			case "": // the line before goes on
				if signature {
					continue
				}
			case "tree", "parent", "object", "type", "encoding":
				signature = false
				continue
			case "gpgsig", "gpgsig-sha256":
				signature = true
				continue
			case "author", "committer", "tagger":
				signature = false
				// SECONDS ZONE differ each time, and the rest seldom does.
				if _, _, rest := cutIdent(value); rest != nil {
					line = line[:len(line)-len(rest)]
				}
			default:
				signature = false
			}
			if !yield(line) {
				return
			}
		}
	}
}

var errNoID = errors.New("not an object id")

// ParseHash reads an object id of 40 hex digits.
func ParseHash(b []byte) (plumbing.Hash, error) {
	var id plumbing.Hash
	if len(b) != 2*len(id) {
		return id, errNoID
	}
	if _, err := hex.Decode(id[:], b); err != nil {
		return plumbing.ZeroHash, errNoID
	}
	return id, nil
}

// parseIdent reads "NAME <EMAIL> SECONDS ZONE". What does not parse is zero:
// histories hold broken lines, and they are no reason not to read a commit.
func parseIdent(b []byte) (name, email string, when time.Time) {
	n, e, rest := cutIdent(b)
	name, email = string(n), string(e)
	sec, zone, ok := parseSeconds(rest)
	if !ok {
		return name, email, time.Time{}
	}
	return name, email, time.Unix(sec, 0).In(parseZone(string(zone)))
}

// cutIdent splits off what comes after the address.
func cutIdent(b []byte) (name, email, rest []byte) {
	lt, gt := bytes.IndexByte(b, '<'), bytes.LastIndexByte(b, '>')
	if lt < 0 || gt < lt {
		return bytes.TrimSpace(b), nil, nil
	}
	return bytes.TrimSpace(b[:lt]), b[lt+1 : gt], b[gt+1:]
}

// parseSeconds reads "SECONDS ZONE".
func parseSeconds(b []byte) (sec int64, zone []byte, ok bool) {
	when, zone, _ := bytes.Cut(bytes.TrimSpace(b), []byte{' '})
	sec, err := strconv.ParseInt(string(when), 10, 64)
	if err != nil || sec < 0 || sec > maxSeconds {
		return noTime, nil, false
	}
	zone, _, _ = bytes.Cut(bytes.TrimSpace(zone), []byte{' '})
	return sec, zone, true
}

// noTime is time.Time{} in seconds since 1970.
const noTime = -62135596800

// maxSeconds is the end of the year 9999, the last that RFC 3339 can write, less
// the day that a zone may add.
const maxSeconds = 253402300799 - 24*60*60

func parseZone(z string) *time.Location {
	n, err := strconv.Atoi(z)
	// RFC 3339 writes hours to 23 and minutes to 59.
	if err != nil || n == 0 || n < -2359 || n > 2359 || n%100 > 59 || n%100 < -59 {
		return time.UTC
	}
	return time.FixedZone("", (n/100*60+n%100)*60)
}

// Hashes reads object ids that were written by String.
func Hashes(ids []string) []plumbing.Hash {
	out := make([]plumbing.Hash, len(ids))
	for i, id := range ids {
		out[i] = plumbing.NewHash(id)
	}
	return out
}
