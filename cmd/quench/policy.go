package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/policy"
)

// loadPolicy reads the policy file named by a flag, or the one in the user's
// configuration folder, which may be missing: the empty policy tells nobody.
func loadPolicy(path string) (revoker.Policy, error) {
	if path != "" {
		return policy.Load(path)
	}
	dir, err := configDir()
	if err != nil {
		return revoker.Policy{}, nil // no home, no policy
	}
	p, err := policy.Load(filepath.Join(dir, "policy.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return revoker.Policy{}, nil
	}
	return p, err
}

// configDir is the folder of the user's configuration.
func configDir() (string, error) {
	// A relative one is ignored, as its specification says: from within a scanned
	// tree it would name a folder of that tree.
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "quench"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".config", "quench"), nil
}
