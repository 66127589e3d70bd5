package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/policy"
)

// Every example of docs/configuration.md works as it stands, in order, in one fresh
// repository: files are written where their comment says, commands are run.
func TestConfigurationExamples(t *testing.T) {
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var script string
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
	out := runDocumented(t, script)
	for _, want := range []string{
		"min-confidence    medium", "ok    acme-api-key", "read rules/acme.toml", "read shared/quench.toml", "allow lists: 2",
		"0123456789abcdef  github-pat", "removed .quenchignore:3", "1 entry added", "read gitleaks.toml",
		"crm is told by webhook", "1 tokens and 1 owners are protected", "issued ", "which is forbidden", "longer than the longest",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the examples never say %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// The policies and providers that docs/alerts.md and docs/providers.md show are read as
// they stand.
func TestDocumentedPolicies(t *testing.T) {
	for _, name := range []string{"alerts", "providers"} {
		doc, err := os.ReadFile("../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?ms)^```toml\n(.*?)^```$").FindAllStringSubmatch(string(doc), -1)
		if len(blocks) == 0 {
			t.Errorf("docs/%s.md shows nothing", name)
		}
		for _, b := range blocks {
			if name, ok := strings.CutPrefix(b[1], "name = \""); ok { // a provider's file
				dir := t.TempDir()
				name, _, _ = strings.Cut(name, "\"")
				if err := os.WriteFile(filepath.Join(dir, name+".toml"), []byte(b[1]), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err = revoker.Policy{ProviderDir: dir}.Table()
			} else {
				_, err = policy.Parse([]byte(b[1]))
			}
			if err != nil {
				t.Errorf("docs/%s.md: %v in\n%s", name, err, b[1])
			}
		}
	}
}
