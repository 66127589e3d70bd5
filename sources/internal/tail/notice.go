package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/fsnotify/fsnotify"
)

const (
	// findEvery is after how many ticks all names are looked at again where events work:
	// among 10,000 files that takes 40 ms.
	findEvery = 10
	// perTick is how many symlinks are looked at in each tick: no event tells when a
	// folder on their way is exchanged, as Kubernetes does.
	perTick = 1000
	// maxGone bounds the files that were renamed or deleted and may be written to still:
	// each holds a descriptor, and a deleted one its disk space.
	maxGone = 500
)

// target is a name that is followed when there is a file.
type target struct {
	dir     string // real folder, empty where there is none
	there   bool   // in what was found last
	missing int    // how often in a row there was no file, where Paths has the name itself
}

// folder is a folder of followed files.
type folder struct {
	events bool // they tell of all that happens in it
	seen   bool // in what was found last
}

// notice looks at what events tell of, and at the rest in turn, until ctx ends.
func (fl *follower) notice(ctx context.Context) {
	// At full seconds, when others of the process look, too: each waking costs.
	next := func() time.Duration { return time.Until(time.Now().Truncate(fl.o.Rescan).Add(fl.o.Rescan)) }
	tick := time.NewTimer(next())
	defer tick.Stop()
	var events chan fsnotify.Event
	var errs chan error
	if fl.watch != nil {
		events, errs = fl.watch.Events, fl.watch.Errors
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fl.tick()
			tick.Reset(next())
		case <-fl.poke:
			fl.again()
		case paths := <-fl.o.Repath:
			fl.repath(paths)
		case err, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				fl.trouble("", fmt.Errorf("file-system events: %w", err))
			}
			fl.find() // what was lost is seen
		case ev, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			fl.told1(ev)
		}
	}
}

// repath follows other paths.
func (fl *follower) repath(paths []string) {
	fl.o.Paths = paths
	before := fl.wanted
	fl.wanted = map[string]*target{}
	fl.renew = true
	fl.find()
	fl.renew = false
	for name := range before {
		if fl.wanted[name] != nil {
			continue
		}
		fl.mu.Lock()
		x := fl.names[name]
		if x != nil {
			x.evict = true
		}
		fl.mu.Unlock()
		fl.lose(x)
	}
}

// again looks at what readers found truncated.
func (fl *follower) again() {
	fl.mu.Lock()
	names := fl.redo
	fl.redo = map[string]bool{}
	fl.mu.Unlock()
	for n := range names {
		fl.check(n)
	}
}

// told1 handles one event and those that wait behind it: of each place once.
func (fl *follower) told1(ev fsnotify.Event) {
	written, changed := map[string]bool{}, map[string]bool{}
	for n := 0; n < events; n++ {
		if ev.Op == fsnotify.Write {
			written[ev.Name] = true
		} else {
			changed[ev.Name] = true
		}
		select {
		case ev = <-fl.watch.Events:
			if ev.Name != "" {
				continue
			}
		default:
		}
		break
	}
	for place := range changed {
		delete(written, place)
		delete(fl.others, place)
		if d := fl.dirs[place]; d != nil { // it was removed, or something lies over it
			d.events = false
		}
		for _, name := range fl.namesAt(place) {
			fl.check(name)
		}
	}
	for place := range written {
		fl.written(place)
	}
}

// written has the files at a place read.
func (fl *follower) written(place string) {
	names := fl.namesAt(place)
	for _, name := range names {
		fl.mu.Lock()
		x := fl.names[name]
		if x != nil {
			fl.enqueue(x)
		}
		fl.mu.Unlock()
		if x == nil {
			fl.check(name)
		}
	}
	if len(names) > 0 {
		return
	}
	// A file that was renamed, and is written to still.
	x, ok := fl.others[place]
	if !ok {
		if st, err := os.Stat(place); err == nil {
			dev, ino := inode(st)
			fl.mu.Lock()
			x = fl.byID[keyOf(dev, ino, place)]
			fl.mu.Unlock()
		}
		fl.others[place] = x
	}
	if x != nil {
		fl.mu.Lock()
		fl.enqueue(x)
		fl.mu.Unlock()
	}
}

// namesAt gives the followed names of a place that an event tells of.
func (fl *follower) namesAt(place string) (out []string) {
	for n := range fl.places[place] {
		out = append(out, n)
	}
	for p := range fl.globs[filepath.Dir(place)] {
		if ok, _ := doublestar.PathMatch(p, place); ok && fl.wanted[place] == nil {
			fl.want(place, filepath.Dir(place))
			fl.place(place, filepath.Dir(place))
			out = append(out, place)
		}
	}
	for dir := range fl.folders[filepath.Dir(place)] {
		name := filepath.Join(dir, filepath.Base(place))
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
		if fl.wanted[name] == nil {
			fl.want(name, filepath.Dir(place))
		}
	}
	return out
}

// tick is a look without an event: at folders and patterns, at names in turn, and at
// files that are quiet or gone.
func (fl *follower) tick() {
	clear(fl.others)
	fl.again()
	fl.ticks++
	blind := fl.watch == nil || fl.blind
	for _, d := range fl.dirs {
		blind = blind || !d.events
	}
	for p, dev := range fl.devs { // was anything mounted or unmounted?
		if st, err := os.Stat(p); err == nil {
			now, _ := inode(st)
			blind = blind || now != dev
		}
	}
	if blind || fl.ticks >= findEvery {
		fl.find()
	}
	for range min(perTick, len(fl.links)) {
		fl.next = (fl.next + 1) % len(fl.links)
		fl.check(fl.links[fl.next])
	}
	now := time.Now()
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for x := range fl.active {
		if now.Sub(x.quiet) > idleAfter {
			x.wantIdle = true
			delete(fl.active, x)
			fl.enqueue(x)
		}
	}
	for _, x := range fl.gone {
		fl.enqueue(x)
	}
	for x := range fl.failing {
		fl.enqueue(x)
	}
	clear(fl.failing)
	signal(fl.wake)
}

// find finds the names of all that should be followed now, watches their folders, and
// looks at those where events do not work, or that are new.
func (fl *follower) find() {
	fl.ticks, fl.blind, fl.links = 0, false, fl.links[:0]
	fl.forgetLast()
	for _, d := range fl.dirs {
		d.seen = false
	}
	for _, t := range fl.wanted {
		t.there = false
	}
	fl.places, fl.folders, fl.globs = map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]map[string]bool{}
	if fl.wanted == nil {
		fl.wanted = map[string]*target{}
	}
	real := map[string]string{}
	realDir := func(dir string) string {
		r, ok := real[dir]
		if !ok {
			var err error
			if r, err = filepath.EvalSymlinks(dir); err != nil {
				r = ""
			} else if r, err = filepath.Abs(r); err != nil {
				r = ""
			}
			real[dir] = r
			if r != "" {
				fl.watchDir(r)
			}
		}
		return r
	}
	for _, p := range fl.o.Paths {
		fl.expand(p, realDir)
	}
	for r, d := range fl.dirs {
		if !d.seen {
			if fl.watch != nil {
				fl.watch.Remove(r) // an error says that it is gone
			}
			delete(fl.dirs, r)
		}
	}
	fl.mu.Lock()
	for name := range fl.names { // also what is not there any more
		if fl.wanted[name] == nil && !fl.renew {
			fl.wanted[name] = &target{dir: realDir(filepath.Dir(name))}
		}
	}
	fl.mu.Unlock()
	var order []string
	for name, t := range fl.wanted {
		order = append(order, name)
		fl.place(name, t.dir)
	}
	slices.Sort(order)
	for _, name := range order {
		fl.check(name)
		fl.mu.Lock()
		x := fl.names[name]
		fl.mu.Unlock()
		if x == nil && !fl.wanted[name].there {
			delete(fl.wanted, name)
		}
	}
}

// expand finds the names of one of Paths.
func (fl *follower) expand(p string, realDir func(string) string) {
	st, err := os.Stat(p)
	switch {
	case err == nil && st.IsDir():
		r := realDir(p)
		put(fl.folders, r, p)
		entries, err := os.ReadDir(p)
		if err == nil {
			err = fl.mounted(p, st)
		}
		fl.trouble(p, err)
		for _, e := range entries {
			if t := e.Type(); t.IsRegular() || t&fs.ModeSymlink != 0 {
				fl.want(filepath.Join(p, e.Name()), r)
			}
		}
	case err == nil, !strings.ContainsAny(p, "*?[{"):
		fl.want(p, realDir(filepath.Dir(p)))
		t := fl.wanted[p]
		if t.missing++; err == nil {
			t.missing = 0
		} else if !errors.Is(err, fs.ErrNotExist) || t.missing > 1 { // once is a rotation
			fl.trouble(p, fmt.Errorf("it is not there, waiting for it: %w", err))
		}
		fl.blind = fl.blind || t.dir == ""
	default:
		base, _ := doublestar.SplitPattern(filepath.ToSlash(p))
		realDir(filepath.FromSlash(base))
		names, err := doublestar.FilepathGlob(p, doublestar.WithFilesOnly())
		if err != nil {
			fl.trouble(p, fmt.Errorf("the pattern: %w", err))
		}
		// What comes into a folder of the pattern is looked for at once.
		dirs := map[string]bool{filepath.FromSlash(base): true}
		for _, name := range names {
			dirs[filepath.Dir(name)] = true
			fl.want(name, realDir(filepath.Dir(name)))
		}
		for dir := range dirs {
			if r := realDir(dir); r != "" {
				put(fl.globs, r, p)
			}
		}
	}
}

// mounted tells when a folder is on another file system than when it was first seen:
// what was followed there is covered or gone.
func (fl *follower) mounted(p string, st fs.FileInfo) error {
	dev, ino := inode(st)
	first, ok := fl.devs[p]
	if !ok && dev|ino != 0 {
		fl.devs[p] = dev
	}
	if ok && first != dev {
		return errors.New("another file system is there than before: was something unmounted?")
	}
	return nil
}

func put(m map[string]map[string]bool, key, v string) {
	if m[key] == nil {
		m[key] = map[string]bool{}
	}
	m[key][v] = true
}

// want has a name followed.
func (fl *follower) want(name, dir string) {
	t := fl.wanted[name]
	if t == nil {
		t = &target{}
		fl.wanted[name] = t
	}
	t.dir, t.there = dir, true
}

// place notes where events tell of a name: in its folder, and where a symlink leads.
func (fl *follower) place(name, dir string) {
	if dir == "" {
		return
	}
	at := filepath.Join(dir, filepath.Base(name))
	put(fl.places, at, name)
	st, err := os.Lstat(at)
	if err != nil || st.Mode()&fs.ModeSymlink == 0 {
		return
	}
	fl.links = append(fl.links, name)
	if r, err := filepath.EvalSymlinks(at); err == nil {
		put(fl.places, r, name)
		fl.watchDir(filepath.Dir(r))
	}
}

// watchDir asks for events of a folder, again each time: another may lie there now.
func (fl *follower) watchDir(dir string) {
	d := fl.dirs[dir]
	if d == nil {
		d = &folder{}
		fl.dirs[dir] = d
	}
	if d.seen {
		return
	}
	d.seen = true
	if fl.watch == nil {
		return
	}
	err := fl.watch.Add(dir)
	switch kind := remote(dir); {
	case errors.Is(err, fs.ErrNotExist):
		d.events = false
	case err != nil:
		d.events = false
		fl.once("limit", fmt.Errorf("no file-system events for %s and maybe more, looking every %v instead%s: %w", dir, fl.o.Rescan, hint(err), err))
	case kind != "":
		d.events = false
		fl.once("remote", fmt.Errorf("%s is %s, which tells of no changes made elsewhere; looking every %v besides", dir, kind, fl.o.Rescan))
	default:
		d.events = true
	}
}

// once tells of a kind of trouble once for all folders, since it is the same for all.
func (fl *follower) once(kind string, err error) {
	fl.mu.Lock()
	said := fl.said[kind]
	fl.said[kind] = true
	fl.mu.Unlock()
	if !said && fl.o.Trouble != nil {
		fl.o.Trouble("", err)
	}
}

// check looks at what is there under a name.
func (fl *follower) check(name string) {
	st, err := os.Stat(name)
	fl.mu.Lock()
	x := fl.names[name]
	fl.mu.Unlock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fl.lose(x)
		return
	case err != nil:
		fl.trouble(name, err)
		return
	case !st.Mode().IsRegular():
		fl.lose(x)
		return
	}
	if x != nil && os.SameFile(st, x.st) {
		fl.mu.Lock()
		if st.Size() != x.size || !st.ModTime().Equal(x.mod) {
			x.size, x.mod = st.Size(), st.ModTime()
			fl.enqueue(x)
		}
		fl.mu.Unlock()
		return
	}
	fl.lose(x)
	fl.open(name)
}

// lose takes a file's name from it: it was renamed or deleted, and is read until it is
// quiet.
func (fl *follower) lose(x *file) {
	if x == nil {
		return
	}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if x.ended || fl.names[x.path] != x {
		return
	}
	delete(fl.names, x.path)
	x.goneAt = time.Now()
	fl.gone = append(fl.gone, x)
	fl.enqueue(x)
	// The oldest are given up when they are read to their end.
	for _, old := range fl.gone[:max(0, len(fl.gone)-maxGone)] {
		old.evict = true
	}
}

// open begins to follow what lies under a name, unless it is followed already.
func (fl *follower) open(name string) {
	f, err := openRegular(name)
	switch {
	case errors.Is(err, errNotRegular), errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		fl.trouble(name, err)
		return
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		fl.trouble(name, err)
		return
	}
	fl.trouble(name, nil)
	if t := fl.wanted[name]; t != nil && !fl.first {
		fl.place(name, t.dir)
	}
	dev, ino := inode(st)
	key := keyOf(dev, ino, name)
	fl.mu.Lock()
	old := fl.byID[key]
	fl.mu.Unlock()
	if old != nil && os.SameFile(old.st, st) {
		f.Close()
		fl.adopt(old, name)
		return
	}
	if done, wait := fl.remounted(name, f, st, key); wait {
		f.Close() // it is looked at again
		fl.mu.Lock()
		fl.redo[name] = true
		fl.mu.Unlock()
		return
	} else if done {
		return
	}
	fl.follow(name, f, st, key, fl.positionOf(name, f, st, key))
}

// adopt gives a file that was renamed its new name. One that keeps its name has two, and
// is read once.
func (fl *follower) adopt(x *file, name string) {
	if at, err := os.Stat(x.path); err == nil && os.SameFile(at, x.st) && x.goneAt.IsZero() {
		return
	}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if !x.ended {
		fl.named(x, name)
	}
}

// named gives a file a name, whether it has one or lost it. The lock is held.
func (fl *follower) named(x *file, name string) {
	if fl.names[x.path] == x {
		delete(fl.names, x.path)
	}
	fl.gone = slices.DeleteFunc(fl.gone, func(g *file) bool { return g == x })
	x.path, x.goneAt = name, time.Time{}
	fl.names[name] = x
	fl.last[name] = x
	fl.enqueue(x)
}

// positionOf is where a file that is opened was left, or where a new one begins.
func (fl *follower) positionOf(name string, f *os.File, st fs.FileInfo, key inodeKey) Position {
	if p, ok := fl.left(name, f, st, key); ok {
		return p
	}
	at := Position{File: newID()}
	if fl.first && fl.o.FromEnd {
		at.Offset = st.Size()
		if at.Offset <= fl.countable {
			fl.countable -= at.Offset
			at.Line = lines(io.NewSectionReader(f, 0, at.Offset))
		}
	}
	return at
}

// lines counts the lines that end in r, so that those behind it have their right numbers;
// what cannot be read is told by whoever reads on.
func lines(r io.Reader) (n int64) {
	for b := make([]byte, 1<<20); ; {
		k, err := r.Read(b)
		n += int64(bytes.Count(b[:k], []byte{'\n'}))
		if err != nil {
			return n
		}
	}
}

// left gives the position at which an open file was left, and forgets it: also where its
// folder is on another device than it was, see remounted.
func (fl *follower) left(name string, f *os.File, st fs.FileInfo, key inodeKey) (p Position, ok bool) {
	fl.mu.Lock()
	list := slices.Clone(fl.saved[key.anywhere()])
	fl.mu.Unlock()
	i := slices.IndexFunc(list, func(p Position) bool { return sameFile(f, st, p) })
	if i < 0 && key.ino != 0 {
		i = slices.IndexFunc(list, func(p Position) bool {
			return p.Dev != key.dev && len(p.Head) > 0 && filepath.Dir(p.Path) == filepath.Dir(name) && sameText(f, st, p)
		})
	}
	if i < 0 {
		return Position{}, false
	}
	fl.forget(list[i])
	return list[i], true
}

// forget takes a position off those that files may be opened at.
func (fl *follower) forget(p Position) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	key := keyOf(p.Dev, p.Ino, p.Path).anywhere()
	if fl.saved[key] = slices.DeleteFunc(slices.Clone(fl.saved[key]), func(o Position) bool { return o.File == p.File }); len(fl.saved[key]) == 0 {
		delete(fl.saved, key)
	}
}

// follow begins to read an open file at a position.
func (fl *follower) follow(name string, f *os.File, st fs.FileInfo, key inodeKey, at Position) {
	x := &file{id: at.File, path: name, f: f, st: st, key: key, offset: at.Offset, quiet: time.Now(), size: st.Size(), mod: st.ModTime(), head: at.Head}
	if len(at.Head) == 0 && at.Offset > 0 {
		var b [headLen]byte
		if head, err := readHead(f, &b); err == nil {
			x.head = headHash(head[:min(int64(len(head)), at.Offset)])
		}
	}
	x.left = at.Path
	at.Dev, at.Ino, at.Head = key.dev, key.ino, x.head
	x.begin = at
	fl.mu.Lock()
	fl.comesAfter(x, name)
	fl.names[name] = x
	fl.byID[key] = x
	fl.enqueue(x)
	fl.mu.Unlock()
}

// resume finds the files that were renamed while nobody looked, in the folders they were
// in, and has them read to their end.
func (fl *follower) resume() {
	dirs := map[string]bool{}
	for _, list := range fl.saved {
		for _, p := range list {
			dirs[filepath.Dir(p.Path)] = true
		}
	}
	for dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			st, err := e.Info()
			if err != nil || !st.Mode().IsRegular() {
				continue
			}
			dev, ino := inode(st)
			if key := keyOf(dev, ino, ""); len(fl.saved[key.anywhere()]) > 0 && key != (inodeKey{}) {
				fl.resumeGone(filepath.Join(dir, e.Name()), key)
			}
		}
	}
}

func (fl *follower) resumeGone(name string, key inodeKey) {
	f, err := openRegular(name)
	if err != nil {
		return
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return
	}
	p, ok := fl.left(name, f, st, key)
	if !ok {
		f.Close()
		return
	}
	old := fl.names[p.Path]
	fl.follow(p.Path, f, st, key, p)
	x := fl.byID[key]
	fl.lose(x)
	fl.mu.Lock()
	if old != nil {
		fl.names[p.Path] = old
	}
	x.prev = nil // what has the name came after it
	fl.wasBefore(x, p.Path)
	fl.mu.Unlock()
}
