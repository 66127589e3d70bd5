package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What PostgreSQL reports has the meaning that the same fault of SQLite has.
func TestExplainsPostgres(t *testing.T) {
	for code, want := range map[string]error{
		"40001": ErrLocked, "40P01": ErrLocked, "55P03": ErrLocked,
		"08006": ErrUnreachable, "57P01": ErrUnreachable, "57P03": ErrUnreachable, "28P01": ErrUnreachable, "3D000": ErrUnreachable, "53300": ErrUnreachable, "25P03": ErrUnreachable,
		"25006": ErrReadOnly, "42501": ErrReadOnly, "53100": ErrFull, "XX001": ErrCorrupt, "XX002": ErrCorrupt,
		"23505": nil, "42601": nil, "22021": nil,
	} {
		in := fmt.Errorf("doing: %w", &pgconn.PgError{Code: code, Message: "m"})
		out := Explain(in)
		if want == nil && out != in || want != nil && !errors.Is(out, want) || !errors.Is(out, in) {
			t.Errorf("%s: %v, want %v", code, out, want)
		}
		if again := Explain(out); again != out {
			t.Errorf("%s: explained twice: %v", code, again)
		}
		if IsConflict(in) != (code == "23505") {
			t.Errorf("%s: conflict %v", code, IsConflict(in))
		}
	}
	for in, want := range map[error]error{io.ErrUnexpectedEOF: ErrUnreachable, context.DeadlineExceeded: nil, context.Canceled: nil, errors.New("x"): nil} {
		if out := Explain(in); want == nil && out != in || want != nil && !errors.Is(out, want) {
			t.Errorf("%v: %v, want %v", in, out, want)
		}
	}
	if out := explain(io.EOF); out != io.EOF {
		t.Errorf("the end of a file that a transaction read: %v", out)
	}
}
