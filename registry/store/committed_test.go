package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/store/storetest"
)

// A commit whose answer was lost is repeated, or not, only where that is certain: the
// number of a transaction may be another's after a crash.
func TestCommitted(t *testing.T) {
	if !storetest.OnPostgres() {
		t.Skip("of PostgreSQL only")
	}
	ctx := context.Background()
	s, err := Open(ctx, storetest.Postgres(t), Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := func(end string) (xid string) {
		c, err := s.writer.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, do := range []string{"BEGIN", end} {
			if _, err := c.ExecContext(ctx, do); err != nil {
				t.Fatal(err)
			}
			if do == "BEGIN" {
				if err := c.QueryRowContext(ctx, "SELECT pg_current_xact_id()::text").Scan(&xid); err != nil {
					t.Fatal(err)
				}
			}
		}
		return xid
	}
	var now string
	if err := s.writer.QueryRowContext(ctx, life).Scan(&now); err != nil || now == "" {
		t.Fatalf("%q, %v", now, err)
	}
	if s.pg.life != now {
		t.Errorf("the life it knows is %q, and is %q", s.pg.life, now)
	}
	const before = "2001-01-01 00:00:00+00"
	for name, c := range map[string]struct {
		xid, life string
		done      bool
		uncertain bool
	}{
		"committed":                    {id("COMMIT"), now, true, false},
		"rolled back":                  {id("ROLLBACK"), now, false, false},
		"committed before a crash":     {id("COMMIT"), before, false, true},
		"rolled back before a crash":   {id("ROLLBACK"), before, false, false},
		"never, as after a crash":      {"9000000000000000", before, false, false},
		"never, and there is no crash": {"9000000000000000", now, false, false},
	} {
		s.pg.life = c.life
		done, err := s.committed(ctx, c.xid, time.Now().Add(time.Minute), errors.New("cut"))
		if done != c.done || errors.Is(err, errUncertain) != c.uncertain || err != nil && !c.uncertain {
			t.Errorf("%s: %v, %v", name, done, err)
		}
	}
}
