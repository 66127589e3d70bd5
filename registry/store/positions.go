package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Position is how far a watched file has been read.
type Position struct {
	File     string // names it, and no other that gets its name or inode
	Path     string
	Dev, Ino uint64 // file identity, 0 where the system has none
	HeadHash []byte // of the file's first bytes, to tell a reused inode
	Offset   int64  // bytes read and scanned, from 0
	Line     int64  // lines read
	Updated  time.Time
}

// SavePosition stores p, replacing what was known of its file. Call it in the
// transaction that stores what was found up to p, so that neither is lost alone.
func SavePosition(ctx context.Context, tx *sql.Tx, p Position) error {
	head := p.HeadHash
	if head == nil {
		head = []byte{}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO watch_files (id, path, dev, ino, head_hash, "offset", line, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET path = excluded.path, dev = excluded.dev, ino = excluded.ino, head_hash = excluded.head_hash,
			"offset" = excluded."offset", line = excluded.line, updated_at = excluded.updated_at`,
		p.File, p.Path, int64(p.Dev), int64(p.Ino), head, p.Offset, p.Line, p.Updated.UnixMicro())
	if err != nil {
		return fmt.Errorf("saving the position in %q: %w", p.Path, explain(err))
	}
	return nil
}

// ForgetPosition drops what is known of a file that is no more.
func ForgetPosition(ctx context.Context, tx *sql.Tx, file string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM watch_files WHERE id = ?", file)
	if err != nil {
		return fmt.Errorf("forgetting a position: %w", explain(err))
	}
	return nil
}

// Positions lists all stored positions by path.
func (s *Store) Positions(ctx context.Context) ([]Position, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT id, path, dev, ino, head_hash, "offset", line, updated_at FROM watch_files ORDER BY path, id`)
	if err != nil {
		return nil, fmt.Errorf("reading watch positions: %w", explain(err))
	}
	defer rows.Close()
	var all []Position
	for rows.Next() {
		var p Position
		var dev, ino, at int64
		if err := rows.Scan(&p.File, &p.Path, &dev, &ino, &p.HeadHash, &p.Offset, &p.Line, &at); err != nil {
			return nil, fmt.Errorf("reading watch positions: %w", err)
		}
		p.Dev, p.Ino, p.Updated = uint64(dev), uint64(ino), time.UnixMicro(at).UTC()
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading watch positions: %w", explain(err))
	}
	return all, nil
}
