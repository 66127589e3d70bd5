package gitrepo

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	id1 = "1234567890123456789012345678901234567890"
	id2 = "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
)

func encoded(t plumbing.ObjectType, data []byte) plumbing.EncodedObject {
	o := &plumbing.MemoryObject{}
	o.SetType(t)
	o.Write(data)
	return o
}

func treeOf(entries ...string) []byte {
	var out []byte
	for _, e := range entries {
		h := plumbing.NewHash(id1)
		out = append(append(append(out, e...), 0), h[:]...)
	}
	return out
}

// FuzzTree compares the tree parser with go-git's. What ours accepts, go-git's
// reads alike if it accepts it; it refuses more (names git would not check out),
// and those blobs are scanned nonetheless.
func FuzzTree(f *testing.F) {
	f.Add(treeOf("100644 a", "40000 dir", "120000 link", "160000 module"))
	f.Add(treeOf("100755 \xff\xfe", "040000 padded", "100644 .."))
	f.Add([]byte("100644 cut\x00short"))
	f.Add([]byte("9 x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var ours []TreeEntry
		var ourErr error
		for e, err := range TreeEntries(data) {
			if err != nil {
				ourErr = err
				break
			}
			ours = append(ours, e)
		}
		if ourErr != nil && !errors.Is(ourErr, errTree) {
			t.Fatalf("error %v", ourErr)
		}
		var theirs object.Tree
		if theirs.Decode(encoded(plumbing.TreeObject, data)) != nil || ourErr != nil {
			return
		}
		if len(ours) != len(theirs.Entries) {
			t.Fatalf("%d entries, go-git reads %d", len(ours), len(theirs.Entries))
		}
		for i, e := range theirs.Entries {
			if string(ours[i].Name) != e.Name || ours[i].Hash != e.Hash {
				t.Errorf("entry %d: %q %s, go-git reads %q %s", i, ours[i].Name, ours[i].Hash, e.Name, e.Hash)
			}
		}
	})
}

// FuzzCommit compares the commit parser with go-git's on what both accept.
func FuzzCommit(f *testing.F) {
	f.Add([]byte("tree " + id1 + "\nparent " + id2 + "\nauthor A B <a@b.c> 1700000000 +0530\ncommitter C <c@d.e> 1700000001 -0800\n\nsubject\n\nbody\n"))
	f.Add([]byte("tree " + id1 + "\nauthor <> 0 +0000\ncommitter x\ngpgsig -----BEGIN\n line\n\n end\n\nmsg"))
	f.Add([]byte("tree " + id1 + "\nauthor A <a> 99999999999999999999 +9999\n\n"))
	f.Add([]byte("parent x\n"))
	f.Add([]byte("\nonly a message"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, msg, err := ParseCommit(data)
		if err != nil {
			if !errors.Is(err, errCommit) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if _, err := ours.Date.MarshalText(); err != nil {
			t.Errorf("date %v cannot be written: %v", ours.Date, err)
		}
		var theirs object.Commit
		if theirs.Decode(encoded(plumbing.CommitObject, data)) != nil {
			return
		}
		if ours.Tree == theirs.TreeHash && slices.Equal(ours.Parents, theirs.ParentHashes) && string(msg) != theirs.Message && len(theirs.Message) > len(msg) {
			t.Errorf("message %q, go-git reads %q", msg, theirs.Message)
		}
	})
}

func FuzzTag(f *testing.F) {
	f.Add([]byte("object " + id1 + "\ntype commit\ntag v1\ntagger A <a@b.c> 1700000000 +0100\n\nmessage\n"))
	f.Add([]byte("object x\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tag, _, err := ParseTag(data)
		if (err == nil) == tag.Target.IsZero() && err == nil {
			t.Error("a tag of nothing and no error")
		}
	})
}

func TestParseCommit(t *testing.T) {
	c, msg, err := ParseCommit([]byte("tree " + id1 + "\nparent " + id2 + "\nparent " + id1 +
		"\nauthor A \xe9 <a@b.c> 1700000000 +0530\ncommitter C <c@d.e> 1700000001 -0800\ngpgsig x\n y\n\nsubject\n\nbody\n"))
	if err != nil || c.Tree.String() != id1 || len(c.Parents) != 2 || c.Author != "A \xe9" || c.Email != "a@b.c" ||
		c.Date.Format("2006-01-02T15:04:05Z07:00") != "2023-11-15T03:43:20+05:30" || c.Committed != 1700000001 || string(msg) != "subject\n\nbody\n" {
		t.Errorf("%+v, %q, %v", c, msg, err)
	}
	for _, broken := range []string{"", "tree x\n\n", "parent " + id1 + "\n\n", "tree " + id1 + "\nparent short\n\n"} {
		if _, _, err := ParseCommit([]byte(broken)); !errors.Is(err, errCommit) {
			t.Errorf("%q: error %v", broken, err)
		}
	}
}
