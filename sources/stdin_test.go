package sources_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/quench-dev/quench/sources"
	"github.com/quench-dev/quench/sources/sourcetest"
)

func TestStdinConforms(t *testing.T) {
	sourcetest.Run(t, func(*testing.T) sources.Source {
		return sources.Stdin(strings.NewReader("one\ntwo\n"))
	}, sourcetest.Want{Content: map[string]string{"stdin:": "one\ntwo\n"}, Live: true})
}

func open(t *testing.T, ctx context.Context, src sources.Source) io.ReadCloser {
	t.Helper()
	var rc io.ReadCloser
	err := src.Items(ctx, func(it sources.Item) (err error) {
		rc, err = it.Open(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rc
}

func TestStdinGivesALineBeforeTheEnd(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	rc := open(t, t.Context(), sources.Stdin(pr))
	defer rc.Close()
	for _, line := range []string{"first\n", "second\n"} {
		go pw.Write([]byte(line))
		buf := make([]byte, 100)
		n, err := io.ReadAtLeast(rc, buf, len(line))
		if err != nil || string(buf[:n]) != line {
			t.Fatalf("read %q, %v; want %q", buf[:n], err, line)
		}
	}
}

func TestStdinUnblocks(t *testing.T) {
	for name, end := range map[string]func(io.Closer, context.CancelFunc){
		"close":   func(c io.Closer, _ context.CancelFunc) { c.Close() },
		"context": func(_ io.Closer, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			pr, pw := io.Pipe() // never written to
			defer pw.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			rc := open(t, ctx, sources.Stdin(pr))
			got := make(chan error)
			go func() { _, err := rc.Read(make([]byte, 1)); got <- err }()
			end(rc, cancel)
			err := <-got
			if err == nil || (name == "context" && !errors.Is(err, context.Canceled)) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestStdinTwiceIsAnError(t *testing.T) {
	src := sources.Stdin(strings.NewReader("x"))
	open(t, t.Context(), src).Close()
	err := src.Items(t.Context(), func(it sources.Item) error {
		_, err := it.Open(t.Context())
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "once only") {
		t.Errorf("error %v", err)
	}
}

func TestStdinHandsOnReadErrors(t *testing.T) {
	broken := errors.New("broken")
	rc := open(t, t.Context(), sources.Stdin(io.MultiReader(strings.NewReader("abc"), errReader{broken})))
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if string(data) != "abc" || !errors.Is(err, broken) {
		t.Errorf("read %q, %v", data, err)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }
