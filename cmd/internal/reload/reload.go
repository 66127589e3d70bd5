// Package reload helps a process that lives to read its configuration again: what the
// command line said, before files added theirs, and what is different afterwards.
//
// It knows nothing of what is configured. Start reading at From and Difference.
package reload

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/spf13/pflag"

	"github.com/quench-dev/quench/rules"
)

// Given are the flags that a command line set, by name, with their values.
type Given map[string][]string

// From takes them down. Call it before files and the environment set the others.
func From(fs *pflag.FlagSet) Given {
	g := Given{}
	fs.Visit(func(f *pflag.Flag) {
		if l, ok := f.Value.(pflag.SliceValue); ok {
			g[f.Name] = l.GetSlice()
			return
		}
		g[f.Name] = []string{f.Value.String()}
	})
	return g
}

// Set sets those that fs has.
func (g Given) Set(fs *pflag.FlagSet) error {
	for name, values := range g {
		if fs.Lookup(name) == nil {
			continue
		}
		for _, v := range values {
			if err := fs.Set(name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// again are the flags that name files, which are read again.
var again = []string{"baseline", "config", "ignore-file", "paths-from", "policy", "rules", "tls-cert", "tls-client-ca", "tls-key"}

// Tell logs what a reload changed, and which flags it could not: the others were given
// once and for all.
func (g Given) Tell(log *slog.Logger, changed Difference) {
	if len(changed) == 0 {
		changed.Note("changed", "nothing")
	}
	log.Info("reloaded", changed...)
	stay := slices.DeleteFunc(slices.Sorted(maps.Keys(g)), func(name string) bool { return slices.Contains(again, name) })
	if len(stay) > 0 {
		log.Info("these flags are as they were given: a restart changes them", "flags", stay)
	}
}

// Difference is what changed, as attributes for the log.
type Difference []any

// Note adds one thing.
func (d *Difference) Note(key, value string) { *d = append(*d, slog.String(key, value)) }

// Changed adds that something is different where it is.
func (d *Difference) Changed(key string, different bool) {
	if different {
		d.Note(key, "changed")
	}
}

// Names adds which names of a kind came and went.
func (d *Difference) Names(kind string, was, is []string) {
	set := func(list []string) map[string]string {
		m := map[string]string{}
		for _, s := range list {
			m[s] = ""
		}
		return m
	}
	d.Texts(kind, set(was), set(is))
}

// Rules adds which rules came, went, and say something else.
func (d *Difference) Rules(was, is *rules.Set) {
	texts := func(s *rules.Set) map[string]string {
		m := map[string]string{}
		for _, r := range s.Rules() {
			m[r.ID] = Text(r)
		}
		return m
	}
	d.Texts("rules", texts(was), texts(is))
}

// Texts adds which names of a kind came, went, and stand for another text.
func (d *Difference) Texts(kind string, was, is map[string]string) {
	var added, changed, removed []string
	for k, v := range is {
		if before, ok := was[k]; !ok {
			added = append(added, k)
		} else if before != v {
			changed = append(changed, k)
		}
	}
	for k := range was {
		if _, ok := is[k]; !ok {
			removed = append(removed, k)
		}
	}
	for _, x := range []struct {
		name string
		list []string
	}{{"added", added}, {"changed", changed}, {"removed", removed}} {
		if slices.Sort(x.list); len(x.list) > 0 {
			*d = append(*d, slog.Any(kind+"_"+x.name, x.list))
		}
	}
}

// Text is v as text, to be compared and not shown.
func Text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return string(b)
}
