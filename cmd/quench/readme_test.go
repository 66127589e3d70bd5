package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every block of the README marked "run" works as it stands, in order, in a
// fresh repository with a fresh home.
func TestREADMECommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)<!-- run -->\n```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 3 {
		t.Fatalf("the README has %d blocks to run", len(blocks))
	}
	var script string
	for _, b := range blocks {
		script += b[1]
	}
	out := runDocumented(t, script)
	for _, want := range []string{"would", "revoked", "complete"} {
		if !strings.Contains(strings.ToLower(out), want) {
			t.Errorf("the README's commands never say %q:\n%s", want, out)
		}
	}
}

// runDocumented runs commands of the documentation in a fresh repository with a fresh
// home, and returns what they print.
func runDocumented(t *testing.T, script string) string {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("the commands are for a POSIX shell, and there is none here")
	}
	dir := t.TempDir()
	cmd := exec.Command("bash", "-c", "set -euo pipefail\ngit init -q -b main .\necho 'PORT=8080' > app.env\ngit add .\ngit commit -qm start\n"+script)
	cmd.Dir = filepath.Join(dir, "repo")
	if err := os.MkdirAll(cmd.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+dir+"/state", "XDG_CONFIG_HOME="+dir+"/config", "XDG_CACHE_HOME="+dir+"/cache",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com", "QUENCH_REGISTRY=", "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// The commands named outside those blocks exist.
func TestREADMENamesRealCommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot()
	for _, m := range regexp.MustCompile(`(?m)^quench ([a-z]+)(?: ([a-z]+))?`).FindAllStringSubmatch(string(readme), -1) {
		c, _, err := root.Find(m[1:2])
		if err != nil || c == root {
			t.Errorf("quench %s: no such command", m[1])
			continue
		}
		if m[2] != "" && c.HasSubCommands() {
			if sub, _, err := root.Find(m[1:3]); err != nil || sub == c {
				t.Errorf("quench %s %s: no such command", m[1], m[2])
			}
		}
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\bmake ([a-z]+)`).FindAllStringSubmatch(string(readme), -1) {
		if !strings.Contains(string(makefile), "\n"+m[1]+":") {
			t.Errorf("make %s: no such target", m[1])
		}
	}
}
