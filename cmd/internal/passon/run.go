package passon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/scanner/redact"
	"github.com/quench-dev/quench/sources"
)

// Options of Run.
type Options struct {
	Redact redact.Options // all but Out and Replaced
	Format string         // of envelope.Formats
	Paths  []string       // absolute, of sources.TailOptions
	// From is where files are read from, as --from has it.
	From string
	// Dir is the folder to write to; empty writes all to Out.
	Dir string
	Out io.Writer
	// State is the file of positions where Dir is empty.
	State   string
	Trouble func(what string, err error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

const (
	// stateName is the file of positions in Dir.
	stateName = ".quench-positions.json"
	// saveEvery bounds what is written again after a kill, each time with a flush to
	// disk of each file.
	saveEvery = time.Second
	// retry is when a write that failed, as on a full disk, is tried again.
	retry = time.Second
)

// CheckDir refuses a folder whose files would be followed and passed on again.
func CheckDir(dir string, paths []string) error {
	for _, p := range paths {
		base := p
		if st, err := os.Stat(p); err != nil || !st.IsDir() {
			if !strings.ContainsAny(p, "*?[{") {
				continue
			}
			b, _ := doublestar.SplitPattern(filepath.ToSlash(p))
			base = filepath.FromSlash(b)
		}
		if rel, err := filepath.Rel(base, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return fmt.Errorf("--redact-to %q lies in %q, which is watched: what is passed on would be passed on again", dir, base)
		}
	}
	return nil
}

// state is what is written down: of all files and outputs at one moment.
type state struct {
	Files   []fileState
	Outputs map[string]int64 // sizes, by their names in Dir
	// InKey are files that ended within a private key, which the next of their names may
	// go on with.
	InKey []string `json:",omitempty"`
}

// maxInKey bounds them, oldest first: what comes next comes soon.
const maxInKey = 100

type fileState struct {
	sources.TailPosition
	Passed int64
	Output string
	Format string // what the log is; empty or auto while that is not known
	// InKey says that the file goes on with a private key that began in the one before.
	InKey bool `json:",omitempty"`
}

type runner struct {
	o   Options
	ctx context.Context

	mu      sync.Mutex
	files   map[string]*file // by sources.TailEvent.File
	outputs map[string]*output
	inKey   []string    // as state has them
	unbegun []fileState // of old, those that were not begun yet
	old     state       // when Run began
	last    state       // on disk
	changed bool
	saved   time.Time
}

// file is one followed file. Its reader alone touches it, and between rounds the round.
type file struct {
	pos  sources.TailPosition
	w    *Writer
	out  *output
	last time.Time
	key  bool  // it began within a private key
	no   error // why it is not passed on
}

// output is a file of Dir.
type output struct {
	r    *runner
	name string
	mu   sync.Mutex
	f    io.Writer
	size int64
	new  bool // since the last save
}

// Run follows files and passes them on redacted until ctx ends, which is no error.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &runner{o: o, ctx: ctx, files: map[string]*file{}, outputs: map[string]*output{}}
	if o.Dir != "" {
		if err := CheckDir(o.Dir, o.Paths); err != nil {
			return err
		}
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return fmt.Errorf("making the folder of --redact-to: %w", err)
		}
		r.o.State = filepath.Join(o.Dir, stateName)
	} else if err := os.MkdirAll(filepath.Dir(o.State), 0o700); err != nil {
		return fmt.Errorf("making the folder for positions: %w", err)
	}
	if err := r.load(); err != nil {
		return err
	}
	r.inKey, r.unbegun = r.old.InKey, slices.Clone(r.old.Files)
	r.last = state{Files: slices.Clone(r.old.Files), Outputs: map[string]int64{}, InKey: r.old.InKey}
	maps.Copy(r.last.Outputs, r.old.Outputs)
	// One reads, so that what was rotated away comes before what took its name.
	to := sources.TailOptions{Ready: func(int) { r.allBegun() }, Workers: 1, Paths: o.Paths, FromEnd: o.From == "end", Round: r.round, Trouble: func(path string, err error) {
		if err != nil && o.Trouble != nil {
			o.Trouble(path, fmt.Errorf("passing it on: %w", err))
		}
	}}
	for _, f := range r.old.Files {
		to.Positions = append(to.Positions, f.TailPosition)
	}
	err := sources.Tail(ctx, to, r.event)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return errors.Join(err, r.save(), r.close())
}

// allBegun forgets, of the files that were passed on before, those that are no more. One
// that cannot be read may be again.
func (r *runner) allBegun() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unbegun = slices.DeleteFunc(r.unbegun, func(x fileState) bool {
		f, err := os.Open(x.Path)
		if err == nil {
			f.Close()
		}
		return err == nil || errors.Is(err, fs.ErrNotExist)
	})
}

// load reads how far files were passed on.
func (r *runner) load() error {
	b, err := os.ReadFile(r.o.State)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("reading how far logs were passed on: %w", err)
	}
	if err := json.Unmarshal(b, &r.old); err != nil {
		return fmt.Errorf("%q does not parse; delete it to pass on all logs from their start: %w", r.o.State, err)
	}
	if r.o.From == "start" || r.o.From == "end" {
		r.old.Files = nil
	}
	return nil
}

func (r *runner) event(e sources.TailEvent) error {
	r.mu.Lock()
	f := r.files[e.File]
	r.mu.Unlock()
	switch e.Kind {
	case sources.TailBegin:
		return r.begin(e)
	case sources.TailData:
		f.pos.Identity, f.pos.Path, f.last = e.Position.Identity, e.Path, r.o.Now()
		if f.no != nil {
			return nil
		}
		_, err := f.w.Write(e.Data)
		return r.wrote(f, err)
	case sources.TailIdle:
		if f.no == nil {
			return r.wrote(f, f.w.Late())
		}
	case sources.TailEnd:
		var err error
		if f.no == nil {
			err = r.wrote(f, f.w.Close())
		}
		r.mu.Lock()
		delete(r.files, e.File)
		if f.no == nil && f.w.InKey() {
			r.inKey = append(r.inKey, e.File)
			r.inKey = r.inKey[max(0, len(r.inKey)-maxInKey):]
		}
		r.changed = true
		r.mu.Unlock()
		return err
	}
	return nil
}

// begin starts a file where it was left.
func (r *runner) begin(e sources.TailEvent) error {
	f := &file{pos: e.Position, last: r.o.Now()}
	format := r.o.Format
	from, name := Position{e.Position.Offset, e.Position.Offset}, ""
	for _, old := range r.old.Files {
		if old.File == e.File && old.Offset == e.Position.Offset {
			from.Passed, name, f.key = old.Passed, old.Output, old.InKey
			if format == "auto" && old.Format != "" {
				format = old.Format
			}
		}
	}
	goesOn, err := r.goesOn(e.Before)
	if err != nil {
		return err
	}
	f.key = f.key || goesOn
	if name == "" {
		vol := filepath.VolumeName(e.Path)
		name = filepath.ToSlash(filepath.Join(strings.NewReplacer(":", "", `\`, "_", "/", "_").Replace(vol), e.Path[len(vol):]))
	}
	if f.out, err = r.output(name); err != nil {
		return err
	}
	o := r.o.Redact
	o.InKey = f.key
	if f.w, err = New(o, format, from, f.out); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[e.File] = f
	r.changed = true
	r.unbegun = slices.DeleteFunc(r.unbegun, func(x fileState) bool { return x.File == e.File })
	if _, ok := r.last.Outputs[f.out.name]; ok && slices.ContainsFunc(r.last.Files, func(x fileState) bool { return x.File == e.File }) {
		return nil
	}
	// Before anything is written it is known where that began: a kill before the next
	// save would leave it there twice.
	if _, ok := r.last.Outputs[f.out.name]; !ok {
		r.last.Outputs[f.out.name] = f.out.length()
	}
	r.last.Files = append(r.last.Files, fileState{TailPosition: e.Position, Passed: from.Passed, Output: f.out.name, InKey: f.key})
	return r.write(r.last)
}

// goesOn reports whether a file ends, as far as it was read, within a private key. What it
// holds is passed on, before what comes after it.
func (r *runner) goesOn(before string) (bool, error) {
	if before == "" {
		return false, nil
	}
	r.mu.Lock()
	f := r.files[before]
	key := slices.Contains(r.inKey, before)
	r.mu.Unlock()
	if f == nil || f.no != nil {
		return key, nil
	}
	if err := r.wrote(f, f.w.Late()); err != nil {
		return false, err
	}
	return f.no == nil && f.w.InKey(), nil
}

// output opens a file of Dir, cut to what was written down of it: what is behind is
// written again.
func (r *runner) output(name string) (*output, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.o.Dir == "" {
		name = ""
	}
	if o := r.outputs[name]; o != nil {
		return o, nil
	}
	o := &output{r: r, name: name, f: r.o.Out}
	if r.o.Dir != "" {
		if err := o.open(); err != nil {
			return nil, err
		}
		if size, ok := r.old.Outputs[name]; ok && o.size > size {
			if err := o.f.(*os.File).Truncate(size); err != nil {
				return nil, fmt.Errorf("cutting %q to what was written down of it: %w", name, err)
			}
			o.size = size
		}
	}
	r.outputs[name] = o
	return o, nil
}

func (o *output) length() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

func (o *output) path() string { return filepath.Join(o.r.o.Dir, filepath.FromSlash(o.name)) }

// open opens the file to append to it.
func (o *output) open() error {
	if err := os.MkdirAll(filepath.Dir(o.path()), 0o700); err != nil {
		return fmt.Errorf("making a folder in that of --redact-to: %w", err)
	}
	f, err := os.OpenFile(o.path(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening a file in the folder of --redact-to: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	o.f, o.size = f, st.Size()
	return nil
}

// Write writes all of p, however long it takes until the disk has room, so that nothing
// is read meanwhile. It fails when the process ends, or nobody reads Out any more.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	done := 0
	for told := false; ; told = true {
		n, err := o.f.Write(p[done:])
		done += n
		o.size += int64(n)
		o.new = true
		if err == nil || o.r.o.Dir == "" {
			return done, err
		}
		if !told && o.r.o.Trouble != nil {
			o.r.o.Trouble(o.name, fmt.Errorf("waiting until it can be passed on: %w", err))
		}
		select {
		case <-o.r.ctx.Done():
			return done, o.r.ctx.Err()
		case <-time.After(retry):
		}
	}
}

// wrote takes what a Writer said: a file that cannot be redacted is told and left out,
// all else ends Run.
func (r *runner) wrote(f *file, err error) error {
	r.mu.Lock()
	r.changed = true
	r.mu.Unlock()
	if errors.Is(err, redact.ErrWide) || errors.Is(err, redact.ErrPacked) {
		f.no = err
		if r.o.Trouble != nil {
			r.o.Trouble(f.pos.Path, fmt.Errorf("not passed on: %w", err))
		}
		return nil
	}
	return err
}

// round passes on what was held for too long, and writes positions down.
func (r *runner) round() error {
	now := r.o.Now()
	if now.Sub(r.saved) < saveEvery {
		return nil
	}
	r.saved = now
	for _, f := range r.files {
		if f.no == nil && f.w.Holds() && now.Sub(f.last) >= saveEvery {
			if err := r.wrote(f, f.w.Late()); err != nil {
				return err
			}
		}
	}
	if err := r.save(); err != nil && r.o.Trouble != nil {
		// Nothing is lost: after a kill more is written again.
		r.o.Trouble("--redact-to", err)
	}
	return nil
}

// save brings what was written to disk and then writes down how far that is.
func (r *runner) save() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.changed {
		return nil
	}
	s := state{Outputs: maps.Clone(r.last.Outputs), InKey: slices.Clone(r.inKey)}
	for name, o := range r.outputs {
		if err := o.sync(); err != nil {
			return err
		}
		s.Outputs[name] = o.length()
	}
	for _, f := range r.files {
		p := f.w.Position()
		x := fileState{TailPosition: f.pos, Passed: p.Passed, Output: f.out.name, Format: f.w.text.Format(), InKey: f.key && p.Begin == 0}
		x.Offset = p.Begin
		s.Files = append(s.Files, x)
	}
	s.Files = append(s.Files, r.unbegun...)
	if err := r.write(s); err != nil {
		return err
	}
	r.last, r.changed = s, false
	return nil
}

func (r *runner) write(s state) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(r.o.State, b); err != nil {
		return fmt.Errorf("saving how far logs were passed on: %w", err)
	}
	return nil
}

// sync brings a file to disk. One that was moved away is left, and another begun.
func (o *output) sync() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, ok := o.f.(*os.File)
	if !ok || o.r.o.Dir == "" {
		return nil
	}
	if o.new {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("bringing %q to disk: %w", o.name, err)
		}
		o.new = false
	}
	there, err := os.Stat(o.path())
	if mine, merr := f.Stat(); err == nil && merr == nil && os.SameFile(there, mine) {
		return nil
	}
	if err := o.open(); err != nil {
		return err
	}
	return f.Close()
}

func (r *runner) close() (err error) {
	for _, o := range r.outputs {
		if f, ok := o.f.(*os.File); ok && r.o.Dir != "" {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
