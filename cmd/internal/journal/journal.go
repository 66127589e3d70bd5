// Package journal follows the journal of systemd by its own program, journalctl, and
// reads what that writes as JSON.
//
// How far the journal was read is its cursor, which is written down when all before it is
// recorded: a program that was killed goes on behind it. It knows nothing of secrets.
// Start reading at Follow and Read.
package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/cmd/internal/intake"
)

const (
	// maxEntry bounds an entry: the journal holds core dumps, which are no log. What is
	// longer is left out, and told.
	maxEntry = 16 << 20
	// maxBatch bounds the entries that are recorded together.
	maxBatch = 500
	// saveEvery is how often the cursor is written down, each time with a flush to disk.
	saveEvery = time.Second
	// maxWait bounds how long it takes until journalctl is started again.
	maxWait = time.Minute
)

// Options of Follow.
type Options struct {
	// Units are those whose entries are read; none is all.
	Units []string
	// From is where reading begins when there is no cursor, or in any case when it is
	// not checkpoint: start or end; checkpoint is start.
	From string
	// State is the file of the cursor.
	State   string
	Sink    *intake.Sink
	Trouble func(what string, err error)
	// Program is journalctl, or what a test has in its place.
	Program string
}

// Follow reads the journal until ctx ends, which is no error. journalctl is started again
// when it ends.
func Follow(ctx context.Context, o Options) error {
	cursor := ""
	if o.From == "checkpoint" {
		b, err := os.ReadFile(o.State)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading the cursor of the journal: %w", err)
		}
		cursor = strings.TrimSpace(string(b))
	}
	if err := os.MkdirAll(filepath.Dir(o.State), 0o700); err != nil {
		return fmt.Errorf("making the folder for the cursor of the journal: %w", err)
	}
	r := &reader{o: o, cursor: cursor, saved: cursor}
	for wait := time.Second; ; {
		began := time.Now()
		err := r.run(ctx)
		if ctx.Err() != nil {
			return r.save()
		}
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("following the journal: %w", err)
		}
		if o.Trouble != nil {
			hint := ""
			if r.cursor != "" {
				hint = fmt.Sprintf(" (if it does not know the cursor in %s, delete that file to read the journal from its start)", o.State)
			}
			o.Trouble("journald", fmt.Errorf("journalctl ended, starting it again in %v%s: %w", wait, hint, err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		if wait = min(2*wait, maxWait); time.Since(began) > maxWait {
			wait = time.Second
		}
	}
}

type reader struct {
	o      Options
	cursor string // of the last entry taken
	saved  string
	seq    int64  // records taken
	marks  []mark // entries that are not all recorded
	last   time.Time
}

type mark struct {
	seq    int64
	cursor string
}

// run runs journalctl once.
func (r *reader) run(ctx context.Context) error {
	args := []string{"--output=json", "--follow", "--all", "--no-pager", "--quiet"}
	switch {
	case r.cursor != "":
		args = append(args, "--no-tail", "--after-cursor="+r.cursor)
	case r.o.From == "end":
		args = append(args, "--lines=0")
	default:
		args = append(args, "--no-tail")
	}
	for _, u := range r.o.Units {
		args = append(args, "--unit="+u)
	}
	cmd := exec.CommandContext(ctx, r.o.Program, args...)
	cmd.WaitDelay = time.Second
	var errs tail
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = r.read(ctx, out)
	if err != nil {
		cmd.Process.Kill()
	}
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	if err == nil {
		err = io.EOF
	}
	if len(errs) > 0 {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(errs))
	}
	return err
}

// tail keeps the last bytes of what is written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if n := len(*t) - 500; n > 0 {
		*t = slices.Delete(*t, 0, n)
	}
	return len(p), nil
}

// Read takes entries as JSON, one a line, to their end; of standard input, for example.
func Read(ctx context.Context, in io.Reader, o Options) error {
	r := &reader{o: o}
	return r.read(ctx, in)
}

func (r *reader) read(ctx context.Context, in io.Reader) error {
	b := bufio.NewReaderSize(in, 256<<10)
	var list []intake.Record
	for n := 0; ; {
		line, err := entry(b)
		if errors.Is(err, errLong) {
			r.trouble(err)
			err = nil
		} else if len(line) > 0 {
			got, cursor, perr := Parse(line)
			if perr != nil {
				r.trouble(perr)
			}
			if n++; cursor != "" && r.o.State != "" {
				r.cursor = cursor
				r.marks = append(r.marks, mark{r.seq + int64(len(list)+len(got)), cursor})
			}
			list = append(list, got...)
		}
		if len(list) > 0 && (err != nil || n >= maxBatch || b.Buffered() == 0) {
			if perr := r.o.Sink.Persist(ctx, list, r.trouble); perr != nil {
				return perr
			}
			r.seq += int64(len(list))
			list, n = list[:0], 0
		}
		if serr := r.checkpoint(); serr != nil {
			r.trouble(serr)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
	}
}

func (r *reader) trouble(err error) {
	if r.o.Trouble != nil {
		r.o.Trouble("journald", err)
	}
}

// checkpoint writes the cursor down, once a second.
func (r *reader) checkpoint() error {
	if r.o.State == "" || time.Since(r.last) < saveEvery {
		return nil
	}
	r.last = time.Now()
	return r.save()
}

// save writes down the cursor before which everything is recorded.
func (r *reader) save() error {
	need := r.o.Sink.Need()
	n := 0
	for n < len(r.marks) && r.marks[n].seq < need && r.marks[n].seq <= r.seq {
		n++
	}
	if n == 0 {
		return nil
	}
	cursor := r.marks[n-1].cursor
	r.marks = slices.Delete(r.marks, 0, n)
	if cursor == r.saved {
		return nil
	}
	if err := atomicfile.Write(r.o.State, []byte(cursor+"\n")); err != nil {
		return fmt.Errorf("saving the cursor of the journal: %w", err)
	}
	r.saved = cursor
	return nil
}

var (
	errLong  = fmt.Errorf("an entry is longer than %d bytes and left out", maxEntry)
	errEntry = errors.New("a line is no entry of a journal as JSON, and is scanned as it stands")
)

// entry reads a line of any length.
func entry(b *bufio.Reader) (line []byte, err error) {
	long := false
	for {
		part, err := b.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxEntry; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long && (err == nil || err == io.EOF) {
			return nil, errLong
		}
		return bytes.TrimRight(line, "\r\n"), err
	}
}

// ours are fields that say what systemd and its libraries know, and no more.
var ours = []string{"MESSAGE", "MESSAGE_ID", "PRIORITY", "CODE_FILE", "CODE_LINE", "CODE_FUNC", "ERRNO", "INVOCATION_ID", "USER_INVOCATION_ID", "TID", "UNIT", "USER_UNIT", "GLIB_DOMAIN", "GLIB_OLD_LOG_API"}

// Parse reads an entry. Its message goes on with the one before of the same program;
// fields that programs give, and the command line, are a record of their own. What is no
// entry is text, and an error besides.
func Parse(line []byte) (list []intake.Record, cursor string, err error) {
	var f map[string]json.RawMessage
	if json.Unmarshal(line, &f) != nil || f == nil {
		return []intake.Record{{Sender: "journal", Text: bytes.Clone(line)}}, "", errEntry
	}
	sender := "journal"
	for _, k := range []string{"_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_COMM"} {
		if v := value(f[k]); len(v) > 0 {
			sender = printable(v)
			break
		}
	}
	place, _ := strconv.ParseInt(string(value(f["__REALTIME_TIMESTAMP"])), 10, 64)
	place = max(place, 0)
	if m := value(f["MESSAGE"]); len(m) > 0 {
		list = append(list, intake.Record{Sender: sender, Text: m, Place: place})
	}
	var names []string
	for k := range f {
		if k == "_CMDLINE" || !strings.HasPrefix(k, "_") && !strings.HasPrefix(k, "SYSLOG_") && !strings.HasPrefix(k, "COREDUMP") && !slices.Contains(ours, k) {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	var b []byte
	for _, k := range names {
		if v := value(f[k]); len(v) > 0 {
			b = append(append(append(append(b, k...), '='), v...), '\n')
		}
	}
	if len(b) > 0 {
		list = append(list, intake.Record{Sender: sender + " (fields)", Text: b[:len(b)-1], Place: place, Once: true})
	}
	return list, printable(value(f["__CURSOR"])), nil
}

// value is what a field holds: text, a list of bytes where it is none, or a list of
// either.
func value(raw json.RawMessage) []byte {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return []byte(s)
	}
	var numbers []int
	if json.Unmarshal(raw, &numbers) == nil {
		b := make([]byte, len(numbers))
		for i, n := range numbers {
			b[i] = byte(n)
		}
		return b
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var out [][]byte
	for _, x := range list {
		// A list in a list holds bytes, and no list.
		if v := bytes.TrimSpace(x); len(v) > 0 && (v[0] == '"' || json.Unmarshal(v, &numbers) == nil) {
			out = append(out, value(x))
		}
	}
	return bytes.Join(out, []byte{'\n'})
}

// printable is a name of at most 500 bytes.
func printable(v []byte) string {
	b := bytes.Clone(v[:min(len(v), 500)])
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '_'
		}
	}
	return string(b)
}
