package replay

import (
	"bytes"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/item"
	"github.com/quench-dev/quench/sources/internal/record"
)

// Known is what somebody knows of all that a source has, while that is as it was: with
// it, nothing is given again.
type Known struct {
	// Name tells what is known by other means apart: other rules.
	Name string
	// Use is called with what Keep was given, when all is as it was then, and with
	// what opens an item by its Object, Of, and whether it has a Blob. It gives what
	// was counted then, or says that the source has to be read.
	Use func(kept []byte, open func(item.Item) Opener) (item.Counts, bool)

	kept []byte // to be saved
}

// Knower gives nothing to who knows what it has.
type Knower interface {
	// Know is for the next call of Items: that calls Known.Use at once, and when that
	// is of use gives nothing. What is to be known next time is kept when the source
	// is closed.
	Know(*Known)
}

// Keep has bytes kept for the next Use.
func (k *Known) Keep(b []byte) { k.kept = b }

// Kept gives what is new to be kept, nil for nothing.
func (k *Known) Kept() []byte { return k.kept }

func (p *Replay) toldName() string {
	return fmt.Sprintf("told by %s of %q: %s", p.Known.Name, p.root, p.name)
}

// toldHead is what a file of what is known begins with, in clear.
func (p *Replay) toldHead() []byte { return append([]byte("told\n"), p.walk.State[:]...) }

func (p *Replay) told(root string, blob func(plumbing.Hash) Opener, failed func(error) error) (c item.Counts, ok bool) {
	if p.Known == nil {
		return c, false
	}
	p.root = root
	data, ok := p.memory.Load(p.toldName())
	if !ok {
		return c, false
	}
	sealed, ok := bytes.CutPrefix(data, p.toldHead())
	if !ok {
		return c, false
	}
	kept, err := record.OpenBox(p.toldHead(), sealed, p.key)
	if err != nil {
		return c, false
	}
	return p.Known.Use(kept, func(it item.Item) Opener {
		if it.Origin.Blob != "" {
			return blob(plumbing.Hash(it.Object))
		}
		return p.message(record.Entry{Object: it.Object, Of: it.Of}, failed)
	})
}

// saveTold saves what is known of a walk that is kept: it is of the same state.
func (p *Replay) saveTold() {
	if p.Known == nil || p.Known.kept == nil || p.walk.Entries == nil {
		return
	}
	sealed, err := record.SealBox(p.toldHead(), p.Known.kept, p.key)
	if p.Known.kept = nil; err == nil {
		p.memory.Save(p.toldName(), sealed)
	}
}
