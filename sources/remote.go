package sources

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/quench-dev/quench/sources/internal/clone"
)

// remote is the source of a repository elsewhere: it is cloned, bare and with all its
// refs, to a temporary folder when its items are asked for first, and taken away by
// Close, which must be called, also after an error. TMPDIR says where that is.
type remote struct {
	gitSource // of the clone, once there is one
	at        clone.Remote
	note      func(string)

	cloning sync.Mutex
	dir     string // the temporary folder, once there is one
	done    bool
}

// TargetName is a target as it may be shown: an address without credentials.
func TargetName(target string) string {
	r, ok, err := clone.Parse(target)
	switch {
	case !ok:
		return target
	case err != nil:
		return "an address"
	}
	return r.String()
}

// remote opens an address; ok says whether target is one.
func (o OpenOptions) remote(target string) (src Source, ok bool, err error) {
	if _, err := os.Lstat(target); err == nil {
		return nil, false, nil // a folder may have such a name
	}
	at, ok, err := clone.Parse(target)
	switch {
	case !ok:
		return nil, false, nil
	case err != nil:
		return nil, true, err
	case o.Scope.OfIndex():
		return nil, true, fmt.Errorf("%s is cloned without index and working tree: nothing is staged or unstaged there", at)
	case !o.History && !o.Scope.NeedsGit():
		return nil, true, fmt.Errorf("%s is cloned without a working tree: without its history nothing of it is wanted", at)
	}
	r := &remote{at: at, note: o.Note}
	r.opts = GitOptions{History: true, Scope: o.Scope, Archives: o.Archives, Memory: o.Memory, Name: at.String()}
	return r, true, nil
}

// Items implements Source.
func (r *remote) Items(ctx context.Context, yield func(Item) error) error {
	if err := r.clone(ctx); err != nil {
		return err
	}
	return r.gitSource.Items(ctx, yield)
}

func (r *remote) clone(ctx context.Context) (err error) {
	r.cloning.Lock()
	defer r.cloning.Unlock()
	if r.done {
		return nil
	}
	if r.dir == "" {
		if r.dir, err = os.MkdirTemp("", "quench-clone-"); err != nil {
			return fmt.Errorf("making a folder to clone %s into: %w", r.at, err)
		}
	}
	git, err := exec.LookPath("git")
	if err != nil {
		git = "" // go-git does it
	}
	r.target = filepath.Join(r.dir, "repo.git")
	if err := r.at.Clone(ctx, r.target, clone.Options{Git: git, Note: r.note}); err != nil {
		return errors.Join(err, os.RemoveAll(r.target))
	}
	if r.note != nil {
		r.note("")
	}
	r.done = true
	return nil
}

// Places implements Placed.
func (r *remote) Places() []string { return []string{r.at.String()} }

// Close takes the clone away.
func (r *remote) Close() error {
	err := r.gitSource.Close()
	r.cloning.Lock()
	defer r.cloning.Unlock()
	if r.dir == "" {
		return err
	}
	if e := os.RemoveAll(r.dir); e != nil {
		err = errors.Join(err, fmt.Errorf("taking the clone of %s away: %w", r.at, e))
	}
	r.dir, r.done = "", false
	return err
}
