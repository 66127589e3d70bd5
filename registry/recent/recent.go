// Package recent keeps rows that were read lately, for as long as no row changed.
//
// It is given versions: numbers that grow with every change of a row, read from
// the database. A row is handed out only to who has read a version now and finds
// it the one that the rows are of, so that nothing is served that a change before
// the reading has made untrue. It knows neither rows nor databases. Start reading
// at Rows.
package recent

import "sync"

// Key of a row: a keyed MAC, which nobody who asks can choose. The time that a
// look-up takes tells nothing of it.
type Key [32]byte

// Rows are rows by their keys. The zero one is not usable; see New.
type Rows[R any] struct {
	most int

	mu         sync.RWMutex
	version    int64
	young, old map[Key]*R
}

// New makes Rows of at most 2·most rows: when most are read, those that were not
// asked for since are forgotten. That keeps what is busy, as an exact order of use
// would, and costs no list that every reader must lock.
func New[R any](most int) *Rows[R] {
	return &Rows[R]{most: most, young: map[Key]*R{}}
}

// Get returns the row of key, if it is known as of version or later. The row is
// shared.
func (c *Rows[R]) Get(key Key, version int64) (*R, bool) {
	c.mu.RLock()
	if c.version < version {
		c.mu.RUnlock()
		return nil, false
	}
	row, ok := c.young[key]
	if ok {
		c.mu.RUnlock()
		return row, true
	}
	row, ok = c.old[key]
	c.mu.RUnlock()
	if ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.old[key] != row || c.version < version { // dropped meanwhile
			return nil, false
		}
		c.keep(key, row)
	}
	return row, ok
}

// Put keeps a row that was read after version was, unless rows have changed since:
// it may have been read before that.
func (c *Rows[R]) Put(key Key, version int64, row *R) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version == version {
		c.keep(key, row)
	}
}

func (c *Rows[R]) keep(key Key, row *R) {
	if len(c.young) >= c.most {
		c.young, c.old = map[Key]*R{}, c.young
	}
	c.young[key] = row
}

// Version is that of the rows.
func (c *Rows[R]) Version() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.version
}

// Advance says that from version from to version to, the rows of changed were
// changed, and no others; nil is all. Without effect where another was faster.
func (c *Rows[R]) Advance(from, to int64, changed []Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version >= to {
		return
	}
	if c.version < from || changed == nil {
		c.young, c.old = map[Key]*R{}, nil
	}
	for _, key := range changed {
		delete(c.young, key)
		delete(c.old, key)
	}
	c.version = to
}

// Drop forgets the row of key.
func (c *Rows[R]) Drop(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, key)
	delete(c.old, key)
}
