package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/rows"
	"github.com/quench-dev/quench/scanner/secret"
)

// PepperSource says where the peppers are.
type PepperSource = pepper.Source

// ErrPepper: the pepper is missing, wrong, or not kept safely. Going on without it
// would match nothing and say nothing.
var ErrPepper = pepper.Err

// PepperFrom reads QUENCH_PEPPER, QUENCH_PEPPER_COMMAND and QUENCH_PEPPER_FILE; the
// file is by default quench/pepper under XDG_CONFIG_HOME, which defaults to ~/.config.
func PepperFrom(getenv func(string) string) PepperSource {
	return pepper.From(getenv, under(getenv, "XDG_CONFIG_HOME", ".config", "pepper"))
}

// rekey loads the peppers anew when another process changed them, and reports
// whether it did. q decides which changes are seen. A pepper that is not there is
// an error: what is under it would not be recognised.
func (r *Registry) rekey(ctx context.Context, q querier) (bool, error) {
	stale, err := r.ring.Load().Stale(ctx, q)
	if err != nil || !stale {
		return false, err
	}
	ring, err := pepper.Open(ctx, q, r.pepper, r.id, r.without)
	if err != nil {
		return false, fmt.Errorf("the registry's peppers were changed: %w", err)
	}
	r.ring.Store(ring)
	return true, nil
}

// find reads the token of value by whichever active pepper it is under, the
// newest first, and that pepper; sql.ErrNoRows when there is none. read is given a
// MAC and a key id.
func (r *Registry) find(ctx context.Context, q querier, value secret.Secret, read func(mac, keyID []byte) (Token, error)) (Token, *pepper.Key, error) {
	for {
		ring := r.ring.Load()
		// A token moves to the primary while it is looked for under the older
		// ones: the primary is asked again.
		n := len(ring.Keys)
		for i := range n + min(1, n-1) {
			k := &ring.Keys[i%n]
			mac := value.MAC(k.MAC)
			t, err := read(mac[:], k.ID[:])
			if err == nil || !errors.Is(err, sql.ErrNoRows) {
				return t, k, err
			}
		}
		// Unknown, or under a pepper that this process has not loaded yet.
		if again, err := r.rekey(ctx, q); err != nil {
			return Token{}, nil, err
		} else if !again {
			return Token{}, nil, sql.ErrNoRows
		}
	}
}

// remac stores a token that is under an older pepper under the newest.
func (r *Registry) remac(ctx context.Context, tx *sql.Tx, id string, value secret.Secret, from *pepper.Key) error {
	to := r.ring.Load().Primary()
	if from.ID == to.ID {
		return nil
	}
	seq, err := rows.NextSeq(ctx, tx)
	if err != nil {
		return err
	}
	mac := value.MAC(to.MAC)
	_, err = tx.ExecContext(ctx, "UPDATE tokens SET key_id = ?, mac = ?, fingerprint = ?, seq = ? WHERE id = ? AND key_id = ?",
		to.ID[:], mac[:], fingerprint(to, value), seq, id, from.ID[:])
	return err
}

// fingerprint is value's under k, as it is stored.
func fingerprint(k *pepper.Key, value secret.Secret) int64 {
	return int64(match.Fingerprint(k.Fingerprint, value.Reveal()))
}

// Peppers lists the peppers that the registry had, the newest first.
func (r *Registry) Peppers(ctx context.Context) ([]pepper.Count, error) {
	return r.ring.Load().Counts(ctx, r.store.Reader())
}

// RotatePepper makes a new pepper the one that new tokens are stored under, and
// returns its id. Older tokens move to it when they are next verified. Where the
// source is a file it is made and added there; else the source holds it already.
func (r *Registry) RotatePepper(ctx context.Context) (string, error) {
	var ring *pepper.Ring
	err := r.store.InTx(ctx, func(tx *sql.Tx) (err error) {
		if _, err := r.rekey(ctx, tx); err != nil {
			return err
		}
		was := r.ring.Load()
		if ring, err = was.Add(ctx, tx, r.pepper, r.Now()); err != nil {
			return err
		}
		return r.append(ctx, tx, audit.Event{Kind: "pepper.rotate", Details: map[string]string{"key_id": ring.Primary().Name(), "was": was.Primary().Name()}})
	})
	if err != nil {
		return "", fmt.Errorf("rotating the pepper: %w", err)
	}
	r.ring.Store(ring)
	return ring.Primary().Name(), nil
}

// RetirePepper takes a pepper out of use that no token depends on, or just as many
// as forget says: these are then unknown for good.
func (r *Registry) RetirePepper(ctx context.Context, id string, forget int64) error {
	err := r.store.InTx(ctx, func(tx *sql.Tx) error {
		all, err := r.ring.Load().Counts(ctx, tx)
		if err != nil {
			return err
		}
		n := int64(0)
		for _, p := range all {
			if p.ID == id {
				n = p.Tokens
			}
		}
		if err := pepper.Retire(ctx, tx, id, n, forget, r.Now()); err != nil {
			return err
		}
		return r.append(ctx, tx, audit.Event{Kind: "pepper.retire", Details: map[string]string{"key_id": id, "tokens": strconv.FormatInt(n, 10)}})
	})
	if err == nil {
		_, err = r.rekey(ctx, r.store.Reader())
	}
	if err != nil {
		return fmt.Errorf("retiring a pepper: %w", err)
	}
	return nil
}

// SecretMACs are what a secret that is no token is known by in incidents: its MAC
// under each active pepper, the newest first.
func (r *Registry) SecretMACs(value secret.Secret) (all [][]byte) {
	for _, k := range r.ring.Load().Keys {
		mac := value.MAC(k.Incident)
		all = append(all, mac[:])
	}
	return all
}

// KeyFile is where a file of keys lies beside the pepper.
func (r *Registry) KeyFile(name string) (string, error) { return r.pepper.Beside(name, r.store.Path()) }

// Hand is what makes pairs for Import where values live. It is a secret.
func (r *Registry) Hand() pepper.Hand { return r.ring.Load().Hand() }
