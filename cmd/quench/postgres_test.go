package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quench-dev/quench/registry/store/storetest"
)

// onFiles are the scripts that are about the registry's file.
var onFiles = []string{"registry_backup", "token_registry", "scan_bad_input"}

// The scripts that use a registry say the same on PostgreSQL.
func TestScriptOnPostgres(t *testing.T) {
	all, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, f := range all {
		name := strings.TrimSuffix(filepath.Base(f), ".txtar")
		kind, _, _ := strings.Cut(name, "_")
		if slices.Contains([]string{"token", "incident", "audit", "registry", "serve", "demo", "worker", "usage", "alert"}, kind) && !slices.Contains(onFiles, name) {
			files = append(files, f)
		}
	}
	storetest.Postgres(t) // or skip before any script is read
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		Cmds:                scriptCmds,
		Setup: func(env *testscript.Env) error {
			env.Setenv("QUENCH_REGISTRY", storetest.Postgres(env.T().(testing.TB)))
			return setupScript(env)
		},
	})
}
