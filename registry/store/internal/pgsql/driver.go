// Package pgsql opens PostgreSQL so that it takes the SQL of this program as it
// stands, and tells its errors apart.
//
// It knows addresses, connections, placeholders and error codes. It does not know
// a table, and never shows a password. Start reading at Parse, then Config.Open.
package pgsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Open is a pool of connections with the given settings beyond the common ones.
// It connects when it is first used.
func (c *Config) Open(settings map[string]string) *sql.DB {
	conf := c.conn.Copy()
	for k, v := range settings {
		conf.RuntimeParams[k] = v
	}
	return sql.OpenDB(connector{stdlib.GetConnector(*conf, stdlib.OptionAfterConnect(durable)), settings["default_transaction_read_only"] == "on"})
}

// Listen is one connection of its own, for notifications.
func (c *Config) Listen(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, c.conn.Copy())
}

// durable makes a commit wait for the disk where the server's default is not to:
// what was acknowledged must be there after a crash.
func durable(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	if err != nil {
		c.Close(context.WithoutCancel(ctx)) // nobody else has it yet
	}
	return err
}

// connector makes connections that take ? for a parameter.
type connector struct {
	driver.Connector
	reads bool
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	in, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{in.(*stdlib.Conn), c.reads}, nil
}

// conn is a connection of pgx that rewrites placeholders. One that only reads
// asks database/sql to repeat a query on another connection when its own is cut:
// that harms nothing.
type conn struct {
	*stdlib.Conn
	reads bool
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.ExecContext(ctx, Rebind(query), args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.QueryContext(ctx, Rebind(query), args)
	if err != nil && c.reads && ctx.Err() == nil && c.Conn.Conn().IsClosed() && c.Conn.Conn().PgConn().TxStatus() == 'I' {
		return nil, driver.ErrBadConn
	}
	return rows, err
}

// BeginTx asks for another connection when its own was cut: nothing has happened yet.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.BeginTx(ctx, o)
	if err != nil && ctx.Err() == nil && c.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	return tx, err
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext only keeps the query: pgx prepares what it runs, once for each
// connection, and knows to do it again.
func (c *conn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return &stmt{c, Rebind(query)}, nil
}

// CheckNamedValue makes text what PostgreSQL takes: file names and messages may
// hold any bytes.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if s, ok := v.Value.(string); ok {
		v.Value = Text(s)
	}
	return c.Conn.CheckNamedValue(v)
}

// Text is s with its NUL bytes and bytes that are not UTF-8, which PostgreSQL
// refuses, told as U+FFFD and their two hexadecimal digits. What differed differs
// still.
func Text(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r == utf8.RuneError && n == 1 {
			b.WriteString("\uFFFD")
			b.WriteString(strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// stmt is a query that is prepared when it runs.
type stmt struct {
	c     *conn
	query string
}

func (s *stmt) Close() error { return nil }

// NumInput says that the server counts the arguments.
func (s *stmt) NumInput() int { return -1 }

func (s *stmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }

func (s *stmt) Query([]driver.Value) (driver.Rows, error) { return nil, driver.ErrSkip }

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.query, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.query, args)
}

// Closed reports whether a connection is at its end: cut, or closed by a statement
// that was given up.
func Closed(c *sql.Conn) bool {
	closed := false
	err := c.Raw(func(in any) error {
		closed = in.(*conn).Conn.Conn().IsClosed()
		return nil
	})
	return closed || err != nil
}
