package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// pointsFile is where the points stand that the scanner is built with.
const pointsFile = "scanner/internal/score/points.txt"

// crossValidate measures each fifth of the repositories with points learned from
// the other four, so that nothing is measured on what it was learned from. Points
// are part of the program: each fifth is measured by a build of its own, in which
// other points take the place of points.txt.
func crossValidate(dir string, clean []string) error {
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "accuracy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	all := tally{RepositoryRows: map[string]int{}, RepositoryOK: map[string]int{}}
	for k := range folds {
		learned, overlay := filepath.Join(tmp, fmt.Sprintf("points%d.txt", k)), filepath.Join(tmp, "overlay.json")
		replace, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, pointsFile): learned}})
		if err != nil {
			return err
		}
		if err := os.WriteFile(overlay, replace, 0o600); err != nil {
			return err
		}
		args := []string{"run", "./testdata/accuracy", "-fold", strconv.Itoa(k), "-learn", learned}
		for _, c := range clean {
			args = append(args, "-clean", c)
		}
		if out, err := exec.Command("go", append(args, dir)...).CombinedOutput(); err != nil {
			return fmt.Errorf("learning without fifth %d: %w: %s", k, err, out)
		}
		out, err := exec.Command("go", "run", "-overlay", overlay, "./testdata/accuracy", "-fold", strconv.Itoa(k), "-counts", dir).Output()
		if err != nil {
			return fmt.Errorf("measuring fifth %d: %w", k, err)
		}
		var t tally
		if err := json.Unmarshal(out, &t); err != nil {
			return fmt.Errorf("reading the counts of fifth %d: %w", k, err)
		}
		all.Rows, all.Hit = all.Rows+t.Rows, all.Hit+t.Hit
		all.True, all.False, all.Unlabelled = all.True+t.True, all.False+t.False, all.Unlabelled+t.Unlabelled
		maps.Copy(all.RepositoryRows, t.RepositoryRows)
		maps.Copy(all.RepositoryOK, t.RepositoryOK)
	}
	all.print()
	return nil
}
