package scanner_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// A half on standard input is told with its other half, or alone once no line near it
// can hold that, or nothing more comes for a while: never at the end only.
func TestHalvesOfALiveStream(t *testing.T) {
	e, _ := engineOf(t)
	expand := func(template string, seed uint64) string {
		s, err := rules.Expand(template, seed)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	id, key := "id: AKIA{16:base32}\n", "aws_secret_access_key: {40:b64}\n"
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		told := make(chan string, 10)
		done := make(chan error)
		go func() {
			_, err := e.Run(context.Background(), sources.Stdin(r), scanner.RunOptions{Workers: 1, Finding: func(f scanner.Finding) {
				told <- fmt.Sprintf("%s:%d %v", f.Rule.ID, f.Line, f.Pair != nil)
			}})
			done <- err
		}()
		step := func(text, want string, wait time.Duration) {
			t.Helper()
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			synctest.Wait()
			got := ""
			for len(told) > 0 {
				got += <-told + "\n"
			}
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		soon := time.Millisecond
		step(expand(id, 1), "", soon)
		step(expand(key, 2)+"\n\n\n\n\n\n\n\n\n\n\n\n", "aws-secret-access-key:2 true\n", soon)
		step(expand(id, 3), "", soon)
		step("", "aws-access-key-id:15 false\n", 3*time.Second)
		step(expand(key, 4)+"\n\n\n\n\n\n\n\n\n\n\n\n", "aws-secret-access-key:16 false\n", soon)
		step(expand(key, 5)+expand(id, 6), "", soon)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		step2 := <-told
		if step2 != "aws-secret-access-key:29 true" {
			t.Errorf("at the end %q", step2)
		}
		time.Sleep(time.Minute)
	})
}
