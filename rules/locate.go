package rules

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// lineIndex holds where the rules of a file and their keys stand, for errors.
type lineIndex struct {
	rules []int
	keys  []map[string]int
}

// locate reads data once more for its lines only; data has already decoded.
func locate(data []byte) lineIndex {
	var ix lineIndex
	p := unstable.Parser{}
	p.Reset(data)
	for p.NextExpression() {
		e := p.Expression()
		it := e.Key()
		if !it.Next() {
			continue
		}
		name, line := string(it.Node().Data), p.Shape(it.Node().Raw).Start.Line
		switch {
		case e.Kind == unstable.ArrayTable && name == "rule":
			ix.rules = append(ix.rules, line)
			ix.keys = append(ix.keys, map[string]int{})
		case e.Kind == unstable.KeyValue && len(ix.keys) > 0:
			ix.keys[len(ix.keys)-1][name] = line
		}
	}
	return ix
}

func (ix lineIndex) rule(i int) int {
	if i < len(ix.rules) {
		return ix.rules[i]
	}
	return 0
}

// key is the line of a key of rule i, or of the rule when it has no such key.
func (ix lineIndex) key(i int, key string) int {
	if i < len(ix.keys) && ix.keys[i][key] > 0 {
		return ix.keys[i][key]
	}
	return ix.rule(i)
}

// ruleAt is the number of the rule that line lies in, or -1.
func (ix lineIndex) ruleAt(line int) int {
	return sort.SearchInts(ix.rules, line+1) - 1
}

// decodeStrict decodes data and refuses keys that nothing reads.
func decodeStrict(name string, data []byte, f *ruleFile) error {
	d := toml.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(f)
	if err == nil {
		return nil
	}
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		ix := locate(data)
		var errs []error
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			errs = append(errs, &FileError{File: name, Line: line, RuleID: idAt(f, ix, line), Err: unknownKey(e.Key())})
		}
		return errors.Join(errs...)
	}
	var de *toml.DecodeError
	if errors.As(err, &de) {
		line, _ := de.Position()
		return &FileError{File: name, Line: line, RuleID: idAt(f, locate(data), line), Err: errors.New(strings.TrimPrefix(de.Error(), "toml: "))}
	}
	return &FileError{File: name, Err: err}
}

func idAt(f *ruleFile, ix lineIndex, line int) string {
	if i := ix.ruleAt(line); i >= 0 && i < len(f.Rules) && f.Rules[i] != nil {
		return f.Rules[i].ID
	}
	return ""
}

func unknownKey(key toml.Key) error {
	last := ""
	if len(key) > 0 {
		last = key[len(key)-1]
	}
	known := ruleKeys()
	if len(key) < 2 || key[0] != "rule" {
		known = []string{"provider", "name", "rule"}
	}
	if k := Nearest(last, known); k != "" {
		return fmt.Errorf("unknown key %q: did you mean %q?", last, k)
	}
	return fmt.Errorf("unknown key %q: the keys here are %s", last, strings.Join(known, ", "))
}

// ruleKeys are the TOML keys of Rule, in the order of its fields.
func ruleKeys() []string {
	var keys []string
	t := reflect.TypeFor[Rule]()
	for i := range t.NumField() {
		if k := t.Field(i).Tag.Get("toml"); k != "" && k != "-" {
			keys = append(keys, k)
		}
	}
	return keys
}

// Nearest is the one of known that word may be a slip of, or "".
func Nearest(word string, known []string) string {
	for _, k := range known {
		if near(k, word) {
			return k
		}
	}
	return ""
}

// near reports whether b is at most two edits from a, or a without its
// separators.
func near(a, b string) bool {
	flat := func(s string) string { return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s)) }
	a, b = flat(a), flat(b)
	if len(b) < 3 || len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return false
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)] <= 2
}
