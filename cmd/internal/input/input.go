// Package input reads what commands are given: the value of a token, a lifetime,
// FILE:LINE, a file of bounded size.
//
// A token's value is never repeated in an error, and never taken from the command
// line. Start reading at Value.
package input

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/quench-dev/quench/registry/issuing"
	"github.com/quench-dev/quench/scanner/secret"
)

// TTL is a duration that may be in days or weeks, such as 30d.
type TTL time.Duration

// Type, String and Set make it a flag.
func (t *TTL) Type() string { return "duration" }

func (t *TTL) String() string { return Days(time.Duration(*t)) }

func (t *TTL) Set(s string) error {
	d, err := issuing.ParseTTL(s)
	if err == nil {
		*t = TTL(d)
	}
	return err
}

// Overlap is a TTL that may be none.
type Overlap struct{ TTL }

// Set makes it a flag.
func (o *Overlap) Set(s string) error {
	if d, err := time.ParseDuration(s); err == nil && d == 0 {
		o.TTL = 0
		return nil
	}
	return o.TTL.Set(s)
}

// Days prints a duration in whole days where it is one.
func Days(d time.Duration) string {
	if d > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

// maxValue bounds what is read for one value: the longest token is 4 KiB, and
// more is a wrong file.
const maxValue = 1 << 20

// Value reads the one line that is a token's value, from file or standard
// input; at a terminal without showing it.
func Value(in io.Reader, prompt io.Writer, file string) (secret.Secret, error) {
	b, name, err := read(in, prompt, file)
	if err != nil {
		return secret.Secret{}, err
	}
	if bytes.ContainsAny(b, "\r\n") {
		return secret.Secret{}, fmt.Errorf("reading the token's value from %s: it has several lines; give one value on one line", name)
	}
	return secret.New(b), nil
}

// Whole reads a value that may have several lines, such as a key file.
func Whole(in io.Reader, prompt io.Writer, file string) (secret.Secret, error) {
	b, _, err := read(in, prompt, file)
	if err != nil {
		return secret.Secret{}, err
	}
	return secret.New(b), nil
}

// read gives a value without its final newline, and where it came from.
func read(in io.Reader, prompt io.Writer, file string) ([]byte, string, error) {
	name := "standard input"
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, name, fmt.Errorf("reading the token's value: %w", err)
		}
		defer f.Close()
		in, name = f, strconv.Quote(file)
	}
	var b []byte
	var err error
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(prompt, "token value (not shown): ")
		b, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(prompt)
	} else {
		b, err = io.ReadAll(io.LimitReader(in, maxValue+1))
	}
	if err != nil {
		return nil, name, fmt.Errorf("reading the token's value from %s: %w", name, err)
	}
	if len(b) > maxValue {
		return nil, name, fmt.Errorf("reading the token's value from %s: more than %d bytes is no token", name, maxValue)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 {
		return nil, name, fmt.Errorf("reading the token's value from %s: it is empty", name)
	}
	return b, name, nil
}

// FileLine splits FILE:LINE; the first line is 1.
func FileLine(arg string) (file string, line int, err error) {
	i := strings.LastIndexByte(arg, ':')
	if i > 0 {
		line, err = strconv.Atoi(arg[i+1:])
	}
	if i <= 0 || err != nil || line < 1 {
		return "", 0, fmt.Errorf("%q does not name a line: want FILE:LINE, such as app.env:12", arg)
	}
	return arg[:i], line, nil
}

// Bounded reads a file of at most limit bytes.
func Bounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the file to explain: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", file, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%q is larger than %d MB: cut the part around the line into a smaller file", file, limit>>20)
	}
	return b, nil
}

// Credential reads what a service asks of us: from file ("-" is standard input), or
// without one from the first environment variable that is set; "" when none is.
func Credential(in io.Reader, file string, env ...string) (string, error) {
	if file == "" {
		for _, name := range env {
			if v := strings.TrimSpace(os.Getenv(name)); v != "" {
				return v, nil
			}
		}
		return "", nil
	}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("reading the credential: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxValue))
	v := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the credential: %w", err)
	case v == "" || strings.ContainsAny(v, " \t\r\n"):
		return "", fmt.Errorf("reading the credential from %q: want one line without spaces", file)
	}
	return v, nil
}
