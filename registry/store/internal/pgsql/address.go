package pgsql

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/url"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DefaultSchema holds the tables unless the address names another: a schema of
// its own, so that a database shared with a service mixes nothing up.
const DefaultSchema = "quench"

// schemaName is what a schema may be called: no quoting is needed anywhere, and the
// channel quench_NAME fits into PostgreSQL's 63 bytes.
var schemaName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z_][a-z0-9_]{0,47}$`) })

// Is reports whether an address is one of PostgreSQL, and not a path.
func Is(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// HoldsPassword reports whether a password stands in an address of PostgreSQL. One
// that cannot be read may hold one.
func HoldsPassword(address string) bool {
	if !Is(address) {
		return false
	}
	u, err := url.Parse(address)
	if err != nil {
		return true
	}
	_, set := u.User.Password()
	return set || u.Query().Has("password")
}

// Config is an address that was read.
type Config struct {
	conn   *pgx.ConnConfig
	Schema string
	// Name is the address without the password, for messages.
	Name string
	// Key is the lock that whoever writes to the schema holds.
	Key int64
}

// ErrAddress: the address cannot be read.
var ErrAddress = errors.New("want postgres://USER@HOST:PORT/DATABASE, with special characters percent-encoded and the password in PGPASSFILE or PGPASSWORD")

// Parse reads an address: a URL as libpq has it, with its environment variables,
// password and service files. search_path names the schema. An error never shows
// the password.
//
// A server that is not on this machine is asked for its certificate
// (sslmode=verify-full) unless the address or PGSSLMODE say otherwise.
func Parse(address string) (*Config, error) {
	u, err := url.Parse(address)
	if err != nil { // whose text holds the address
		return nil, ErrAddress
	}
	q := u.Query()
	c := &Config{Schema: DefaultSchema}
	if q.Has("search_path") {
		c.Schema = q.Get("search_path")
		q.Del("search_path")
	}
	if !schemaName().MatchString(c.Schema) || strings.HasPrefix(c.Schema, "pg_") {
		return nil, fmt.Errorf("search_path names the schema: one name of small letters, digits and _, at most 48 and not beginning with pg_")
	}
	u.RawQuery = q.Encode()
	if c.conn, err = pgx.ParseConfig(u.String()); err != nil {
		return nil, parseError(u, err)
	}
	if !q.Has("sslmode") && !q.Has("service") && os.Getenv("PGSSLMODE") == "" && os.Getenv("PGSERVICE") == "" && !local(c.conn.Host) {
		q.Set("sslmode", "verify-full")
		u.RawQuery = q.Encode()
		if c.conn, err = pgx.ParseConfig(u.String()); err != nil {
			return nil, parseError(u, err)
		}
	}
	params := c.conn.RuntimeParams
	params["search_path"] = c.Schema + ", pg_temp" // named last: else it would be searched first
	if params["application_name"] == "" {
		params["application_name"] = "quench"
	}
	c.Name = c.name()
	h := fnv.New64a()
	h.Write([]byte("quench registry writer " + c.Schema))
	c.Key = int64(h.Sum64())
	return c, nil
}

// parseError says what pgx does not take, with no password in it.
func parseError(u *url.URL, err error) error {
	var p *pgconn.ParseConfigError
	if !errors.As(err, &p) {
		return ErrAddress
	}
	text := "its options cannot be read"
	if in := errors.Unwrap(err); in != nil {
		text = in.Error()
	}
	raw, _ := u.User.Password()
	for _, secret := range []string{raw, url.QueryEscape(raw), url.PathEscape(raw), u.Query().Get("password"), os.Getenv("PGPASSWORD")} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	return fmt.Errorf("%s; %w", text, ErrAddress)
}

// local reports whether a host is this machine: a socket or a loopback address.
func local(host string) bool {
	if host == "" || host == "localhost" || strings.HasPrefix(host, "@") || path.IsAbs(host) || strings.Contains(host, `:\`) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// name is the address as messages show it.
func (c *Config) name() string {
	u := url.URL{Scheme: "postgres", User: url.User(c.conn.User), Path: "/" + c.conn.Database}
	if path.IsAbs(c.conn.Host) {
		u.RawQuery = "host=" + c.conn.Host
	} else {
		u.Host = net.JoinHostPort(c.conn.Host, strconv.Itoa(int(c.conn.Port)))
	}
	if c.Schema != DefaultSchema {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&search_path="+c.Schema, "&")
	}
	return u.String()
}
