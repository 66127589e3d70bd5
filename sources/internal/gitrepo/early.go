package gitrepo

import "reflect"

// Early is a repository that is being opened before it is asked for. A nil Early is
// none.
type Early struct{ opened chan early }

type early struct {
	layout Layout
	repo   *Repository
}

// OpenEarly begins to open the repository that a target is, or lies in. What goes
// wrong is told by who opens it in the end.
func OpenEarly(target string, trust bool, memory int64) *Early {
	e := &Early{make(chan early, 1)}
	go func() {
		defer close(e.opened)
		l, err := Find(target, trust)
		if err != nil || RefusedFormat(l.CommonDir) != nil {
			return
		}
		if r, err := Open(l, memory); err == nil {
			e.opened <- early{l, r}
		}
	}()
	return e
}

// Open is Open of what was opened early, once, where that is the same.
func (e *Early) Open(l Layout, memory int64) (*Repository, error) {
	if e != nil {
		if o, ok := <-e.opened; ok {
			if reflect.DeepEqual(o.layout, l) {
				return o.repo, nil
			}
			o.repo.Objects.Close()
		}
	}
	return Open(l, memory)
}
