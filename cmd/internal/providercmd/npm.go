package providercmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/quench-dev/quench/revoker/provider"
)

// maxNpmrc is more than any .npmrc that people write, and what is read of one.
const maxNpmrc = 1 << 20

// userNpmrc is where the user's own npm configuration lies
// (docs.npmjs.com/cli/configuring-npm/npmrc). A project's .npmrc, and the
// npm_config_registry that npm run makes of it, are not asked: whoever wrote the
// project would say where a secret is sent.
func userNpmrc() string {
	home, _ := os.UserHomeDir()
	return cmp.Or(os.Getenv("NPM_CONFIG_USERCONFIG"), filepath.Join(home, ".npmrc"))
}

// npmHost is the host, with its port, of the registry that a .npmrc names; empty
// where there is no file or it names none.
func npmHost(file string) (string, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("npm's registry: %w; or name it with --host", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxNpmrc))
	if err != nil {
		return "", fmt.Errorf("npm's registry: %w; or name it with --host", err)
	}
	registry := ""
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, "=")
		if strings.TrimSpace(key) == "registry" { // the last one counts
			registry = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	if registry == "" {
		return "", nil
	}
	u, err := url.Parse(registry)
	if err != nil || u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || !provider.HostOK(u.Host) {
		// What stands there may hold a password.
		return "", fmt.Errorf("npm's registry, as %s has it, is not https://HOST alone: name the host with --host", file)
	}
	return u.Host, nil
}
