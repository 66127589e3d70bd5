package gitrepo

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/config"
)

// readConfig reads a repository's own config; one without is git's default.
// Includes are not followed.
func readConfig(CommonDir string) (*config.Config, error) {
	data, err := readMeta(filepath.Join(CommonDir, "config"))
	if errors.Is(err, fs.ErrNotExist) {
		return config.NewConfig(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading its config: %w", cause(err))
	}
	cfg := config.NewConfig()
	// Only the raw sections are wanted: a remote that go-git finds wrong keeps
	// nobody from reading objects.
	if err := cfg.Unmarshal([]byte(data)); err != nil && len(cfg.Raw.Sections) == 0 {
		return nil, errors.New("its config does not parse; try: git config --list --local")
	}
	return cfg, nil
}

// RefusedFormat names the storage format of a repository that cannot be read, or
// gives nil.
func RefusedFormat(CommonDir string) error {
	cfg, err := readConfig(CommonDir)
	if err != nil {
		return err
	}
	core, ext := cfg.Raw.Section("core"), cfg.Raw.Section("extensions")
	if v := core.Option("repositoryformatversion"); v != "" && v != "0" && v != "1" {
		return fmt.Errorf("repository format version %q is not known; known are 0 and 1", v)
	}
	if f := strings.ToLower(ext.Option("objectformat")); f != "" && f != "sha1" {
		return fmt.Errorf("object format %q is not supported yet; scan a clone made with --object-format=sha1, or the files alone (--history=false)", f)
	}
	if f := strings.ToLower(ext.Option("refstorage")); f != "" && f != "files" {
		return fmt.Errorf("ref storage %q is not supported yet; convert it with: git refs migrate --ref-format=files, or scan the files alone (--history=false)", f)
	}
	return nil
}

// isPromisor reports whether a repository is a partial clone, by its config or by
// its packs: a copy of one may come without the config.
func isPromisor(l Layout) bool {
	if packs, err := filepath.Glob(filepath.Join(globEscape(l.CommonDir), "objects", "pack", "*.promisor")); err == nil && len(packs) > 0 {
		return true
	}
	cfg, err := readConfig(l.CommonDir)
	if err != nil {
		return false
	}
	for _, remote := range cfg.Raw.Section("remote").Subsections {
		if isTrue(remote.Option("promisor")) {
			return true
		}
	}
	return cfg.Raw.Section("extensions").Option("partialclone") != ""
}
