// Package watch keeps what package usage learns of each token in the registry's
// database, and writes its alerts.
//
// States, alerts and suspensions are written in the transaction of the uses they
// come from: all or none of it is on disk. The package knows tokens and rows; what
// is alarming is usage's to judge, and who is told is said elsewhere. It is fed by
// Verify (Observe) and by access logs (Feed). Start reading at New, then Feed.
package watch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/country"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/usage"
)

// Kind is that of an alert of a signal.
func Kind(s usage.Signal) string { return "usage." + string(s) }

// Countries tells from which country, and if it can from where, an address is.
type Countries interface {
	Find(netip.Addr) (iso string, at country.Point, ok bool)
}

// Options of New.
type Options struct {
	Policy usage.Policy
	// Countries is nil where there is no database: then those signals are off,
	// unless events bring a country of their own.
	Countries Countries
	// Protected tokens are never suspended; nil protects none.
	Protected func(*registry.Token) bool
}

// Watch feeds uses to what is known of their tokens. Its methods are safe for
// concurrent use.
type Watch struct {
	r      *registry.Registry
	o      Options
	alerts atomic.Int64
}

// New makes a watch of a registry's tokens.
func New(r *registry.Registry, o Options) (*Watch, error) {
	if err := o.Policy.Check(); err != nil {
		return nil, err
	}
	return &Watch{r: r, o: o}, nil
}

// Use is one use of a token; Country and Point of the event are found by its
// address where they are empty.
type Use struct {
	Token *registry.Token
	usage.Event
}

// Told is one alert that was written.
type Told struct {
	Token     *registry.Token
	Finding   usage.Finding
	Suspended bool
}

// Observe implements registry.Observer.
func (w *Watch) Observe(ctx context.Context, tx *sql.Tx, decided []registry.Decided) (done func(), err error) {
	uses := make([]Use, 0, len(decided))
	for i := range decided {
		d := &decided[i]
		e := usage.Event{At: d.At, Outcome: outcome(d.Reason), Scope: d.Use.Scope, Method: d.Use.Method, Agent: usage.Agent(d.Use.Agent), Address: d.Use.Address, Country: d.Use.Country}
		if d.Use.Endpoint != "" {
			e.Endpoint = usage.Endpoint(d.Use.Method, d.Use.Endpoint)
		}
		uses = append(uses, Use{d.Token, e})
	}
	told, err := w.FeedTx(ctx, tx, uses)
	return func() { w.alerts.Add(int64(len(told))) }, err
}

// outcome is what a reason of a verdict is to usage.
func outcome(reason string) usage.Outcome {
	switch reason {
	case registry.ReasonValid:
		return usage.Allowed
	case registry.ReasonOutOfScope, registry.ReasonWrongNetwork, registry.ReasonWrongCountry:
		return usage.Denied
	case registry.ReasonRevoked:
		return usage.Dead
	}
	return usage.Refused
}

// Alerts is how many alerts came of what was observed.
func (w *Watch) Alerts() int64 { return w.alerts.Load() }

// Feed is FeedTx in a transaction of its own, with what else is to be written in it.
func (w *Watch) Feed(ctx context.Context, uses []Use, also func(tx *sql.Tx) error) (told []Told, err error) {
	err = w.r.Store().InTx(ctx, func(tx *sql.Tx) (err error) {
		if told, err = w.FeedTx(ctx, tx, uses); err == nil && also != nil {
			err = also(tx)
		}
		return err
	})
	return told, err
}

// FeedTx judges uses, oldest first for each token, and learns from them. Nothing of
// it has happened until tx commits.
func (w *Watch) FeedTx(ctx context.Context, tx *sql.Tx, uses []Use) ([]Told, error) {
	if len(uses) == 0 {
		return nil, nil
	}
	b, err := w.begin(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("watching uses: %w", err)
	}
	if err := b.load(uses); err != nil {
		return nil, fmt.Errorf("watching uses: %w", err)
	}
	for i := range uses {
		if err := b.use(&uses[i]); err != nil {
			return nil, fmt.Errorf("watching uses of token %s: %w", uses[i].Token.ID, err)
		}
	}
	if err := b.save(); err != nil {
		return nil, fmt.Errorf("watching uses: %w", err)
	}
	return b.told, nil
}

// batch is one transaction's uses on their way.
type batch struct {
	w      *Watch
	ctx    context.Context
	tx     *sql.Tx
	now    time.Time
	states map[string]*usage.State // nil is one that is not to be touched
	muted  map[mute]bool
	told   []Told
}

type mute struct {
	token  string // "" is all
	signal usage.Signal
}

func (w *Watch) begin(ctx context.Context, tx *sql.Tx) (b *batch, err error) {
	b = &batch{w: w, ctx: ctx, tx: tx, now: w.r.Now(), states: map[string]*usage.State{}}
	mutes, err := mutes(ctx, tx, b.now)
	if err != nil {
		return nil, err
	}
	b.muted = make(map[mute]bool, len(mutes))
	for _, m := range mutes {
		b.muted[mute{m.TokenID, m.Signal}] = true
	}
	return b, nil
}

// perRead states are read by one statement: alone, half of what one costs is the
// statement, and on a server it is a round trip.
const perRead = 100

// load reads what is known of the tokens of uses: nil is what a newer program wrote.
func (b *batch) load(uses []Use) error {
	tokens := map[string]*registry.Token{}
	for i := range uses {
		tokens[uses[i].Token.ID] = uses[i].Token
	}
	ids := slices.Sorted(maps.Keys(tokens)) // as they lie: neighbours share a page
	for part := range slices.Chunk(ids, perRead) {
		args := make([]any, len(part))
		for i, id := range part {
			b.states[id], args[i] = &usage.State{}, id
		}
		encoded := map[string][]byte{}
		if err := b.read(args, encoded); err != nil {
			return err
		}
		for id, enc := range encoded {
			s, err := usage.Decode(enc)
			if err != nil {
				s, err = b.unreadable(tokens[id], err)
			}
			if err != nil {
				return err
			}
			b.states[id] = s
		}
	}
	return nil
}

func (b *batch) read(ids []any, to map[string][]byte) error {
	rows, err := b.tx.QueryContext(b.ctx, "SELECT token_id, state FROM usage_states WHERE token_id IN (?"+strings.Repeat(", ?", len(ids)-1)+")", ids...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var enc []byte
		if err := rows.Scan(&id, &enc); err != nil {
			return err
		}
		to[id] = enc
	}
	return rows.Err()
}

// unreadable tells of a state that cannot be read. A damaged one begins anew; one
// of a newer program is left to that.
func (b *batch) unreadable(t *registry.Token, why error) (*usage.State, error) {
	a := alert.Alert{Key: "usage.state/" + t.ID + "/" + why.Error(), Kind: "usage.state", Severity: alert.Warning, TokenID: t.ID, Owner: t.Owner, At: b.now,
		Title:  fmt.Sprintf("token %s: what was learned of its use cannot be read, and is learned anew: %v", t.ID, why),
		Advice: "check the database (quench registry check); for one learning period little of this token's use is told"}
	s := &usage.State{}
	if errors.Is(why, usage.ErrNewer) {
		a.Title = fmt.Sprintf("token %s: what was learned of its use is of a newer quench, and its use is not watched: %v", t.ID, why)
		a.Advice, s = "let every process that uses this registry be of one version", nil
	}
	_, err := alert.Append(b.ctx, b.tx, a)
	return s, err
}

func (b *batch) use(u *Use) error {
	s := b.states[u.Token.ID]
	if s == nil {
		return nil
	}
	e := u.Event
	if c := b.w.o.Countries; c != nil && e.Address.IsValid() && (e.Country == "" || !e.Point.Known()) {
		if iso, at, ok := c.Find(e.Address); ok && (e.Country == "" || e.Country == iso) {
			e.Country, e.Point = iso, at
		}
	}
	id := u.Token.ID
	found := s.Observe(e, &b.w.o.Policy, func(sig usage.Signal) bool {
		return len(b.muted) > 0 && (b.muted[mute{id, sig}] || b.muted[mute{"", sig}])
	})
	for _, f := range found {
		if err := b.tell(u.Token, f); err != nil {
			return err
		}
	}
	return nil
}

// fresh is how old an event may be whose alert suspends: what an old log tells may
// long be settled.
const fresh = 24 * time.Hour

// tell writes the alert, and suspends the token where the policy says so.
func (b *batch) tell(t *registry.Token, f usage.Finding) error {
	x := Told{Token: t, Finding: f}
	for _, sig := range b.w.o.Policy.Suspend {
		if sig != f.Signal || b.now.Sub(f.At) > fresh || b.w.o.Protected != nil && b.w.o.Protected(t) {
			continue
		}
		// The state of u.Token is of when the use was decided: the row decides.
		now, err := b.w.r.TokenTx(b.ctx, b.tx, t.ID)
		if err != nil {
			return err
		}
		if now.State == registry.Live {
			_, x.Suspended, err = b.w.r.DoTx(b.ctx, b.tx, registry.Suspend, t.ID, registry.Change{Actor: "usage watch", Reason: f.Title})
			if err != nil {
				return err
			}
		}
	}
	severity := alert.Warning
	if f.Critical {
		severity = alert.Critical
	}
	f.Numbers["signal"] = string(f.Signal)
	if x.Suspended {
		f.Numbers["action"] = "suspended"
		f.Advice = "it is suspended, by policy. " + f.Advice + ". When it is settled: quench token resume " + t.ID
	}
	wrote, err := alert.Append(b.ctx, b.tx, alert.Alert{
		Key:  fmt.Sprintf("usage/%s/%s/%s/%d", f.Signal, t.ID, f.Numbers["country"], f.At.Unix()),
		Kind: Kind(f.Signal), Severity: severity, TokenID: t.ID, Owner: t.Owner, At: f.At, Details: f.Numbers, Advice: f.Advice,
		Title: fmt.Sprintf("token %s of %s: %s", t.ID, t.Owner, f.Title)})
	if err == nil && wrote {
		b.told = append(b.told, x)
	}
	return err
}

// save writes the states that were touched.
func (b *batch) save() error {
	rows := store.Rows{Into: "usage_states (token_id, state, updated_at)", Width: 3,
		Then: "ON CONFLICT (token_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at"}
	for _, id := range slices.Sorted(maps.Keys(b.states)) {
		if s := b.states[id]; s != nil {
			enc, err := s.AppendBinary(nil)
			if err != nil {
				return err
			}
			rows.Add(id, enc, b.now.UnixMicro())
		}
	}
	return rows.Insert(b.ctx, b.tx)
}

// State reads what is known of a token's use; a token that was never used has the
// zero State.
func (w *Watch) State(ctx context.Context, id string) (*usage.State, error) {
	var enc []byte
	err := w.r.Store().Reader().QueryRowContext(ctx, "SELECT state FROM usage_states WHERE token_id = ?", id).Scan(&enc)
	if errors.Is(err, sql.ErrNoRows) {
		return &usage.State{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the usage of token %s: %w", id, store.Explain(err))
	}
	s, err := usage.Decode(enc)
	if err != nil {
		return nil, fmt.Errorf("reading the usage of token %s: %w", id, err)
	}
	return s, nil
}

// Mute is a signal whose alerts are not wanted for a while.
type Mute struct {
	TokenID string       `json:"token_id,omitempty"` // empty is all tokens
	Signal  usage.Signal `json:"signal"`
	Until   time.Time    `json:"until"`
	Actor   string       `json:"actor"`
	Reason  string       `json:"reason,omitempty"`
}

// maxMute is the longest mute: what is longer is a matter of policy.
const maxMute = 366 * 24 * time.Hour

// Mute mutes a signal of a token, or of all, until a time; a time that has passed
// ends a mute. It is audited.
func (w *Watch) Mute(ctx context.Context, m Mute) error {
	now := w.r.Now()
	if m.Actor == "" {
		m.Actor = w.r.Actor()
	}
	known := false
	for _, s := range usage.Signals {
		known = known || s == m.Signal
	}
	switch {
	case !known:
		return fmt.Errorf("%w: %q is no signal; they are %s", registry.ErrInvalid, m.Signal, usage.Names())
	case m.Until.Sub(now) > maxMute:
		return fmt.Errorf("%w: a mute of more than a year; set the signal's sensitivity in the policy instead", registry.ErrInvalid)
	}
	return w.r.Store().InTx(ctx, func(tx *sql.Tx) error {
		if m.TokenID != "" {
			if _, err := w.r.TokenTx(ctx, tx, m.TokenID); err != nil {
				return err
			}
		}
		kind := "usage.mute"
		if !m.Until.After(now) {
			kind = "usage.unmute"
			if _, err := tx.ExecContext(ctx, "DELETE FROM usage_mutes WHERE token_id = ? AND signal = ?", m.TokenID, string(m.Signal)); err != nil {
				return fmt.Errorf("ending a mute: %w", err)
			}
		} else if _, err := tx.ExecContext(ctx, `INSERT INTO usage_mutes (token_id, signal, until, actor, reason) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (token_id, signal) DO UPDATE SET until = excluded.until, actor = excluded.actor, reason = excluded.reason`,
			m.TokenID, string(m.Signal), m.Until.UnixMicro(), m.Actor, m.Reason); err != nil {
			return fmt.Errorf("muting: %w", err)
		}
		_, err := audit.Append(ctx, tx, now, audit.Event{Kind: kind, Actor: m.Actor, TokenID: m.TokenID,
			Details: map[string]string{"signal": string(m.Signal), "until": m.Until.UTC().Format(time.RFC3339), "reason": m.Reason}})
		return err
	})
}

// Mutes lists the mutes that have not run out.
func (w *Watch) Mutes(ctx context.Context) ([]Mute, error) {
	return mutes(ctx, w.r.Store().Reader(), w.r.Now())
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func mutes(ctx context.Context, q querier, now time.Time) ([]Mute, error) {
	rows, err := q.QueryContext(ctx, "SELECT token_id, signal, until, actor, reason FROM usage_mutes WHERE until > ? ORDER BY token_id, signal", now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("reading mutes: %w", store.Explain(err))
	}
	defer rows.Close()
	var all []Mute
	for rows.Next() {
		var m Mute
		var until int64
		if err := rows.Scan(&m.TokenID, &m.Signal, &until, &m.Actor, &m.Reason); err != nil {
			return nil, fmt.Errorf("reading mutes: %w", store.Explain(err))
		}
		m.Until = time.UnixMicro(until).UTC()
		all = append(all, m)
	}
	return all, store.Explain(rows.Err())
}

// Alerts lists the alerts of usage, of one token or of all, oldest first.
func (w *Watch) List(ctx context.Context, f alert.Filter) (all []alert.Alert, err error) {
	every, err := alert.List(ctx, w.r.Store().Reader(), f)
	for _, a := range every {
		if len(a.Kind) > 6 && a.Kind[:6] == "usage." {
			all = append(all, a)
		}
	}
	return all, err
}
