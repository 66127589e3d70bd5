package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run the real main as "quench".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"quench": main})
}

// TestScript runs testdata/script/*.txtar, the manual that runs. Update the
// golden parts with UPDATE_SCRIPTS=1.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		Setup:               setupScript,
		Cmds:                scriptCmds,
	})
}

// setupScript gives each script a home of its own, so that no test meets the
// user's registry, pepper, git configuration or policy.
func setupScript(env *testscript.Env) error {
	for k, v := range map[string]string{
		"HOME": env.WorkDir + "/home", "XDG_STATE_HOME": env.WorkDir + "/home/state",
		"XDG_CONFIG_HOME": env.WorkDir + "/home/config", "XDG_CACHE_HOME": env.WorkDir + "/home/cache",
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": env.WorkDir + "/home/gitconfig",
		"GIT_AUTHOR_NAME": "Ann Author", "GIT_AUTHOR_EMAIL": "ann@example.com", "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME": "Carl Committer", "GIT_COMMITTER_EMAIL": "carl@example.com", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
		"NO_COLOR": "1",
	} {
		env.Setenv(k, v)
	}
	if err := os.MkdirAll(env.WorkDir+"/home", 0o755); err != nil {
		return err
	}
	return os.WriteFile(env.WorkDir+"/home/gitconfig", []byte("[init]\n\tdefaultBranch = main\n"), 0o644)
}

// scriptCmds are commands of scripts beyond testscript's own; files of this
// package's tests add theirs.
var scriptCmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){}
