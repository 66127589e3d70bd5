package registry

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/scanner/secret"
)

// pepperLen is the pepper's length in bytes: as many as the hash has, which is
// what HMAC and HKDF can use.
const pepperLen = 32

// PepperSource says where the pepper is: a value wins over a file.
type PepperSource struct {
	// Value is 32 bytes as hex or base64.
	Value secret.Secret
	// File holds the same on one line, readable by its owner only.
	File string
	// Checkpoints is the folder for signed checkpoints of the audit log; empty
	// is the folder checkpoints beside File. It must not be the database's.
	Checkpoints string
}

// PepperFrom reads QUENCH_PEPPER and QUENCH_PEPPER_FILE; the file is by default
// quench/pepper under XDG_CONFIG_HOME, which defaults to ~/.config.
func PepperFrom(getenv func(string) string) PepperSource {
	p := PepperSource{Value: secret.NewString(getenv("QUENCH_PEPPER")), File: getenv("QUENCH_PEPPER_FILE")}
	usual := under(getenv, "XDG_CONFIG_HOME", ".config", "pepper")
	if p.File == "" {
		p.File = usual
	}
	return p
}

func (p PepperSource) isZero() bool { return p.Value.IsZero() && p.File == "" }

// String names the source, for messages.
func (p PepperSource) String() string {
	switch {
	case !p.Value.IsZero():
		return "the pepper in QUENCH_PEPPER"
	case p.File == "":
		return "the pepper file (no home folder is known; set QUENCH_PEPPER_FILE)"
	}
	return fmt.Sprintf("the pepper file %q", p.File)
}

// checkpoints is the path of the checkpoint of database id; empty for none.
func (p PepperSource) checkpoints(id string) string {
	switch {
	case p.Checkpoints != "":
		return filepath.Join(p.Checkpoints, id)
	case p.File != "":
		return filepath.Join(filepath.Dir(p.File), "checkpoints", id)
	}
	return ""
}

// apart refuses a pepper in the folder of the database: whoever copies or backs
// up that folder would have both. Folders below it are allowed, else a database
// in the home folder could not use ~/.config.
func (p PepperSource) apart(db string) error {
	if !p.Value.IsZero() || p.File == "" {
		return nil
	}
	if folder(p.File) == folder(db) {
		return fmt.Errorf("%w: %s lies in the folder of the database, so a copy of one is a copy of both; set QUENCH_PEPPER_FILE to a path elsewhere", ErrPepper, p)
	}
	return nil
}

// folder is the real path of the folder of path, as far as it exists.
func folder(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Dir(path)
	}
	dir := filepath.Dir(abs)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// load reads the pepper. A missing file is fs.ErrNotExist, all else ErrPepper.
func (p PepperSource) load() ([]byte, error) {
	if !p.Value.IsZero() {
		b, ok := decodePepper(p.Value.Reveal())
		if !ok {
			return nil, fmt.Errorf("%w: QUENCH_PEPPER must be 32 bytes as hex or base64; make one with: openssl rand -hex 32", ErrPepper)
		}
		return b, nil
	}
	if p.File == "" {
		return nil, fmt.Errorf("%w: %s", ErrPepper, p)
	}
	fi, err := os.Stat(p.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPepper, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrPepper, p)
	}
	// Windows has no such bits; access lists of the profile folder guard it.
	if perm := fi.Mode().Perm(); perm&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w: %s can be read by others (mode %04o); run: chmod 600 %s", ErrPepper, p, perm, p.File)
	}
	text, err := os.ReadFile(p.File)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPepper, err)
	}
	b, ok := decodePepper(text)
	if !ok {
		return nil, fmt.Errorf("%w: %s must hold 32 bytes as hex or base64 on one line", ErrPepper, p)
	}
	return b, nil
}

// create makes a new pepper file. It never replaces one.
func (p PepperSource) create() ([]byte, error) {
	b := make([]byte, pepperLen)
	rand.Read(b)
	if err := os.MkdirAll(filepath.Dir(p.File), 0o700); err != nil {
		return nil, fmt.Errorf("%w: making its folder: %w", ErrPepper, err)
	}
	f, err := os.OpenFile(p.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return p.load()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: making it: %w", ErrPepper, err)
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(b) + "\n")
	// On disk before the database is bound to it, or a power loss could leave
	// a registry that nothing opens.
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("%w: writing it: %w", ErrPepper, errors.Join(err, os.Remove(p.File)))
	}
	return b, nil
}

func decodePepper(text []byte) ([]byte, bool) {
	t := string(bytes.TrimSpace(text))
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if b, err := decode(t); err == nil && len(b) == pepperLen {
			return b, true
		}
	}
	return nil, false
}

// keys are the sub-keys of a pepper for one database.
type keys struct {
	id          [4]byte   // names the pepper in each row
	mac         []byte    // tokens
	fingerprint match.Key // tokens, in memory
	checkpoint  []byte    // seed of the Ed25519 key of checkpoints
	check       []byte    // stored, to tell a wrong pepper
}

// derive makes the sub-keys by HKDF, one per purpose, so that none tells
// anything of another. The database's id salts them: two registries under one
// pepper cannot be compared.
func derive(pepper []byte, registryID string) keys {
	sub := func(purpose string, n int) []byte {
		b, err := hkdf.Key(sha256.New, pepper, []byte(registryID), "quench registry v1 "+purpose, n)
		if err != nil {
			panic("registry: hkdf refused a constant length: " + err.Error())
		}
		return b
	}
	sum := sha256.Sum256(pepper)
	return keys{
		id:          [4]byte(sum[:4]),
		mac:         sub("token mac", 32),
		fingerprint: match.NewKey([16]byte(sub("token fingerprint", 16))),
		checkpoint:  sub("audit checkpoint", 32),
		check:       sub("key check", 16),
	}
}
