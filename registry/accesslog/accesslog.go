// Package accesslog reads the access logs of web servers, proxies and clouds: who
// called what, when, with which token.
//
// It knows formats and the names their fields have, and nothing of tokens but that
// a field names one. Lines come from strangers: each is bounded, a bad one is
// counted and passed over, and no error repeats what a line holds, since a secret
// may stand there. Start reading at New, then Reader.Read.
package accesslog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Record is one request.
type Record struct {
	At           time.Time
	Method, Path string // Path may have a query; both are empty where the log has none
	Agent        string
	Address      netip.Addr // zero where it is not known
	Status       int        // of HTTP; 0 is not known
	// Ref names the token: its id, or by mistake of who logs it its value. It is not
	// to be printed. Empty is a request without one.
	Ref string
	// End is the offset after the record in what was read; Line its line, from 1.
	End  int64
	Line int64
}

// Options of New.
type Options struct {
	Format string // one of Formats; empty finds out by the first line
	// Token says where the token is named: a field of JSON by its path, "user",
	// "extra:N" or "query:NAME"; empty is the format's own place.
	Token string
	// Fields says where in JSON time, method, path, status, address and agent are,
	// where that is not where the format has them.
	Fields map[string]string
}

// Formats are the names of formats.
var Formats = []string{"combined", "json", "caddy", "envoy", "traefik", "alb", "cloudtrail"}

// Errors of New and Read.
var (
	// ErrOptions: options that fit no log.
	ErrOptions = errors.New("invalid log format")
	errLong    = fmt.Errorf("longer than %d bytes", maxLine)
)

const (
	// maxLine bounds a line, or a record of CloudTrail, in bytes. Headers of 64 KiB
	// in JSON fit; CloudTrail's own bound is 256 KiB.
	maxLine = 1 << 20
	// maxField bounds each field of a record: longer ones are cut. No endpoint, agent
	// or token is longer.
	maxField = 4096
	// keptFaults is how many bad lines are told one by one.
	keptFaults = 5
)

// Reader reads logs of one format.
type Reader struct {
	o     Options
	parse func(line []byte) (Record, error)
}

// New makes a reader.
func New(o Options) (*Reader, error) {
	if o.Format != "" && !slices.Contains(Formats, o.Format) {
		return nil, fmt.Errorf("%w: %q; the formats are %s", ErrOptions, o.Format, strings.Join(Formats, ", "))
	}
	for _, k := range slices.Sorted(maps.Keys(o.Fields)) {
		if !slices.Contains(fieldNames, k) {
			return nil, fmt.Errorf("%w: field %q; the fields are %s", ErrOptions, k, strings.Join(fieldNames, ", "))
		}
	}
	r := &Reader{o: o}
	if o.Format == "" {
		return r, nil
	}
	return r, r.choose(o.Format)
}

func (r *Reader) choose(format string) (err error) {
	switch format {
	case "combined":
		r.parse, err = newCombined(r.o.Token)
	case "alb":
		r.parse, err = newALB(r.o.Token)
	default:
		r.parse, err = newJSON(format, r.o)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if len(r.o.Fields) > 0 && (format == "combined" || format == "alb") {
		return fmt.Errorf("%w: the fields of %s have fixed places", ErrOptions, format)
	}
	return nil
}

// detect tells a format by the first line, or the first bytes.
func detect(line []byte) string {
	line = bytes.TrimLeft(line, " \t\ufeff")
	if len(line) > 0 && line[0] == '{' {
		has := func(s string) bool { return bytes.Contains(line, []byte(s)) }
		switch {
		case has(`"Records"`) || has(`"eventSource"`):
			return "cloudtrail"
		case has(`"StartUTC"`) || has(`"RequestMethod"`):
			return "traefik"
		case has(`"ts"`) && has(`"request"`):
			return "caddy"
		case has(`"start_time"`) || has(`"response_code"`):
			return "envoy"
		}
		return "json"
	}
	kind, _, _ := bytes.Cut(line, []byte(" "))
	if slices.Contains([]string{"http", "https", "h2", "grpcs", "ws", "wss"}, string(kind)) {
		return "alb"
	}
	return "combined"
}

// Stats counts what was read.
type Stats struct {
	Format  string
	Records int64
	Bad     int64 // lines that could not be read
	NoToken int64 // records that name no token
	// Faults says what was wrong with the first of them.
	Faults []string
	// End is the offset behind the last whole line, Lines their number with those
	// before.
	End, Lines int64
	// Unfinished reports that the last line had no end and could not be read: it is
	// still being written.
	Unfinished bool
}

func (s *Stats) fault(line int64, err error) {
	s.Bad++
	if len(s.Faults) < keptFaults {
		s.Faults = append(s.Faults, fmt.Sprintf("line %d: %v", line, err))
	}
}

// Read reads a log, unpacked where it is gzip, and calls each for every record that
// names a token. line is the number of lines before. What is wrong with lines is in
// Stats; an error is one of reading, of the options, or of each.
func (r *Reader) Read(ctx context.Context, in io.Reader, line int64, each func(Record) error) (s Stats, err error) {
	s.Lines = line
	b := bufio.NewReaderSize(in, 64<<10)
	if magic, _ := b.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return s, fmt.Errorf("unpacking the log: %w", err)
		}
		defer z.Close()
		b = bufio.NewReaderSize(z, 64<<10)
	}
	next := (&lines{b: b, n: line}).next
	if r.parse == nil || r.o.Format == "cloudtrail" {
		first := beginning(b)
		s.Format = r.o.Format
		if s.Format == "" {
			s.Format = detect(first)
		}
		if err := r.choose(s.Format); err != nil {
			return s, err
		}
		if s.Format == "cloudtrail" && isArray(first) {
			next = (&objects{b: b, n: line + 1}).next
		}
	} else {
		s.Format = r.o.Format
	}
	for {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		l, err := next()
		if err != nil && err != io.EOF {
			return s, fmt.Errorf("reading the log: %w", err)
		}
		last := err == io.EOF
		if text := bytes.TrimSpace(l.text); len(text) > 0 || l.long {
			rec, perr := Record{}, error(errLong)
			if !l.long {
				rec, perr = r.parse(text)
			}
			switch {
			case perr != nil && last:
				s.Unfinished = true
				return s, nil
			case perr != nil:
				s.fault(l.n, perr)
			default:
				s.Records++
				if rec.Ref == "" {
					s.NoToken++
				} else if rec.End, rec.Line = l.end, l.n; true {
					if err := each(rec); err != nil {
						return s, err
					}
				}
			}
		}
		if s.End, s.Lines = l.end, l.n; last {
			return s, nil
		}
	}
}

// beginning is the first line, or the first bytes of it, without waiting for more: a
// stream may pause there.
func beginning(b *bufio.Reader) []byte {
	const enough = 512
	for n := 1; ; n = max(n+1, b.Buffered()) {
		head, err := b.Peek(min(n, enough))
		if err != nil || len(head) == enough || bytes.IndexByte(head, '\n') > 0 {
			return head
		}
	}
}

// piece is one line, or one object of an array.
type piece struct {
	text []byte // until the next call
	n    int64
	end  int64
	long bool // longer than maxLine, and left out
}

// lines splits at line ends.
type lines struct {
	b   *bufio.Reader
	n   int64
	at  int64
	buf []byte
}

// next gives a line without its end; with the last, io.EOF.
func (l *lines) next() (p piece, err error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.b.ReadSlice('\n')
		l.at += int64(len(part))
		if len(l.buf)+len(part) > maxLine {
			p.long, part = true, nil
			l.buf = l.buf[:0]
		}
		if !p.long {
			l.buf = append(l.buf, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		l.n++
		p.text, p.n, p.end = l.buf, l.n, l.at
		return p, err
	}
}

// ref is what a field says of a token: without the scheme of an Authorization
// header, and nothing where it was left out or blacked out.
func ref(v string) string {
	v = strings.TrimSpace(v)
	scheme, rest, ok := strings.Cut(v, " ")
	if ok {
		switch strings.ToLower(scheme) {
		case "bearer", "token", "apikey", "api-key", "key":
			v = strings.TrimSpace(rest)
		case "basic":
			b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
			if err != nil {
				return ""
			}
			user, password, _ := strings.Cut(string(b), ":")
			if v = password; v == "" || strings.EqualFold(v, "x-oauth-basic") {
				v = user
			}
		}
	}
	if v == "-" || strings.EqualFold(v, "redacted") || strings.Trim(v, "*x-[]<>") == "" {
		return ""
	}
	return bounded(v)
}

// query is the value of a name in a path's query.
func query(path, name string) string {
	_, q, ok := strings.Cut(path, "?")
	for ok {
		var pair string
		pair, q, ok = strings.Cut(q, "&")
		k, v, _ := strings.Cut(pair, "=")
		if k == name {
			if u, err := url.QueryUnescape(v); err == nil {
				return u
			}
			return v
		}
	}
	return ""
}

func bounded(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxField)], "?") }

// address reads an address, with a port or without.
func address(s string) netip.Addr {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap()
	}
	if p, err := netip.ParseAddrPort(s); err == nil {
		return p.Addr().Unmap()
	}
	// Of a list, as X-Forwarded-For has it, the last: only that one was seen by who
	// wrote the log, the others anybody may claim.
	if i := strings.LastIndexByte(s, ','); i >= 0 {
		return address(strings.TrimSpace(s[i+1:]))
	}
	return netip.Addr{}
}

// layouts are how logs write times, by the character that tells them apart.
var layouts = []string{time.RFC3339Nano, "02/Jan/2006:15:04:05 -0700", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04:05.999999999Z0700", "2006/01/02 15:04:05"}

var errTime = errors.New("no time that is known how to read")

func parseTime(s string) (time.Time, error) {
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			return inRange(t)
		}
	}
	return time.Time{}, errTime
}

// epoch is a count since 1970, to the microsecond, in whatever unit makes it a time
// between 1973 and 5138: that is so for one unit only.
func epoch(v float64) (time.Time, error) {
	for _, unit := range []float64{1, 1e3, 1e6, 1e9} {
		if s := v / unit; s >= 1e8 && s < 1e11 {
			return inRange(time.UnixMicro(int64(math.Round(s * 1e6))))
		}
	}
	return time.Time{}, errTime
}

func inRange(t time.Time) (time.Time, error) {
	if y := t.Year(); y < 1990 || y > 9999 {
		return time.Time{}, errors.New("a time before 1990 or after 9999")
	}
	return t.UTC(), nil
}
