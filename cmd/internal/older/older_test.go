package older

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/cmd/internal/intake/intaketest"
)

// The pool that ants makes at start-up lives as long as the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"), goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	var b bytes.Buffer
	switch filepath.Ext(name) {
	case ".gz":
		z := gzip.NewWriter(&b)
		fmt.Fprint(z, text)
		z.Close()
	case ".zst":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(z, text)
		z.Close()
	case ".xz":
		z, err := xz.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(z, text)
		z.Close()
	default:
		b.WriteString(text)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The predecessors of a log are read once, oldest first, whatever packs them; damaged ones
// are told, and what else lies there is not read.
func TestPredecessors(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "app.log")
	for i, end := range []string{".10.gz", ".2.zst", ".1", ".9.xz", "-20260102.gz", ".old", "2", ".1.txt", ".gz"} {
		write(t, log+end, "x\ntoken "+intaketest.Token(uint64(i))+"\n")
	}
	if err := os.WriteFile(log+".3.gz", []byte("\x1f\x8b\x08 damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := intaketest.New(t, "older")
	var told []string
	o := Options{Paths: []string{log, dir}, Format: "auto", State: filepath.Join(dir, "state", "s.json"), Sink: c.Sink, Trouble: func(what string, err error) { told = append(told, filepath.Base(what)) }}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Want(t, "github-pat "+log+".10.gz:2", "github-pat "+log+".9.xz:2", "github-pat "+log+".2.zst:2", "github-pat "+log+".1:2", "github-pat "+log+"-20260102.gz:2")
	if strings.Join(told, " ") != "app.log.3.gz" {
		t.Errorf("told of %q", told)
	}
	write(t, log+".4", intaketest.Token(9)+"\n") // rotated since
	for _, anew := range []bool{false, true} {
		o.Anew = anew
		if p, err = New(o); err != nil {
			t.Fatal(err)
		}
		if err := p.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(c.Found()); n != map[bool]int{false: 0, true: 6}[anew] {
			t.Errorf("anew %v: %d findings", anew, n)
		}
	}
}

// Several watches share the state: none undoes what another wrote down.
func TestShared(t *testing.T) {
	dir := t.TempDir()
	logs := []string{filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")}
	var plans []*Plan
	for _, log := range logs {
		write(t, log+".1", intaketest.Token(1)+"\n")
		c := intaketest.New(t, "older")
		p, err := New(Options{Paths: []string{log}, Format: "plain", State: filepath.Join(dir, "state", "s.json"), Sink: c.Sink, Trouble: func(what string, err error) { t.Error(what, err) }})
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, p)
	}
	for _, p := range plans {
		if err := p.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "state", "s.json"))
	var left map[string][]string
	if err := errors.Join(err, json.Unmarshal(b, &left)); err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		if names, known := left[log]; !known || len(names) != 0 {
			t.Errorf("%s: known %v, %q are left", log, known, names)
		}
	}
}

// What a run had no time for is read by the next.
func TestStopped(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "app.log")
	write(t, log+".1", intaketest.Token(1)+"\n")
	c := intaketest.New(t, "older")
	o := Options{Paths: []string{log}, Format: "plain", State: filepath.Join(dir, "s.json"), Sink: c.Sink, Trouble: func(what string, err error) { t.Log(what, err) }}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Fail(context.Canceled)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Read(ctx); err != nil {
		t.Fatal(err)
	}
	c = intaketest.New(t, "older")
	o.Sink = c.Sink
	if p, err = New(o); err != nil {
		t.Fatal(err)
	}
	if err := p.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Want(t, "github-pat "+log+".1:1")
}

// A log that bzip2 packed is read.
func TestBzip2(t *testing.T) {
	log := filepath.Join(t.TempDir(), "app.log")
	// "hello\nkey=other_123456 used\nbye\n" by bzip2 -9
	packed, err := hex.DecodeString("425a6839314159265359c97e124d000009db80001040003f020000964c9e2020" +
		"00228680c40c21468c81a34c8d08fa277c6449d0c817d04ab4acd059ba303fc5" + "dc914e1424325f849340")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log+".2.bz2", packed, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log+".1.bz2", packed[:40], 0o600); err != nil {
		t.Fatal(err)
	}
	c := intaketest.New(t, "older")
	c.Set(intaketest.Engine(t, "other_[0-9]{6}", "other_"), "")
	var told []string
	p, err := New(Options{Paths: []string{log}, Format: "auto", State: log + ".json", Sink: c.Sink, Trouble: func(what string, err error) { told = append(told, filepath.Base(what)) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Want(t, "test "+log+".2.bz2:2")
	if strings.Join(told, " ") != "app.log.1.bz2" {
		t.Errorf("told of %q", told)
	}
}
