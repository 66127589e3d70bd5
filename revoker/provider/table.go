package provider

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

//go:embed builtin/*.toml
var builtin embed.FS

// ErrNone: no provider of that name.
var ErrNone = errors.New("no such provider")

// Table is a set of providers.
type Table struct {
	byName map[string]Provider
	names  []string
}

// Builtin are the providers that come with the program. The files are read when
// first asked for.
var Builtin = sync.OnceValues(func() (*Table, error) {
	t := &Table{byName: map[string]Provider{}}
	for _, p := range coded() {
		if err := t.add(p); err != nil {
			return nil, err
		}
	}
	return t, t.load(builtin, "builtin")
})

// coded are the providers written in Go.
func coded() []Provider {
	return []Provider{githubPAT{}, githubInstallation{}, githubOAuthApp{}, githubOAuthApp{grant: true}, awsKey{}, gcpServiceAccount{}, pypi{}}
}

// With is t and the files *.toml of a folder of the operator's own. A name that
// is there already is refused: who reads a policy must know what it means.
func (t *Table) With(dir string) (*Table, error) {
	more := &Table{byName: map[string]Provider{}}
	for _, n := range t.names {
		if err := more.add(t.byName[n]); err != nil {
			return nil, err
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the providers in %q: %w", dir, err)
	}
	return more, more.load(os.DirFS(abs), ".")
}

func (t *Table) load(files fs.FS, dir string) error {
	names, err := fs.Glob(files, path.Join(dir, "*.toml"))
	if err != nil {
		return err
	}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("reading the provider in %s: %w", name, err)
		}
		s, err := parse(b)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if s.Name != strings.TrimSuffix(path.Base(name), ".toml") {
			return fmt.Errorf("%s: %w: it is called %q; name the file so", name, errSpec, s.Name)
		}
		var p Provider = entry{s}
		switch {
		case s.Report != nil:
			p = reporter{s: s}
		case len(s.Resume) > 0:
			p = suspender{entry{s}}
		}
		if err := t.add(p); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (t *Table) add(p Provider) error {
	name := p.Info().Name
	if _, taken := t.byName[name]; taken {
		return fmt.Errorf("%w: there is a provider %q already", errSpec, name)
	}
	t.byName[name] = p
	at, _ := slices.BinarySearch(t.names, name)
	t.names = slices.Insert(t.names, at, name)
	return nil
}

// Names are all names, sorted.
func (t *Table) Names() []string { return slices.Clone(t.names) }

// Get finds a provider by name.
func (t *Table) Get(name string) (Provider, error) {
	p, ok := t.byName[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q; see quench provider list", ErrNone, name)
	}
	return p, nil
}

// ByRule finds the provider that issues what a rule finds.
func (t *Table) ByRule(rule string) (Provider, bool) {
	for _, n := range t.names {
		if p := t.byName[n]; slices.Contains(p.Info().Rules, rule) {
			return p, true
		}
	}
	return nil, false
}
