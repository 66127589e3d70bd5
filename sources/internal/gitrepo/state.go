package gitrepo

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// volatile are names in a repository's folder that change without its history, or
// hold nothing that a walk reads.
var volatile = []string{"objects", "hooks", "modules", "lfs", "index", "index.lock", "FETCH_HEAD", "COMMIT_EDITMSG", "MERGE_MSG", "gc.log", "gc.pid", "description"}

// maxState bounds a file that is hashed for State whole; of a larger one, which only
// a reflog of a million entries is, size and time count.
const maxState = 64 << 20

// State hashes all that a walk over the history depends on but the content of
// objects, which their ids name: refs, logs, configuration, the index, which packs
// there are, and which loose objects. Equal states have equal walks. It fails where
// something of that cannot be read. key is another hash of the same, which nobody can
// tell from sum.
func (r *Repository) State() (sum, key [sha256.Size]byte, err error) {
	h := sha256.New()
	dirs := []string{r.GitDir}
	if r.CommonDir != r.GitDir {
		dirs = append(dirs, r.CommonDir)
	}
	for _, dir := range dirs {
		fmt.Fprintf(h, "folder %q\n", dir)
		err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if slices.Contains(volatile, d.Name()) && filepath.Dir(name) == dir {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if d.IsDir() || strings.HasSuffix(d.Name(), ".lock") {
				return nil
			}
			return hashFile(h, name, d)
		})
		if err != nil {
			return sum, key, fmt.Errorf("reading the state of %q: %w", dir, cause(err))
		}
	}
	fmt.Fprintf(h, "%q %q %q\n", r.Worktree, r.Prefix, r.Head)
	if err := r.hashIndex(h); err != nil {
		return sum, key, err
	}
	for _, dir := range append([]string{filepath.Join(r.CommonDir, "objects")}, r.Alternates...) {
		fmt.Fprintf(h, "objects %q\n", dir)
		if err := hashObjects(h, dir); err != nil {
			return sum, key, fmt.Errorf("listing the objects in %q: %w", dir, cause(err))
		}
	}
	inner := h.Sum(nil)
	return sha256.Sum256(append([]byte("state"), inner...)), sha256.Sum256(append([]byte("key"), inner...)), nil
}

func hashFile(h hash.Hash, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "%q %d\n", name, info.Size())
	if !info.Mode().IsRegular() || info.Size() > maxState {
		fmt.Fprintf(h, "%s %d\n", info.Mode(), info.ModTime().UnixNano())
		return nil
	}
	f, err := os.OpenFile(name, os.O_RDONLY|OpenFlags, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, io.LimitReader(f, maxState))
	return err
}

// hashIndex hashes what the index says of files, and not when they were looked at
// last, which git status writes into it.
func (r *Repository) hashIndex(h hash.Hash) error {
	idx, err := r.Index()
	if err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	for _, e := range idx.Entries {
		fmt.Fprintf(h, "%q %s %d\n", e.Name, e.Hash, e.Stage)
	}
	return nil
}

// hashObjects hashes which packs and loose objects a folder has. A pack is named by
// what it holds; its size and time tell one that was replaced or damaged since.
func hashObjects(h hash.Hash, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		loose := len(e.Name()) == 2
		if !e.IsDir() || !loose && e.Name() != "pack" && e.Name() != "info" {
			continue
		}
		files, err := os.ReadDir(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			if strings.HasPrefix(f.Name(), "tmp_") || strings.HasSuffix(f.Name(), ".lock") {
				continue
			}
			fmt.Fprintf(h, "%s/%q\n", e.Name(), f.Name())
			if loose {
				continue
			}
			info, err := f.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%d %d\n", info.Size(), info.ModTime().UnixNano())
		}
	}
	return nil
}
