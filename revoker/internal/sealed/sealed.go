// Package sealed keeps what has to be shown to a provider until it was: the leaked
// secret itself, encrypted, in a table that backups leave out.
//
// The key is 32 random bytes in a file of its own beside the pepper, so that neither
// the database nor the pepper opens anything. Incident and provider are bound into
// each box: one that is moved to another row does not open. The package does not know
// what is done with a secret. Start reading at Box, then Put and Take.
package sealed

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/scanner/secret"
)

// Keep is how long a sealed secret is kept at most: a person who has been away for a
// week finds it, and after that it is no longer ours to hold.
const Keep = 7 * 24 * time.Hour

// Errors.
var (
	// ErrGone: the secret is no longer kept, or never was.
	ErrGone = errors.New("the secret is no longer kept")
	// ErrKey: the key is missing, or not the one it was sealed with.
	ErrKey = errors.New("the key of sealed secrets cannot be used")
)

// Box seals and opens under the key in one file. It is safe for concurrent use.
type Box struct {
	path string
	mu   sync.Mutex
	aead cipher.AEAD
}

// New makes a box whose key lies at path. The file is made when first something is
// sealed.
func New(path string) *Box { return &Box{path: path} }

const keyLen = 32 // of AES-256

// open reads the key, and makes it where that may be.
func (b *Box) open(create bool) (cipher.AEAD, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.aead != nil {
		return b.aead, nil
	}
	key, err := readKey(b.path)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err = makeKey(b.path); err == nil || errors.Is(err, fs.ErrExist) {
			key, err = readKey(b.path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	b.aead, err = cipher.NewGCMWithRandomNonce(block)
	return b.aead, err
}

func readKey(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%q can be read by others: chmod 600 it", path)
	}
	if st.Size() > 1024 {
		return nil, fmt.Errorf("%q is no such key", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keyLen {
		return nil, fmt.Errorf("%q does not hold %d bytes in base64", path, keyLen)
	}
	return key, nil
}

// makeKey writes a new key, whole or not at all; of two processes one wins.
func makeKey(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, keyLen)
	rand.Read(key)
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links: whoever comes second finds the file.
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	return os.Rename(f.Name(), path)
}

// Content is a secret and what belongs to it, by name.
type Content struct {
	Secret secret.Secret
	Parts  map[string]secret.Secret
}

// bound is what a box is tied to.
func bound(incident, provider string) []byte { return []byte(incident + "\x00" + provider) }

// Put seals c for an incident and its provider, in tx; what was there is replaced.
func (b *Box) Put(ctx context.Context, tx *sql.Tx, incident, provider string, c Content, now time.Time) error {
	aead, err := b.open(true)
	if err != nil {
		return fmt.Errorf("sealing the secret of incident %s: %w", incident, err)
	}
	box := aead.Seal(nil, nil, c.encode(), bound(incident, provider))
	_, err = tx.ExecContext(ctx, `INSERT INTO sealed_secrets (incident_id, box, expires_at) VALUES (?, ?, ?)
		ON CONFLICT (incident_id) DO UPDATE SET box = excluded.box, expires_at = excluded.expires_at`, incident, box, now.Add(Keep).UnixMicro())
	if err != nil {
		return fmt.Errorf("sealing the secret of incident %s: %w", incident, err)
	}
	return nil
}

// Reader is a pool or a transaction.
type Reader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Take opens what was put, without taking it away. Errors wrap ErrGone or ErrKey.
func (b *Box) Take(ctx context.Context, q Reader, incident, provider string, now time.Time) (c Content, err error) {
	var box []byte
	err = q.QueryRowContext(ctx, "SELECT box FROM sealed_secrets WHERE incident_id = ? AND expires_at > ?", incident, now.UnixMicro()).Scan(&box)
	if errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("incident %s: %w", incident, ErrGone)
	}
	if err != nil {
		return c, fmt.Errorf("reading the sealed secret of incident %s: %w", incident, err)
	}
	aead, err := b.open(false)
	if err != nil {
		return c, fmt.Errorf("opening the sealed secret of incident %s: %w", incident, err)
	}
	plain, err := aead.Open(nil, nil, box, bound(incident, provider))
	if err != nil {
		return c, fmt.Errorf("opening the sealed secret of incident %s: %w: it was sealed under another key, or for another incident or provider", incident, ErrKey)
	}
	return decode(plain)
}

// Add puts parts to what was put for an incident, which is kept no longer for it.
func (b *Box) Add(ctx context.Context, tx *sql.Tx, incident, provider string, parts map[string]secret.Secret, now time.Time) error {
	c, err := b.Take(ctx, tx, incident, provider, now)
	if err != nil {
		return err
	}
	maps.Copy(c.Parts, parts)
	aead, err := b.open(false)
	if err != nil {
		return fmt.Errorf("sealing the parts of incident %s: %w", incident, err)
	}
	_, err = tx.ExecContext(ctx, "UPDATE sealed_secrets SET box = ? WHERE incident_id = ?", aead.Seal(nil, nil, c.encode(), bound(incident, provider)), incident)
	return err
}

// Execer is a pool or a transaction.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Drop deletes what was put for an incident.
func Drop(ctx context.Context, tx Execer, incident string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM sealed_secrets WHERE incident_id = ?", incident)
	return err
}

// Expire deletes what has been kept for long enough.
func Expire(ctx context.Context, tx Execer, now time.Time) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM sealed_secrets WHERE expires_at <= ?", now.UnixMicro())
	return err
}

// sweepEvery is how often a Sweep is due. A box that outlived its time by less opens no
// more, only its bytes are still there; the look costs one statement.
const sweepEvery = time.Hour

// Sweep is of a process that lives: by it a box ends also where nothing else is ever
// sealed. The zero value is due at once.
type Sweep struct{ last time.Time }

// Expire does what the function of that name does where it is due.
func (s *Sweep) Expire(ctx context.Context, db *store.Store, now time.Time) error {
	if !s.due(now) {
		return nil
	}
	return db.InTx(ctx, func(tx *sql.Tx) error { return Expire(ctx, tx, now) })
}

// due reports whether a sweep is due at now, and then not again within the hour. A
// clock that was set back makes it due as well.
func (s *Sweep) due(now time.Time) bool {
	if !s.last.IsZero() && now.Sub(s.last).Abs() < sweepEvery {
		return false
	}
	s.last = now
	return true
}

// encode writes the secret, then names and values of the parts, each after its length.
func (c Content) encode() []byte {
	add := func(out, b []byte) []byte { return append(binary.AppendUvarint(out, uint64(len(b))), b...) }
	out := add(nil, c.Secret.Reveal())
	for _, name := range slices.Sorted(maps.Keys(c.Parts)) {
		out = add(add(out, []byte(name)), c.Parts[name].Reveal())
	}
	return out
}

var errForm = errors.New("the sealed secret is not of the known form")

func decode(b []byte) (Content, error) {
	take := func() ([]byte, bool) {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return nil, false
		}
		v := b[w : w+int(n)]
		b = b[w+int(n):]
		return v, true
	}
	first, ok := take()
	if !ok {
		return Content{}, errForm
	}
	c := Content{Secret: secret.New(first), Parts: map[string]secret.Secret{}}
	for len(b) > 0 {
		name, ok := take()
		value, ok2 := take()
		if !ok || !ok2 {
			return Content{}, errForm
		}
		c.Parts[string(name)] = secret.New(value)
	}
	return c, nil
}
