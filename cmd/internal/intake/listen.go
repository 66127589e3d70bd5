package intake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// ErrRemote is what an address that others can reach is refused with.
var ErrRemote = errors.New("others can reach that address, and anybody could write into what is watched: --listen-remote allows it")

// CheckAddress refuses an address that is not of this machine alone, unless remote.
func CheckAddress(addr string, remote bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("the address %q: want HOST:PORT: %w", addr, err)
	}
	if remote || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("%q: %w", addr, ErrRemote)
	}
	return nil
}

// Retry is how long it takes until what could not be recorded is tried again: a database
// that was restarted is back within seconds.
const Retry = time.Second

// Persist takes messages, and tries until they are recorded or ctx ends: who calls reads
// no more meanwhile, so that the sender waits. trouble hears of the first error.
func (s *Sink) Persist(ctx context.Context, list []Record, trouble func(error)) error {
	err := s.Take(ctx, list, false)
	for told := false; err != nil; err = s.Settle(ctx) {
		if !told && trouble != nil {
			trouble(fmt.Errorf("waiting until it can be: %w", err))
		}
		told = true
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(Retry):
		}
	}
	return nil
}
