// Package tail follows growing files through rotation, truncation and deletion.
//
// Two loops share the work. One notices: it takes file-system events, looks on its own
// at what events may have missed (NFS, FUSE, watch limits, symlinks that flip far
// away), and opens files as soon as they are there, so that a file which is deleted a
// moment later is read all the same. The other reads, some files at a time, a bounded
// piece of each, and tells the caller when such a round is done. Events only say where
// to look, never what happened, so that lost or merged events lose nothing; what is not
// read yet waits on disk and not in memory.
//
// It knows nothing of scanning or of how positions are stored. Start reading at Follow,
// then notice.go and read.go.
package tail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Identity tells a file from another one of the same name: device and inode,
// where the system has them, and a hash of its first bytes, since inodes are used
// again.
type Identity struct {
	Dev, Ino uint64
	Head     []byte // see headHash; nil for an empty file
}

// Position is how far a file has been read.
type Position struct {
	// File names the file for as long as it is followed, across renames and restarts,
	// and no other: not what comes to have its name, its inode, or its place after it
	// was truncated.
	File string
	Path string
	Identity
	Offset int64
	Line   int64 // line feeds before Offset; of a file begun from its end see maxCounted
}

// Event is what happened to a file: a new file begins, data was appended, or no
// more will come. Every file begins before it has data and ends at most once.
type Event struct {
	File string
	Path string
	Kind Kind
	// Position is where the file begins to be read, for Begin, and how far it was, for
	// Data.
	Position Position
	// Before names, for a Begin at the start of a file, the file that had the name before,
	// where there was one: it has begun, and may have more to give or have ended.
	Before string
	// Was is, for a Begin, the path that the file was left at, if it was.
	Was string
	// More says for Data that there may be more at once.
	More bool
	// Final says for an End that the file is no more: it was deleted, or truncated.
	// Another that was moved away may come back, and go on.
	Final bool
	// Data are the next bytes, for Data; they are valid during the call only.
	Data []byte
}

// Kind is the kind of an Event.
type Kind int

// The kinds. Idle says that a file got nothing new for a while.
const (
	Begin Kind = iota
	Data
	Idle
	End
)

// Options say what is followed and from where.
type Options struct {
	// Paths are files, folders and patterns of their names (doublestar, where no file
	// is called so); files in a folder are followed, those in its subfolders not. They
	// need not exist yet.
	Paths []string
	// Repath brings other Paths, nil for never. Files that are not among them any more are
	// read to their end and given up.
	Repath <-chan []string
	// Positions are where files were left; a file without one is read from its
	// start, or from its end when FromEnd is set and it is there when following
	// begins.
	Positions []Position
	FromEnd   bool
	// Rescan is how often to look without an event; 0 means a second: a
	// compromise between the delay where events do not work and the cost of a
	// stat for each file.
	Rescan time.Duration
	// Linger is for how long a file that was renamed or deleted must be quiet until it
	// is given up; 0 means a minute: programs write to the old file until they are told
	// of the new one.
	Linger time.Duration
	// Workers is how many files are read at the same time; 0 is one per CPU.
	Workers int
	// Round is called after each piece of all that is read was given, and once every
	// Rescan, from one goroutine, and no event comes meanwhile. While it does not
	// return nothing is read, though files are opened. An error ends following.
	Round func() error
	// Ready is called once, when all that was there has been read.
	Ready func(files int)
	// Trouble hears of files and folders that cannot be read, each trouble once
	// until it changes, and with nil when it is over.
	Trouble func(path string, err error)
}

const (
	// readSize is how much is read at once: more does not make it faster, and there is
	// a buffer for each worker.
	readSize = 128 << 10
	// quantum bounds what a file gives in one round, and perRound how many files do, so
	// that a round takes some tens of milliseconds at most and a leak in a quiet file does
	// not wait for a flood in another.
	quantum, perRound = 256 << 10, 16
	// idleAfter is how long a file must be quiet before Idle: writers that flush
	// a record in several pieces do so within milliseconds.
	idleAfter = time.Second
	// events is how many events are held before the kernel holds them.
	events = 4096
)

// follower is the state of one Follow.
type follower struct {
	o     Options
	event func(Event) error
	watch *fsnotify.Watcher

	// What only notice touches.
	wanted  map[string]*target         // by name
	links   []string                   // names that are symlinks, to be looked at in turn
	next    int                        // in links
	blind   bool                       // a wanted folder is not there
	devs    map[string]uint64          // file systems of folders of Paths when first seen
	ticks   int                        // since the names were found
	places  map[string]map[string]bool // where events tell of it → names
	folders map[string]map[string]bool // real folder → folders of Paths that are it
	globs   map[string]map[string]bool // real folder → patterns of Paths
	dirs    map[string]*folder         // real folders that are watched
	others  map[string]*file           // what unknown places hold, until the next tick
	first   bool
	// countable is how many bytes more are read for their lines alone, see maxCounted.
	countable int64
	renew     bool // what is followed and not wanted is given up

	mu      sync.Mutex
	last    map[string]*file        // that had a name last, also when it is gone
	saved   map[inodeKey][]Position // where files may be opened, by keys of anywhere
	said    map[string]bool
	failing map[*file]bool // could not be read, to be tried again
	told    map[string]string
	names   map[string]*file // what is followed under its name
	byID    map[inodeKey]*file
	gone    []*file            // renamed or deleted, oldest first
	active  map[*file]struct{} // read and not yet idle
	redo    map[string]bool    // names that a reader wants to be looked at
	fresh   []*file            // to be read: those that were read to their end before
	behind  []*file            // and those that were not
	unread  int                // files of the start that were not yet read to their end
	ready   bool

	wake chan struct{} // something is to be read
	poke chan struct{} // something is in redo
}

// maxCounted bounds what is read of files that are begun from their ends, to know the
// lines before: a second or so for all of them. Nobody who passes over a hundred gigabytes
// wants to wait until they are read; lines of a file that is not counted are numbered from
// where reading began.
const maxCounted = 1 << 30

type inodeKey struct {
	dev, ino uint64
	path     string // where there are no inodes
}

type file struct {
	id    string
	f     *os.File
	st    fs.FileInfo
	key   inodeKey
	begin Position
	start sync.Once
	prev  *file // that had the name before, until this one begins

	// Of the one that reads it.
	head   []byte
	offset int64
	ended  bool

	// Under the follower's mutex.
	path                       string
	left                       string    // where it was when it was left
	queued, busy, again, early bool      // early: not yet read to its end
	wantIdle, evict            bool      // evict: given up when it is read to its end
	stale                      bool      // it ended a while ago
	quiet, goneAt              time.Time // of the last data; of its name being another's
	size                       int64     // when it was last looked at
	mod                        time.Time
}

// Follow follows until ctx ends, which is no error, or event or Round returns one, which
// it hands back. event is called from several goroutines, for each file from one at a
// time and in order.
func Follow(ctx context.Context, o Options, event func(Event) error) error {
	if o.Rescan <= 0 {
		o.Rescan = time.Second
	}
	if o.Linger <= 0 {
		o.Linger = time.Minute
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	fl := &follower{countable: maxCounted, o: o, last: map[string]*file{}, event: event, first: true, told: map[string]string{}, names: map[string]*file{}, byID: map[inodeKey]*file{},
		active: map[*file]struct{}{}, redo: map[string]bool{}, saved: map[inodeKey][]Position{}, others: map[string]*file{},
		dirs: map[string]*folder{}, devs: map[string]uint64{}, said: map[string]bool{}, failing: map[*file]bool{}, wake: make(chan struct{}, 1), poke: make(chan struct{}, 1)}
	for _, p := range o.Positions {
		k := keyOf(p.Dev, p.Ino, p.Path).anywhere()
		fl.saved[k] = append(fl.saved[k], p)
	}
	w, err := fsnotify.NewBufferedWatcher(events)
	if err != nil {
		fl.trouble("", fmt.Errorf("file-system events do not work, looking every %v instead%s: %w", o.Rescan, hint(err), err))
	} else {
		fl.watch = w
		defer w.Close()
	}
	defer fl.close()
	fl.find()
	fl.resume()
	fl.renamed()
	fl.first = false
	fl.mu.Lock()
	fl.unread = len(fl.fresh)
	for _, x := range fl.fresh {
		x.early = true
	}
	// What was renamed comes before what took its name.
	slices.SortStableFunc(fl.fresh, func(a, b *file) int {
		if (a.prev == nil) != (b.prev == nil) {
			return cmp.Compare(rank(a), rank(b))
		}
		return b.goneAt.Compare(a.goneAt)
	})
	fl.mu.Unlock()
	inner, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); fl.notice(inner) }()
	err = fl.read(inner)
	stop()
	<-done
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// rank orders what comes after another file behind what does not.
func rank(x *file) int {
	if x.prev != nil {
		return 1
	}
	return 0
}

func (fl *follower) close() {
	for _, x := range fl.names {
		x.f.Close()
	}
	for _, x := range fl.gone {
		x.f.Close()
	}
}

// trouble tells each trouble once, and its end.
func (fl *follower) trouble(path string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	fl.mu.Lock()
	news := fl.told[path] != text
	if text == "" {
		delete(fl.told, path)
	} else {
		fl.told[path] = text
	}
	fl.mu.Unlock()
	if news && fl.o.Trouble != nil {
		fl.o.Trouble(path, err)
	}
}

func keyOf(dev, ino uint64, path string) inodeKey {
	if dev|ino != 0 {
		path = ""
	}
	return inodeKey{dev, ino, path}
}

// anywhere is the key on whatever device: some have another number after each mount.
func (k inodeKey) anywhere() inodeKey {
	k.dev = 0
	return k
}

// signal wakes whoever waits at c, once.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
