// Package tail follows growing files through rotation, truncation and deletion.
//
// A Follower wakes on file-system events, and once a second in any case, since
// events can be missed (NFS, FUSE, watch limits). At each wake it looks at what
// is on disk and reads what is new: events only say when to look, never what
// happened, so that lost or merged events lose nothing. It knows nothing of
// scanning or of how positions are stored. Start reading at Follow.
package tail

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	Path string
	Identity
	Offset int64
	Line   int64 // line feeds before Offset
}

// Event is what happened to a file: a new file begins, data was appended, or no
// more will come. Every file begins before it has data and ends at most once.
type Event struct {
	Path string
	Kind Kind
	// Position is where the file begins to be read, for Begin.
	Position Position
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
	// Paths are files and folders; files in a folder are followed, those in its
	// subfolders not. They need not exist yet.
	Paths []string
	// Positions are where files were left; a file without one is read from its
	// start, or from its end when FromEnd is set and it is there when following
	// begins.
	Positions []Position
	FromEnd   bool
	// Rescan is how often to look without an event; 0 means a second: a
	// compromise between the delay where events do not work and the cost of a
	// stat for each file.
	Rescan time.Duration
	// Ready is called once, when all that was there has been read.
	Ready func(files int)
	// Trouble hears of files and folders that cannot be read, each trouble once
	// until it changes.
	Trouble func(path string, err error)
}

const (
	readSize = 256 << 10
	// headLen is how many first bytes identify a file: a log's first lines hold
	// a time, so that two files differ within them.
	headLen = 1024
	// idleAfter is how long a file must be quiet before Idle: writers that flush
	// a record in several pieces do so within milliseconds.
	idleAfter = time.Second
)

// Follower is the state of one Follow.
type follower struct {
	o     Options
	event func(Event) error
	files map[string]*file
	saved map[string]Position
	dirs  map[string]bool
	told  map[string]string
	watch *fsnotify.Watcher
	first bool
	buf   []byte
}

type file struct {
	path   string
	f      *os.File
	id     Identity
	offset int64
	quiet  time.Time // of the last data
	idle   bool
}

// Follow follows until ctx ends, which is no error, or event returns one, which
// it hands back. event is called from one goroutine.
func Follow(ctx context.Context, o Options, event func(Event) error) error {
	if o.Rescan <= 0 {
		o.Rescan = time.Second
	}
	fl := &follower{o: o, event: event, files: map[string]*file{}, saved: map[string]Position{}, dirs: map[string]bool{}, told: map[string]string{}, first: true, buf: make([]byte, readSize)}
	for _, p := range o.Positions {
		fl.saved[p.Path] = p
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		fl.trouble("", fmt.Errorf("file-system events do not work, looking every %v instead: %w", o.Rescan, err))
	} else {
		fl.watch = w
		defer w.Close()
	}
	defer func() {
		for _, f := range fl.files {
			f.f.Close()
		}
	}()
	if err := fl.look(ctx); err != nil {
		return ignoreDone(ctx, err)
	}
	fl.first = false
	if o.Ready != nil {
		o.Ready(len(fl.files))
	}
	return ignoreDone(ctx, fl.loop(ctx))
}

func ignoreDone(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func (fl *follower) loop(ctx context.Context) error {
	tick := time.NewTicker(fl.o.Rescan)
	defer tick.Stop()
	var events chan fsnotify.Event
	var errs chan error
	if fl.watch != nil {
		events, errs = fl.watch.Events, fl.watch.Errors
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := fl.look(ctx); err != nil {
				return err
			}
		case err := <-errs: // overflow: some events are lost
			fl.trouble("", err)
			if err := fl.look(ctx); err != nil {
				return err
			}
		case ev := <-events:
			if err := fl.wake(ctx, ev); err != nil {
				return err
			}
		}
	}
}

// wake handles one event and those that wait behind it: a file written to is
// read, anything else makes a look at everything.
func (fl *follower) wake(ctx context.Context, ev fsnotify.Event) error {
	written, all := map[string]bool{}, false
	for n := 0; ; n++ {
		if ev.Op == fsnotify.Write && fl.files[ev.Name] != nil {
			written[ev.Name] = true
		} else {
			all = all || ev.Op != fsnotify.Chmod
		}
		if n < 1000 {
			select {
			case ev = <-fl.watch.Events:
				continue
			default:
			}
		}
		break
	}
	if all {
		return fl.look(ctx)
	}
	for p := range written {
		if err := fl.poll(ctx, fl.files[p]); err != nil {
			return err
		}
	}
	return nil
}

// look reads what is new everywhere.
func (fl *follower) look(ctx context.Context) error {
	want := fl.targets()
	var known []string
	for p := range fl.files {
		known = append(known, p)
	}
	slices.Sort(known)
	for _, p := range known {
		if f := fl.files[p]; f != nil {
			if err := fl.poll(ctx, f); err != nil {
				return err
			}
		}
	}
	for _, p := range want {
		if fl.files[p] == nil {
			if err := fl.begin(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// targets lists the files that should be followed now and watches their folders.
func (fl *follower) targets() []string {
	var out []string
	for _, p := range fl.o.Paths {
		st, err := os.Stat(p)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				fl.trouble(p, err)
			}
			fl.watchDir(filepath.Dir(p))
			continue
		}
		if !st.IsDir() {
			fl.watchDir(filepath.Dir(p))
			out = append(out, p)
			continue
		}
		fl.watchDir(p)
		entries, err := os.ReadDir(p)
		if err != nil {
			fl.trouble(p, err)
			continue
		}
		for _, e := range entries {
			out = append(out, filepath.Join(p, e.Name()))
		}
	}
	return out
}

func (fl *follower) watchDir(dir string) {
	if fl.watch == nil || fl.dirs[dir] {
		return
	}
	if err := fl.watch.Add(dir); err != nil {
		fl.trouble(dir, fmt.Errorf("no file-system events, looking every %v instead: %w", fl.o.Rescan, err))
		return
	}
	fl.dirs[dir] = true
}

// trouble tells each trouble once.
func (fl *follower) trouble(path string, err error) {
	if fl.o.Trouble == nil || fl.told[path] == err.Error() {
		return
	}
	fl.told[path] = err.Error()
	fl.o.Trouble(path, err)
}

// begin opens a file that is not followed yet and reads it.
func (fl *follower) begin(ctx context.Context, path string) error {
	f, err := openRegular(path)
	switch {
	case errors.Is(err, errNotRegular), errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		fl.trouble(path, err)
		return nil
	}
	delete(fl.told, path)
	st, err := f.Stat()
	if err != nil {
		f.Close()
		fl.trouble(path, err)
		return nil
	}
	at := Position{Path: path}
	saved, ok := fl.saved[path]
	delete(fl.saved, path)
	switch {
	case ok && sameFile(f, st, saved):
		at = saved
	case ok:
		// Rotated while nobody looked: finish the old file first.
		if err := fl.finish(ctx, saved); err != nil {
			f.Close()
			return err
		}
	case fl.first && fl.o.FromEnd:
		at.Offset = st.Size()
	}
	return fl.follow(ctx, path, f, st, at)
}

// follow begins to read an open file at a position.
func (fl *follower) follow(ctx context.Context, path string, f *os.File, st fs.FileInfo, at Position) error {
	x := &file{path: path, f: f, offset: at.Offset, quiet: time.Now()}
	x.id.Dev, x.id.Ino = inode(st)
	x.id.Head, _ = headHash(f, min(st.Size(), headLen))
	at.Path, at.Identity = path, x.id
	if err := fl.event(Event{Path: path, Kind: Begin, Position: at}); err != nil {
		f.Close()
		return err
	}
	fl.files[path] = x
	return fl.poll(ctx, x)
}

// finish reads the rest of a file that was renamed: the one in the same folder
// that has its identity.
func (fl *follower) finish(ctx context.Context, old Position) error {
	dir := filepath.Dir(old.Path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if path == old.Path || fl.files[path] != nil {
			continue
		}
		f, err := openRegular(path)
		if err != nil {
			continue
		}
		st, err := f.Stat()
		if err != nil || !sameFile(f, st, old) {
			f.Close()
			continue
		}
		// Where its folder is followed, it goes on under its new name.
		if slices.Contains(fl.o.Paths, dir) {
			return fl.follow(ctx, path, f, st, old)
		}
		if err := fl.follow(ctx, old.Path, f, st, old); err != nil {
			return err
		}
		// poll has ended it already when it saw the new file under its name.
		if x := fl.files[old.Path]; x != nil {
			return fl.end(x)
		}
		return nil
	}
	return nil
}

// poll reads what is new in a file and notices when another one took its place.
func (fl *follower) poll(ctx context.Context, x *file) error {
	own, err := x.f.Stat()
	if err != nil {
		fl.trouble(x.path, err)
		return fl.end(x)
	}
	if own.Size() < x.offset || !x.sameHead() {
		// Truncated, or truncated and written again past where we were.
		if err := fl.end(x); err != nil {
			return err
		}
		return fl.begin(ctx, x.path)
	}
	if err := fl.read(ctx, x); err != nil {
		return err
	}
	st, err := os.Stat(x.path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		fl.trouble(x.path, err)
		return nil
	case err != nil, !os.SameFile(st, own):
		// Renamed or deleted: what was written before that is read to its end.
		if err := fl.read(ctx, x); err != nil {
			return err
		}
		return fl.end(x)
	}
	if !x.idle && time.Since(x.quiet) > idleAfter {
		x.idle = true
		return fl.event(Event{Path: x.path, Kind: Idle})
	}
	return nil
}

// sameHead reports whether the file still begins as it did.
func (x *file) sameHead() bool {
	if len(x.id.Head) == 0 {
		return true
	}
	h, err := headHash(x.f, int64(binary.BigEndian.Uint16(x.id.Head)))
	return err != nil || string(h) == string(x.id.Head)
}

// read gives all that is there beyond the offset.
func (fl *follower) read(ctx context.Context, x *file) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := x.f.ReadAt(fl.buf, x.offset)
		if n > 0 {
			x.offset += int64(n)
			x.quiet, x.idle = time.Now(), false
			if len(x.id.Head) == 0 || binary.BigEndian.Uint16(x.id.Head) < headLen {
				x.id.Head, _ = headHash(x.f, min(x.offset, headLen))
			}
			if err := fl.event(Event{Path: x.path, Kind: Data, Data: fl.buf[:n], Position: Position{Path: x.path, Identity: x.id, Offset: x.offset}}); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF || err == nil && n == 0:
			return nil
		case err != nil:
			fl.trouble(x.path, fmt.Errorf("reading it: %w", err))
			return nil
		}
	}
}

func (fl *follower) end(x *file) error {
	delete(fl.files, x.path)
	x.f.Close()
	return fl.event(Event{Path: x.path, Kind: End})
}

// headHash identifies a file by its first n bytes: n in two bytes, then half of
// their SHA-256.
func headHash(f *os.File, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return append(binary.BigEndian.AppendUint16(nil, uint16(n)), sum[:16]...), nil
}

// sameFile reports whether an open file is the one that a position is about.
func sameFile(f *os.File, st fs.FileInfo, p Position) bool {
	if dev, ino := inode(st); dev != p.Dev || ino != p.Ino || st.Size() < p.Offset {
		return false
	}
	if len(p.Head) < 2 {
		return true
	}
	h, err := headHash(f, int64(binary.BigEndian.Uint16(p.Head)))
	return err == nil && string(h) == string(p.Head)
}

var errNotRegular = errors.New("not a regular file")
