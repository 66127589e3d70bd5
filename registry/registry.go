// Package registry knows every token that was issued or imported: whose it is,
// what it may do, until when, and whether it is still alive.
//
// It never keeps a token's bytes. A token is stored as an HMAC under a pepper
// that lives outside the database; its plaintext leaves Issue once and is gone.
// Every change is one transaction together with its audit event. The package
// implements the scanner's Known through registry/match; it does not know how a
// leak was found, what policy says about it, or how providers are called.
// Start reading at Open, then Issue, Verify and Do.
package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/clock"
	"github.com/quench-dev/quench/registry/issuing"
	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/refusals"
	"github.com/quench-dev/quench/registry/rows"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/tally"
	"github.com/quench-dev/quench/registry/together"
	"github.com/quench-dev/quench/registry/use"
)

// Errors of opening.
var (
	// ErrNoRegistry: there is no registry at the path, and none was to be made.
	ErrNoRegistry = errors.New("no registry")
)

// Errors of single tokens.
var (
	// ErrNoToken: no token has that id.
	ErrNoToken = errors.New("no such token")
	// ErrDuplicate: the value is already a token of this registry.
	ErrDuplicate = errors.New("the value is already a token of this registry")
	// ErrInvalid: a request that can never succeed as it is.
	ErrInvalid = bound.ErrInvalid
	// ErrPolicy: a request that the issuing policy does not allow.
	ErrPolicy = issuing.Err
)

// Options of Open.
type Options struct {
	// Path of the database file, or the URL postgres://… of one of PostgreSQL.
	// DefaultPath tells the usual one.
	Path string
	// Create makes a registry, and its pepper, when there is none.
	Create bool
	// Pepper says where the peppers are; zero is PepperFrom(os.Getenv).
	Pepper PepperSource
	// WithoutPepper is the id of an older pepper that is lost: tokens under it are
	// not recognised. It can then only be retired.
	WithoutPepper string
	// Older opens a database even where it is older than the last checkpoint of its
	// audit log, so that what was revoked is live again: to look at it, or to go on
	// with it by backup.AcceptLoss.
	Older bool
	// Issue is what tokens may be issued; the zero one allows a year of any.
	Issue IssuePolicy
	// Countries tells in which country an address is; nil knows none, and what is
	// limited by country is then good from nowhere unless Use.Country says where.
	Countries Countries
	// EachUse makes each use a transaction of its own, on disk before Verify answers:
	// for programs that verify a token and end.
	EachUse bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// TrustClock believes a clock that is behind the last audit event, which it then
	// writes one about. That is to undo events from the future, written while the
	// clock was wrong; tokens that had expired by them live again.
	TrustClock bool
	// Actor is who audit events name unless a call says otherwise; empty is
	// the user the process runs as.
	Actor string
}

// Countries is a database of addresses, such as registry/country reads.
type Countries = use.Countries

// DefaultPath is the registry's usual path: QUENCH_REGISTRY, or
// quench/registry.db under XDG_STATE_HOME, which defaults to ~/.local/state.
// It is empty when not even a home folder is known.
func DefaultPath(getenv func(string) string) string {
	if p := getenv("QUENCH_REGISTRY"); p != "" {
		return p
	}
	return under(getenv, "XDG_STATE_HOME", ".local/state", "registry.db")
}

// under is name in the folder quench of an XDG base folder.
func under(getenv func(string) string, xdg, fallback, name string) string {
	base := getenv(xdg)
	if !filepath.IsAbs(base) { // the XDG rules: relative paths are ignored
		home := getenv("HOME")
		if home == "" {
			home, _ = os.UserHomeDir()
		}
		if home == "" {
			return ""
		}
		base = filepath.Join(home, filepath.FromSlash(fallback))
	}
	return filepath.Join(base, "quench", name)
}

// Registry is an open registry. Its methods are safe for concurrent use.
type Registry struct {
	store *store.Store
	clock *clock.Clock
	actor string
	issue IssuePolicy
	where Countries
	id    string // of the database: random, hex
	log   *audit.Log

	ring    atomic.Pointer[pepper.Ring]
	pepper  PepperSource
	without string

	end sync.Once

	mu       sync.Mutex
	prefixes []string     // that tokens were issued with
	sets     []*match.Set // to close
	observer Observer

	each    bool
	fast    fastPath
	asks    *together.Queue[ask]
	uses    *tally.Tally[Decided]
	refused *refusals.Refusals
	telling sync.Mutex // held while the observer is told, until the commit
}

// Open opens the registry at o.Path. Errors wrap ErrNoRegistry, ErrPepper, or
// one of the store's.
func Open(ctx context.Context, o Options) (*Registry, error) {
	if o.Path == "" {
		return nil, fmt.Errorf("%w: no path given and no home folder known; set QUENCH_REGISTRY", ErrNoRegistry)
	}
	if o.Actor == "" {
		o.Actor = processUser()
	}
	if o.Pepper.IsZero() {
		o.Pepper = PepperFrom(os.Getenv)
	}
	if !store.IsPostgres(o.Path) {
		if err := o.Pepper.Apart(o.Path); err != nil {
			return nil, err
		}
	}
	if err := o.Issue.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	s, err := store.Open(ctx, o.Path, store.Options{Create: o.Create})
	o.Path = store.Name(o.Path) // for messages from here on: without a password
	if errors.Is(err, fs.ErrNotExist) && !o.Create {
		lost := ""
		if o.Pepper.Anchored() {
			lost = ", or restore a backup if there was one (quench registry restore)"
		}
		return nil, fmt.Errorf("%w at %q: issue a token first%s", ErrNoRegistry, o.Path, lost)
	}
	if err != nil {
		return nil, err
	}
	r := &Registry{store: s, clock: clock.New(o.Now, time.Time{}), actor: o.Actor, issue: o.Issue, where: o.Countries, each: o.EachUse, pepper: o.Pepper, without: o.WithoutPepper}
	r.uses, r.asks = tally.New(maxWaiting, r.writeUses), together.New(maxTogether, r.decideTogether)
	r.refused = refusals.New(r.writeRefusals)
	err = r.unlock(ctx, o)
	if err == nil {
		err = r.setClock(ctx, o)
	}
	if err == nil {
		err = r.prepare(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return r, nil
}

// unlock reads the peppers and proves that they are those of this database, or
// binds a new database to one.
func (r *Registry) unlock(ctx context.Context, o Options) error {
	var bound bool
	err := r.store.Read(ctx, func(tx *sql.Tx) (err error) { bound, err = r.meta(ctx, tx); return err })
	switch {
	case err != nil:
	case !bound && !o.Create:
		return fmt.Errorf("%w at %q: it was begun and never finished; issue a token first", ErrNoRegistry, o.Path)
	case !bound:
		err = r.store.InTx(ctx, func(tx *sql.Tx) error { return r.bind(ctx, tx, o) })
	default:
		err = r.loadPeppers(ctx, r.store.Reader())
	}
	if err != nil {
		return fmt.Errorf("opening registry %q: %w", o.Path, err)
	}
	r.log, err = audit.NewLog(r.store.Reader(), r.id, r.ring.Load().Log, o.Pepper.Anchor(r.id))
	if err == nil && !o.Older {
		err = r.log.Anchored(ctx)
	}
	if behind := (*audit.Behind)(nil); errors.As(err, &behind) {
		err = fmt.Errorf("%w; restore the newest backup, or go on without what is missing: quench registry accept-loss %d", err, behind.Missed)
	}
	if err != nil {
		return fmt.Errorf("opening registry %q: %w", o.Path, err)
	}
	return nil
}

func (r *Registry) loadPeppers(ctx context.Context, q querier) error {
	ring, err := pepper.Open(ctx, q, r.pepper, r.id, r.without)
	if err == nil {
		r.ring.Store(ring)
	}
	return err
}

// meta reads what the database says of itself; bound is false before bind.
func (r *Registry) meta(ctx context.Context, q querier) (bound bool, err error) {
	var id []byte
	err = q.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'id'").Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, store.Explain(err)
	}
	r.id = string(id)
	if r.prefixes, err = rows.Brands(ctx, q); err != nil {
		return false, err
	}
	return pepper.Bound(ctx, q)
}

// bind ties a new database to its pepper, made now if there is none.
func (r *Registry) bind(ctx context.Context, tx *sql.Tx, o Options) error {
	bound, err := r.meta(ctx, tx)
	if err != nil {
		return err
	}
	if bound { // another process was faster
		return r.loadPeppers(ctx, tx)
	}
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM tokens").Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%w: the database holds tokens and no key check; restore it from a backup", store.ErrCorrupt)
	}
	id := make([]byte, 8)
	rand.Read(id)
	r.id = hex.EncodeToString(id)
	ring, err := pepper.Bind(ctx, tx, o.Pepper, r.id, r.Now())
	if err != nil {
		return err
	}
	r.ring.Store(ring)
	if _, err := tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES ('id', ?)", []byte(r.id)); err != nil {
		return err
	}
	return r.append(ctx, tx, audit.Event{Kind: "registry.create", Details: map[string]string{"key_id": ring.Primary().Name()}})
}

// Close ends the sets of Match, writes the uses down that wait for their second to
// end, writes a checkpoint of the audit log if this
// process changed the database, and closes it. Closing again does nothing.
func (r *Registry) Close() (err error) {
	r.end.Do(func() {
		r.mu.Lock()
		sets := r.sets
		r.mu.Unlock()
		for _, s := range sets {
			s.Close()
		}
		if err = errors.Join(r.uses.Close(), r.refused.Close()); err != nil {
			err = fmt.Errorf("closing the registry: %w", err)
		}
		if r.store.Wrote() {
			err = errors.Join(err, r.log.Checkpoint(context.Background()))
		}
		err = errors.Join(err, r.store.Close())
	})
	return err
}

// Store is the database, for packages that keep rows of their own beside the
// registry's and change both in one transaction.
func (r *Registry) Store() *store.Store { return r.store }

// Now is the registry's clock, in UTC and whole microseconds, as times are
// stored. It does not go back.
func (r *Registry) Now() time.Time { return r.clock.Now() }

// ClockBehind is how far the machine's clock was behind the last audit event when
// the registry was opened: times count from that event then.
func (r *Registry) ClockBehind() time.Duration { return r.clock.Behind() }

// setClock lets time count from the last event, so that what was seen to expire stays
// so when the machine's clock is set back. A trusted clock is believed, and said so.
func (r *Registry) setClock(ctx context.Context, o Options) error {
	last, err := r.log.Last(ctx)
	if err != nil {
		return fmt.Errorf("opening registry %q: %w", o.Path, store.Explain(err))
	}
	late := clock.New(o.Now, last)
	if !o.TrustClock || late.Behind() == 0 {
		r.clock = late
		return nil
	}
	return r.store.InTx(ctx, func(tx *sql.Tx) error {
		return r.append(ctx, tx, audit.Event{Kind: "clock.set_back", Details: map[string]string{"by": late.Behind().String()}})
	})
}

// Actor is who the registry's audit events name by default.
func (r *Registry) Actor() string { return r.actor }

// Audit is the log of this registry.
func (r *Registry) Audit() *audit.Log { return r.log }

// append writes an audit event, by default in the name of r.actor.
func (r *Registry) append(ctx context.Context, tx *sql.Tx, e audit.Event) error {
	if e.Actor == "" {
		e.Actor = r.actor
	}
	_, err := audit.Append(ctx, tx, r.Now(), e)
	return err
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func processUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}
