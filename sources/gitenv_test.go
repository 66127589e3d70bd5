package sources_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources"
)

// What git's environment names is scanned for the current folder, and for no other
// target.
func TestGitEnvironment(t *testing.T) {
	r := newRepo(t)
	r.commit("one", map[string]string{"f": "committed", "sub/g": "below"})
	r.write(map[string]string{"f": "changed"})
	other := newRepo(t)
	other.commit("one", map[string]string{"o": "other"})
	elsewhere := t.TempDir()
	t.Chdir(elsewhere)
	both := sources.GitOptions{History: true, Worktree: true}
	scan := func(dir string) map[string]string {
		t.Helper()
		content, skips := outcome(t, sources.Git(dir, both))
		if len(skips) > 0 {
			t.Errorf("skips %v", skips)
		}
		return content
	}
	history := map[string]string{"git:f": "committed", "git:sub/g": "below", "commit-message": "one\n"}
	whole := map[string]string{"worktree:f": "changed", "worktree:sub/g": "below"}
	for k, v := range history {
		whole[k] = v
	}

	t.Setenv("GIT_DIR", filepath.Join(r.dir, ".git"))
	t.Setenv("GIT_WORK_TREE", r.dir)
	if d := cmp.Diff(whole, scan(".")); d != "" {
		t.Error("GIT_DIR and GIT_WORK_TREE:", d)
	}
	if got := scan(other.dir); got["git:o"] != "other" || got["git:f"] != "" {
		t.Errorf("another target: %v", got)
	}
	os.Unsetenv("GIT_WORK_TREE") // t.Setenv above puts it back
	if got := scan("."); got["git:f"] != "committed" || got["worktree:f"] != "" {
		t.Errorf("the current folder is the working tree, and empty: %v", got)
	}
	r.git("config", "core.bare", "true")
	if d := cmp.Diff(history, scan(".")); d != "" {
		t.Error("a bare one:", d)
	}
	r.git("config", "core.bare", "false")
	r.git("config", "core.worktree", r.dir)
	if d := cmp.Diff(whole, scan(".")); d != "" {
		t.Error("core.worktree:", d)
	}
	t.Chdir(filepath.Join(r.dir, "sub"))
	t.Setenv("GIT_DIR", "../.git")
	if d := cmp.Diff(map[string]string{"git:sub/g": "below", "worktree:sub/g": "below"}, scan(".")); d != "" {
		t.Error("a folder of the working tree:", d)
	}
	t.Setenv("GIT_DIR", "nowhere")
	if err := sources.Git(".", both).Items(t.Context(), func(sources.Item) error { return nil }); err == nil || !strings.Contains(err.Error(), "GIT_DIR") {
		t.Errorf("error %v", err)
	}
}

// Objects that only GIT_OBJECT_DIRECTORY or GIT_ALTERNATE_OBJECT_DIRECTORIES hold, as
// those of a push before it is accepted, are read.
func TestGitObjectDirectories(t *testing.T) {
	r := newRepo(t)
	r.commit("one", map[string]string{"f": "old"})
	push := newRepo(t)
	push.git("pull", "-q", r.dir, "main")
	id := push.commit("two", map[string]string{"f": "pushed"})
	t.Chdir(r.dir)
	objects := filepath.Join(push.dir, ".git", "objects")
	scope := sources.GitOptions{Scope: sources.Scope{NewTips: []string{id}, ExcludeRefs: true}}
	for _, env := range [][2]string{
		{"GIT_OBJECT_DIRECTORY", objects}, {"GIT_QUARANTINE_PATH", objects},
		{"GIT_ALTERNATE_OBJECT_DIRECTORIES", objects}, {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "/nowhere" + string(os.PathListSeparator) + fmt.Sprintf("%q", objects)},
	} {
		t.Run(env[0], func(t *testing.T) {
			t.Setenv(env[0], env[1])
			content, skips := outcome(t, sources.Git(".", scope))
			if d := cmp.Diff(map[string]string{"git:f": "pushed", "commit-message": "two\n"}, content); d != "" || len(skips) > 0 {
				t.Errorf("%s%v", d, skips)
			}
		})
	}
	if _, skips := outcome(t, sources.Git(".", scope)); skips["git:"] != sources.SkipMissing {
		t.Errorf("without: skips %v", skips)
	}
}

// git commit FILE gives its hooks an index of its own.
func TestGitIndexFile(t *testing.T) {
	r := newRepo(t)
	r.commit("one", map[string]string{"f": "1", "g": "1"})
	r.write(map[string]string{"f": "2", "g": "2"})
	r.git("add", "f")
	index, err := os.ReadFile(filepath.Join(r.dir, ".git", "index"))
	if err != nil {
		t.Fatal(err)
	}
	r.git("reset", "-q", "--hard")
	if err := os.WriteFile(filepath.Join(r.dir, ".git", "next-index"), index, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(r.dir)
	if got, _ := given(t, sources.Git(".", sources.GitOptions{Scope: sources.Scope{Staged: true}}), "staged"); got != nil {
		t.Errorf("staged %v", got)
	}
	t.Setenv("GIT_INDEX_FILE", ".git/next-index")
	if got, _ := given(t, sources.Git(".", sources.GitOptions{Scope: sources.Scope{Staged: true}}), "staged"); !slices.Equal(got, []string{"f"}) {
		t.Errorf("staged %v", got)
	}
}

// A repository of another user is refused where git refuses it, and trusted by what
// makes git trust it.
func TestGitOwner(t *testing.T) {
	r := newRepo(t)
	r.commit("one", map[string]string{"f": "1"})
	home := t.TempDir()
	link := filepath.Join(home, "link")
	symlink(t, r.dir, link)
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
	write := func(name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	// Of git's own, versions before 2.46 know no /* and follow no link.
	const all = "any version"
	for _, c := range []struct {
		name, config string
		env          map[string]string
		safe         bool
		git          string
	}{
		{"nothing", "", nil, false, all},
		{"it", "[safe]\n\tdirectory = " + r.dir + "\n", nil, true, all},
		{"another", "[safe]\n\tdirectory = " + r.dir + "x\n", nil, false, all},
		{"above it", "[safe]\n\tdirectory = " + filepath.Dir(r.dir) + "\n", nil, false, all},
		{"all", "[safe]\n\tdirectory = *\n", nil, true, all},
		{"taken back", "[safe]\n\tdirectory = *\n\tdirectory =\n", nil, false, all},
		{"taken back and given", "[safe]\n\tdirectory = /x\n\tdirectory =\n\tdirectory = " + r.dir + "\n", nil, true, all},
		{"below", "[safe]\n\tdirectory = " + filepath.Dir(r.dir) + "/*\n", nil, true, ""},
		{"by a link", "[safe]\n\tdirectory = ~/link\n", nil, true, ""},
		{"relative", "[safe]\n\tdirectory = link\n", nil, false, all},
		{"included", "[include]\n\tpath = more\n", nil, true, all},
		{"a comment", "[safe] # " + r.dir + "\n", nil, false, all},
		{"command line", "", map[string]string{"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "*", "GIT_CONFIG_KEY_1": "Safe.Directory", "GIT_CONFIG_VALUE_1": "*"}, true, all},
		{"git -c", "", map[string]string{"GIT_CONFIG_PARAMETERS": "'a.b'='it'\\''s' 'safe.directory'='" + r.dir + "'"}, true, all},
		{"git -c of old", "", map[string]string{"GIT_CONFIG_PARAMETERS": "'safe.directory=" + r.dir + "'"}, true, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(filepath.Join(home, ".gitconfig"), c.config)
			write(filepath.Join(home, "more"), "[safe]\n\tdirectory = "+r.dir+"\n")
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			err := r.history("").Items(t.Context(), func(sources.Item) error { return nil })
			if (err == nil) != c.safe || err != nil && !strings.Contains(err.Error(), "safe.directory "+r.dir) {
				t.Errorf("error %v", err)
			}
			if c.git == all {
				cmd := exec.Command("git", "-C", r.dir, "rev-parse", "HEAD")
				if out, err := cmd.CombinedOutput(); (err == nil) != c.safe {
					t.Errorf("git says %v: %s", err, out)
				}
			}
		})
	}
	// The repository's own configuration has no say in it.
	write(filepath.Join(home, ".gitconfig"), "")
	r.write(map[string]string{".git/config": "[safe]\n\tdirectory = *\n"})
	if err := r.history("").Items(t.Context(), func(sources.Item) error { return nil }); err == nil {
		t.Error("it trusts itself")
	}
	// Who names it by GIT_DIR trusts it, as with git.
	t.Chdir(r.dir)
	t.Setenv("GIT_DIR", ".git")
	if err := sources.Git(".", sources.GitOptions{History: true}).Items(t.Context(), func(sources.Item) error { return nil }); err != nil {
		t.Error(err)
	}
}

// Files that do belong to somebody else, which only root can make.
func TestGitOwnedByAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(t.TempDir(), "none"))
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("SUDO_UID", "")
	for _, part := range []string{"", ".git"} {
		r := newRepo(t)
		r.commit("one", map[string]string{"f": "1"})
		if err := os.Chown(filepath.Join(r.dir, part), 12345, 12345); err != nil {
			t.Fatal(err)
		}
		err := r.history("").Items(t.Context(), func(sources.Item) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("%q given away: error %v", part, err)
		}
		srcs, err := sources.Open(filepath.Dir(r.dir), sources.OpenOptions{History: true, Worktree: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, skips := outcome(t, srcs...); skips["git:"] != sources.SkipFormat {
			t.Errorf("in a folder that is scanned: skips %v", skips)
		}
		t.Setenv("SUDO_UID", "12345")
		if part == ".git" {
			if err := os.Chown(r.dir, 12345, 12345); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.history("").Items(t.Context(), func(sources.Item) error { return nil }); part == ".git" && err != nil {
			t.Errorf("by sudo of the owner: %v", err)
		}
		t.Setenv("SUDO_UID", "")
	}
}
