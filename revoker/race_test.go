package revoker_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/quench-dev/quench/revoker"
)

// However many processes tell a provider of the same incident at the same
// moment, it is told once: who gets the lease after another settled the incident
// sees that it is settled.
func TestToldOnce(t *testing.T) {
	ctx := context.Background()
	for range 8 {
		f := newFixture(t, "vendor")
		up := false
		srv := newReceiver(t, func(_ int64, w http.ResponseWriter) {
			if !up {
				w.WriteHeader(503)
			}
		})
		p := policy(t, f.dir, srv.URL)
		c, err := f.revoker(t, revoker.Auto, p).Contain(ctx, f.hit("a"))
		if err != nil || c.Action != revoker.Queued {
			t.Fatalf("%+v, %v", c, err)
		}
		up = true
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			r := f.revoker(t, revoker.Off, p)
			wg.Go(func() {
				<-start
				for range 5 {
					if err := r.Retry(ctx, c.IncidentID); err != nil && !strings.Contains(err.Error(), "another process") {
						t.Error(err)
					}
				}
			})
		}
		close(start)
		wg.Wait()
		if n := srv.calls.Load(); n != 2 {
			t.Fatalf("%d calls; want the failed one and one more", n)
		}
	}
}
