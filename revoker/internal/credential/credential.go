// Package credential reads the operator's credentials from where a policy says
// they are: a policy names them and never holds one.
//
// It knows env:NAME, file:PATH and files of certificates, and that a file others can
// read is no credential. What one is for, others know. Start reading at Read.
package credential

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/quench-dev/quench/scanner/secret"
)

// maxCredential bounds a file with a credential or certificates, in bytes.
const maxCredential = 256 << 10

// OK reports whether from has the form env:NAME or file:PATH.
func OK(from string) bool {
	kind, name, _ := strings.Cut(from, ":")
	return (kind == "env" || kind == "file") && name != ""
}

// Below makes the path of file:PATH one from dir, if it is relative.
func Below(dir, from string) string {
	if path, ok := strings.CutPrefix(from, "file:"); ok && !filepath.IsAbs(path) {
		return "file:" + filepath.Join(dir, path)
	}
	return from
}

// Read reads what env:NAME or file:PATH holds, without a final newline.
func Read(from string) (secret.Secret, error) {
	kind, name, _ := strings.Cut(from, ":")
	var b []byte
	switch kind {
	case "env":
		b = []byte(os.Getenv(name))
	case "file":
		st, err := os.Stat(name)
		if err != nil {
			return secret.Secret{}, err
		}
		if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
			return secret.Secret{}, fmt.Errorf("%q can be read by others: chmod 600 it", name)
		}
		if b, err = Bounded(name); err != nil {
			return secret.Secret{}, err
		}
	default:
		return secret.Secret{}, errors.New("want env:NAME or file:PATH")
	}
	if b = bytes.TrimRight(b, "\r\n"); len(b) == 0 {
		return secret.Secret{}, fmt.Errorf("%s holds nothing", from)
	}
	return secret.New(b), nil
}

// Bounded reads a file of a credential or of certificates.
func Bounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCredential+1))
	if err == nil && len(b) > maxCredential {
		err = fmt.Errorf("%q is larger than %d bytes", path, maxCredential)
	}
	return b, err
}

// CAFile reads certificates in PEM.
func CAFile(path string) (*x509.CertPool, error) {
	b, err := Bounded(path)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("reading the certificates in %q: there are none in PEM", path)
	}
	return pool, nil
}
