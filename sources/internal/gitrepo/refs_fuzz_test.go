package gitrepo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// Whatever packed-refs holds, its refs are ids with names in refs/, every line that
// could be one is read, and what is written back is read the same.
func FuzzPackedRefs(f *testing.F) {
	id := strings.Repeat("0123456789abcdef", 3)[:40]
	f.Add([]byte("# pack-refs with: peeled fully-peeled sorted \n" + id + " refs/heads/main\n^" + id + "\n" + id + " refs/tags/v1"))
	f.Add([]byte(id + " nowhere\nxyz refs/heads/bad\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		refs := map[string]plumbing.Hash{}
		err := parsePacked(bytes.NewReader(data), refs)
		var again bytes.Buffer
		for name, id := range refs {
			if !strings.HasPrefix(name, "refs/") {
				t.Errorf("a ref is called %q", name)
			}
			again.WriteString(id.String() + " " + name + "\n")
		}
		back := map[string]plumbing.Hash{}
		if err := parsePacked(&again, back); err != nil || len(back) != len(refs) {
			t.Errorf("%d refs of %d are read back: %v", len(back), len(refs), err)
		}
		lines := 0
		for line := range bytes.Lines(data) {
			if l := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")); len(l) > 0 && l[0] != '#' && l[0] != '^' {
				lines++
			}
		}
		if err == nil && lines > 0 && len(refs) == 0 {
			t.Errorf("%d lines are no refs, and nothing is told", lines)
		}
	})
}

// Whatever a reflog holds, an entry is a line that names both its ids.
func FuzzReflog(f *testing.F) {
	id := strings.Repeat("0123456789abcdef", 3)[:40]
	f.Add([]byte(id + " " + id + " Ann <ann@example.com> 1700000000 +0000\tfetch: forced-update\n" + id))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseLog(bytes.NewReader(data), func(e LogEntry) {
			lower := strings.ToLower(string(data))
			if !strings.Contains(lower, e.Old.String()+" "+e.New.String()) || !strings.Contains(string(data), e.Message) {
				t.Errorf("an entry that is not there: %+v", e)
			}
		})
	})
}

// Whatever a commit holds, header lines are pieces of it in their order, without ids.
func FuzzHeaderLines(f *testing.F) {
	f.Add([]byte("tree 0123\nparent 4567\nauthor Ann <ann@example.com> 1700000000 +0000\ngpgsig -----BEGIN\n \n abc\nx-tool this\n that\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := data
		for line := range HeaderLines(data) {
			i := bytes.Index(rest, line)
			if i < 0 {
				t.Fatalf("%q is not there, or not in order", line)
			}
			rest = rest[i+len(line):]
			for _, key := range []string{"tree ", "parent ", "gpgsig "} {
				if bytes.HasPrefix(line, []byte(key)) {
					t.Errorf("%q is given", line)
				}
			}
		}
	})
}
