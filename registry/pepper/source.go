// Package pepper keeps the secrets that a registry's database is useless without:
// where they come from, what is derived of them, and which of them are in use.
//
// A pepper is 32 random bytes kept outside the database. Each token is stored
// under sub-keys of one pepper; up to MaxActive are in use at once, so that one
// can be replaced while tokens under the older ones are still recognised. The
// database knows of each only a check value and how many tokens depend on it. The
// package does not know what a token is. Start reading at Source, then Open.
package pepper

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/quench-dev/quench/scanner/secret"
)

// Err: a pepper is missing, wrong, or not kept safely. Going on without it would
// match nothing and say nothing.
var Err = errors.New("the registry's pepper cannot be used")

const (
	// Len is a pepper's length in bytes: as many as the hash has, which is what
	// HMAC and HKDF can use.
	Len = 32
	// maxGiven bounds the peppers of one source: the active ones, the next, and
	// retired ones that nobody has taken out yet.
	maxGiven = 8
	// maxText bounds what a file or a command gives, in bytes; maxGiven peppers
	// take 600.
	maxText = 4096
	// commandBound is how long a command may take: a secret manager answers in
	// tens of milliseconds, and who logs in first needs some seconds.
	commandBound = 15 * time.Second
)

// Source says where the peppers are: a value wins over a command, and that over a
// file. Several peppers are separated by spaces, commas or line ends, in any order:
// the database knows which is the newest.
type Source struct {
	// Value is 32 bytes as hex or base64, or several.
	Value secret.Secret
	// Command is a program and its arguments, started without a shell, that
	// writes the same to its standard output. Nothing of that is ever logged.
	Command []string
	// File holds the same, readable by its owner only.
	File string
	// Checkpoints is the folder for signed checkpoints of the audit log; empty
	// is the folder checkpoints beside File. It must not be the database's.
	Checkpoints string
}

// From reads QUENCH_PEPPER, QUENCH_PEPPER_COMMAND and QUENCH_PEPPER_FILE; the
// file is by default usual. The command is a JSON array of strings, or words
// separated by spaces.
func From(getenv func(string) string, usual string) Source {
	p := Source{Value: secret.NewString(getenv("QUENCH_PEPPER")), File: getenv("QUENCH_PEPPER_FILE"), Command: words(getenv("QUENCH_PEPPER_COMMAND"))}
	if p.File == "" {
		p.File = usual
	}
	return p
}

// words splits a command. JSON that cannot be read is one word, which no program
// is named: it is refused when it is started.
func words(s string) (all []string) {
	if strings.HasPrefix(strings.TrimSpace(s), "[") {
		if err := json.Unmarshal([]byte(s), &all); err != nil {
			return []string{s}
		}
		return all
	}
	return strings.Fields(s)
}

// IsZero reports whether p names no place.
func (p Source) IsZero() bool { return p.Value.IsZero() && len(p.Command) == 0 && p.File == "" }

// Writable reports whether a pepper can be added to p here: it is a file.
func (p Source) Writable() bool { return p.Value.IsZero() && len(p.Command) == 0 && p.File != "" }

// String names the source, for messages.
func (p Source) String() string {
	switch {
	case !p.Value.IsZero():
		return "the pepper in QUENCH_PEPPER"
	case len(p.Command) > 0:
		return fmt.Sprintf("the pepper from the command %q", filepath.Base(p.Command[0]))
	case p.File == "":
		return "the pepper file (no home folder is known; set QUENCH_PEPPER_FILE)"
	}
	return fmt.Sprintf("the pepper file %q", p.File)
}

// Anchor is the path of the checkpoint of database id; empty for none.
func (p Source) Anchor(id string) string {
	switch {
	case p.Checkpoints != "":
		return filepath.Join(p.Checkpoints, id)
	case p.File != "":
		return filepath.Join(filepath.Dir(p.File), "checkpoints", id)
	}
	return ""
}

// Anchored reports whether any database was used with this pepper: its checkpoint is there.
func (p Source) Anchored() bool {
	dir := p.Anchor("")
	if dir == "" {
		return false
	}
	all, err := os.ReadDir(dir)
	return err == nil && len(all) > 0
}

// Beside is the path of another file of keys, in the folder of File and not in that
// of the database.
func (p Source) Beside(name, db string) (string, error) {
	if p.File == "" {
		return "", fmt.Errorf("%w: no folder for %s is known; set QUENCH_PEPPER_FILE", Err, name)
	}
	path := filepath.Join(filepath.Dir(p.File), name)
	if db != "" && folder(path) == folder(db) {
		return "", fmt.Errorf("%w: %q would lie in the folder of the database, so that a copy of one is a copy of both; set QUENCH_PEPPER_FILE to a path elsewhere", Err, path)
	}
	return path, nil
}

// Apart refuses a pepper in the folder of the database: whoever copies or backs
// up that folder would have both. Folders below it are allowed, else a database
// in the home folder could not use ~/.config.
func (p Source) Apart(db string) error {
	if !p.Writable() {
		return nil
	}
	if folder(p.File) == folder(db) {
		return fmt.Errorf("%w: %s lies in the folder of the database, so a copy of one is a copy of both; set QUENCH_PEPPER_FILE to a path elsewhere", Err, p)
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

// load reads all peppers of p. A missing file is fs.ErrNotExist, all else Err.
func (p Source) load(ctx context.Context) ([][]byte, error) {
	switch {
	case !p.Value.IsZero():
		all, ok := decodeAll(p.Value.Reveal())
		if !ok {
			return nil, fmt.Errorf("%w: QUENCH_PEPPER must be 32 bytes as hex or base64, or several such; make one with: openssl rand -hex 32", Err)
		}
		return all, nil
	case len(p.Command) > 0:
		return p.ask(ctx)
	case p.File == "":
		return nil, fmt.Errorf("%w: %s", Err, p)
	}
	text, err := readFile(p.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", Err, p, err)
	}
	all, ok := decodeAll(text)
	if !ok {
		return nil, fmt.Errorf("%w: %s must hold 32 bytes as hex or base64 on one line, and each further pepper on its own", Err, p)
	}
	return all, nil
}

// readFile reads a small file that only its owner can.
func readFile(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	// Windows has no such bits; access lists of the profile folder guard it.
	if perm := fi.Mode().Perm(); perm&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("can be read by others (mode %04o); run: chmod 600 %s", perm, path)
	}
	if fi.Size() > maxText {
		return nil, fmt.Errorf("has %d bytes, and no pepper file more than %d", fi.Size(), maxText)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return text, nil
}

// ask runs the command. Neither what it writes nor its arguments are repeated:
// either may hold a secret.
func (p Source) ask(ctx context.Context) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	cmd.WaitDelay = time.Second // for children that keep its output open
	var out bounded
	cmd.Stdout = &out
	err := cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: %s did not end within %v", Err, p, commandBound)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %s failed (%w); run it by hand to see why", Err, p, err)
	}
	all, ok := decodeAll(out.Bytes())
	if !ok {
		return nil, fmt.Errorf("%w: %s must write 32 bytes as hex or base64 on one line, and each further pepper on its own", Err, p)
	}
	return all, nil
}

// bounded keeps the first maxText+1 bytes: with more no pepper is decoded.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, maxText+1-b.Len()))])
	return len(p), nil
}

var _ io.Writer = (*bounded)(nil)

// create makes a pepper file. It never replaces one.
func (p Source) create(ctx context.Context) ([][]byte, error) {
	if !p.Writable() {
		return nil, fmt.Errorf("%w: %s", Err, p)
	}
	b := make([]byte, Len)
	rand.Read(b)
	if err := os.MkdirAll(filepath.Dir(p.File), 0o700); err != nil {
		return nil, fmt.Errorf("%w: making its folder: %w", Err, err)
	}
	f, err := os.OpenFile(p.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return p.load(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: making it: %w", Err, err)
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(b) + "\n")
	// On disk before the database is bound to it, or a power loss could leave
	// a registry that nothing opens.
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("%w: writing it: %w", Err, errors.Join(err, os.Remove(p.File)))
	}
	return [][]byte{b}, nil
}

// add makes a pepper and adds it to the file, which is replaced whole: at no
// time does it lack one that it had.
func (p Source) add() ([]byte, error) {
	text, err := readFile(p.File)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", Err, p, err)
	}
	b := make([]byte, Len)
	rand.Read(b)
	text = append(bytes.TrimRight(text, " \r\n"), '\n')
	text = append(text, base64.StdEncoding.EncodeToString(b)+"\n"...)
	real, err := filepath.EvalSymlinks(p.File)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", Err, p, err)
	}
	f, err := os.CreateTemp(filepath.Dir(real), ".pepper-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("%w: adding one to %s: %w", Err, p, err)
	}
	defer os.Remove(f.Name()) // after the rename it does nothing
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), real)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: adding one to %s: %w", Err, p, err)
	}
	if d, err := os.Open(filepath.Dir(real)); err == nil { // where folders can be synced
		d.Sync()
		d.Close()
	}
	return b, nil
}

// decodeAll reads one to maxGiven peppers.
func decodeAll(text []byte) (all [][]byte, ok bool) {
	if len(text) > maxText {
		return nil, false
	}
	fields := bytes.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\r' || r == '\t' })
	if len(fields) == 0 || len(fields) > maxGiven {
		return nil, false
	}
	for _, f := range fields {
		b, ok := decode(f)
		if !ok {
			return nil, false
		}
		all = append(all, b)
	}
	return all, true
}

func decode(text []byte) ([]byte, bool) {
	t := string(bytes.TrimSpace(text))
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if b, err := decode(t); err == nil && len(b) == Len {
			return b, true
		}
	}
	return nil, false
}
