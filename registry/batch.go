package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/deadline"
	"github.com/quench-dev/quench/registry/findable"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/rows"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// Entry is one token of a batch, and what became of it.
type Entry struct {
	Token Token
	Value secret.Secret // of an issued one; zero of one that was imported
	// Err says why it is not stored: ErrDuplicate, ErrInvalid or ErrPolicy. The
	// others of its batch are stored all the same.
	Err error

	value secret.Secret
	pair  *pepper.Pair
	under *pepper.Key // that mac and fp are under; nil before they are made
	mac   [32]byte
	fp    int64
}

// hash makes the MAC and fingerprint under a key, unless they are.
func (e *Entry) hash(k *pepper.Key) {
	switch {
	case e.under == k:
	case e.pair != nil:
		e.mac, e.fp, e.Err = e.pair.Under(k)
	default:
		e.mac, e.fp = e.value.MAC(k.MAC), fingerprint(k, e.value)
	}
	if e.Err == nil {
		e.under = k
	}
}

// failed reports whether e is not to be stored.
func (e *Entry) failed() bool { return e.Err != nil }

// PrepareIssue makes the tokens of a batch; nothing is stored yet.
func (r *Registry) PrepareIssue(qs []IssueRequest) []Entry {
	all := make([]Entry, len(qs))
	for i, q := range qs {
		e := &all[i]
		e.Token, e.value, e.Err = r.newToken(q, r.actor)
		e.Value = e.value
		if e.Err == nil {
			e.hash(r.ring.Load().Primary())
		}
	}
	return all
}

// PrepareImport checks the values of a batch and where a scan would find them;
// nothing is stored yet. The Finder may be used again.
func (r *Registry) PrepareImport(qs []ImportRequest, f *findable.Finder) ([]Entry, error) {
	all := make([]Entry, len(qs))
	var values []secret.Secret
	var of []*Entry
	for i, q := range qs {
		e := &all[i]
		e.value, e.pair = q.Value, q.Pair
		if e.Token, e.Err = r.importToken(q); e.Err == nil && e.pair == nil {
			values, of = append(values, q.Value), append(of, e)
			e.hash(r.ring.Load().Primary())
		}
	}
	hard, err := f.Missed(values)
	for i := range hard {
		of[i].Token.HardToFind = hard[i]
	}
	return all, err
}

// StoreAll stores a batch with its audit events, in one transaction: all that has no
// error, or nothing. before is called within it with what is about to be stored, and
// its error undoes all; it may be nil. A dry run undoes it too, and tells the same.
func (r *Registry) StoreAll(ctx context.Context, all []Entry, before func([]Entry) error, dryRun bool) error {
	undo := errors.New("dry run")
	prepared := make([]error, len(all))
	for i := range all {
		prepared[i] = all[i].Err
	}
	err := r.store.InTx(ctx, func(tx *sql.Tx) error {
		for i := range all { // it may be tried again
			all[i].Err = prepared[i]
		}
		err := r.insertAll(ctx, tx, all)
		if err == nil && before != nil {
			err = before(all)
		}
		if err == nil && dryRun {
			err = undo
		}
		return err
	})
	if dryRun && errors.Is(err, undo) {
		return nil
	}
	return err
}

// insert stores one token; its errors are its own.
func (r *Registry) insert(ctx context.Context, tx *sql.Tx, t *Token, v secret.Secret, pair *pepper.Pair) error {
	one := []Entry{{Token: *t, value: v, pair: pair}}
	if err := r.insertAll(ctx, tx, one); err != nil {
		return err
	}
	*t = one[0].Token
	return one[0].Err
}

// insertAll stores all that has no error, with the audit events. What cannot be
// stored gets an error of its own; the one returned is the database's.
func (r *Registry) insertAll(ctx context.Context, tx *sql.Tx, all []Entry) error {
	if _, err := r.rekey(ctx, tx); err != nil {
		return err
	}
	key := r.ring.Load().Primary()
	var brands []string
	for i := range all {
		e := &all[i]
		if e.failed() {
			continue
		}
		if e.Token.Family == "" {
			e.Token.Family = e.Token.ID
		}
		if b := e.Token.brand; b != "" && !slices.Contains(brands, b) {
			brands = append(brands, b)
		}
		e.hash(key)
	}
	if err := r.knowBrands(ctx, tx, brands); err != nil {
		return err
	}
	if err := r.refuseKnown(ctx, tx, all); err != nil {
		return err
	}
	if err := refuseShapes(ctx, tx, all); err != nil {
		return err
	}
	seq, err := rows.NextSeq(ctx, tx)
	if err != nil {
		return err
	}
	into := store.Rows{Into: insertColumns, Width: strings.Count(insertColumns, ",") + 1}
	var events []audit.Event
	for i := range all {
		e := &all[i]
		if e.failed() {
			continue
		}
		t := &e.Token
		into.Add(t.ID, key.ID[:], e.mac[:], e.fp, t.Origin, t.Hint, t.Owner, t.Purpose, t.Env, t.Provider,
			rows.JSON(t.Scopes), rows.JSON(t.Tags), t.State, t.CreatedAt.UnixMicro(), toMicro(t.ExpiresAt), t.Shape.Len, t.Shape.Extra, rows.JSON(t.HardToFind), seq, t.Family, t.Predecessor, t.brand,
			rows.JSON(t.Networks), rows.JSON(t.Countries), t.MaxUses, toMicro(t.RotateBy), toMicro(deadline.First(t.CreatedAt, t.ExpiresAt, t.RotateBy)))
		seq++
		events = append(events, r.born(t))
	}
	if err := into.Insert(ctx, tx); err != nil {
		return err
	}
	return audit.AppendAll(ctx, tx, r.Now(), events)
}

const insertColumns = `tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider,
	scopes, tags, state, created_at, expires_at, shape_len, shape_extra, hard_to_find, seq, family, predecessor, brand,
	networks, countries, max_uses, rotate_by, sweep_at)`

// born is the audit event of a new token.
func (r *Registry) born(t *Token) audit.Event {
	kind := "token.issue"
	if t.Origin == "imported" {
		kind = "token.import"
	}
	details := map[string]string{"owner": t.Owner, "purpose": t.Purpose, "scopes": rows.JSON(t.Scopes)}
	if !t.ExpiresAt.IsZero() {
		details["expires_at"] = t.ExpiresAt.Format(time.RFC3339Nano)
	}
	if t.Provider != "" {
		details["provider"] = t.Provider
	}
	t.Limits.details(details)
	return audit.Event{Kind: kind, Actor: r.actor, TokenID: t.ID, Details: details}
}

// refuseKnown marks what is a token already, under any of the peppers, or stands
// twice in the batch.
func (r *Registry) refuseKnown(ctx context.Context, tx *sql.Tx, all []Entry) error {
	keys := r.ring.Load().Keys
	for k := range keys {
		by := make(map[[32]byte]*Entry, len(all))
		for i := range all {
			e := &all[i]
			switch mac := e.mac; {
			case e.failed():
				continue
			case k > 0 && e.pair != nil:
				if mac, e.Err = e.pair.UnderOlder(&keys[k]); e.Err == nil {
					by[mac] = e
				}
			case k > 0:
				by[e.value.MAC(keys[k].MAC)] = e
			case by[mac] != nil:
				e.Err = fmt.Errorf("%w: %s, given before", ErrDuplicate, by[mac].Token.ID)
			default:
				by[mac] = e
			}
		}
		known, err := rows.Known(ctx, tx, keys[k].ID[:], slices.Collect(maps.Keys(by)))
		if err != nil {
			return err
		}
		for mac, id := range known {
			by[mac].Err = fmt.Errorf("%w: %s", ErrDuplicate, id)
		}
	}
	return nil
}

// refuseShapes marks what has a form beyond the maxShapes there may be.
func refuseShapes(ctx context.Context, tx *sql.Tx, all []Entry) error {
	known := map[scanner.Shape]bool{}
	asked := false
	for i := range all {
		e := &all[i]
		if e.failed() || known[e.Token.Shape] {
			continue
		}
		if !asked {
			shapes, err := rows.Shapes(ctx, tx)
			if err != nil {
				return err
			}
			for _, s := range shapes {
				known[s] = true
			}
			asked = true
		}
		if !known[e.Token.Shape] && len(known) >= maxShapes {
			e.Err = fmt.Errorf("%w: tokens of %d different forms (length and characters) are registered, which is the most a scan can look for", ErrInvalid, len(known))
			continue
		}
		known[e.Token.Shape] = true
	}
	return nil
}
