package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quench-dev/quench/rules"
)

func init() {
	scriptCmds["tokenid"] = scriptTokenID
	scriptCmds["incidentid"] = scriptIncidentID
	scriptCmds["tokenkey"] = scriptTokenKey
	scriptCmds["maketoken"] = scriptMakeToken
	scriptCmds["many"] = scriptMany
	scriptCmds["readvalue"] = scriptReadValue
	scriptCmds["silent"] = scriptSilent
	scriptCmds["nowhere"] = scriptNowhere
	scriptCmds["cutfile"] = scriptCutFile
	scriptCmds["splitfile"] = scriptSplitFile
	scriptCmds["sql"] = scriptSQL
}

// sql DATABASE STATEMENT changes a database of SQLite behind the program's back.
func scriptSQL(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}

// incidentid FILE NAME sets NAME to the id of the first incident of a list.
func scriptIncidentID(ts *testscript.TestScript, _ bool, args []string) {
	_, rest, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Setenv(args[1], strings.Fields(rest)[0])
}

// tokenid FILE NAME sets NAME to the id of the first token of a JSON list.
func scriptTokenID(ts *testscript.TestScript, _ bool, args []string) {
	var all []struct{ ID string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &all))
	if len(all) == 0 {
		ts.Fatalf("no token in %s", args[0])
	}
	ts.Setenv(args[1], all[0].ID)
}

// tokenkey FILE N NAME sets NAME to the key id of entry N of a list of peppers.
func scriptTokenKey(ts *testscript.TestScript, _ bool, args []string) {
	var all []struct {
		ID string `json:"key_id"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &all))
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Setenv(args[2], all[n].ID)
}

// maketoken FILE TEMPLATE writes an expanded template, see rules.Expand; \n in
// it is a line feed.
func scriptMakeToken(ts *testscript.TestScript, _ bool, args []string) {
	text, err := rules.Expand(strings.ReplaceAll(args[1], `\n`, "\n"), 1)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// many FILE N BEFORE EACH AFTER writes a line of N times EACH between BEFORE and AFTER, in
// which # is the number; what is not given is empty.
func scriptMany(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	args = append(args, "")
	b := []byte(args[2])
	for i := range n {
		b = append(b, strings.ReplaceAll(args[3], "#", strconv.Itoa(i))...)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append(append(b, args[4]...), '\n'), 0o600))
}

// readvalue FILE NAME sets NAME to the first line of FILE.
func scriptReadValue(ts *testscript.TestScript, _ bool, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Setenv(args[1], line)
}

// silent FILE fails if the last command printed the first line of FILE, or the
// part of it that is secret.
func scriptSilent(ts *testscript.TestScript, _ bool, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	for _, out := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(out), line[len(line)/3:]) {
			ts.Fatalf("%s shows the value", out)
		}
	}
}

// nowhere FILE DIR fails if any file under DIR holds the last two thirds of the
// first line of FILE.
func scriptNowhere(ts *testscript.TestScript, _ bool, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(line[len(line)/3:])) {
			ts.Fatalf("%s holds the value", path)
		}
		files++
		return err
	}))
	if files == 0 {
		ts.Fatalf("no file under %s", args[1])
	}
}

// splitfile FROM A B N copies the first N bytes to A and the others to B.
func scriptSplitFile(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[3])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text[:n]), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text[n:]), 0o600))
}

// cutfile FROM TO N copies the first N bytes.
func scriptCutFile(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(ts.ReadFile(args[0])[:n]), 0o600))
}
