package notify_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/revoker/notify"
	"github.com/quench-dev/quench/revoker/revokertest"
)

// From the commit of an alert to the call of its sink, 300 at moments that do not follow
// the poll. To reach: p99 1 s.
func BenchmarkWrittenToTold(b *testing.B) {
	const n = 300
	s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "registry.db"), store.Options{Create: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var mu sync.Mutex
	told := map[string]time.Time{}
	all := make(chan struct{})
	net := revokertest.Serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		for i := range n {
			if key := fmt.Sprintf("number-%03d", i); told[key].IsZero() && strings.Contains(string(body), key) {
				if told[key] = now; len(told) == n {
					close(all)
				}
			}
		}
	}))
	dir := b.TempDir()
	for name, text := range map[string]string{"key": "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))), "ca.pem": string(net.CA)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	sink, err := notify.New(s, notify.Config{Targets: []notify.Target{{Name: "a", Kind: "webhook", URL: "https://sink.acme.example/alerts", Key: "file:" + filepath.Join(dir, "key"), CAFile: filepath.Join(dir, "ca.pem")}}},
		notify.Options{Dial: net.Dial, Lookup: net.Lookup})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); sink.Run(ctx) }()
	written := map[string]time.Time{}
	for b.Loop() {
		if len(written) > 0 {
			b.Fatal("run it once: -benchtime 1x")
		}
		for i := range n {
			key := fmt.Sprintf("number-%03d", i)
			err := s.InTx(ctx, func(tx *sql.Tx) error {
				_, err := alert.Append(ctx, tx, alert.Alert{Title: key, Kind: "token.leaked", Severity: alert.Critical, Advice: "look at it", At: time.Now()})
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			written[key] = time.Now()
			time.Sleep(time.Duration(17+i%29) * time.Millisecond)
		}
		select {
		case <-all:
		case <-time.After(time.Minute):
			b.Fatalf("%d of %d were told", len(told), n)
		}
	}
	stop()
	<-ended
	var took []time.Duration
	for key, at := range written {
		took = append(took, max(told[key].Sub(at), 0)) // the call may come before the writer goes on
	}
	slices.Sort(took)
	b.ReportMetric(took[n/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[n*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(took[n-1].Seconds()*1000, "max-ms")
	b.ReportMetric(0, "ns/op")
}
