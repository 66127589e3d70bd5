package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/quench-dev/quench/rules/gitleaks"
)

// readGitleaks reads a configuration for gitleaks: its rules take the place of the
// built-in ones unless it extends gitleaks' defaults, for which ours stand.
func (l *loader) readGitleaks(p place, rel, name string, data []byte) error {
	c, err := gitleaks.Read(name, data, func(ref string) (string, []byte, error) {
		where, to := p, ""
		var err error
		if _, ok := p.(anywhere); ok {
			// gitleaks reads it relative to the working folder.
			where, to = anywhere{}, ref
			if !filepath.IsAbs(ref) {
				if _, err := where.read(to, MaxFile); errors.Is(err, fs.ErrNotExist) {
					where = anywhere{filepath.Dir(p.name(rel))}
				}
			}
		} else if to, err = inside(rel, ref); err != nil {
			return "", nil, err
		}
		data, err := where.read(to, MaxFile)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("it extends %q, which does not exist", ref)
		}
		if err == nil {
			l.s.took(where.name(to), data)
		}
		return where.name(to), data, err
	})
	if err != nil {
		return err
	}
	l.defaults = c.Default
	if c.Rules.Len() > 0 {
		l.sets = append(l.sets, c.Rules)
	}
	for _, id := range c.Replaced {
		l.replaced[id] = true
		for _, id := range gitleaks.Ours(id) {
			l.replaced[id] = true
		}
	}
	for _, id := range c.Disabled {
		for _, id := range gitleaks.Ours(id) {
			l.replaced[id] = true
		}
	}
	l.foreign = append(l.foreign, c.Allow...)
	l.s.Notices = append(l.s.Notices, c.Notices...)
	return nil
}
