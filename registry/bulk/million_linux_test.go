package bulk

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/values"
)

// cpu is the processor time of this process, user and system.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The import of a file of a million tokens, all new and each with an owner, a purpose
// and a scope, into an empty registry: make bench-bulk.
func BenchmarkMillion(b *testing.B) {
	n, _ := strconv.Atoi(os.Getenv("QUENCH_BULK"))
	if n == 0 {
		n = 20_000
	}
	var file bytes.Buffer
	file.WriteString("value,owner,purpose,provider,scopes\n")
	for i := range n {
		fmt.Fprintf(&file, "hvs.%s,team%d,service %d,vault,read:kv/*\n", values.Random(40), i%100, i)
	}
	for b.Loop() {
		b.StopTimer()
		r := open(b)
		in, err := NewReader(bytes.NewReader(file.Bytes()), Options{})
		if err != nil {
			b.Fatal(err)
		}
		run := Run{Registry: r, Bad: func(n int, err error) { b.Errorf("line %d: %v", n, err) }}
		before := cpu(b)
		b.StartTimer()
		c, err := run.Import(context.Background(), in)
		if err != nil || c.Stored != n {
			b.Fatal(c, err)
		}
		b.ReportMetric((cpu(b) - before).Seconds(), "cpu-s/op")
	}
	b.ReportMetric(float64(n)/(b.Elapsed().Seconds()/float64(b.N)), "tokens/s")
}
