// Package revoker contains leaks: it turns a hit on an issued token into an
// incident, revokes the token when the mode and the policy say so, tells the
// token's provider through a durable queue, and keeps the receipts.
//
// The order is what makes it safe. Incident, finding, audit record, the token's
// new state and the queue job are one transaction, and only then is a provider
// called: kill -9 at any point loses no revocation, and a call whose outcome is
// not known is repeated under the same idempotency key. The zero Policy and the
// zero Mode send no packet and revoke nothing. This package does not know where
// hits come from. Start reading at Contain.
package revoker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/finding"
	"github.com/quench-dev/quench/revoker/family"
	"github.com/quench-dev/quench/revoker/internal/brake"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/internal/sealed"
	"github.com/quench-dev/quench/revoker/internal/tell"
	"github.com/quench-dev/quench/revoker/notify"
	"github.com/quench-dev/quench/revoker/partnerkey"
	"github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/revoker/record"
	"github.com/quench-dev/quench/scanner"
)

// Policy is what may be done about leaks, and Mode what a command may.
type (
	Policy = policy.Policy
	Mode   = policy.Mode
)

// The modes.
const (
	Off    = policy.Off
	DryRun = policy.DryRun
	Auto   = policy.Auto
)

// Action is what Contain did about a hit.
type Action string

// The actions.
const (
	Reported    Action = "reported"     // stored and shown, nothing revoked
	WouldRevoke Action = "would-revoke" // a dry run of Revoked
	Revoked     Action = "revoked"      // Verify refuses it; its provider, if any, was told
	Queued      Action = "queued"       // Verify refuses it; the queue goes on telling its provider
	AlreadyDead Action = "already-dead" // expired or revoked before
	Protected   Action = "protected"    // the policy keeps it from being revoked
	Suspended   Action = "suspended"    // refused, and ended for good later or by a person
	Waiting     Action = "waiting"      // ended by itself at a later time, by policy
	Asking      Action = "asking"       // a person has to confirm the revocation
	Checked     Action = "checked"      // its provider said whether it is alive
	Refused     Action = "refused"      // its provider did not end it, a person must act
)

// Containment is what was done about one hit, and when. Times that were not
// reached are zero.
type Containment struct {
	IncidentID string
	Fresh      bool // the place was not known before
	TokenID    string
	Action     Action
	// Text says it in words, for the report; Offer says what a person may want to do
	// besides, empty for nothing.
	Text, Offer                string
	FoundAt, MatchedAt, DeadAt time.Time

	provider string // whose interface is to be called
}

// Told is what was done and what may be done besides, in one line.
func (c Containment) Told() string {
	if c.Offer == "" || c.Text == "" {
		return c.Text + c.Offer
	}
	return c.Text + "; " + c.Offer
}

// Options are what a Revoker works with. Only Mode is usually set.
type Options struct {
	Mode Mode
	// Logger hears of what goes wrong in the background; nil discards it.
	Logger *slog.Logger
	// DialContext replaces the connection to providers in tests; the check of
	// addresses stays in force.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Lookup replaces the resolver of providers' names in tests.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Revoker contains leaks of one registry. It is safe for concurrent use.
type Revoker struct {
	reg    *registry.Registry
	policy Policy
	mode   Mode
	log    *slog.Logger
	owner  string // of leases: this process
	queue  *river.Client[*sql.Tx]
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	alerts *notify.Notifier
	table  *provider.Table // of the policy's apis, nil without any
	box    *sealed.Box     // nil where no folder for its key is known
	live   brake.Count     // live tokens
	down   sync.Map        // provider → until when this process makes no first attempt
}

// New makes a Revoker for reg. It calls nobody and starts nothing.
func New(reg *registry.Registry, p Policy, o Options) (*Revoker, error) {
	r := &Revoker{reg: reg, policy: p, mode: o.Mode, log: o.Logger, dial: o.DialContext, lookup: o.Lookup}
	if r.mode == "" {
		r.mode = Off
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	host, _ := os.Hostname()
	r.owner = fmt.Sprintf("%s/%d/%s", host, os.Getpid(), uuid.NewString())
	queue, err := r.newQueue(nil)
	if err != nil {
		return nil, err
	}
	r.queue = queue
	if len(p.Leaks) > 0 || slices.ContainsFunc(p.Providers, func(v policy.Provider) bool { return v.Kind == "api" }) {
		if r.table, err = p.Table(); err != nil {
			return nil, err
		}
	}
	if path, err := reg.KeyFile(sealedKey); err == nil {
		r.box = sealed.New(path)
	}
	if path, err := reg.KeyFile(partnerkey.File); err == nil && r.table != nil {
		r.table = r.table.Signing(partnerkey.At(path, reg.Now))
	}
	r.alerts, err = notify.New(reg.Store(), p.Notify, notify.Options{Logger: r.log, Dial: o.DialContext,
		Incident: r.incidentOf})
	return r, err
}

// Alerts delivers the registry's alerts to whom the policy names.
func (r *Revoker) Alerts() *notify.Notifier { return r.alerts }

// Close ends the Revoker. What is queued stays queued.
func (r *Revoker) Close(context.Context) error { return nil }

// Registry is the one whose leaks are contained.
func (r *Revoker) Registry() *registry.Registry { return r.reg }

// Contain does what mode and policy say about a hit on a token of the registry;
// other hits are none of its business and come back as Reported. When it
// returns Revoked or Queued, the transaction is on disk and Verify refuses the
// token. It may be called again for the same token: further places join the
// incident and nothing is revoked twice.
func (r *Revoker) Contain(ctx context.Context, h scanner.Hit) (Containment, error) {
	c := Containment{Action: Reported, FoundAt: h.FoundAt}
	if h.Token == nil {
		return c, nil
	}
	c.TokenID, c.MatchedAt = h.Token.ID, r.reg.Now()
	if r.mode == DryRun {
		return r.plan(ctx, c)
	}
	var job int64
	begun := c
	err := r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		c = begun // the store may run this again
		var err error
		job, err = r.containTx(ctx, tx, h, &c)
		return err
	})
	if err != nil {
		return Containment{TokenID: h.Token.ID}, fmt.Errorf("storing the incident: %w", err)
	}
	if job == 0 {
		return c, nil
	}
	// The first attempt is made at once; the queue has it in any case.
	outcome, err := r.deliver(ctx, c.IncidentID)
	switch {
	case c.provider != "":
		r.told(&c, outcome, err)
	case err != nil:
		r.log.Warn("the queue will tell the provider again", "incident", c.IncidentID, "err", err)
		c.Action = Queued
		c.Text += "; its provider could not be told yet, quench worker goes on"
	case outcome == Denied:
		c.Text += "; its provider refused the report, see quench incident show " + c.IncidentID
	case outcome == Gone:
		c.Text += "; its provider had it dead already"
	default:
		c.Text += "; its provider was told"
	}
	return c, nil
}

// plan says what Auto would do, and writes nothing.
func (r *Revoker) plan(ctx context.Context, c Containment) (Containment, error) {
	tok, err := r.reg.Token(ctx, c.TokenID)
	if err != nil {
		return c, fmt.Errorf("reading token %s: %w", c.TokenID, err)
	}
	f, err := family.Of(ctx, r.reg.Store().Reader(), tok, r.reg.Now())
	if err != nil {
		return c, err
	}
	c.Offer = f.Offer()
	lately, err := r.live.Tokens(ctx, r.reg.Store().Reader(), r.policy.Brake, r.reg.Now())
	if err != nil {
		return c, err
	}
	hold, _ := r.decider(true).Token(lately)
	switch {
	case tok.State != registry.Live && tok.State != registry.Suspended:
		c.Action, c.Text = AlreadyDead, "the token is already "+tok.State
	case r.policy.Off():
		c.Text = "would not be revoked: " + decide.KillSwitch
	case r.policy.Protects(tok):
		c.Action, c.Text = Protected, "the policy protects it: it would not be revoked"
	case hold.Held():
		c.Action, c.Text = WouldRevoke, "would suspend token "+tok.ID+" of "+tok.Owner+" and ask: "+hold.Why
		if !hold.Ask {
			c.Text = "would suspend token " + tok.ID + " of " + tok.Owner + ", and revoke it after " + hold.Until.UTC().Format(decide.Stamp) + ": " + hold.Why
		}
	default:
		c.Action, c.Text = WouldRevoke, "would revoke token "+tok.ID+" of "+tok.Owner
		if p, ok := r.policy.Webhook(tok.Provider); ok {
			c.Text += " and tell provider " + p.Name + " at " + p.Address()
		} else if tok.Provider != "" {
			c.Text += "; its provider " + tok.Provider + " is not in the policy and would not be told"
		}
	}
	return c, nil
}

// containTx is the one transaction. job is the queue's id when a provider is to
// be told.
func (r *Revoker) containTx(ctx context.Context, tx *sql.Tx, h scanner.Hit, c *Containment) (job int64, err error) {
	finding, place, err := finding.Store(ctx, tx, record.Of(h))
	if err != nil {
		return 0, err
	}
	inc, fresh, err := r.open(ctx, tx, h, c)
	if err != nil {
		return 0, err
	}
	c.IncidentID, c.Fresh = inc.ID, place
	if _, err := tx.ExecContext(ctx, "INSERT INTO incident_places (incident_id, finding_id) VALUES (?, ?) ON CONFLICT DO NOTHING", inc.ID, finding); err != nil {
		return 0, err
	}
	tok, err := r.reg.TokenTx(ctx, tx, c.TokenID)
	if err != nil {
		return 0, err
	}
	f, err := family.Of(ctx, tx, tok, r.reg.Now())
	if err != nil {
		return 0, err
	}
	c.Offer = f.Offer()
	if job, err = r.decide(ctx, tx, h, tok, inc, c); err == nil && fresh {
		err = tell.Token(ctx, tx, h, tok, tell.Done{IncidentID: c.IncidentID, Action: string(c.Action), Text: c.Text, Offer: c.Offer}, r.reg.Now())
	}
	return job, err
}

// decide does what mode and policy say about the token of an incident.
func (r *Revoker) decide(ctx context.Context, tx *sql.Tx, h scanner.Hit, tok registry.Token, inc Incident, c *Containment) (job int64, err error) {
	switch {
	case tok.State != registry.Live && tok.State != registry.Suspended:
		c.Action, c.Text = AlreadyDead, "the token was already "+tok.State
		if inc.State == StateDead || inc.State == StateRevoking {
			c.Text, c.DeadAt = "revoked before, by the same incident", inc.DeadAt
		}
		return 0, nil
	case r.mode != Auto:
		c.Text = "reported; --revoke=auto would revoke it"
		return 0, nil
	case r.policy.Off():
		c.Text = "not revoked: " + decide.KillSwitch
		return 0, note(ctx, tx, inc.ID, decide.KillSwitch)
	case r.policy.Protects(tok):
		c.Action, c.Text = Protected, "not revoked: the policy protects it"
		return 0, note(ctx, tx, inc.ID, "protected by policy")
	case tok.State == registry.Suspended && (inc.State == StateWaiting || inc.State == StateAsking):
		c.Action, c.Text, c.DeadAt = Suspended, "suspended before, by the same incident; quench incident confirm "+inc.ID+" revokes it", inc.DeadAt
		return 0, nil
	case inc.State == StateDismissed && !c.Fresh:
		c.Text = "dismissed: " + inc.Note
		return 0, nil
	}
	lately, err := r.live.Tokens(ctx, tx, r.policy.Brake, r.reg.Now())
	if err != nil {
		return 0, err
	}
	if hold, braked := r.decider(true).Token(lately); hold.Held() {
		return 0, r.holdTx(ctx, tx, h, tok, inc, hold, braked, c)
	}
	return r.revokeTx(ctx, tx, h, tok, c)
}

// revokeTx ends the token and, if it has a provider in the policy, queues the
// call.
func (r *Revoker) revokeTx(ctx context.Context, tx *sql.Tx, h scanner.Hit, tok registry.Token, c *Containment) (job int64, err error) {
	now := r.reg.Now()
	if _, _, err := r.reg.DoTx(ctx, tx, registry.Revoke, tok.ID, registry.Change{Reason: "leaked, incident " + c.IncidentID, IncidentID: c.IncidentID}); err != nil {
		return 0, err
	}
	c.Action, c.DeadAt = Revoked, now
	c.Text = "revoked " + max(now.Sub(c.FoundAt).Round(time.Millisecond), time.Millisecond).String() + " after it was found"
	state := StateDead
	if r.policy.Calls(tok.Provider) {
		return r.tellAPI(ctx, tx, h, tok, c)
	}
	p, told := r.policy.Webhook(tok.Provider)
	if tok.Provider != "" && !told {
		c.Text += "; its provider " + tok.Provider + " is not in the policy and was not told"
		if err := note(ctx, tx, c.IncidentID, "provider "+tok.Provider+" is not in the policy"); err != nil {
			return 0, err
		}
	}
	var jobID any
	if told {
		state = StateRevoking
		if job, err = r.enqueue(ctx, tx, c.IncidentID); err != nil {
			return 0, err
		}
		jobID = job
		if err := r.lease(ctx, tx, c.IncidentID); err != nil {
			return 0, err
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE incidents SET state = ?, provider = ?, revoking_at = ?, dead_at = ?, automatic_at = ?, job_id = ? WHERE id = ?",
		state, p.Name, micros(now), micros(now), micros(now), jobID, c.IncidentID)
	return job, err
}

// open finds the token's incident or makes it.
func (r *Revoker) open(ctx context.Context, tx *sql.Tx, h scanner.Hit, c *Containment) (Incident, bool, error) {
	inc, err := scanIncident(tx.QueryRowContext(ctx, selectIncident+" WHERE token_id = ?", c.TokenID))
	if err == nil {
		return inc, false, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return inc, false, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return inc, false, err
	}
	inc = Incident{ID: id.String(), TokenID: c.TokenID, State: StateReported, LeakedAt: leakedAt(h), FoundAt: c.FoundAt, MatchedAt: c.MatchedAt}
	_, err = tx.ExecContext(ctx, "INSERT INTO incidents (id, token_id, state, provider, note, leaked_at, found_at, matched_at) VALUES (?, ?, ?, '', '', ?, ?, ?)",
		inc.ID, inc.TokenID, inc.State, nullMicros(inc.LeakedAt), micros(inc.FoundAt), micros(inc.MatchedAt))
	if err != nil {
		return inc, false, err
	}
	_, err = audit.Append(ctx, tx, r.reg.Now(), audit.Event{Kind: "incident.open", Actor: r.reg.Actor(), TokenID: c.TokenID, IncidentID: inc.ID,
		Details: map[string]string{"source": h.Origin.Source, "rule": h.Rule.ID, "mode": string(r.mode)}})
	return inc, true, err
}

// leakedAt is when the leak happened, as its place says itself.
func leakedAt(h scanner.Hit) time.Time {
	if !h.Origin.Time.IsZero() {
		return h.Origin.Time
	}
	return h.Origin.Date
}

func note(ctx context.Context, tx *sql.Tx, id, text string) error {
	_, err := tx.ExecContext(ctx, "UPDATE incidents SET note = ? WHERE id = ?", text, id)
	return err
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func nullMicros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}
