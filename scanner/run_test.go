package scanner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

func TestMain(m *testing.M) {
	// ants keeps a default pool of its own from its init on.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// list is a Source of given items.
type list []sources.Item

func (l list) Items(ctx context.Context, yield func(sources.Item) error) error {
	for _, it := range l {
		if err := yield(it); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func text(o sources.Origin, s string) sources.Item {
	return sources.Item{Origin: o, Size: int64(len(s)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(s)), nil
	}}
}

func runAll(t *testing.T, src sources.Source, workers int) (hits int, findings []string, cov scanner.Coverage) {
	t.Helper()
	e := testEngine(t, scanner.Options{Known: known})
	var mu sync.Mutex
	cov, err := e.Run(context.Background(), src, scanner.RunOptions{
		Workers: workers,
		Hit:     func(scanner.Hit) { mu.Lock(); hits++; mu.Unlock() },
		Finding: func(f scanner.Finding) {
			findings = append(findings, fmt.Sprintf("%s %s:%d %s blobs=%d head=%v", f.Rule.ID, f.Origin.Path, f.Line, f.Origin.Commit, f.Blobs, f.Origin.InHead != nil && *f.Origin.InHead))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return hits, findings, cov
}

// In a repository a finding is told once per rule, secret and path, with its
// first commit, however many workers raced.
func TestHistoryFindings(t *testing.T) {
	yes, no := true, false
	git := func(blob, commit, path string, head *bool) sources.Origin {
		return sources.Origin{Source: "git", Path: path, Blob: blob, Commit: commit, InHead: head}
	}
	var src list
	for i := range 20 {
		head := &no
		if i == 19 {
			head = &yes
		}
		src = append(src, text(git(fmt.Sprint("b", i), fmt.Sprint("c", i), "a.txt", head), strings.Repeat("\n", i)+tst(1)))
	}
	src = append(src, text(git("b99", "c99", "gone.txt", &no), tst(2)), text(sources.Origin{Source: "worktree", Path: "a.txt"}, tst(1)))
	want := []string{"test-prefixed a.txt:1 c0 blobs=20 head=true", "test-prefixed gone.txt:1 c99 blobs=1 head=false"}
	for _, workers := range []int{1, 8} {
		hits, got, cov := runAll(t, src, workers)
		if d := cmp.Diff(want, got); d != "" || hits != 22 {
			t.Errorf("%d workers: %d hits, findings differ: %s", workers, hits, d)
		}
		if cov.Blobs != 21 || cov.Files != 1 || !cov.Complete() {
			t.Errorf("coverage %+v", cov)
		}
	}
}

// One bad item stops nothing, and is told.
func TestBadItems(t *testing.T) {
	broken := errors.New("input/output error")
	o := func(p string) sources.Origin { return sources.Origin{Source: "file", Path: p} }
	src := list{
		{Origin: o("skipped"), Skip: &sources.Skip{Reason: sources.SkipBinary}},
		{Origin: o("missing"), Skip: &sources.Skip{Reason: sources.SkipMissing, Err: broken}},
		{Origin: o("cannot open"), Open: func(context.Context) (io.ReadCloser, error) { return nil, broken }},
		{Origin: o("is binary"), Open: func(context.Context) (io.ReadCloser, error) {
			return nil, &sources.SkipError{Reason: sources.SkipBinary}
		}},
		{Origin: o("breaks off"), Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(tst(1)+"\n"), badReader{broken})), nil
		}},
		{Origin: o("panics"), Open: func(context.Context) (io.ReadCloser, error) { panic(tst(5)) }},
		text(o("good"), tst(2)),
	}
	_, got, cov := runAll(t, src, 2)
	if len(got) != 2 {
		t.Errorf("findings: %q", got)
	}
	wantSkipped := map[sources.Reason]int64{sources.SkipBinary: 2, sources.SkipMissing: 1, sources.SkipUnreadable: 3}
	if d := cmp.Diff(wantSkipped, cov.Skipped); d != "" || cov.Complete() || cov.Items != 1 || len(cov.Unread) != 4 {
		t.Errorf("coverage %+v: %s", cov, d)
	}
	if strings.Contains(fmt.Sprint(cov), tst(5)) {
		t.Error("the coverage quotes a panic")
	}
}

type badReader struct{ err error }

func (r badReader) Read([]byte) (int, error) { return 0, r.err }

// A finding on a live stream is told before the stream ends.
func TestLiveStream(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	r, w := io.Pipe()
	src := list{{Origin: sources.Origin{Source: "stdin"}, Size: -1, Open: func(context.Context) (io.ReadCloser, error) { return r, nil }}}
	found, done := make(chan scanner.Finding, 1), make(chan error, 1)
	go func() {
		_, err := e.Run(context.Background(), src, scanner.RunOptions{Finding: func(f scanner.Finding) { found <- f }})
		done <- err
	}()
	fmt.Fprintln(w, "starting")
	fmt.Fprintln(w, "key="+tst(1))
	select {
	case f := <-found:
		if f.Line != 2 || f.Column != 5 {
			t.Errorf("found at %d:%d", f.Line, f.Column)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nothing found while the stream is open")
	}
	w.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Cancelled, a scan keeps what it found and says that it was interrupted.
func TestCancelled(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	src := list{
		text(sources.Origin{Source: "git", Path: "a", Blob: "1"}, tst(1)),
		{Origin: sources.Origin{Source: "file", Path: "endless"}, Size: -1, Open: func(context.Context) (io.ReadCloser, error) {
			cancel()
			return io.NopCloser(endless{}), nil
		}},
	}
	n := 0
	cov, err := e.Run(ctx, src, scanner.RunOptions{Workers: 1, Finding: func(scanner.Finding) { n++ }})
	if err != nil || n != 1 || !cov.Interrupted || cov.Complete() {
		t.Errorf("err %v, %d findings, coverage %+v", err, n, cov)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte("x\n"), len(p)/2)), nil
}
