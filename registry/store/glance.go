package store

import (
	"io/fs"
	"os"
	"time"
)

const (
	// settling is how long after a write another may come that no Glance can tell from
	// it: clocks of file systems tick every few milliseconds, and a commit is seen when
	// it is on disk, which is after it was written to a file. A disk that takes longer is
	// why nobody relies on a Glance alone.
	settling = time.Second
)

// Glance tells whether a database was written to, by whatever process, without asking
// it: for those who look often whether there is something to do. It is used by one
// goroutine.
type Glance struct {
	files []string // of SQLite
	last  []stamp
	feed  *feed  // of PostgreSQL, nil where each look has to be a question
	told  uint64 // what it said last
	clock func() time.Time
}

// stamp is what a write changes of a file.
type stamp struct {
	size  int64
	wrote time.Time
	file  fs.FileInfo // as it was, for whether it is the same
}

// Glance makes one.
func (s *Store) Glance() *Glance {
	g := &Glance{clock: time.Now}
	if s.pg == nil {
		g.files = []string{s.name, s.name + "-wal"}
	}
	return g
}

// TokenGlance makes one that tells whether tokens were changed alone. On PostgreSQL it
// does so while somebody takes Changes.
func (s *Store) TokenGlance() *Glance {
	g := s.Glance()
	if s.pg != nil {
		g.feed = s.pg.feed
	}
	return g
}

// Changed reports whether the database may have been written to since the last call.
// It may say so without reason, and does the first time, and of PostgreSQL but for tokens.
// Who is told that it was not relies on it for seconds, not for ever.
func (g *Glance) Changed() (changed bool) {
	if g.feed != nil {
		changed, g.told = g.feed.missed(g.told)
		return changed
	}
	if len(g.files) == 0 {
		return true
	}
	before := g.last
	now := make([]stamp, len(g.files))
	// A write that is seen begins before this, so that what is told after it is newer.
	start := g.clock()
	changed = before == nil
	for i, name := range g.files {
		fi, err := os.Stat(name)
		if err != nil { // the file of recent writes is there while anybody has it open
			g.last = nil
			return true
		}
		now[i] = stamp{fi.Size(), fi.ModTime(), fi}
		if before != nil {
			b := before[i]
			changed = changed || b.size != now[i].size || !b.wrote.Equal(now[i].wrote) || !os.SameFile(b.file, fi)
		}
		// Of a write that is young, or of the future by a clock that was set back, the
		// next may look the same.
		changed = changed || start.Sub(now[i].wrote) < settling
	}
	g.last = now
	return changed
}
