// Package partnerkey keeps the keys that reports to others are signed with, and
// publishes their public halves.
//
// The scheme is that of GitHub's secret scanning partners: ECDSA on P-256 with SHA-256
// over the raw body, the key named by the SHA-256 of its public half, and a document of
// the public keys at an address that receivers read:
// https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program
// The keys lie in one file, mode 0600, which is made when it is first needed. The
// package knows nothing of reports, policies or leaks. Start reading at Keys.
package partnerkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// File is what the keys' file is called, beside the pepper.
const File = "partner.keys"

// Path is where the public keys are published: that of GitHub's own, so that a receiver
// changes only the host.
const Path = "/meta/public_keys/secret_scanning"

const (
	// settle is how long a new key is published before it signs: receivers ask again
	// when they meet a key they do not know, but at most once in a while, and refuse
	// until then.
	settle = 10 * time.Minute
	// keep is how many keys are published: the one that signs, the one before, whose
	// reports may be under way, and one that will sign.
	keep = 3
	// maxFile bounds the file, in bytes: three keys have less than 1 kB.
	maxFile = 16 << 10
)

// created is the header of a key's PEM that says when it was made.
const created = "Created"

// ErrKey: the file of the keys cannot be used.
var ErrKey = errors.New("the keys that reports are signed with cannot be used")

// Keys are those in one file. It is safe for concurrent use, of several processes too.
type Keys struct {
	path string
	now  func() time.Time
	mu   sync.Mutex
}

// At is the keys in the file at path; now is the clock, nil for time.Now.
func At(path string, now func() time.Time) *Keys {
	if now == nil {
		now = time.Now
	}
	return &Keys{path: path, now: now}
}

// Key is a public half.
type Key struct {
	ID      string    `json:"key_identifier"` // SHA-256 of its DER, in hexadecimal
	PEM     string    `json:"key"`
	Current bool      `json:"is_current"` // it is the one that signs
	Created time.Time `json:"-"`
}

type pair struct {
	private *ecdsa.PrivateKey
	at      time.Time
}

// read gives the keys, the newest first.
func (k *Keys) read() ([]pair, error) {
	st, err := os.Stat(k.path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %q can be read by others: chmod 600 it", ErrKey, k.path)
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("%w: %q is larger than %d bytes", ErrKey, k.path, maxFile)
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		return nil, err
	}
	var all []pair
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		private, ok := key.(*ecdsa.PrivateKey)
		at, aterr := time.Parse(time.RFC3339, block.Headers[created])
		if err != nil || !ok || private.Curve != elliptic.P256() || aterr != nil {
			return nil, fmt.Errorf("%w: %q holds something else than keys on P-256 with the time they were made", ErrKey, k.path)
		}
		all = append(all, pair{private, at})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %q holds none", ErrKey, k.path)
	}
	return all, nil
}

// open reads the keys, and makes the first where there is none.
func (k *Keys) open() ([]pair, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, err := k.read()
	if !errors.Is(err, fs.ErrNotExist) {
		return all, err
	}
	first, err := k.fresh()
	if err != nil {
		return nil, err
	}
	if err := k.write([]pair{first}, os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return k.read() // of two processes one wins
}

func (k *Keys) fresh() (pair, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return pair{private, k.now().UTC().Truncate(time.Second)}, err
}

// write puts keys into the file, whole or not at all; place moves the new file there.
func (k *Keys) write(all []pair, place func(from, to string) error) error {
	var text bytes.Buffer
	for _, p := range all {
		der, err := x509.MarshalPKCS8PrivateKey(p.private)
		if err != nil {
			return err
		}
		if err := pem.Encode(&text, &pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{created: p.at.Format(time.RFC3339)}, Bytes: der}); err != nil {
			return err
		}
	}
	dir := filepath.Dir(k.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+File+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), k.path)
}

// signing is the index of the key that signs: the newest that has been published for
// long enough, or the oldest there is.
func (k *Keys) signing(all []pair) int {
	for i, p := range all {
		if !p.at.After(k.now().Add(-settle)) {
			return i
		}
	}
	return len(all) - 1
}

// Sign signs a body: id names the key, and the signature is DER in base64.
func (k *Keys) Sign(body []byte) (id, signature string, err error) {
	all, err := k.open()
	if err != nil {
		return "", "", err
	}
	p := all[k.signing(all)]
	_, id, err = public(p)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(body)
	sig, err := ecdsa.SignASN1(rand.Reader, p.private, sum[:])
	return id, base64.StdEncoding.EncodeToString(sig), err
}

// public is the public half of a key: in PEM, and by name.
func public(p pair) (text, id string, err error) {
	der, err := x509.MarshalPKIXPublicKey(&p.private.PublicKey)
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(der)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), hex.EncodeToString(sum[:]), nil
}

// Public are the public keys, the newest first; the first is made where there is none.
func (k *Keys) Public() ([]Key, error) {
	all, err := k.open()
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(all))
	for i, p := range all {
		text, id, err := public(p)
		if err != nil {
			return nil, err
		}
		keys[i] = Key{ID: id, PEM: text, Current: i == k.signing(all), Created: p.at}
	}
	return keys, nil
}

// Rotate makes a new key. It signs once it has been published for ten minutes; the
// oldest key is forgotten where there are more than three.
func (k *Keys) Rotate() error {
	old, err := k.open()
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	fresh, err := k.fresh()
	if err != nil {
		return err
	}
	if k.signing(old) != 0 {
		return fmt.Errorf("the newest key was made %s and does not sign yet: wait %s after a rotation", old[0].at.Format(time.RFC3339), settle)
	}
	all := append([]pair{fresh}, old...)
	return k.write(all[:min(len(all), keep)], os.Rename)
}

// Document is what receivers read.
func (k *Keys) Document() ([]byte, error) {
	keys, err := k.Public()
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string][]Key{"public_keys": keys})
}

// ServeHTTP answers with the document, or that it has not changed.
func (k *Keys) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	doc, err := k.Document()
	if err != nil { // it names a path of this machine
		http.Error(w, "the keys cannot be read now", http.StatusServiceUnavailable)
		return
	}
	sum := sha256.Sum256(doc)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("Etag", tag)
	h.Set("Cache-Control", "public, max-age=60")
	for t := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(t), "W/") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", "application/json")
	_, _ = w.Write(doc) // the receiver has gone
}
