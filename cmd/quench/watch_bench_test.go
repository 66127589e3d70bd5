//go:build linux

package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// What a watch takes, measured on real processes by make bench-watch. CPU is user plus
// system time of the watch alone, so that it says something on a busy machine, too.

// usage is what a process has taken.
type usage struct {
	cpu      time.Duration
	rss, top int // MB, now and at most
}

func (f *follower) usage(t *testing.T) (u usage) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", f.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	for _, i := range []int{11, 12} {
		n, _ := strconv.Atoi(fields[i])
		u.cpu += time.Duration(n) * 10 * time.Millisecond
	}
	b, _ = os.ReadFile(fmt.Sprintf("/proc/%d/status", f.Process.Pid))
	for l := range strings.Lines(string(b)) {
		var kb int
		if _, err := fmt.Sscanf(l, "VmRSS: %d", &kb); err == nil {
			u.rss = kb >> 10
		}
		if _, err := fmt.Sscanf(l, "VmHWM: %d", &kb); err == nil {
			u.top = kb >> 10
		}
	}
	return u
}

// measured starts a watch for a measure, with a registry.
func measured(t *testing.T, files func(dir string) []string, args ...string) (f *follower, home, dir string) {
	t.Helper()
	if os.Getenv("QUENCH_BENCH_WATCH") == "" {
		t.Skip("make bench-watch measures")
	}
	home = t.TempDir()
	dir = filepath.Join(home, "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	return follow(t, home, 0, append(args, files(dir)...)...), home, dir
}

// From the append of a token to its being refused, while 10 MB/s are written beside it.
func TestMeasureWatchKill(t *testing.T) {
	f, home, dir := measured(t, func(dir string) []string { return []string{dir} }, "--revoke=auto")
	f.says(t, "watching ")
	db, err := sql.Open("sqlite", registryFile(t, home)+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan bool)
	// It is made before, and written at its time whatever the writing took, so that it is
	// so much on a busy machine, too.
	const rate = 10e6 // bytes a second
	var pieces [][]byte
	for n := range 64 {
		b := piece(t, n)
		pieces = append(pieces, b[:bytes.LastIndex(b, []byte("login"))])
	}
	other, err := os.OpenFile(filepath.Join(dir, "other.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	wrote, began := 0, time.Now()
	go func() {
		defer close(over)
		for n := 0; ctx.Err() == nil; n++ {
			if n%2000 == 1999 {
				other.Truncate(0)
			}
			b := pieces[n%len(pieces)]
			if _, err := other.Write(b); err != nil {
				t.Error(err)
			}
			wrote += len(b)
			time.Sleep(time.Until(began.Add(time.Duration(float64(wrote) / rate * float64(time.Second)))))
		}
	}()
	var took []time.Duration
	const tokens = 100
	for i := range tokens {
		value := run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
		var alive int
		if err := db.QueryRow("SELECT count(*) FROM tokens WHERE state = 'live'").Scan(&alive); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		appendTo(t, filepath.Join(dir, "app.log"), fmt.Sprintf("request %d with %s done\n", i, value))
		for now := alive; now == alive; time.Sleep(200 * time.Microsecond) {
			if err := db.QueryRow("SELECT count(*) FROM tokens WHERE state = 'live'").Scan(&now); err != nil {
				t.Fatal(err)
			}
			if time.Since(start) > 20*time.Second {
				t.Fatalf("not revoked:\n%s", f.err.String())
			}
		}
		took = append(took, time.Since(start))
	}
	stop()
	<-over
	lasted := time.Since(began).Seconds()
	read := f.metric(`quench_watch_read_bytes_total{input="files"}`)
	u := f.usage(t)
	f.stop(t)
	slices.Sort(took)
	t.Logf("append of a token to its refusal, of %d: p50 %v, p99 %v, most %v; meanwhile %.0f MB of other logs were written, %.1f MB/s, and %.0f MB read; RSS %d MB", tokens,
		took[tokens/2].Round(100*time.Microsecond), took[tokens*99/100].Round(100*time.Microsecond), took[tokens-1].Round(100*time.Microsecond), float64(wrote)/1e6, float64(wrote)/1e6/lasted, read/1e6, u.top)
}

// Eight files with all rules.
func TestMeasureWatchFlood(t *testing.T) {
	const each = 128 // MB
	f, _, _ := measured(t, func(dir string) []string {
		source := filepath.Join(filepath.Dir(dir), "source")
		if out, err := exec.Command("go", "run", "../../testdata/bench/genlog", "-mb", strconv.Itoa(each), source).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for i := range 8 {
			path := filepath.Join(dir, fmt.Sprintf("%d.log", i))
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
		return paths
	})
	start := time.Now()
	f.says(t, "watching 8 files")
	wall, u := time.Since(start), f.usage(t)
	f.stop(t)
	mb := 8 * float64(each)
	t.Logf("8 files, %.0f MB in all: %.2f s of CPU, %.2f s in all; %.0f MB/s on two cores by CPU, %.0f MB/s by the clock; RSS at most %d MB", mb, u.cpu.Seconds(), wall.Seconds(), mb/u.cpu.Seconds()*2, mb/wall.Seconds(), u.top)
}

// 10,000 files of which 100 change each second; then none.
func TestMeasureWatchMany(t *testing.T) {
	const files = 10_000
	f, _, dir := measured(t, func(dir string) []string {
		for i := range files {
			appendTo(t, filepath.Join(dir, fmt.Sprintf("%05d.log", i)), "begin\n")
		}
		return []string{dir}
	})
	f.says(t, "watching 10000 files")
	time.Sleep(3 * time.Second)
	const lasts = 20 * time.Second
	before := f.usage(t)
	for i, start := 0, time.Now(); time.Since(start) < lasts; i++ {
		appendTo(t, filepath.Join(dir, fmt.Sprintf("%05d.log", i*37%files)), "2026-01-02T03:04:05Z INFO request done\n")
		time.Sleep(time.Until(start.Add(time.Duration(i+1) * 10 * time.Millisecond)))
	}
	busy := f.usage(t)
	time.Sleep(3 * time.Second)
	quiet := f.usage(t)
	time.Sleep(lasts)
	end := f.usage(t)
	f.stop(t)
	t.Logf("%d files, 100 changing a second: %.1f %% of a core, RSS at most %d MB; none changing: %.1f %%", files,
		100*(busy.cpu-before.cpu).Seconds()/lasts.Seconds(), busy.top, 100*(end.cpu-quiet.cpu).Seconds()/lasts.Seconds())
}

// One file to which nothing comes, with a registry in a file and in PostgreSQL, whose
// transactions are counted.
func TestMeasureWatchIdle(t *testing.T) {
	idle := func(t *testing.T, f *follower, transactions func() int) {
		t.Helper()
		f.says(t, "watching ")
		time.Sleep(5 * time.Second)
		const lasts = time.Minute // what wakes each ten seconds does so six times
		before, asked := f.usage(t), transactions()
		time.Sleep(lasts)
		u, end := f.usage(t), transactions()
		f.stop(t)
		t.Logf("idle: %.2f %% of a core, RSS %d MB, %.1f transactions a second", 100*(u.cpu-before.cpu).Seconds()/lasts.Seconds(), u.rss, float64(end-asked)/lasts.Seconds())
	}
	one := func(dir string) []string {
		path := filepath.Join(dir, "app.log")
		appendTo(t, path, "begin\n")
		return []string{path}
	}
	t.Run("file", func(t *testing.T) {
		f, _, _ := measured(t, one, "--revoke=auto")
		idle(t, f, func() int { return 0 })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		if os.Getenv("QUENCH_BENCH_WATCH") == "" {
			t.Skip("make bench-watch measures")
		}
		s := restartable(t)
		home := t.TempDir()
		leaked(t, s.Address(), home, 1)
		f := followWith(t, home, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "QUENCH_REGISTRY="+s.Address()) }, append(one(home), "--revoke=auto")...)
		idle(t, f, func() (n int) {
			c, err := pgx.Connect(t.Context(), s.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(t.Context())
			if err := c.QueryRow(t.Context(), "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		})
	})
}
