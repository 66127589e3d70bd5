// Package counts writes down how often tokens were used, and when last: the rows of
// that, and the audit events of uses that were answered before.
//
// It knows ids, uses and times; whether a use was valid is settled when it comes
// here. Start reading at Write.
package counts

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/use"
)

const (
	// Columns are the count and the time of the last use of each row of Tokens, NULL
	// of tokens that were never used.
	Columns = "token_uses.uses, token_uses.last_used_at"
	// Tokens are all tokens, with their counts.
	Tokens = "tokens LEFT JOIN token_uses ON token_uses.token_id = tokens.id"
)

// Used is one valid use of a token.
type Used struct {
	TokenID string
	Use     *use.Use
	At      time.Time
}

// rows of counts are added to what is there. A last use stays the later one: uses
// of several processes are written in no order.
func rows() store.Rows {
	return store.Rows{Into: "token_uses (token_id, uses, last_used_at)", Width: 3,
		Then: `ON CONFLICT (token_id) DO UPDATE SET uses = token_uses.uses + excluded.uses,
			last_used_at = CASE WHEN token_uses.last_used_at > excluded.last_used_at THEN token_uses.last_used_at ELSE excluded.last_used_at END`}
}

// Add counts one use.
func Add(ctx context.Context, tx *sql.Tx, id string, at time.Time) error {
	r := rows()
	r.Add(id, 1, at.UnixMicro())
	return r.Insert(ctx, tx)
}

// Write counts uses, oldest first, and appends one audit event by actor for each
// token and second.
func Write(ctx context.Context, tx *sql.Tx, now time.Time, actor string, all []Used) error {
	type second struct {
		id string
		at int64
	}
	type count struct{ uses, last int64 }
	counts, seconds := map[string]count{}, map[second][]*use.Use{}
	for _, u := range all {
		c := counts[u.TokenID]
		counts[u.TokenID] = count{c.uses + 1, max(c.last, u.At.UnixMicro())}
		k := second{u.TokenID, u.At.Unix()}
		seconds[k] = append(seconds[k], u.Use)
	}
	r := rows()
	for _, id := range slices.Sorted(maps.Keys(counts)) { // as they lie: neighbours share a page
		r.Add(id, counts[id].uses, counts[id].last)
	}
	if err := r.Insert(ctx, tx); err != nil {
		return err
	}
	events := make([]audit.Event, 0, len(seconds))
	for k, uses := range seconds {
		e := audit.Event{Kind: "token.use", Actor: actor, TokenID: k.id, Details: use.Together(uses)}
		e.Details["second"] = time.Unix(k.at, 0).UTC().Format(time.RFC3339)
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b audit.Event) int {
		return cmp.Or(strings.Compare(a.Details["second"], b.Details["second"]), strings.Compare(a.TokenID, b.TokenID))
	})
	return audit.AppendAll(ctx, tx, now, events)
}
