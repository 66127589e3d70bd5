package tail

import "slices"

// begin tells that a file begins, once, and before it that the file does which had its
// name before.
func (fl *follower) begin(x *file, path string) (err error) {
	x.start.Do(func() {
		fl.mu.Lock()
		prev, was := x.prev, ""
		x.prev = nil
		if prev != nil {
			was = prev.path
		}
		fl.mu.Unlock()
		e := Event{File: x.id, Path: path, Kind: Begin, Position: x.begin, Was: x.left}
		e.Position.Path = path
		if prev != nil {
			if err = fl.begin(prev, was); err != nil {
				return
			}
			e.Before = prev.id
		}
		err = fl.event(e)
	})
	return err
}

// comesAfter notes which file has a name now, and which one had it before where this one
// is read from its start. The lock is held.
func (fl *follower) comesAfter(x *file, name string) {
	if prev := fl.last[name]; prev != x && x.offset == 0 {
		x.prev = prev
	}
	fl.last[name] = x
}

// wasBefore notes, of a file that was left under a name which it lost while nobody looked,
// that it comes before what has the name now; of several the one that was written to last
// does. The lock is held.
func (fl *follower) wasBefore(x *file, name string) {
	now := fl.names[name]
	if now == nil || now == x {
		if old := fl.last[name]; old == nil || old == x || old.mod.Before(x.mod) {
			fl.last[name] = x
		}
		return
	}
	if fl.last[name] = now; now.offset == 0 && (now.prev == nil || now.prev.mod.Before(x.mod)) {
		now.prev, x.prev = x, nil // so that there are no circles
	}
}

// renamed finds, of the files that are followed, those that were left under other names.
func (fl *follower) renamed() {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	var list []*file
	for _, x := range fl.names {
		if x.left != "" && x.left != x.path {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *file) int { return a.mod.Compare(b.mod) })
	for _, x := range list {
		fl.wasBefore(x, x.left)
	}
}

// forgetLast forgets files that ended a while ago and have no successor.
func (fl *follower) forgetLast() {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for name, x := range fl.last {
		if x.stale {
			delete(fl.last, name)
		}
		x.stale = x.ended
	}
}
