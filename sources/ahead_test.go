package sources

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A history whose commits and trees are read ahead has the items that it has when
// they are read one by one: packed and loose ones, merges, submodules, folders
// moved and taken back.
func TestReadAhead(t *testing.T) {
	dir := t.TempDir()
	sh := func(script string) {
		t.Helper()
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	var in strings.Builder
	rnd := rand.New(rand.NewPCG(3, 4))
	n := 300
	for v := 1; v <= n; v++ {
		fmt.Fprintf(&in, "commit refs/heads/b%d\nmark :%d\ncommitter a <a@example.com> %d +0000\ndata 1\nx\n", v%3, v, 1000+v)
		if v > 10 {
			fmt.Fprintf(&in, "from :%d\n", v-1-rnd.IntN(5))
			if v%7 == 0 {
				fmt.Fprintf(&in, "merge :%d\n", v-6-rnd.IntN(3))
			}
		}
		for range 1 + rnd.IntN(3) {
			text := fmt.Sprintf("text %d", rnd.IntN(100))
			fmt.Fprintf(&in, "M 644 inline d%d/e%d/f%d\ndata %d\n%s\n", rnd.IntN(4), rnd.IntN(4), rnd.IntN(30), len(text), text)
		}
		if v%20 == 0 && v > 20 {
			fmt.Fprintf(&in, "D d%d/e%d\n", rnd.IntN(4), rnd.IntN(4))
		}
		if v%50 == 0 {
			fmt.Fprintf(&in, "M 160000 %040x d%d/module\n", v, rnd.IntN(4))
		}
	}
	name := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(name, []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	sh("git init -q --bare . && git fast-import --quiet --force < " + name + " && git repack -adq --depth=50 --window=50")
	// A commit whose objects are in no pack.
	sh(`b=$(echo loose | git hash-object -w --stdin); t=$(printf '100644 blob %s\tloose\n' $b | git mktree); ` +
		`git -c user.name=a -c user.email=a@example.com update-ref refs/heads/loose $(git -c user.name=a -c user.email=a@example.com commit-tree -p b1 -m loose $t)`)
	items := func(oneByOne bool) (out []Item) {
		src := Git(dir, GitOptions{History: true, oneByOne: oneByOne})
		defer src.(interface{ Close() error }).Close()
		err := src.Items(context.Background(), func(it Item) error {
			it.Open = nil
			out = append(out, it)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ahead, plain := items(false), items(true)
	if len(ahead) != len(plain) || len(plain) < 200 {
		t.Fatalf("%d items read ahead, %d one by one", len(ahead), len(plain))
	}
	for i := range plain {
		if !reflect.DeepEqual(ahead[i], plain[i]) {
			t.Fatalf("item %d is %+v read ahead, %+v one by one", i, ahead[i], plain[i])
		}
	}
}
