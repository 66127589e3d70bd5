package pepper

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/registry/store"
)

// MaxActive bounds the peppers in use at once: each costs an HMAC and a query for
// a value that is no token, and a fingerprint for each run of scanned text. Three
// let a rotation begin before the one before it has ended.
const MaxActive = 3

// States of a pepper. Exactly one is primary: new tokens are stored under it.
const (
	Primary = "primary"
	Active  = "active"  // older tokens are still recognised by it
	Retired = "retired" // it is needed no more
)

// Errors of changes.
var (
	// ErrInUse: tokens still depend on the pepper.
	ErrInUse = errors.New("tokens still depend on the pepper")
	// ErrNone: no pepper has that id.
	ErrNone = errors.New("no such pepper")
	// ErrTooMany: MaxActive are in use.
	ErrTooMany = errors.New("too many peppers are in use")
)

// Key is what is derived of one pepper for one database.
type Key struct {
	ID          [4]byte   // names the pepper in each row
	MAC         []byte    // tokens
	Fingerprint match.Key // tokens, in memory
	fp          [16]byte  // Fingerprint as bytes
	Incident    []byte    // secrets that are no tokens, of incidents
	pair        []byte    // seals pairs
	check       []byte    // stored, to tell a wrong pepper
	log         []byte    // seed of the Ed25519 key of the audit log of a first pepper
	seal        []byte    // of the log's seed, under a later one
}

// Name is the ID as it is shown.
func (k *Key) Name() string { return hex.EncodeToString(k.ID[:]) }

// derive makes the sub-keys by HKDF, one per purpose, so that none tells
// anything of another. The database's id salts them: two registries under one
// pepper cannot be compared.
func derive(pepper []byte, registryID string) Key {
	sub := func(purpose string, n int) []byte {
		b, err := hkdf.Key(sha256.New, pepper, []byte(registryID), "quench registry v1 "+purpose, n)
		if err != nil {
			panic("pepper: hkdf refused a constant length: " + err.Error())
		}
		return b
	}
	sum := sha256.Sum256(pepper)
	fp := [16]byte(sub("token fingerprint", 16))
	return Key{
		ID:          [4]byte(sum[:4]),
		MAC:         sub("token mac", 32),
		Fingerprint: match.NewKey(fp),
		fp:          fp,
		Incident:    sub("incident mac", 32),
		pair:        sub("token pair", 32),
		check:       sub("key check", 16),
		log:         sub("audit checkpoint", 32),
		seal:        sub("audit seal", 32),
	}
}

// Row is what the database knows of a pepper.
type Row struct {
	ID        string    `json:"key_id"` // as Key.Name; empty of an old database without tokens
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at,omitzero"` // zero is not known
	RetiredAt time.Time `json:"retired_at,omitzero"`

	check, log []byte
}

// Ring is the active peppers, loaded. It is immutable.
type Ring struct {
	Keys []Key  // the primary first
	Log  []byte // seed of the audit log's signing key, which outlives peppers
	seq  int64  // of the last change of the table
	id   string // of the database
}

// Primary is the pepper that new tokens are stored under.
func (r *Ring) Primary() *Key { return &r.Keys[0] }

// Key is the active pepper with the id; nil for none.
func (r *Ring) Key(id []byte) *Key {
	for i := range r.Keys {
		if bytes.Equal(r.Keys[i].ID[:], id) {
			return &r.Keys[i]
		}
	}
	return nil
}

// Querier is a pool or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Seq is a number that grows with each change of the peppers of a database.
func Seq(ctx context.Context, q Querier) (seq int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM peppers").Scan(&seq)
	return seq, store.Explain(err)
}

// Stale reports whether the peppers changed since r was loaded.
func (r *Ring) Stale(ctx context.Context, q Querier) (bool, error) {
	seq, err := Seq(ctx, q)
	return seq != r.seq, err
}

// Version is what Seq was when r was loaded.
func (r *Ring) Version() int64 { return r.seq }

// List is all peppers that a database had, the newest first.
func List(ctx context.Context, q Querier) (all []Row, err error) {
	rows, err := q.QueryContext(ctx, "SELECT key_id, key_check, log_seed, state, created_at, retired_at FROM peppers ORDER BY created_at DESC, seq DESC")
	if err != nil {
		return nil, store.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var row Row
		var id []byte
		var created int64
		var retired sql.NullInt64
		if err := rows.Scan(&id, &row.check, &row.log, &row.State, &created, &retired); err != nil {
			return nil, err
		}
		row.ID = hex.EncodeToString(id)
		if created > 0 {
			row.CreatedAt = time.UnixMicro(created).UTC()
		}
		if retired.Valid {
			row.RetiredAt = time.UnixMicro(retired.Int64).UTC()
		}
		all = append(all, row)
	}
	return all, store.Explain(rows.Err())
}

// Count is a pepper and the tokens that depend on it.
type Count struct {
	Row
	Tokens int64 `json:"tokens"`
	Live   int64 `json:"live"` // of those, expired ones included
}

// Counts lists all peppers that a database had with their tokens, the newest first.
func (r *Ring) Counts(ctx context.Context, q Querier) (all []Count, err error) {
	list, err := List(ctx, q)
	if err != nil {
		return nil, err
	}
	rows, err := q.QueryContext(ctx, "SELECT key_id, count(*), sum(CASE state WHEN 'live' THEN 1 ELSE 0 END) FROM tokens GROUP BY key_id")
	if err != nil {
		return nil, fmt.Errorf("counting the tokens of peppers: %w", store.Explain(err))
	}
	defer rows.Close()
	by := map[string]Count{}
	for rows.Next() {
		var id []byte
		var c Count
		if err := rows.Scan(&id, &c.Tokens, &c.Live); err != nil {
			return nil, fmt.Errorf("counting the tokens of peppers: %w", err)
		}
		by[hex.EncodeToString(id)] = c
	}
	for _, row := range list {
		if row.ID == "" { // of an old database that had no token
			row.ID = r.Primary().Name()
		}
		c := by[row.ID]
		c.Row = row
		all = append(all, c)
	}
	return all, store.Explain(rows.Err())
}

// Bound reports whether the database has a pepper.
func Bound(ctx context.Context, q Querier) (bool, error) {
	seq, err := Seq(ctx, q)
	return seq > 0, err
}

// Open loads the active peppers of database id from p and proves each by its check
// value. All must be there, but for one that without names, which is to be given up.
func Open(ctx context.Context, q Querier, p Source, id, without string) (*Ring, error) {
	seq, err := Seq(ctx, q) // before the rows: a change meanwhile leaves the ring stale
	if err != nil {
		return nil, err
	}
	rows, err := List(ctx, q)
	if err != nil {
		return nil, err
	}
	given, err := p.load(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the registry has one, and %s does not exist; bring the pepper back, no token can be recognised without it", Err, p)
	}
	if err != nil {
		return nil, err
	}
	r := &Ring{seq: seq, id: id}
	var missing []string
	for _, row := range rows {
		if row.State == Retired {
			continue
		}
		k, ok := find(given, id, row.check)
		switch {
		case ok && row.State == Primary:
			r.Keys = slices.Insert(r.Keys, 0, k)
		case ok:
			r.Keys = append(r.Keys, k)
		case row.State == Primary || row.ID != without || without == "":
			missing = append(missing, row.ID)
		}
		if ok {
			if err := r.open(k, row); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case len(missing) == 0 && len(r.Keys) > 0:
		return r, nil
	case len(r.Keys) == 0:
		return nil, fmt.Errorf("%w: %s is not the one the registry was made with; set QUENCH_PEPPER_FILE, QUENCH_PEPPER_COMMAND or QUENCH_PEPPER to that one", Err, p)
	}
	return nil, fmt.Errorf("%w: %s lacks pepper %s, which is in use; bring it back (quench registry pepper list tells what depends on it)", Err, p, strings.Join(missing, " and "))
}

func find(given [][]byte, id string, check []byte) (Key, bool) {
	for _, b := range given {
		if k := derive(b, id); bytes.Equal(k.check, check) { // no secret: both are in the database's reach
			return k, true
		}
	}
	return Key{}, false
}

// open takes the log's seed out of a row: that of the first pepper is its own.
func (r *Ring) open(k Key, row Row) error {
	seed := k.log
	if len(row.log) > 0 {
		gcm, err := sealer(k.seal)
		if err != nil {
			return err
		}
		n := gcm.NonceSize()
		if len(row.log) < n {
			return fmt.Errorf("%w: the audit log's key under pepper %s is cut", store.ErrCorrupt, k.Name())
		}
		if seed, err = gcm.Open(nil, row.log[:n], row.log[n:], []byte(r.id)); err != nil {
			return fmt.Errorf("%w: the audit log's key under pepper %s was changed", store.ErrCorrupt, k.Name())
		}
	}
	if r.Log != nil && !bytes.Equal(r.Log, seed) {
		return fmt.Errorf("%w: the peppers disagree on the audit log's key", store.ErrCorrupt)
	}
	r.Log = seed
	return nil
}

func sealer(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Bind ties a new database to the newest pepper of p, which is made now if there
// is none.
func Bind(ctx context.Context, tx *sql.Tx, p Source, id string, now time.Time) (*Ring, error) {
	given, err := p.load(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		given, err = p.create(ctx)
	}
	if err != nil {
		return nil, err
	}
	k := derive(given[len(given)-1], id)
	if err := insert(ctx, tx, &k, nil, now); err != nil {
		return nil, err
	}
	return &Ring{Keys: []Key{k}, Log: k.log, seq: 1, id: id}, nil
}

func insert(ctx context.Context, tx *sql.Tx, k *Key, log []byte, now time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO peppers (key_check, key_id, state, log_seed, created_at, seq)
		VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM peppers))`, k.check, k.ID[:], Primary, append([]byte{}, log...), now.UnixMicro())
	return err
}

// Add makes a new pepper the primary: one of p that the database does not know, or
// where p is a file one that is made and added to it. It returns the ring with it.
func (r *Ring) Add(ctx context.Context, tx *sql.Tx, p Source, now time.Time) (*Ring, error) {
	rows, err := List(ctx, tx)
	if err != nil {
		return nil, err
	}
	active := 0
	for _, row := range rows {
		if row.State != Retired {
			active++
		}
	}
	if active >= MaxActive {
		return nil, fmt.Errorf("%w: %d, which is the most; retire one first (quench registry pepper list)", ErrTooMany, active)
	}
	k, err := r.next(ctx, p, rows)
	if err != nil {
		return nil, err
	}
	gcm, err := sealer(k.seal)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	rand.Read(nonce)
	// An old database did not keep the id of its pepper where it has no tokens.
	old := r.Primary()
	_, err = tx.ExecContext(ctx, "UPDATE peppers SET state = ?, key_id = ? WHERE key_check = ?", Active, old.ID[:], old.check)
	if err == nil {
		err = insert(ctx, tx, k, gcm.Seal(nonce, nonce, r.Log, []byte(r.id)), now)
	}
	if err != nil {
		return nil, err
	}
	seq, err := Seq(ctx, tx)
	return &Ring{Keys: append([]Key{*k}, r.Keys...), Log: r.Log, seq: seq, id: r.id}, err
}

// next is the pepper to become primary.
func (r *Ring) next(ctx context.Context, p Source, rows []Row) (*Key, error) {
	given, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	var fresh []Key
	for _, b := range given {
		k := derive(b, r.id)
		if !slices.ContainsFunc(rows, func(row Row) bool { return bytes.Equal(row.check, k.check) }) {
			fresh = append(fresh, k)
		}
	}
	switch {
	case len(fresh) > 1:
		return nil, fmt.Errorf("%w: %s holds %d peppers that the registry does not know; leave one of them", Err, p, len(fresh))
	case len(fresh) == 0 && !p.Writable():
		return nil, fmt.Errorf("%w: %s holds no new one; add one to it beside the old (make it with: openssl rand -hex 32), and rotate again", Err, p)
	case len(fresh) == 0:
		b, err := p.add()
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, derive(b, r.id))
	}
	for _, k := range fresh {
		// Rows name peppers by 32 bits of a hash: two alike are told apart by nothing.
		if slices.ContainsFunc(rows, func(row Row) bool { return row.ID == k.Name() }) {
			return nil, fmt.Errorf("%w: the new pepper has the same key id %s as an older one, by chance; make another", Err, k.Name())
		}
	}
	return &fresh[0], nil
}

// Retire takes a pepper out of use. forget says how many tokens depend on it that
// may be given up; n is how many do. The primary cannot be retired.
func Retire(ctx context.Context, tx *sql.Tx, name string, n, forget int64, now time.Time) error {
	rows, err := List(ctx, tx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(row Row) bool { return row.ID == name && name != "" })
	switch {
	case i < 0:
		return fmt.Errorf("%w: %q; see quench registry pepper list", ErrNone, clip(name))
	case rows[i].State == Primary:
		return fmt.Errorf("%w: %s is the newest, which new tokens are stored under; rotate first", ErrInUse, name)
	case rows[i].State == Retired:
		return nil
	case n > 0 && n != forget:
		return fmt.Errorf("%w: %d under %s; each moves to the newest pepper when it is next verified. To give them up for good, so that neither Verify nor a scan knows them: --forget %d", ErrInUse, n, name, n)
	}
	_, err = tx.ExecContext(ctx, "UPDATE peppers SET state = ?, retired_at = ?, seq = (SELECT max(seq) + 1 FROM peppers) WHERE key_check = ?", Retired, now.UnixMicro(), rows[i].check)
	return err
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
