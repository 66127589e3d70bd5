// Package unpack reads what lies in archives, compressed files and documents:
// their texts, each under its inner path.
//
// It knows formats and limits, and nothing of where the bytes come from or what is
// looked for in them. Everything it reads is hostile: nothing is written to disk,
// names are cleaned, and one budget holds for all that comes out of one outermost
// file, however deep. Each format is one file that gives its entries to
// walker.entry, which looks at what they are and goes down; parsers of our own are
// packages beside this one. Start reading at KindOf, then Walk.
package unpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// What keeps an entry, or the rest of an archive, from being read.
var (
	ErrBinary    = errors.New("binary content")
	ErrCorrupt   = errors.New("corrupt archive")
	ErrEncrypted = errors.New("encrypted: it cannot be read without its password")
	ErrFormat    = errors.New("format not supported")
	ErrLink      = errors.New("a link")
	ErrSpecial   = errors.New("not a regular file")
	// ErrTooLarge is a default limit, ErrChosen one that the user set.
	ErrTooLarge = errors.New("over a limit for archives")
	ErrChosen   = errors.New("over a limit for archives that was asked for")
)

// Options are the limits that a user may set. The zero value has the defaults.
type Options struct {
	// Depth is how many archives may lie in one another; 0 means DefaultDepth.
	// Less than 0 unpacks nothing.
	Depth int
	// MaxSize is how many bytes may come out of one outermost file, those of its
	// inner archives counted again as they are unpacked; 0 means DefaultMaxSize.
	MaxSize int64

	now func() time.Time // the clock of the time limit; nil is time.Now
}

// Entry is one text in an archive, or something in it that is not read.
type Entry struct {
	// Path is where it lies in the outermost archive, slash-separated and clean,
	// with "!/" after each inner archive.
	Path string
	// Size is what the archive says of its length, -1 when it does not.
	Size int64
	// R gives the text until yield returns, as UTF-8 where it is UTF-16 or
	// UTF-32; nil with Err.
	R io.Reader
	// Extracted says that the text was put together from a document's parts:
	// its lines are not those of the bytes stored.
	Extracted bool
	// Err says why there is nothing to read; see the errors above.
	Err error
}

// Input is an outermost archive.
type Input struct {
	// Name is the file's path or name; its suffix names what lies in a compressed
	// file.
	Name string
	// R gives the bytes from the start.
	R io.Reader
	// At gives them in any order where the source can; nil where it cannot.
	// Formats that need it are then held in memory.
	At io.ReaderAt
	// Size is the length, -1 when it is not known. It must be known with At.
	Size int64
	// Kind is what KindOf said.
	Kind Kind
}

// Walk unpacks an archive and calls yield for every text in it and for everything
// that is passed over, in the order of the archive. It gives the number of
// archives that were opened, inner ones included. The error is yield's or ctx's as
// it is, or says why the archive was not read to its end.
func Walk(ctx context.Context, in Input, o Options, yield func(Entry) error) (archives int, err error) {
	w := &walker{budget: newBudget(ctx, in, o), depth: o.depth(), chosen: o.Depth > 0, yield: yield}
	defer w.budget.close()
	in.R = &intake{in.R, w.budget}
	err = w.archive(in, "", 1)
	if w.fatal != nil {
		err = w.fatal
	}
	return w.archives, err
}

// walker is the state of one Walk.
type walker struct {
	*budget
	depth    int
	chosen   bool // depth was asked for
	archives int
	yield    func(Entry) error
	yielding bool // in yield: a panic is not ours then
	// fatal ends the walk: yield's error, ctx's, or a limit of the whole.
	fatal error
}

// give calls yield.
func (w *walker) give(e Entry) error {
	if w.fatal == nil {
		w.yielding = true
		w.fatal = w.yield(e)
		w.yielding = false
	}
	if w.fatal == nil {
		w.fatal = w.check()
	}
	return w.fatal
}

// skip tells of something that is not read.
func (w *walker) skip(path string, err error) error {
	return w.give(Entry{Path: path, Size: -1, Err: err})
}

// archive gives the entries of one archive, whose paths begin with prefix.
func (w *walker) archive(in Input, prefix string, depth int) (err error) {
	defer func() {
		p := recover()
		if w.yielding {
			panic(p)
		}
		if p != nil {
			// Libraries are ours to check, not to trust. The value of a panic may
			// quote content; its type may not.
			err = fmt.Errorf("%w (%T)", ErrCorrupt, p)
		}
	}()
	if err := w.check(); err != nil {
		w.fatal = err
		return err
	}
	f := formats[in.Kind]
	if f.open == nil {
		return fmt.Errorf("%w: not an archive", ErrFormat)
	}
	defer func(held int64) { w.memory = held }(w.memory)
	if f.random && in.At == nil {
		data, err := w.buffer(in.R)
		if err != nil {
			return w.corrupt(err)
		}
		in.At, in.Size = bytes.NewReader(data), int64(len(data))
	}
	w.archives++
	return w.corrupt(f.open(w, in, prefix, depth))
}

// corrupt makes an error of a library one of ours.
func (w *walker) corrupt(err error) error {
	if err == nil || w.fatal != nil {
		return w.fatal
	}
	if err := w.check(); err != nil {
		w.fatal = err
		return err
	}
	for _, known := range []error{ErrCorrupt, ErrEncrypted, ErrFormat, ErrTooLarge, ErrChosen, ErrBinary} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %v", ErrCorrupt, err)
}

// entry looks at what r gives and takes it on: a text to yield, an archive to its
// entries. It returns an error only where the walk is to end.
func (w *walker) entry(prefix, name string, size int64, r io.Reader, depth int) error {
	return w.viewed(prefix, name, size, r, depth, nil)
}

// viewed is entry for a part of a document: of its text, view gives what is read.
func (w *walker) viewed(prefix, name string, size int64, r io.Reader, depth int, view func(io.Reader) io.Reader) error {
	if err := w.oneMore(); err != nil {
		w.fatal = err
		return err
	}
	path := prefix + CleanName(name)
	return w.content(path, size, w.sniff(r), depth, view)
}

// sniffed is what comes out of an archive and its head.
type sniffed struct {
	head []byte
	r    io.Reader // gives it from the start
	// err is what ended the head, which comes again at the end of r: what was read
	// of a damaged entry is not lost.
	err error
}

func (w *walker) sniff(r io.Reader) sniffed {
	out := &outlet{w: w, r: r}
	head := make([]byte, SniffLen)
	n, err := io.ReadFull(out, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF && out.err == io.EOF {
		err = nil
	}
	return sniffed{head[:n], io.MultiReader(bytes.NewReader(head[:n]), out), err}
}

// content takes on what one entry holds.
func (w *walker) content(path string, size int64, s sniffed, depth int, view func(io.Reader) io.Reader) error {
	r, k := s.r, KindOf(s.head)
	if view != nil && (k == Text || k.Wide()) {
		if k.Wide() {
			r = Decode(k, r)
		}
		return w.give(Entry{Path: path, Size: -1, R: view(r), Extracted: true})
	}
	switch {
	case s.err != nil && (len(s.head) == 0 || k == Binary):
		return w.skip(path, s.err)
	case k == Text:
		return w.give(Entry{Path: path, Size: size, R: r})
	case k == Binary:
		return w.skip(path, ErrBinary)
	case k.Wide():
		return w.give(Entry{Path: path, Size: -1, R: Decode(k, r)})
	default:
		if depth >= w.depth {
			return w.skip(path, w.tooDeep())
		}
		if err := w.archive(Input{Name: path, R: r, Size: size, Kind: k}, path+"!/", depth+1); w.fatal == nil && err != nil {
			return w.skip(path, err)
		}
		return w.fatal
	}
}

// text gives a text that was put together from parts of a document.
func (w *walker) text(prefix, name string, text []byte) error {
	if err := w.oneMore(); err != nil {
		w.fatal = err
		return err
	}
	return w.give(Entry{Path: prefix + CleanName(name), Size: int64(len(text)), R: bytes.NewReader(text), Extracted: true})
}

func (w *walker) tooDeep() error {
	err := ErrTooLarge
	if w.chosen {
		err = ErrChosen
	}
	return fmt.Errorf("%w: more than %d archives in one another; see --archive-depth", err, w.depth)
}

// outlet is what comes out of an archive: it is counted, and its errors are ours.
type outlet struct {
	w   *walker
	r   io.Reader
	err error
}

func (o *outlet) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.read(p)
	o.err = err
	return n, err
}

func (o *outlet) read(p []byte) (int, error) {
	if err := o.w.check(); err != nil {
		o.w.fatal = err
		return 0, err
	}
	n, err := o.r.Read(p)
	if limit := o.w.add(n); limit != nil {
		o.w.fatal = limit
		return n, limit
	}
	if err != nil && err != io.EOF {
		err = o.w.corrupt(err)
	}
	return n, err
}
