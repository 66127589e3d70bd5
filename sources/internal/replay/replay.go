// Package replay keeps the walk over a repository's history, and gives it again.
//
// A walk depends on the repository's state alone (gitrepo.State): while that is the
// same, so are its items. They tell where each thing lies, and hold no byte of it; they
// are kept sealed (record.Open). A walk is kept that had nothing to tell but what stays so: what is missing, cut off or
// excluded. For a history that grew, the trees are kept too (trees.go). The package knows
// nothing of how a history is walked. Start reading at Open.
package replay

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/item"
	"github.com/quench-dev/quench/sources/internal/record"
)

// Memory keeps bytes by name, from one run of the program to the next. What Load
// gives is what Save was given under that name last, or nothing.
type Memory interface {
	Load(name string) ([]byte, bool)
	Save(name string, content []byte)
}

type walk = record.Walk[item.Counts]

// Replay is a repository's walk. The nil Replay keeps nothing and has nothing.
type Replay struct {
	memory Memory
	name   string
	repo   *gitrepo.Repository
	walk   walk
	key    [32]byte // that it is sealed with
	writer record.Writer
	fails  bool // the walk is not to be kept
	dirty  bool // it is to be saved
	kept   kept
	// Known is asked before the walk is given again.
	Known *Known
	root  string // what it calls the repository
}

// Open looks at the repository's state; name tells walks of other repositories, and
// with other options, apart. It gives nil where no walk can be kept.
func Open(memory Memory, name string, repo *gitrepo.Repository) *Replay {
	if memory == nil || len(repo.Bad) > 0 {
		return nil
	}
	state, key, err := repo.State()
	if err != nil {
		return nil // the walk tells what is wrong
	}
	return &Replay{memory: memory, name: name, repo: repo, key: key, walk: walk{State: state}}
}

// Opener opens what an item is of.
type Opener = func(context.Context) (io.ReadCloser, error)

// Items gives the items of the walk that is kept, when it is of this state, with what
// it counted. blob opens a blob, and failed is told of an object that cannot be read
// and gives the reader's error.
func (p *Replay) Items(ctx context.Context, root string, blob func(plumbing.Hash) Opener, failed func(error) error, counted func(item.Counts), yield func(item.Item) error) (done bool, err error) {
	if p == nil {
		return false, nil
	}
	if c, ok := p.told(root, blob, failed); ok {
		counted(c)
		return true, ctx.Err()
	}
	data, ok := p.memory.Load(p.name)
	if !ok {
		return false, nil
	}
	w, err := record.Open[item.Counts](data, p.walk.State, p.key)
	if err != nil {
		return false, nil
	}
	p.walk = w
	counted(w.Counts)
	return true, record.Read(w.Entries, func(e record.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		it := item.Item{Origin: e.Origin, Size: e.Size, Object: e.Object, Of: e.Of}
		it.Origin.Source, it.Origin.Root = "git", root
		switch {
		case e.Reason != "":
			it.Skip = &item.Skip{Reason: item.Reason(e.Reason)}
			if e.Err != "" {
				it.Skip.Err = errors.New(e.Err)
			}
		case e.Blob != "":
			it.Open = blob(plumbing.Hash(e.Object))
		default:
			it.Open = p.message(e, failed)
		}
		return yield(it)
	})
}

// message opens the message, or lines of the header, of a commit or tag.
func (p *Replay) message(e record.Entry, failed func(error) error) Opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		var text []byte
		var err error
		if e.Of != (item.ObjectID{}) {
			text, err = p.repo.Objects.Header(plumbing.Hash(e.Of), plumbing.Hash(e.Object))
		} else {
			text, err = p.repo.Objects.Message(plumbing.Hash(e.Object))
		}
		if err != nil {
			return nil, failed(err)
		}
		return io.NopCloser(bytes.NewReader(text)), ctx.Err()
	}
}

// Recording takes down what is yielded.
func (p *Replay) Recording(yield func(item.Item) error) func(item.Item) error {
	if p == nil {
		return yield
	}
	return func(it item.Item) error {
		e := record.Entry{Origin: it.Origin, Object: it.Object, Of: it.Of, Size: it.Size}
		switch {
		case it.Skip != nil:
			if e.Reason = string(it.Skip.Reason); it.Skip.Err != nil {
				e.Err = it.Skip.Err.Error()
			}
			switch it.Skip.Reason {
			case item.SkipMissing, item.SkipPromised, item.SkipShallow: // the state says so too
			default:
				p.fails = p.fails || it.Skip.Reason.Wanted()
			}
		case it.Object == (item.ObjectID{}) || e.Blob != "" && e.Blob != hex.EncodeToString(it.Object[:]):
			p.fails = true // what it would open is not known
		}
		if !p.fails {
			p.writer.Add(e)
		}
		return yield(it)
	}
}

// Keep has the walk kept that was taken down, when the repository is still what it was
// before.
func (p *Replay) Keep(counts item.Counts) {
	if p == nil || p.fails {
		return
	}
	if state, _, err := p.repo.State(); err == nil && state == p.walk.State {
		p.walk.Counts, p.walk.Entries, p.dirty = counts, p.writer.Bytes(), true
	}
}

// Save saves what is new. It is done once, when all is asked.
func (p *Replay) Save() {
	if p == nil {
		return
	}
	p.saveTrees()
	p.saveTold()
	if !p.dirty {
		return
	}
	p.dirty = false
	if data, err := p.walk.Seal(p.key); err == nil {
		p.memory.Save(p.name, data)
	}
}

// Question names what is asked by a hash.
func Question(asked any) string { return record.Question(asked) }

// Answer is what is known of a question about n things.
func (p *Replay) Answer(question string, n int) ([]item.Attribution, bool) {
	if p == nil {
		return nil, false
	}
	a, ok := p.walk.Answers[question]
	for _, one := range a {
		ok = ok && len(a) == n && one.Of >= 0 && one.Of < n && a[one.Of].Of == one.Of
	}
	return a, ok
}

// Answered takes down an answer.
func (p *Replay) Answered(question string, a []item.Attribution) {
	if p != nil && p.walk.Entries != nil {
		p.walk.Answered(question, a)
		p.dirty = true
	}
}
