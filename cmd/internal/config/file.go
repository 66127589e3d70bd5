package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/rules/allow"
)

// Name is what a configuration file is called.
const Name = ".quench.toml"

// MaxFile bounds a configuration file in bytes: gitleaks' own, the largest known,
// has 100 kB.
const MaxFile = 1 << 20

// document is a configuration file as TOML has it.
type document struct {
	// Extend names what this file adds to: "default", the built-in rules, and
	// other files, relative to this one. Unset means the built-in rules.
	Extend        []string         `toml:"extend"`
	MinConfidence rules.Confidence `toml:"min_confidence"`
	Rules         struct {
		Files   []string `toml:"files"`
		Disable []string `toml:"disable"`
	} `toml:"rules"`
	// Baselines are files of known findings.
	Baselines []string     `toml:"baselines"`
	Allow     []allowTable `toml:"allow"`
	// Scan are flags of quench scan by their names, with '_' for '-'.
	Scan map[string]any `toml:"scan"`
}

type allowTable struct {
	Description string       `toml:"description"`
	Rules       []string     `toml:"rules"`
	Condition   string       `toml:"condition"`
	Paths       []string     `toml:"paths"`
	Commits     []string     `toml:"commits"`
	Regexes     []string     `toml:"regexes"`
	Target      allow.Target `toml:"target"`
	StopWords   []string     `toml:"stop_words"`
}

// Error says what is wrong in a configuration file, and where.
type Error struct {
	File      string
	Line, Col int // from 1; 0 when not known
	Err       error
}

func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	case e.Col == 0:
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Col, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// parse reads a configuration file, strictly.
func parse(name string, data []byte) (d document, at positions, err error) {
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err = dec.Decode(&d)
	var unknown *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		var errs []error
		for i := range unknown.Errors {
			e := &unknown.Errors[i]
			line, col := e.Position()
			errs = append(errs, &Error{name, line, col, unknownKey(e.Key())})
		}
		return d, at, errors.Join(errs...)
	case errors.As(err, &bad):
		line, col := bad.Position()
		return d, at, &Error{name, line, col, errors.New(strings.TrimPrefix(bad.Error(), "toml: "))}
	case err != nil:
		return d, at, &Error{File: name, Err: err}
	}
	return d, locate(data), nil
}

// unknownKey names what the key may be meant for.
func unknownKey(key toml.Key) error {
	t, last := reflect.TypeFor[document](), key[len(key)-1]
	for _, k := range key[:len(key)-1] {
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("toml") == k {
				t = f.Type
				break
			}
		}
		if t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			break
		}
	}
	var known []string
	for i := range t.NumField() {
		known = append(known, t.Field(i).Tag.Get("toml"))
	}
	full := strings.Join(key, ".")
	for _, foreign := range []string{"policy", "provider", "providers", "report_to", "registry", "exec", "hook", "hooks", "revoke"} {
		if key[0] == foreign {
			return fmt.Errorf("unknown key %q: what is revoked and who is told stands in policy.toml of your own configuration folder, never in a scanned tree", full)
		}
	}
	return did(full, last, known)
}

// did says that a name is not known, and which is near it.
func did(full, last string, known []string) error {
	if near := rules.Nearest(last, known); near != "" {
		return fmt.Errorf("unknown key %q: did you mean %q?", full, near)
	}
	return fmt.Errorf("unknown key %q: the keys here are %s", full, strings.Join(known, ", "))
}

// positions holds where keys stand: "min_confidence", "rules.files", "allow[2]",
// "allow[2].paths".
type positions map[string][2]int

func (p positions) of(keys ...string) (line, col int) {
	for _, k := range keys {
		if at, ok := p[k]; ok {
			return at[0], at[1]
		}
	}
	return 0, 0
}

// locate reads data, which has decoded, once more for the places of its keys.
func locate(data []byte) positions {
	at, table, n := positions{}, "", map[string]int{}
	p := unstable.Parser{}
	p.Reset(data)
	for p.NextExpression() {
		e := p.Expression()
		var parts []string
		var line, col int
		for it := e.Key(); it.Next(); {
			parts = append(parts, string(it.Node().Data))
			if line == 0 {
				start := p.Shape(it.Node().Raw).Start
				line, col = start.Line, start.Column
			}
		}
		name := strings.Join(parts, ".")
		switch e.Kind {
		case unstable.ArrayTable:
			table = fmt.Sprintf("%s[%d]", name, n[name])
			n[name]++
			at[table] = [2]int{line, col}
		case unstable.Table:
			table = name
			at[table] = [2]int{line, col}
		case unstable.KeyValue:
			if table != "" {
				name = table + "." + name
			}
			at[name] = [2]int{line, col}
		}
	}
	return at
}

// lists gives the file's allow lists.
func (d document) lists(name string, at positions) (out []allow.List, err error) {
	var errs []error
	for i, t := range d.Allow {
		table := fmt.Sprintf("allow[%d]", i)
		fail := func(key string, err error) {
			line, col := at.of(table+"."+key, table)
			errs = append(errs, &Error{name, line, col, err})
		}
		line, _ := at.of(table)
		l := allow.List{Description: t.Description, Where: fmt.Sprintf("%s:%d", name, line), Rules: t.Rules, Paths: t.Paths, Commits: t.Commits,
			Regexes: t.Regexes, Target: t.Target, StopWords: t.StopWords}
		switch t.Condition {
		case "", "any":
		case "all":
			l.All = true
		default:
			fail("condition", fmt.Errorf("condition %q: must be \"any\" or \"all\"", t.Condition))
		}
		if t.Target != "" && len(t.Regexes) == 0 {
			fail("target", errors.New("target says what regexes are tried on, and there are none"))
		}
		for _, w := range t.StopWords {
			if len(w) < minStopWord {
				fail("stop_words", fmt.Errorf("stop word %q: must have at least %d bytes, or chance finds it in random text", w, minStopWord))
			}
		}
		if _, _, err := allow.New(l); err != nil {
			key := ""
			var f *allow.Fault
			if errors.As(err, &f) {
				key = f.Key
			}
			if errors.Is(err, allow.ErrAllowsAll) {
				err = fmt.Errorf("this allow list leaves nothing to report: %w; say which paths, values or rules it is for", err)
			}
			fail(key, err)
		}
		out = append(out, l)
	}
	return out, errors.Join(errs...)
}

// minStopWord is the least length of a stop word, as rules have it.
const minStopWord = 3

// isGitleaks reports whether data is a configuration for gitleaks, by what only
// that has. What is neither's is read as ours, whose errors are better.
func isGitleaks(base string, data []byte) bool {
	if base == GitleaksName {
		return true
	}
	var probe map[string]any
	if toml.Unmarshal(data, &probe) != nil {
		return bytes.Contains(data, []byte("[[rules]]"))
	}
	_, array := probe["rules"].([]any)
	_, table := probe["extend"].(map[string]any)
	return array || table || slices.ContainsFunc([]string{"title", "allowlist", "allowlists", "minVersion"}, func(k string) bool { return probe[k] != nil })
}
