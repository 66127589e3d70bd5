package watch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/accesslog"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/registry/usage"
	"github.com/quench-dev/quench/registry/usage/watch"
	"github.com/quench-dev/quench/scanner/secret"
)

// line is one of nginx's combined format with the token's name behind.
func line(at time.Time, addr, path string, status int, token string) string {
	return fmt.Sprintf("%s - - [%s] \"GET %s HTTP/1.1\" %d 10 \"-\" \"curl/8\" \"%s\"\n", addr, at.Format("02/Jan/2006:15:04:05 -0700"), path, status, token)
}

var nginx = accesslog.Options{Format: "combined", Token: "extra:1"}

func month(tok string) string {
	var b strings.Builder
	for h := range 14 * 24 {
		b.WriteString(line(start.Add(time.Duration(h)*time.Hour), "192.0.2.1", fmt.Sprintf("/items/%d?q=1", h), 200, tok))
	}
	return b.String()
}

func events(t testing.TB, w *watch.Watch, id string) uint64 {
	t.Helper()
	s, err := w.State(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return s.Events
}

func TestIngest(t *testing.T) {
	r, c := open(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w, tok := newWatch(t, r, watch.Options{}), issue(t, r)
	foreign, err := r.Import(ctx, registry.ImportRequest{Owner: "ops", Purpose: "aws", Provider: "aws", Value: secret.NewString("Zq" + "4711!kd.mW3tR7~9x"), Tags: []string{watch.RefTag + "KEY17"}})
	if err != nil {
		t.Fatal(err)
	}
	c.move(15 * 24 * time.Hour)
	at := c.now().Add(-time.Hour)
	log := month(tok.ID) + line(at, "203.0.113.9", "/items/1", 200, tok.ID) + // from a new country
		line(at, "192.0.2.1", "/x", 200, "KEY17") + line(at, "192.0.2.1", "/x", 200, "Zq4711!kd.mW3tR7~9x") +
		line(at, "192.0.2.1", "/x", 200, "somebodys-else") + line(at.Add(48*time.Hour), "192.0.2.1", "/x", 200, tok.ID) + "rubbish\n"
	var heard []watch.Told
	rep, err := w.Ingest(ctx, strings.NewReader(log), nginx, func(x watch.Told) { heard = append(heard, x) })
	if err != nil {
		t.Fatal(err)
	}
	if rep.Uses != 339 || rep.Unknown != 1 || rep.Values != 1 || rep.Future != 1 || rep.Bad != 1 || len(rep.Told) != 1 || len(heard) != 1 || heard[0].Finding.Signal != usage.NewCountry {
		t.Errorf("%+v", rep)
	}
	if n := events(t, w, foreign.ID); n != 2 {
		t.Errorf("the foreign token has %d uses", n)
	}
	// A service that serves a revoked token is told.
	if _, _, err := r.Do(ctx, registry.Revoke, tok.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	c.move(time.Minute)
	rep, err = w.Ingest(ctx, strings.NewReader(line(c.now().Add(time.Second), "192.0.2.1", "/x", 200, tok.ID)), nginx, nil)
	if err != nil || len(rep.Told) != 1 || !strings.Contains(rep.Told[0].Finding.Title, "served") {
		t.Errorf("%+v, %v", rep, err)
	}
	// Nothing of the value is in the database.
	for _, suffix := range []string{"", "-wal"} {
		if storetest.OnPostgres() {
			break
		}
		b, _ := os.ReadFile(r.Store().Path() + suffix)
		if bytes.Contains(b, []byte("mW3tR7~9x")) {
			t.Error("the database holds the value of a log")
		}
	}
}

// A log that grows is read on from where it was left, under whatever name; one that
// was replaced is read from its beginning. Each use is counted once.
func TestIngestFileResumes(t *testing.T) {
	r, c := open(t)
	w, tok := newWatch(t, r, watch.Options{}), issue(t, r)
	c.move(40 * 24 * time.Hour)
	dir := t.TempDir()
	path, old := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
	n := 0
	add := func(path string, lines int) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for range lines {
			io.WriteString(f, line(start.Add(time.Duration(n)*time.Minute), "192.0.2.1", "/x", 200, tok.ID))
			n++
		}
	}
	read := func(path string, want int64) {
		t.Helper()
		rep, err := w.IngestFile(ctx, path, nginx, false, nil)
		if err != nil || rep.Uses != want || rep.Bad != 0 {
			t.Errorf("%s: %d uses, want %d: %+v, %v", filepath.Base(path), rep.Uses, want, rep, err)
		}
	}
	add(path, 10)
	read(path, 10)
	read(path, 0)
	add(path, 5)
	// A line that is being written is left for the next time.
	half := line(start.Add(time.Duration(n)*time.Minute), "192.0.2.1", "/x", 200, tok.ID)
	f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	io.WriteString(f, half[:20])
	read(path, 5)
	io.WriteString(f, half[20:])
	f.Close()
	n++
	read(path, 1)
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	add(old, 2)
	add(path, 3)
	read(old, 2)
	read(path, 3)
	read(old, 0)
	os.Truncate(path, 0)
	add(path, 1)
	read(path, 1)
	// Packed, it is the same log.
	b, _ := os.ReadFile(old)
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	zw.Write(b)
	zw.Close()
	os.WriteFile(old+".gz", z.Bytes(), 0o600)
	rep, err := w.IngestFile(ctx, old+".gz", nginx, false, nil)
	if err != nil || rep.Uses != 18 {
		t.Errorf("%+v, %v", rep, err)
	}
	read(old+".gz", 0)
	if got := events(t, w, tok.ID); got != 22+18 {
		t.Errorf("%d events", got)
	}
	if _, err := w.IngestFile(ctx, dir, nginx, false, nil); err == nil {
		t.Error("a folder is a log")
	}
	if rep, _ := w.IngestFile(ctx, path, nginx, true, nil); rep.Uses != 1 {
		t.Errorf("anew: %+v", rep)
	}
}

// A stream that pauses has its uses written; one that is interrupted, too.
func TestIngestStreamPauses(t *testing.T) {
	r, c := open(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w, tok := newWatch(t, r, watch.Options{}), issue(t, r)
	c.move(40 * 24 * time.Hour)
	if _, _, err := r.Do(ctx, registry.Revoke, tok.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	c.move(time.Hour)
	pr, pw := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	heard, result := make(chan watch.Told), make(chan error, 1)
	go func() {
		// The format is found out without waiting, too.
		_, err := w.Ingest(ctx, pr, accesslog.Options{Token: "extra:1"}, func(x watch.Told) { heard <- x })
		result <- err
	}()
	io.WriteString(pw, line(c.now(), "192.0.2.1", "/x", 200, tok.ID))
	<-heard // the alert of a dead token, while the stream is open
	if n := events(t, w, tok.ID); n != 1 {
		t.Errorf("%d events", n)
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	pw.Close()
}

// BenchmarkIngest is lines of nginx into the database: 1,000 tokens.
func BenchmarkIngest(b *testing.B) {
	r, c := open(b)
	w := newWatch(b, r, watch.Options{})
	c.move(40 * 24 * time.Hour)
	var ids []string
	for range 1000 {
		ids = append(ids, issue(b, r).ID)
	}
	var text strings.Builder
	const lines = 50_000
	for i := range lines {
		text.WriteString(line(start.Add(time.Duration(i)*time.Second), "192.0.2.1", fmt.Sprintf("/items/%c/%d", 'a'+i%11, i), 200, ids[i*7919%len(ids)]))
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if rep, err := w.Ingest(ctx, strings.NewReader(text.String()), nginx, nil); err != nil || rep.Uses != lines {
			b.Fatal(rep, err)
		}
	}
	b.ReportMetric(float64(b.N)*lines/b.Elapsed().Seconds(), "events/s")
}
