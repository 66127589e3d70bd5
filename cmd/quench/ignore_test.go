package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	scriptCmds["findingid"] = scriptFindingID
	scriptCmds["big"] = scriptBig
}

// big FILE N writes a file of N bytes.
func scriptBig(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("#\n"), n/2), 0o600))
}

// findingid REPORT RULE NAME takes the id of the rule's first finding from a JSON
// report into the variable NAME and the file $WORK/NAME.
func scriptFindingID(ts *testscript.TestScript, _ bool, args []string) {
	var report struct {
		Findings []struct {
			RuleID    string `json:"rule_id"`
			FindingID string `json:"finding_id"`
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &report))
	for _, f := range report.Findings {
		if f.RuleID == args[1] {
			ts.Setenv(args[2], f.FindingID)
			ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), args[2]), []byte(f.FindingID+"\n"), 0o600))
			return
		}
	}
	ts.Fatalf("no finding of %s in %s", args[1], args[0])
}
