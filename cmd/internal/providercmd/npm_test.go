package providercmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The host of npm is what the user's configuration says, and never a guess.
func TestNpmHost(t *testing.T) {
	for _, c := range []struct{ text, host, refused string }{
		{text: ""},
		{text: "; registry=https://no.example/\n# registry=https://no.example/\n@acme:registry=https://no.example/\n"},
		{text: "registry=https://npm.example/\n", host: "npm.example"},
		{text: "email=a@example.com\r\n registry = \"https://npm.example:8443\"\r\n", host: "npm.example:8443"},
		{text: "registry=https://one.example/\nregistry=https://two.example/", host: "two.example"},
		{text: "registry=http://npm.example/", refused: "--host"},
		{text: "registry=https://ann:sesame@npm.example/", refused: "--host"},
		{text: "registry=https://npm.example/artifactory/api/npm/", refused: "--host"},
		{text: "registry=${REGISTRY}", refused: "--host"},
		{text: "registry=https:///", refused: "--host"},
	} {
		file := filepath.Join(t.TempDir(), "npmrc")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		host, err := npmHost(file)
		if host != c.host || (err == nil) != (c.refused == "") {
			t.Errorf("%q: %q, %v; want %q", c.text, host, err, c.host)
		}
		if err != nil && (!strings.Contains(err.Error(), c.refused) || strings.Contains(err.Error(), "sesame")) {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	if host, err := npmHost(filepath.Join(t.TempDir(), "none")); host != "" || err != nil {
		t.Errorf("without a file: %q, %v", host, err)
	}
	if _, err := npmHost(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
}
