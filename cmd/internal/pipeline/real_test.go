package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// realPacks are packs of public repositories, by their checksums: spinnaker,
// rumprun-xen, go-git, storable and desk.
var realPacks = []string{
	"f2e0a8889a746f7600e07d2246a2e29a72f696be", "7861f2632868833a35fe5e4ab94f99638ec5129b", "3559b3b47e695b33b0913237a4df3357e739831c",
	"0d3d824fb5c930e7e7e1f0f399f2976847d31fd3", "4ec6344877f494690fc800aceaf2ca0e86786acb",
}

// fixtures gives the folder of go-git's test repositories. The module is one of the
// test dependencies of go-git, so go.sum vouches for it; it is read from the module
// cache and not imported: its packs stand in it as 65 MB of Go source besides.
func fixtures(t *testing.T) string {
	t.Helper()
	const module = "github.com/go-git/go-git-fixtures/v4"
	args := []string{"mod", "download", "-json", module}
	if testing.Short() {
		args = []string{"list", "-m", "-json", module} // where it is there already
	}
	out, err := exec.Command("go", args...).Output()
	var m struct{ Dir string }
	if err := errors.Join(err, json.Unmarshal(out, &m)); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	if m.Dir == "" {
		t.Skip("not in the module cache; go mod download " + module)
	}
	return filepath.Join(m.Dir, "data")
}

// repositoryOf makes a bare repository of one pack, with a branch at each commit that
// is no other's parent.
func repositoryOf(t *testing.T, data, pack string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, content []byte) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ext := range []string{".pack", ".idx"} {
		b, err := os.ReadFile(filepath.Join(data, "pack-"+pack+ext))
		if err != nil {
			t.Fatal(err)
		}
		write("objects/pack/pack-"+pack+ext, b)
	}
	write("HEAD", []byte("ref: refs/heads/tip0\n"))
	commits, err := filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRUDefault()).IterEncodedObjects(plumbing.CommitObject)
	if err != nil {
		t.Fatal(err)
	}
	tips, parents := map[plumbing.Hash]bool{}, map[plumbing.Hash]bool{}
	err = commits.ForEach(func(o plumbing.EncodedObject) error {
		var c object.Commit
		tips[o.Hash()] = true
		err := c.Decode(o)
		for _, p := range c.ParentHashes {
			parents[p] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for id := range tips {
		if !parents[id] {
			write(fmt.Sprintf("refs/heads/tip-%s", id), []byte(id.String()+"\n"))
		}
	}
	return dir
}

// On the histories of real repositories, stored as thousands of differences, the scan
// by differences finds what the full scan finds.
func TestCompareFullOnRealRepositories(t *testing.T) {
	data := fixtures(t)
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	packs := realPacks
	if testing.Short() {
		packs = packs[1:2]
	}
	deltas, hits := int64(0), int64(0)
	for _, pack := range packs {
		src := sources.Git(repositoryOf(t, data, pack), sources.GitOptions{History: true})
		if err := compareFull(t.Context(), e, src, 2); err != nil {
			t.Errorf("pack %s: %v", pack, err)
		}
		n, h := countDeltas(t, src), countHits(t, e, src)
		t.Logf("pack %s: %d blobs are deltas, %d hits", pack, n, h)
		deltas, hits = deltas+n, hits+h
		if err := src.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
	if !testing.Short() && deltas < 2000 || deltas < 500 || hits == 0 {
		t.Errorf("%d deltas with %d hits prove little", deltas, hits)
	}
}

func countDeltas(t *testing.T, src sources.Source) int64 {
	t.Helper()
	var items []sources.Item
	if err := src.Items(t.Context(), func(it sources.Item) error { items = append(items, it); return nil }); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	_, err := src.(sources.Visitor).Visit(context.Background(), items, 2, func(c *sources.Content) any {
		if c.Base != nil && len(c.Copies) > 0 {
			n.Add(1)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return n.Load()
}

func countHits(t *testing.T, e *scanner.Engine, src sources.Source) int64 {
	t.Helper()
	var n atomic.Int64
	if _, err := e.Run(t.Context(), src, scanner.RunOptions{Workers: 2, Hit: func(scanner.Hit) { n.Add(1) }}); err != nil {
		t.Fatal(err)
	}
	return n.Load()
}
