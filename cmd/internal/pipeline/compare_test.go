package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// visitor stores its second text as a copy of the first, which may be a lie.
type visitor []string

func (v visitor) Items(_ context.Context, yield func(sources.Item) error) error {
	for i, text := range v {
		it := sources.Item{Origin: sources.Origin{Source: "git", Path: fmt.Sprint(i), Blob: fmt.Sprint(i)}, Size: -1,
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
		if err := yield(it); err != nil {
			return err
		}
	}
	return nil
}

func (v visitor) Visit(_ context.Context, _ []sources.Item, _ int, f func(*sources.Content) any) ([]int, error) {
	state := f(&sources.Content{Data: []byte(v[0])})
	f(&sources.Content{Index: 1, Data: []byte(v[1]), Base: state, BaseLen: len(v[0]), Copies: []sources.Copy{{Len: len(v[0])}}})
	return nil, nil
}

func TestCompareFull(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := rules.Expand("ghp_{30:alnum}{6:crc32}", 1)
	if err != nil {
		t.Fatal(err)
	}
	with, without := "some words;\n"+token+";\nmore words;\n", "some words;\n"+strings.Repeat("x", len(token))+";\nmore words;\n"
	for _, c := range []struct {
		src    visitor
		differ bool
	}{
		{visitor{with, with}, false},
		{visitor{with, without}, true},
		{visitor{without, with}, true},
	} {
		err := compareFull(t.Context(), e, c.src, 2)
		if errors.Is(err, ErrDiffers) != c.differ || !c.differ && err != nil {
			t.Errorf("%v: %v", c.differ, err)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Error("the error tells the secret")
		}
	}
	if code := (Result{Findings: 1, Failed: fmt.Errorf("wrapped: %w", ErrDiffers)}).ExitCode(); code != exitError {
		t.Errorf("exit code %d", code)
	}
	a, b := scanner.Coverage{Items: 1, Bytes: 2}, scanner.Coverage{Items: 1, Bytes: 3}
	if compareCoverage(a, a) != nil || !errors.Is(compareCoverage(a, b), ErrDiffers) {
		t.Error("coverage is not compared")
	}
}
