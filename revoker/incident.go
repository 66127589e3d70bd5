package revoker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quench-dev/quench/revoker/family"
	"github.com/quench-dev/quench/revoker/internal/decide"
)

// The states of an Incident.
const (
	StateReported  = "reported"  // seen; nobody revoked the token through it
	StateAsking    = "asking"    // waits for a person to confirm the revocation
	StateChecking  = "checking"  // its provider is being asked whether it is alive
	StateWaiting   = "waiting"   // ended by itself when it is due; suspended until then, where that can be
	StateResuming  = "resuming"  // its provider is being told to take the suspension back
	StateRevoking  = "revoking"  // its provider is being told; refused here, if it is a token
	StateDead      = "dead"      // refused here, and its provider took it where there is one
	StateFailed    = "failed"    // its provider refused, a person must act
	StateDismissed = "dismissed" // a person said that nothing is to be done
)

// Incident is a leaked token, or a leaked secret of a provider, on its way to
// containment. Zero times are not reached, or not known.
type Incident struct {
	ID      string `json:"incident_id"`
	TokenID string `json:"token_id,omitempty"` // empty of a secret that is no token
	// Rule found the secret and Hint is what may be shown of it; empty of a token.
	Rule  string `json:"rule_id,omitempty"`
	Hint  string `json:"secret,omitempty"`
	State string `json:"state"`
	// Outcome is what the last call to the provider came to; empty before one.
	Outcome     Outcome   `json:"outcome,omitempty"`
	Provider    string    `json:"provider,omitempty"`
	Note        string    `json:"note,omitempty"`
	LeakedAt    time.Time `json:"leaked_at,omitzero"`
	FoundAt     time.Time `json:"found_at"`
	MatchedAt   time.Time `json:"matched_at"`
	RevokingAt  time.Time `json:"revoking_at,omitzero"`
	DeadAt      time.Time `json:"dead_at,omitzero"`
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`
	// SuspendedAt is since when it is refused in a way that can be taken back, and DueAt
	// when what is waiting is ended for good.
	SuspendedAt time.Time `json:"suspended_at,omitzero"`
	DueAt       time.Time `json:"due_at,omitzero"`
	// Hours are those within which it is ended for good, Approvers who may confirm that;
	// Braked tells that a brake held it back.
	Hours     string    `json:"hours,omitempty"`
	Approvers []string  `json:"approvers,omitempty"`
	Braked    bool      `json:"braked,omitempty"`
	Places    []Place   `json:"places,omitempty"`
	Receipts  []Receipt `json:"receipts,omitempty"`
	// Family is told where others of the token's family can still be used.
	Family *family.Family `json:"family,omitempty"`

	job   int64
	grace time.Duration // between suspending it and ending it for good
	then  decide.Action // at the provider of a token that is held, once it is revoked
	// attempting: a call was begun and its answer is not known. accepted: since when
	// the provider has taken it. next: not to be called before.
	attempting, accepted, next time.Time
}

// Place is where a token of an incident was found.
type Place struct {
	Source  string    `json:"source"`
	Path    string    `json:"path,omitempty"`
	Line    int64     `json:"line"`
	Commit  string    `json:"commit,omitempty"`
	Rule    string    `json:"rule_id"`
	FoundAt time.Time `json:"found_at"`
}

// Outcome is what a provider's answer means.
type Outcome string

// The outcomes.
const (
	Accepted Outcome = "accepted"     // the provider took the report
	Gone     Outcome = "already-dead" // the provider knows no such token any more
	Denied   Outcome = "denied"       // our signature or rights were refused
	Failed   Outcome = "failed"       // no answer, or one that asks to try again
)

// Receipt is proof of what a provider answered, and when. It holds a hash of
// the answer, never the answer.
type Receipt struct {
	Provider   string        `json:"provider"`
	Call       string        `json:"call,omitempty"` // check or revoke; empty of a report
	Outcome    Outcome       `json:"outcome"`
	Status     int           `json:"status,omitempty"` // of HTTP
	AnswerHash []byte        `json:"answer_sha256,omitempty"`
	Detail     string        `json:"detail,omitempty"`
	At         time.Time     `json:"at"`
	Took       time.Duration `json:"took_ns"`
}

// ErrNoIncident means that there is none of that id.
var ErrNoIncident = errors.New("no such incident")

const selectIncident = `SELECT id, token_id, rule, hint, state, outcome, provider, note, leaked_at, found_at, matched_at, revoking_at, dead_at, confirmed_at,
	attempting_at, accepted_at, next_at, job_id, due_at, suspended_at, braked_at, grace_us, hours, approvers, then_do FROM incidents`

type rowScanner interface{ Scan(...any) error }

func scanIncident(row rowScanner) (Incident, error) {
	var i Incident
	var leaked, revoking, dead, confirmed, attempting, accepted, next, job, due, suspended, braked sql.NullInt64
	var token sql.NullString
	var found, matched, grace int64
	var approvers string
	err := row.Scan(&i.ID, &token, &i.Rule, &i.Hint, &i.State, &i.Outcome, &i.Provider, &i.Note, &leaked, &found, &matched, &revoking, &dead, &confirmed,
		&attempting, &accepted, &next, &job, &due, &suspended, &braked, &grace, &i.Hours, &approvers, &i.then)
	i.DueAt, i.SuspendedAt, i.Braked, i.grace = instant(due), instant(suspended), braked.Valid, time.Duration(grace)*time.Microsecond
	if approvers != "" {
		i.Approvers = strings.Split(approvers, "\n")
	}
	i.TokenID, i.attempting, i.accepted, i.next = token.String, instant(attempting), instant(accepted), instant(next)
	i.LeakedAt, i.FoundAt, i.MatchedAt = instant(leaked), time.UnixMicro(found).UTC(), time.UnixMicro(matched).UTC()
	i.RevokingAt, i.DeadAt, i.ConfirmedAt, i.job = instant(revoking), instant(dead), instant(confirmed), job.Int64
	return i, err
}

func instant(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

// Incidents lists all incidents, the newest first, without places and receipts.
func (r *Revoker) Incidents(ctx context.Context) ([]Incident, error) {
	rows, err := r.reg.Store().Reader().QueryContext(ctx, selectIncident+" ORDER BY id DESC")
	if err != nil {
		return nil, fmt.Errorf("listing incidents: %w", err)
	}
	defer rows.Close()
	var out []Incident
	for rows.Next() {
		i, err := scanIncident(rows)
		if err != nil {
			return nil, fmt.Errorf("listing incidents: %w", err)
		}
		out = append(out, i)
	}
	return out, rows.Err()
}

// Incident gives one incident with its places and receipts. id may be a unique
// beginning of it.
func (r *Revoker) Incident(ctx context.Context, id string) (Incident, error) {
	db := r.reg.Store().Reader()
	var full string
	// A beginning is looked for among all; a whole id, as jobs have it, is a step in an index.
	rows, err := db.QueryContext(ctx, "SELECT id FROM incidents WHERE id = ?1 UNION SELECT id FROM incidents WHERE length(?1) < 36 AND substr(id, 1, length(?1)) = ?1 LIMIT 2", id)
	if err != nil {
		return Incident{}, fmt.Errorf("reading incident %q: %w", id, err)
	}
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(&full); err != nil {
			rows.Close()
			return Incident{}, err
		}
	}
	rows.Close()
	switch {
	case rows.Err() != nil:
		return Incident{}, fmt.Errorf("reading incident %q: %w", id, rows.Err())
	case n == 0 || id == "":
		return Incident{}, fmt.Errorf("incident %q: %w; see quench incident list", id, ErrNoIncident)
	case n > 1:
		return Incident{}, fmt.Errorf("incident %q: several begin like that; give more of its id", id)
	}
	i, err := scanIncident(db.QueryRowContext(ctx, selectIncident+" WHERE id = ?", full))
	if err != nil {
		return i, fmt.Errorf("reading incident %q: %w", id, err)
	}
	if err := i.readPlaces(ctx, db); err != nil {
		return i, fmt.Errorf("reading the places of incident %q: %w", id, err)
	}
	if err := i.readReceipts(ctx, db); err != nil {
		return i, fmt.Errorf("reading the receipts of incident %q: %w", id, err)
	}
	if i.TokenID == "" {
		return i, nil
	}
	tok, err := r.reg.Token(ctx, i.TokenID)
	if err != nil {
		return i, fmt.Errorf("reading incident %q: %w", id, err)
	}
	f, err := family.Of(ctx, db, tok, r.reg.Now())
	if err != nil {
		return i, fmt.Errorf("reading incident %q: %w", id, err)
	}
	if len(f.Alive) > 0 {
		i.Family = &f
	}
	return i, nil
}

// incidentOf is an incident for those who are told of an alert; nil if there is none.
func (r *Revoker) incidentOf(ctx context.Context, id string) (any, error) {
	i, err := r.Incident(ctx, id)
	if errors.Is(err, ErrNoIncident) {
		return nil, nil
	}
	return i, err
}

func (i *Incident) readPlaces(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, `SELECT f.source, f.path, f.line, f.commit_id, f.rule, f.found_at FROM incident_places p
		JOIN findings f ON f.id = p.finding_id WHERE p.incident_id = ? ORDER BY f.found_at, f.path, f.line`, i.ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p Place
		var at int64
		if err := rows.Scan(&p.Source, &p.Path, &p.Line, &p.Commit, &p.Rule, &at); err != nil {
			return err
		}
		p.FoundAt = time.UnixMicro(at).UTC()
		i.Places = append(i.Places, p)
	}
	return rows.Err()
}

func (i *Incident) readReceipts(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT provider, call, outcome, status, answer_hash, detail, at, took_us FROM receipts WHERE incident_id = ? ORDER BY id", i.ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c Receipt
		var at, took int64
		if err := rows.Scan(&c.Provider, &c.Call, &c.Outcome, &c.Status, &c.AnswerHash, &c.Detail, &at, &took); err != nil {
			return err
		}
		c.At, c.Took = time.UnixMicro(at).UTC(), time.Duration(took)*time.Microsecond
		i.Receipts = append(i.Receipts, c)
	}
	return rows.Err()
}
