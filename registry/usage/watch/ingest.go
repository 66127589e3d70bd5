package watch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/accesslog"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/usage"
	"github.com/quench-dev/quench/scanner/secret"
)

const (
	// perBatch is how many uses are written together: enough that a commit's
	// millisecond is nothing, few enough that Verify waits some 100 ms at most.
	perBatch = 5000
	// wait is how long uses of a stream that has paused wait to be written.
	wait = time.Second
	// maxKnown bounds the tokens that are remembered by what names them.
	maxKnown = 100_000
	// ahead is how far a log's clock may be ahead of ours.
	ahead = 5 * time.Minute
	// headLen is how much of a file's beginning tells it from another: several lines
	// with their times.
	headLen = 1024
	// minHead is the least that does: of a file shorter than a line nothing is known.
	minHead = 64
)

// RefTag begins a tag that says how a log names the token, where that is neither
// its id nor its value, such as ref:AKIA… for an access key of AWS.
const RefTag = "ref:"

// Report is what reading a log came to.
type Report struct {
	accesslog.Stats
	From    int64  // offset that reading went on from, with the lines before
	Uses    int64  // uses of tokens of this registry
	Unknown int64  // records that name no token of it
	Values  int64  // records that hold a token's value
	Future  int64  // records whose time is yet to come, left out
	Told    []Told // alerts
}

// Ingest feeds a log to the watch as it comes. What was fed before an error stays.
// told is called for each alert after it is on disk, and may be nil.
func (w *Watch) Ingest(ctx context.Context, in io.Reader, o accesslog.Options, told func(Told)) (Report, error) {
	i := &ingest{w: w, o: o, told: told}
	return i.run(ctx, in)
}

// IngestFile is Ingest of a file, from where the last run ended unless anew. A file
// is known by how it begins, so that one that was rotated is not read twice. The
// position is written in the transaction of the uses: each is counted once.
func (w *Watch) IngestFile(ctx context.Context, path string, o accesslog.Options, anew bool, told func(Told)) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("opening the log: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return Report{}, fmt.Errorf("opening the log: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return Report{}, fmt.Errorf("the log %q is not a regular file; read a pipe with -", path)
	}
	i := &ingest{w: w, o: o, told: told}
	if i.path, err = filepath.Abs(path); err != nil {
		return Report{}, err
	}
	i.head = make([]byte, min(headLen, fi.Size()))
	if _, err := io.ReadFull(f, i.head); err != nil {
		return Report{}, fmt.Errorf("reading the log %q: %w", path, err)
	}
	packed := bytes.HasPrefix(i.head, []byte{0x1f, 0x8b})
	if !anew {
		if err := i.resume(ctx, fi.Size(), packed); err != nil {
			return Report{}, err
		}
	}
	i.r.From = i.base.at
	start := i.base.at
	if packed { // offsets are of what it unpacks to
		start = 0
	}
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return Report{}, fmt.Errorf("reading the log %q: %w", path, err)
	}
	if packed {
		i.skip, i.base = i.base.at, mark{}
	}
	return i.run(ctx, f)
}

// mark is how far a log was read.
type mark struct{ at, line int64 }

type ingest struct {
	w    *Watch
	o    accesslog.Options
	told func(Told)
	r    Report

	path string // empty is a stream, of which no position is kept
	head []byte
	base mark  // where reading began
	skip int64 // records up to here were fed by an earlier run

	known map[[sha256.Size]byte]found
	refs  map[string]string // token ids by their RefTag
	batch []Use
}

// found is a token that something names; nil is none of this registry.
type found struct {
	t       *registry.Token
	byValue bool
}

// resume finds out how far the file was read, whatever it was called then.
func (i *ingest) resume(ctx context.Context, size int64, packed bool) error {
	rows, err := i.w.r.Store().Reader().QueryContext(ctx, "SELECT head, head_len, position, line FROM usage_logs WHERE head_len >= ? AND head_len <= ?", minHead, len(i.head))
	if err != nil {
		return fmt.Errorf("looking how far the log was read: %w", store.Explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		var head []byte
		var n int
		var m mark
		if err := rows.Scan(&head, &n, &m.at, &m.line); err != nil {
			return fmt.Errorf("looking how far the log was read: %w", store.Explain(err))
		}
		if sum := sha256.Sum256(i.head[:n]); bytes.Equal(sum[:], head) && (packed || m.at <= size) && m.at > i.base.at {
			i.base = m
		}
	}
	return store.Explain(rows.Err())
}

// run reads on a goroutine of its own, since a stream may pause while uses wait to be
// written. It ends when the log does, or at its next line after an error.
func (i *ingest) run(ctx context.Context, in io.Reader) (Report, error) {
	i.known = map[[sha256.Size]byte]found{}
	reader, err := accesslog.New(i.o)
	if err != nil {
		return i.r, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	records := make(chan accesslog.Record, 256)
	type end struct {
		s   accesslog.Stats
		err error
	}
	done := make(chan end, 1)
	go func() {
		s, err := reader.Read(ctx, in, i.base.line, func(r accesslog.Record) error {
			select {
			case records <- r:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(records)
		done <- end{s, err}
	}()
	tick := time.NewTicker(wait)
	defer tick.Stop()
	last := mark{0, i.base.line}
	for {
		select {
		case rec, ok := <-records:
			if !ok {
				e := <-done
				i.r.Stats = e.s
				if err := i.flush(ctx, mark{e.s.End, e.s.Lines}); err != nil {
					return i.r, err
				}
				return i.r, e.err
			}
			last = mark{rec.End, rec.Line}
			if err := i.record(ctx, rec); err != nil {
				return i.r, err
			}
			if len(i.batch) < perBatch {
				continue
			}
			if err := i.flush(ctx, last); err != nil {
				return i.r, err
			}
		case <-tick.C:
			if len(i.batch) == 0 {
				continue
			}
			if err := i.flush(ctx, last); err != nil {
				return i.r, err
			}
		case <-ctx.Done(): // what was read is written, also when it was interrupted
			err := i.flush(context.WithoutCancel(ctx), last)
			return i.r, errors.Join(err, ctx.Err())
		}
	}
}

// record makes a use of a record.
func (i *ingest) record(ctx context.Context, rec accesslog.Record) error {
	if rec.End <= i.skip {
		return nil
	}
	if rec.At.Sub(i.w.r.Now()) > ahead {
		i.r.Future++
		return nil
	}
	f, err := i.find(ctx, rec.Ref)
	if err != nil {
		return err
	}
	if f.t == nil {
		i.r.Unknown++
		return nil
	}
	i.r.Uses++
	if f.byValue {
		i.r.Values++
	}
	e := usage.Event{At: rec.At, Method: rec.Method, Endpoint: usage.Endpoint(rec.Method, rec.Path), Agent: usage.Agent(rec.Agent), Address: rec.Address,
		Served: rec.Status >= 200 && rec.Status < 400}
	switch t := f.t; {
	case t.State == registry.Revoked && !rec.At.Before(t.RevokedAt):
		e.Outcome = usage.Dead
	case !t.ExpiresAt.IsZero() && !rec.At.Before(t.ExpiresAt), rec.Status == 401:
		e.Outcome = usage.Refused
	case rec.Status == 403:
		e.Outcome = usage.Denied
	}
	i.batch = append(i.batch, Use{f.t, e})
	return nil
}

// find finds the token that a log's field names: by its id, its value, or the tag
// that says how logs name it.
func (i *ingest) find(ctx context.Context, name string) (f found, err error) {
	key := sha256.Sum256([]byte(name)) // a value is not kept, not in memory either
	if f, ok := i.known[key]; ok {
		return f, nil
	}
	t, err := i.w.r.Token(ctx, name)
	if errors.Is(err, registry.ErrNoToken) {
		f.byValue = true
		t, err = i.w.r.TokenOf(ctx, secret.NewString(name))
	}
	if errors.Is(err, registry.ErrNoToken) {
		f.byValue = false
		if err := i.loadRefs(ctx); err != nil {
			return f, err
		}
		if id, ok := i.refs[name]; ok {
			t, err = i.w.r.Token(ctx, id)
		}
	}
	switch {
	case err == nil:
		f.t = &t
	case !errors.Is(err, registry.ErrNoToken):
		return f, err
	}
	if len(i.known) >= maxKnown {
		clear(i.known)
	}
	i.known[key] = f
	return f, nil
}

// loadRefs reads all tags that say how logs name tokens, once: names that are none
// come from strangers, and must not cost a search each.
func (i *ingest) loadRefs(ctx context.Context) error {
	if i.refs != nil {
		return nil
	}
	i.refs = map[string]string{}
	rows, err := i.w.r.Store().Reader().QueryContext(ctx, "SELECT id, tags FROM tokens WHERE tags LIKE ?", `%"`+RefTag+"%")
	if err != nil {
		return fmt.Errorf("reading how logs name tokens: %w", store.Explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		var id, text string
		var tags []string
		if err := rows.Scan(&id, &text); err != nil {
			return fmt.Errorf("reading how logs name tokens: %w", store.Explain(err))
		}
		if err := json.Unmarshal([]byte(text), &tags); err != nil {
			return fmt.Errorf("%w: the tags of token %s: %w", store.ErrCorrupt, id, err)
		}
		for _, tag := range tags {
			if ref, ok := strings.CutPrefix(tag, RefTag); ok {
				i.refs[ref] = id
			}
		}
	}
	return store.Explain(rows.Err())
}

// flush writes what was read up to a mark, relative to where reading began.
func (i *ingest) flush(ctx context.Context, to mark) error {
	if i.path == "" && len(i.batch) == 0 {
		return nil
	}
	told, err := i.w.Feed(ctx, i.batch, func(tx *sql.Tx) error { return i.position(ctx, tx, mark{i.base.at + to.at, to.line}) })
	if err != nil {
		return err
	}
	i.batch = i.batch[:0]
	i.r.Told = append(i.r.Told, told...)
	if i.told != nil {
		for _, t := range told {
			i.told(t)
		}
	}
	return nil
}

func (i *ingest) position(ctx context.Context, tx *sql.Tx, m mark) error {
	if i.path == "" || m.at < i.skip {
		return nil
	}
	head := sha256.Sum256(i.head)
	_, err := tx.ExecContext(ctx, `INSERT INTO usage_logs (path, head, head_len, position, line, updated_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (path) DO UPDATE SET head = excluded.head, head_len = excluded.head_len, position = excluded.position, line = excluded.line, updated_at = excluded.updated_at`,
		i.path, head[:], len(i.head), m.at, m.line, i.w.r.Now().UnixMicro())
	if err != nil {
		return fmt.Errorf("saving how far %q was read: %w", i.path, err)
	}
	return nil
}
