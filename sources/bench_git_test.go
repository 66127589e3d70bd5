package sources

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkHistory walks the repository named by QUENCH_BENCH_REPO: "walk" lists
// its items, "read" reads them all on as many workers as there are CPUs.
func BenchmarkHistory(b *testing.B) {
	dir := os.Getenv("QUENCH_BENCH_REPO")
	if dir == "" {
		b.Skip("QUENCH_BENCH_REPO names no repository")
	}
	src := Git(dir, GitOptions{History: true})
	b.Run("walk", func(b *testing.B) {
		for range b.N {
			n := 0
			if err := src.Items(context.Background(), func(Item) error { n++; return nil }); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n), "items")
		}
	})
	b.Run("read", func(b *testing.B) {
		for range b.N {
			readParallel(b, src)
		}
	})
}

func readParallel(b *testing.B, src Source) {
	items := make(chan Item)
	var total, skipped atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for it := range items {
				rc, err := it.Open(context.Background())
				if err != nil {
					skipped.Add(1)
					continue
				}
				n, err := io.Copy(io.Discard, rc)
				rc.Close()
				if err != nil {
					b.Error(err)
				}
				total.Add(n)
			}
		})
	}
	err := src.Items(context.Background(), func(it Item) error {
		if it.Skip == nil {
			items <- it
		} else {
			skipped.Add(1)
		}
		return nil
	})
	close(items)
	wg.Wait()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(total.Load())
	b.ReportMetric(float64(skipped.Load()), "skipped")
}
