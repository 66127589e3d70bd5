package notify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/revoker/internal/outbound"
)

const (
	// poll is how often new alerts are looked for: a tenth of the second in which they
	// are to be told, so that nine tenths are left to a busy machine and the call; one
	// step in an index each.
	poll = 100 * time.Millisecond
	// batch alerts are read for one message; more wait for the next.
	batch = 50
	// lease is how long one process has a target for itself: a message by mail takes
	// several exchanges of up to a timeout each.
	lease = 6 * outbound.Timeout
	// minWait and maxWait bound the pause after a failure, which doubles: a target
	// that was down for an hour hears within a minute of being back.
	minWait, maxWait = time.Second, time.Minute
	// look is how far back a target that was never told begins: what a one-shot scan
	// found before anybody ran who delivers, and not the history of years.
	look = time.Hour
)

// Options of New. Only Logger is usually set.
type Options struct {
	// Logger hears of failures; nil discards them. They are in the database too.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Dial and Lookup replace the network in tests.
	Dial   outbound.Dial
	Lookup outbound.Lookup
	// Incident gives what is known of one, for those who are told of each by itself;
	// nil is nothing.
	Incident func(ctx context.Context, id string) (any, error)
	// API replaces the addresses of vendors in tests.
	API map[string]string
}

// Notifier delivers the alerts of one registry.
type Notifier struct {
	store *store.Store
	cfg   Config
	o     Options
	owner string
}

// New makes a Notifier. It calls nobody and starts nothing.
func New(s *store.Store, cfg Config, o Options) (*Notifier, error) {
	cfg.Targets = slices.Clone(cfg.Targets) // Check completes them, and others may use the same
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	host, _ := os.Hostname()
	return &Notifier{store: s, cfg: cfg, o: o, owner: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), uuid.NewString())}, nil
}

// Run delivers until ctx ends. What is undelivered then waits for the next Run, of
// this process or another.
func (n *Notifier) Run(ctx context.Context) {
	if len(n.cfg.Targets) == 0 {
		return
	}
	// One process of several looks; each target has its own pace.
	var wg sync.WaitGroup
	for _, t := range n.cfg.Targets {
		wg.Go(func() { n.serve(ctx, t) })
	}
	wg.Wait()
}

// lastWord bounds what is delivered when work has ended: a sink that is down does
// not keep a scan from ending, and is told by whoever runs next.
const lastWord = 2 * outbound.Timeout

// Beside runs work, and Run beside it until work has ended, then delivers what came
// at its end.
func (n *Notifier) Beside(ctx context.Context, work func() error) error {
	if len(n.cfg.Targets) == 0 {
		return work()
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); n.Run(running) }()
	err := work()
	stop()
	<-done
	n.Last(ctx)
	return err
}

// Last delivers what waits, within a bound, before a process ends. What could not be
// delivered is logged, and waits for whoever runs next.
func (n *Notifier) Last(ctx context.Context) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	if err := n.Drain(last); err != nil {
		n.o.Logger.Warn("alerts wait for quench worker, watch or serve to deliver them", "err", err)
	}
}

// serve delivers to one target.
func (n *Notifier) serve(ctx context.Context, t Target) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var held time.Time // until when lesser alerts are gathered
	seen := int64(-1)
	for {
		newest, err := n.newest(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			n.o.Logger.Warn("alerts cannot be read", "err", err)
		case newest > seen:
			d, err := n.deliver(ctx, t, held)
			if d.told {
				held = n.o.Now().Add(t.hold)
			}
			if err != nil && ctx.Err() == nil && !errors.Is(err, errWaiting) {
				n.o.Logger.Warn("an alert could not be delivered; it is tried again", "target", t.Name, "err", err)
			}
			if d.done {
				seen = newest
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Drain delivers what can be delivered now, once to each target, and says what
// could not.
func (n *Notifier) Drain(ctx context.Context) error {
	var errs []error
	for _, t := range n.cfg.Targets {
		for {
			d, err := n.deliver(ctx, t, time.Time{})
			if err != nil {
				errs = append(errs, fmt.Errorf("telling %s: %w", t.Name, err))
			}
			if d.done || !d.moved {
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (n *Notifier) newest(ctx context.Context) (id int64, err error) {
	err = n.store.Reader().QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM alerts").Scan(&id)
	return id, store.Explain(err)
}

var (
	errBusy    = errors.New("another process tells it")
	errWaiting = errors.New("it failed a moment ago and is tried again later")
)

// claim leases a target to this process and gives the last alert it was told.
func (n *Notifier) claim(ctx context.Context, t Target) (last int64, err error) {
	now := n.o.Now()
	err = n.store.InTx(ctx, func(tx *sql.Tx) error {
		var next, until int64
		var owner string
		err := tx.QueryRowContext(ctx, "SELECT alert_id, next_at, owner, until FROM notify_targets WHERE name = ?", t.Name).Scan(&last, &next, &owner, &until)
		if errors.Is(err, sql.ErrNoRows) {
			err = tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM alerts WHERE at < ?", now.Add(-look).UnixMicro()).Scan(&last)
			if err == nil {
				_, err = tx.ExecContext(ctx, "INSERT INTO notify_targets (name, alert_id) VALUES (?, ?)", t.Name, last)
			}
		}
		switch {
		case err != nil:
			return err
		case owner != "" && owner != n.owner && until > now.UnixMicro():
			return errBusy
		case next > now.UnixMicro():
			return errWaiting
		}
		_, err = tx.ExecContext(ctx, "UPDATE notify_targets SET owner = ?, until = ? WHERE name = ?", n.owner, now.Add(lease).UnixMicro(), t.Name)
		return err
	})
	return last, err
}

// settle writes how far a target was told, or that it failed, and gives it free.
func (n *Notifier) settle(ctx context.Context, t Target, last int64, refused []alert.Alert, failure error) error {
	now := n.o.Now()
	return n.store.InTx(context.WithoutCancel(ctx), func(tx *sql.Tx) error {
		if failure == nil {
			_, err := tx.ExecContext(ctx, "UPDATE notify_targets SET alert_id = ?, failures = 0, next_at = 0, error = '', until = 0 WHERE name = ? AND owner = ?", last, t.Name, n.owner)
			return err
		}
		for _, a := range refused {
			if _, err := tx.ExecContext(ctx, "INSERT INTO notify_refused (target, alert_id, error, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
				t.Name, a.ID, failure.Error(), now.UnixMicro()); err != nil {
				return err
			}
		}
		var failures int
		if err := tx.QueryRowContext(ctx, "SELECT failures FROM notify_targets WHERE name = ?", t.Name).Scan(&failures); err != nil {
			return err
		}
		wait := min(minWait<<min(failures, 10), maxWait)
		if len(refused) > 0 {
			wait = 0 // the rest need not wait
		}
		var asked *laterError
		if errors.As(failure, &asked) && asked.after > wait {
			wait = asked.after
		}
		_, err := tx.ExecContext(ctx, "UPDATE notify_targets SET alert_id = ?, failures = ?, next_at = ?, error = ?, until = 0 WHERE name = ? AND owner = ?",
			last, failures+1, now.Add(wait).UnixMicro(), failure.Error(), t.Name, n.owner)
		return err
	})
}

// delivered is what came of deliver: something was told; the target's place moved; and
// nothing more lies behind it now.
type delivered struct{ told, moved, done bool }

// deliver tells a target what lies behind its place, in one message. Before held,
// nothing is told until something critical is there.
func (n *Notifier) deliver(ctx context.Context, t Target, held time.Time) (d delivered, err error) {
	last, known, err := n.position(ctx, t)
	if err != nil {
		return d, n.unlessTold(ctx, t, last, err)
	}
	if known { // looked at without the write lock, which others need
		due, _, total, err := n.due(ctx, t, last, held)
		if err != nil || total == 0 || due == nil {
			d.done = err == nil && total == 0
			return d, err
		}
	}
	if last, err = n.claim(ctx, t); err != nil {
		return d, quiet(err)
	}
	due, to, total, err := n.due(ctx, t, last, held)
	if err != nil || due == nil {
		return d, errors.Join(err, n.settle(ctx, t, last, nil, err))
	}
	var refused []alert.Alert
	end := to
	if len(due) > 0 {
		to, refused, err = n.tell(ctx, t, last, to, due)
	}
	d.told, d.moved = to > last && len(due) > len(refused), to > last
	d.done = total < batch && to == end
	return d, errors.Join(err, n.settle(ctx, t, to, refused, err))
}

// unlessTold is err, if alerts wait behind last: without any, nothing is waited for.
func (n *Notifier) unlessTold(ctx context.Context, t Target, last int64, err error) error {
	if !errors.Is(err, errWaiting) {
		return err
	}
	due, _, _, derr := n.due(ctx, t, last, time.Time{})
	if derr != nil || len(due) == 0 {
		return derr
	}
	return err
}

// position is the last alert that a target was told; known is false for a target
// that never was. errWaiting says that it failed, and with what, and is not to be
// tried again yet: no lock is taken for that.
func (n *Notifier) position(ctx context.Context, t Target) (last int64, known bool, err error) {
	var next int64
	var failure string
	err = n.store.Reader().QueryRowContext(ctx, "SELECT alert_id, next_at, error FROM notify_targets WHERE name = ?", t.Name).Scan(&last, &next, &failure)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err == nil && next > n.o.Now().UnixMicro():
		err = fmt.Errorf("%w: %s", errWaiting, failure)
	}
	return last, err == nil, store.Explain(err)
}

// due are the alerts behind last that a target is to be told now: none if it has no
// business with them, nil if they are held. to is the last one looked at, of total.
func (n *Notifier) due(ctx context.Context, t Target, last int64, held time.Time) (due []alert.Alert, to int64, total int, err error) {
	list, err := alert.List(ctx, n.store.Reader(), alert.Filter{After: last, Limit: batch})
	if err != nil {
		return nil, last, 0, err
	}
	due, to = []alert.Alert{}, last
	urgent := !n.o.Now().Before(held)
	for _, a := range list {
		to = a.ID
		if n.cfg.wants(t, a) {
			due = append(due, a)
			urgent = urgent || a.Severity == alert.Critical
		}
	}
	if len(due) > 0 && !urgent {
		due = nil
	}
	return due, to, len(list), nil
}

// quiet drops errors that only say "later".
func quiet(err error) error {
	if errors.Is(err, errBusy) || errors.Is(err, errWaiting) {
		return nil
	}
	return err
}

// tell sends one message about all that is due. A message that is refused for good
// is sent again alert by alert, so that one cannot keep the others back; told and
// refused say how far that came.
func (n *Notifier) tell(ctx context.Context, t Target, from, to int64, due []alert.Alert) (told int64, refused []alert.Alert, err error) {
	var no *refusedError
	if !t.single() {
		err = n.send(ctx, t, due)
	}
	switch {
	case t.single():
	case err == nil:
		return to, nil, nil
	case !errors.As(err, &no):
		return from, nil, err
	case len(due) == 1:
		return to, due, err
	}
	told = from
	var first error
	begun := time.Now()
	for _, a := range due {
		if time.Since(begun) > lease/2 { // while the target is still ours; the rest is told at once after
			return told, refused, first
		}
		err := n.send(ctx, t, []alert.Alert{a})
		if errors.As(err, &no) {
			refused = append(refused, a)
			first = errors.Join(first, err)
		} else if err != nil {
			return told, refused, err
		}
		told = a.ID
	}
	return to, refused, first
}

// Status is how delivery to one target stands.
type Status struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Told     int64     `json:"told"`    // the last alert it was told
	Waiting  int       `json:"waiting"` // alerts behind it
	Refused  int       `json:"refused"` // alerts it took in no form
	Failures int       `json:"failures"`
	Error    string    `json:"error,omitempty"`
	Next     time.Time `json:"next,omitzero"` // when it is tried again
}

// Status lists how delivery stands, in the order of the configuration.
func (n *Notifier) Status(ctx context.Context) ([]Status, error) {
	var all []Status
	for _, t := range n.cfg.Targets {
		s := Status{Name: t.Name, Kind: t.Kind}
		var next int64
		err := n.store.Reader().QueryRowContext(ctx, "SELECT alert_id, failures, error, next_at FROM notify_targets WHERE name = ?", t.Name).Scan(&s.Told, &s.Failures, &s.Error, &next)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, store.Explain(err)
		}
		if next > 0 {
			s.Next = time.UnixMicro(next).UTC()
		}
		if err := n.store.Reader().QueryRowContext(ctx, "SELECT count(*) FROM alerts WHERE id > ?", s.Told).Scan(&s.Waiting); err != nil {
			return nil, store.Explain(err)
		}
		if err := n.store.Reader().QueryRowContext(ctx, "SELECT count(*) FROM notify_refused WHERE target = ?", t.Name).Scan(&s.Refused); err != nil {
			return nil, store.Explain(err)
		}
		all = append(all, s)
	}
	return all, nil
}

// Test sends one made-up alert to a target and waits for its answer.
func (n *Notifier) Test(ctx context.Context, name string) error {
	for _, t := range n.cfg.Targets {
		if t.Name == name {
			return n.send(ctx, t, []alert.Alert{{Key: "quench-test-" + uuid.NewString(), Kind: "alert.test", Severity: alert.Info, Title: "quench alert test: this target is told of alerts",
				Advice: "nothing to do", At: n.o.Now()}})
		}
	}
	return fmt.Errorf("there is no notify target %q in the policy", name)
}
