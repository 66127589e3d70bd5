package main

import (
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() { scriptCmds["hold"] = scriptHold }

// scriptHold is "hold FILE TEXT": the policy revoke.toml with TEXT at its end, which is in
// its [[leak]]; @closed@ there are hours that begin in three hours.
func scriptHold(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: hold FILE TEXT")
	}
	at := time.Now().UTC().Add(3 * time.Hour)
	closed := at.Format("15:04") + "-" + at.Add(time.Hour).Format("15:04") + " UTC"
	text := ts.ReadFile("revoke.toml") + strings.ReplaceAll(args[1], "@closed@", closed) + "\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
