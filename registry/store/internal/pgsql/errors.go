package pgsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Code is the SQLSTATE behind err, or "".
func Code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Kind is what an error of the database means to who met it.
type Kind int

// The kinds.
const (
	Other       Kind = iota
	Conflict         // a row of the same unique key exists
	Busy             // a lock was not had in time, or transactions got into each other's way: again
	Lost             // the connection, or the server for a while
	Denied           // the server lets nobody in by that name, or to that database
	ReadOnly         // a standby, or no right to write
	Full             // no space
	Corrupt          // what is stored is damaged
	NoSchema         // a schema, table or column is not there
	OtherSchema      // one is there already
	TooFew           // all connections of the server are taken
	Malformed        // text that PostgreSQL cannot hold
)

// kinds are the codes of https://www.postgresql.org/docs/current/errcodes-appendix.html
// that have a meaning here; two characters stand for a class.
var kinds = map[string]Kind{
	"23505": Conflict,
	"40001": Busy, "40P01": Busy, "55P03": Busy,
	"08": Lost, "57P01": Lost, "57P02": Lost, "57P03": Lost, "57P05": Lost, "25P03": Lost, "57P04": Denied,
	"28": Denied, "3D000": Denied,
	"25006": ReadOnly, "42501": ReadOnly,
	"53100": Full,
	"XX001": Corrupt, "XX002": Corrupt,
	"3F000": NoSchema, "42P01": NoSchema, "42703": NoSchema,
	"42P06": OtherSchema, "42P07": OtherSchema, "42701": OtherSchema, "42710": OtherSchema,
	"53300": TooFew,
	"22021": Malformed,
}

// KindOf is the kind of err. A Busy or Lost transaction may be run again.
func KindOf(err error) Kind {
	if code := Code(err); code != "" {
		if k, ok := kinds[code]; ok {
			return k
		}
		return kinds[code[:2]]
	}
	var refused *pgconn.ConnectError
	if errors.As(err, &refused) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return Lost
	}
	return Other
}

// Cut reports whether an error of a query is that of a connection that was cut. It
// goes by errors that have other origins, too: ask it only about those of a query.
func Cut(err error) bool {
	var network net.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // which also is a net.Error
		return false
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), pgconn.SafeToRetry(err):
		return true
	}
	return KindOf(err) == Lost || strings.HasSuffix(err.Error(), "conn closed")
}
