// Package older reads what was rotated away before a log was watched for the first time:
// app.log.1, app.log.2.gz and their like, also compressed.
//
// It knows names and compression, and hands text to an intake.Sink. Which logs were read
// so is kept in a file, so that a restart does not read them again. Start reading at New
// and Plan.Read.
package older

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/cmd/internal/envelope"
	"github.com/quench-dev/quench/cmd/internal/intake"
	"github.com/quench-dev/quench/cmd/internal/lockfile"
	"github.com/quench-dev/quench/sources/xz"
)

const (
	// maxRatio bounds what a compressed log may unpack to for each of its bytes, slack
	// is let through in any case: text of lines that are all alike comes to some 200.
	maxRatio, slack = 500, 1 << 30
	// maxWindow bounds the memory of zstd and xz: 64 MB is what their highest usual levels
	// need.
	maxWindow = 64 << 20
)

// Options of Read.
type Options struct {
	Paths  []string // absolute; folders and patterns have their files followed anyway
	Format string   // of envelope.Formats
	// Anew reads them again, whatever was read before.
	Anew bool
	// State is the file of the logs whose predecessors were read.
	State   string
	Sink    *intake.Sink
	Trouble func(what string, err error)
}

// Plan are older logs that are to be read.
type Plan struct {
	o    Options
	left map[string][]string // of each log that was watched, those that were not read
}

// New notes the predecessors of logs that are watched for the first time. Call it before
// the logs are followed: what is rotated later is no predecessor.
func New(o Options) (*Plan, error) {
	p := &Plan{o: o}
	return p, p.change(func() {
		for _, path := range o.Paths {
			if _, known := p.left[path]; known && !o.Anew {
				continue
			}
			if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
				continue
			}
			p.left[path] = Names(path)
		}
	})
}

// change changes what is left, and saves it. Several watches share the file: under a lock
// each reads what the others left there.
func (p *Plan) change(what func()) error {
	lock, err := lockfile.Wait(p.o.State + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	b, err := os.ReadFile(p.o.State)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading which logs were watched before: %w", err)
	}
	p.left = map[string][]string{}
	if err == nil {
		if err := json.Unmarshal(b, &p.left); err != nil {
			return fmt.Errorf("%q does not parse; delete it to read all older logs again: %w", p.o.State, err)
		}
	}
	what()
	if b, err = json.Marshal(p.left); err != nil {
		return err
	}
	if err := atomicfile.Write(p.o.State, b); err != nil {
		return fmt.Errorf("saving which older logs were read: %w", err)
	}
	return nil
}

// Read reads them, oldest first, until ctx ends. What cannot be read is told and passed
// over.
func (p *Plan) Read(ctx context.Context) error {
	for _, path := range p.o.Paths {
		for len(p.left[path]) > 0 {
			name := p.left[path][0]
			if err := read(ctx, p.o, name); err != nil {
				if ctx.Err() != nil {
					return nil // the next run reads it
				}
				p.o.Trouble(name, fmt.Errorf("an older log is not read to its end: %w", err))
			}
			if err := p.o.Sink.Settle(ctx); err != nil {
				return nil // what is found is delivered at the end, or again by the next run
			}
			left := p.left[path][1:]
			if err := p.change(func() { p.left[path] = left }); err != nil {
				p.o.Trouble(path, err)
				p.left[path] = left
			}
		}
	}
	return nil
}

// packed are the endings of compressed logs.
var packed = []string{".gz", ".zst", ".bz2", ".xz"}

// Names are the predecessors of a log, oldest first: NAME.N, as logrotate numbers them,
// and NAME-DATE or NAME.DATE, as it and others date them, compressed or not.
func Names(path string) []string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil // watching the log says so
	}
	type older struct {
		name   string
		number int // of NAME.N, the higher the older; 0 for a date
	}
	var list []older
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), filepath.Base(path))
		if !ok || len(rest) < 2 || rest[0] != '.' && rest[0] != '-' || !e.Type().IsRegular() {
			continue
		}
		part := rest[1:]
		for _, end := range packed {
			part = strings.TrimSuffix(part, end)
		}
		if part == "" || strings.Trim(part, "0123456789-_.T") != "" || part[0] < '0' || part[0] > '9' {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil || len(part) > 4 { // a date
			n = 0
		}
		list = append(list, older{filepath.Join(filepath.Dir(path), e.Name()), n})
	}
	slices.SortFunc(list, func(a, b older) int {
		return cmp.Or(cmp.Compare(b.number, a.number), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, x := range list {
		out = append(out, x.name)
	}
	return out
}

// read scans one file.
func read(ctx context.Context, o Options, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := &counting{r: f}
	from, err := open(bufio.NewReaderSize(in, 64<<10))
	if err != nil {
		return err
	}
	text, err := envelope.NewText(o.Format, 0, 0)
	if err != nil {
		return err
	}
	give := func(b []byte, last bool) error {
		text.Forget(text.Given())
		if len(b) == 0 && !last {
			return nil
		}
		// A place that is the same each time, so that what is found twice is known.
		return o.Sink.Persist(ctx, []intake.Record{{Sender: name, Text: b, Piece: !last, Place: 1 + text.Given() - int64(len(b))}}, func(err error) { o.Trouble(name, err) })
	}
	unpacked := int64(0)
	for buf := make([]byte, 128<<10); ; {
		n, err := from.Read(buf)
		unpacked += int64(n)
		if gerr := give(text.Write(buf[:n]), false); gerr != nil {
			return gerr
		}
		if unpacked > slack+maxRatio*in.n {
			return fmt.Errorf("it unpacks to more than %d times its length", maxRatio)
		}
		if err == io.EOF {
			return give(text.Close(), true)
		}
		if err != nil {
			return errors.Join(err, give(text.Close(), true))
		}
	}
}

// open unpacks what is compressed, by its first bytes.
func open(b *bufio.Reader) (io.Reader, error) {
	head, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b\x08")):
		return gzip.NewReader(b)
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(b), nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return xz.NewReader(b, xz.Options{MaxDictionary: maxWindow}), nil
	}
	return b, nil
}

// counting counts what is read of a file.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
