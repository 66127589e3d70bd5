// Package rows keeps the small queries on the table of tokens that need to know no
// token: which MACs and forms are there, the number of the next change, brands.
//
// It knows columns. What a token is, and when one may be stored, is the registry's
// to know. Start reading at Known.
package rows

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/scanner"
)

// Querier is a pool or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// MAC is that of a token.
type MAC = [32]byte

// Known tells which of macs are tokens under a key, and their ids.
func Known(ctx context.Context, q Querier, keyID []byte, macs []MAC) (map[MAC]string, error) {
	// Each is a search in an index; by 32 in a statement they cost a third.
	const per = 32
	known := map[MAC]string{}
	for part := range slices.Chunk(macs, per) {
		args := []any{keyID}
		for i := range part {
			args = append(args, part[i][:])
		}
		if err := each(ctx, q, func(id string, mac []byte) { known[MAC(mac)] = id },
			"SELECT id, mac FROM tokens WHERE key_id = ? AND mac IN (?"+strings.Repeat(", ?", len(part)-1)+")", args...); err != nil {
			return nil, err
		}
	}
	return known, nil
}

func each(ctx context.Context, q Querier, f func(id string, mac []byte), query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return store.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var mac []byte
		if err := rows.Scan(&id, &mac); err != nil {
			return err
		}
		f(id, mac)
	}
	return store.Explain(rows.Err())
}

// Shapes reads the forms of all tokens: one or two searches in an index for each,
// however many tokens have it. Compared as a pair, (shape_len, shape_extra) > (?, ?),
// SQLite would walk all tokens of the last form.
func Shapes(ctx context.Context, q Querier) (all []scanner.Shape, err error) {
	last := scanner.Shape{Len: -1}
	for {
		err := q.QueryRowContext(ctx, "SELECT shape_extra FROM tokens WHERE shape_len = ? AND shape_extra > ? ORDER BY shape_extra LIMIT 1", last.Len, last.Extra).Scan(&last.Extra)
		if errors.Is(err, sql.ErrNoRows) {
			err = q.QueryRowContext(ctx, "SELECT shape_len, shape_extra FROM tokens WHERE shape_len > ? ORDER BY shape_len, shape_extra LIMIT 1", last.Len).Scan(&last.Len, &last.Extra)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return all, nil
		}
		if err != nil {
			return nil, store.Explain(err)
		}
		all = append(all, last)
	}
}

// NextSeq is the change number of the row about to be written: rows keep the
// number of their last change, and the write lock makes this the next one.
func NextSeq(ctx context.Context, q Querier) (seq int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) + 1 FROM tokens").Scan(&seq)
	return seq, err
}

// Brands are those that tokens were issued with.
func Brands(ctx context.Context, q Querier) (all []string, err error) {
	var text []byte
	err = q.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'prefixes'").Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, store.Explain(err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%w: the list of prefixes: %w", store.ErrCorrupt, err)
	}
	return all, nil
}

// AddBrands adds brands to those, and returns all.
func AddBrands(ctx context.Context, tx *sql.Tx, brands []string) ([]string, error) {
	all, err := Brands(ctx, tx)
	if err != nil {
		return nil, err
	}
	n := len(all)
	for _, b := range brands {
		if !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	if len(all) > n {
		_, err = tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES ('prefixes', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", []byte(JSON(all)))
	}
	return all, err
}

// JSON is that of a list, [] for none.
func JSON(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic("rows: a list of strings is always JSON: " + err.Error())
	}
	return string(b)
}

// Holding is a LIKE pattern of the JSON lists that may hold an item; "" for none. It
// takes some others, too, since LIKE of one store does not know capitals.
func Holding(item string) string {
	if item == "" {
		return ""
	}
	in := strings.Trim(JSON([]string{item}), "[]")
	return "%" + strings.NewReplacer("%", "_", `\`, "_").Replace(in) + "%"
}
