package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store"
)

// goOn goes on with a database that is older than the last checkpoint of its audit
// log, and was opened with Options.Older: it writes an event of that kind, puts the
// checkpoint aside, where it stays as evidence, and signs a new one. It returns where
// the older one is, empty for none.
func goOn(ctx context.Context, r *registry.Registry, kind string, details map[string]string) (string, error) {
	anchored := r.Audit().Anchored(ctx)
	if anchored != nil && !errors.Is(anchored, audit.ErrBehind) {
		return "", anchored
	}
	// The event first: should this process end here, the database is still refused.
	err := r.Store().InTx(ctx, func(tx *sql.Tx) error {
		_, err := audit.Append(ctx, tx, r.Now(), audit.Event{Kind: kind, Actor: r.Actor(), Details: details})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("going on with an older database: %w", err)
	}
	aside := ""
	if anchored != nil {
		if aside, err = r.Audit().PutAside(r.Now()); err != nil {
			return "", err
		}
	}
	return aside, r.Audit().Checkpoint(ctx)
}

// AcceptLoss goes on with a database, opened with Options.Older, that lacks just so
// many events. It returns where the checkpoint that knows of them is now.
func AcceptLoss(ctx context.Context, r *registry.Registry, missed int64) (string, error) {
	var b *audit.Behind
	if err := r.Audit().Anchored(ctx); err == nil {
		return "", fmt.Errorf("%w: the database continues its last checkpoint: no event is missing", registry.ErrInvalid)
	} else if !errors.As(err, &b) {
		return "", err
	}
	if missed != b.Missed {
		return "", fmt.Errorf("%w; the number of missing events is %d, not %d", b, b.Missed, missed)
	}
	return goOn(ctx, r, "registry.accept_loss", map[string]string{"events": fmt.Sprint(b.Events), "lost": fmt.Sprint(b.Missed)})
}

// States counts the tokens of each state; expired ones are not live.
func States(ctx context.Context, r *registry.Registry) (map[string]int64, error) {
	all := map[string]int64{registry.Live: 0, registry.Suspended: 0, registry.Revoked: 0, registry.Expired: 0}
	rows, err := r.Store().Reader().QueryContext(ctx, "SELECT state, CASE WHEN expires_at <= ? THEN 1 ELSE 0 END, count(*) FROM tokens GROUP BY 1, 2", r.Now().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("counting tokens: %w", store.Explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		var over, n int64
		if err := rows.Scan(&state, &over, &n); err != nil {
			return nil, fmt.Errorf("counting tokens: %w", err)
		}
		if state == registry.Live && over == 1 {
			state = registry.Expired
		}
		all[state] += n
	}
	return all, store.Explain(rows.Err())
}
