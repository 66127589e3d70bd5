// Package secret holds the one type for bytes that must not be seen.
//
// A Secret prints, marshals and logs as its redacted form, whatever verb or
// encoder is used, also as a field of another struct. Reveal is the only door
// to the bytes; the house test lists the packages that may call it. This
// package knows nothing of rules, tokens or reports.
package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Secret is a value that prints only its redacted form.
//
// The bytes live in a closure: fmt, encoding/json and reflection-based loggers
// print the bytes of a []byte or string even when it is an unexported field of
// an unexported struct, and cannot look into a func. The zero Secret is empty.
// Secrets cannot be compared with ==; use Equal.
type Secret struct {
	open func() []byte
}

// New copies b into a Secret; the caller keeps b.
func New(b []byte) Secret {
	own := append([]byte(nil), b...)
	return Secret{open: func() []byte { return own }}
}

// NewString is New for a string.
func NewString(s string) Secret { return New([]byte(s)) }

func (s Secret) bytes() []byte {
	if s.open == nil {
		return nil
	}
	return s.open()
}

// Reveal returns the bytes themselves, not a copy; the caller must not change
// them, print them, or let them reach a log, an error, a job or a database.
// Who may call it is listed in the house test.
func (s Secret) Reveal() []byte { return s.bytes() }

// Len is the length in bytes.
func (s Secret) Len() int { return len(s.bytes()) }

// IsZero reports whether s holds no bytes.
func (s Secret) IsZero() bool { return s.Len() == 0 }

// Equal compares in constant time for equal lengths.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare(s.bytes(), t.bytes()) == 1
}

// MAC is HMAC-SHA256 under key: the only form in which a Secret may be stored.
func (s Secret) MAC(key []byte) [sha256.Size]byte {
	h := hmac.New(sha256.New, key)
	h.Write(s.bytes())
	return [sha256.Size]byte(h.Sum(nil))
}

// redactFrom is the length in bytes from which a redacted form shows a few
// characters. Below 24 characters each one shown is a real loss: four of a
// password of eight are half of it, while four at either end of 24 base62
// characters leave 95 bits.
const redactFrom = 24

// Redacted is what may be shown: the first and last four characters of long
// ASCII secrets, nothing of short ones. It never tells the length.
func (s Secret) Redacted() string {
	b := s.bytes()
	if len(b) == 0 {
		return ""
	}
	if len(b) < redactFrom || !printable(b[:4]) || !printable(b[len(b)-4:]) {
		return "********"
	}
	return string(b[:4]) + "****" + string(b[len(b)-4:])
}

func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// String implements fmt.Stringer with the redacted form.
func (s Secret) String() string { return s.Redacted() }

// GoString implements fmt.GoStringer with the redacted form.
func (s Secret) GoString() string { return "secret.Secret(" + s.Redacted() + ")" }

// Format implements fmt.Formatter: every verb prints the redacted form.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.Redacted()) }

// MarshalText implements encoding.TextMarshaler, and so JSON, TOML and XML,
// with the redacted form.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.Redacted()), nil }

// LogValue implements slog.LogValuer with the redacted form.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.Redacted()) }
