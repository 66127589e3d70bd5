package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every example of docs/configuration.md works as it stands, in order, in one fresh
// repository: files are written where their comment says, commands are run.
func TestConfigurationExamples(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("the commands are for a POSIX shell, and there is none here")
	}
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	script := "set -euo pipefail\ngit init -q -b main .\necho 'PORT=8080' > app.env\ngit add .\ngit commit -qm start\n"
	blocks := regexp.MustCompile("(?ms)^(?:<!-- (run|file) ?(\\S*) -->\n)?```[a-z]*\n(.*?)^```$").FindAllStringSubmatch(string(doc), -1)
	if n := strings.Count(string(doc), "\n```"); n != 2*len(blocks) {
		t.Errorf("%d fences and %d examples: one is not told apart", n, len(blocks))
	}
	for _, b := range blocks {
		switch b[1] {
		case "run":
			script += b[3]
		case "file":
			script += "mkdir -p \"$(dirname \"" + b[2] + "\")\"\ncat > \"" + b[2] + "\" <<'END'\n" + b[3] + "END\n"
		default:
			t.Errorf("an example is neither run nor a file:\n%s", b[3])
		}
	}
	dir := t.TempDir()
	cmd := exec.Command("bash", "-c", script)
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
	for _, want := range []string{
		"min-confidence    medium", "ok    acme-api-key", "read rules/acme.toml", "read shared/quench.toml", "allow lists: 2",
		"0123456789abcdef  github-pat", "removed .quenchignore:3", "1 entry added", "read gitleaks.toml",
		"crm is told by webhook", "1 tokens and 1 owners are protected", "issued ", "which is forbidden", "longer than the longest",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the examples never say %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}
