package intake_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/cmd/internal/intake"
	"github.com/quench-dev/quench/cmd/internal/intake/intaketest"
	"github.com/quench-dev/quench/scanner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func take(t *testing.T, c *intaketest.Sink, whole bool, list ...intake.Record) {
	t.Helper()
	if err := c.Take(t.Context(), list, whole); err != nil {
		t.Fatal(err)
	}
}

func rec(sender, text string) intake.Record {
	return intake.Record{Sender: sender, Text: []byte(text)}
}

// What is found is delivered before Take returns, by its sender and line.
func TestTake(t *testing.T) {
	c := intaketest.New(t, "syslog")
	take(t, c, false, rec("a/web", "hello"), rec("b/db", "hello"), rec("a/web", "token "+intaketest.Token(1)))
	c.Want(t, "github-pat a/web:2")
	take(t, c, false, rec("b/db", intaketest.Token(2)))
	c.Want(t, "github-pat b/db:2")
}

// A key that comes line by line is found, lines of other senders notwithstanding, and
// pieces are one line.
func TestOneText(t *testing.T) {
	c := intaketest.New(t, "syslog")
	key := strings.Split(intaketest.Key(3), "\n")
	for _, line := range key {
		take(t, c, true, rec("a", line), rec("b", line+" is what a said"))
	}
	found := false
	for _, f := range c.Found() {
		found = found || f.Rule.ID == "private-key" && f.Origin.Path == "a" && f.Line == 1
	}
	if !found {
		t.Errorf("the key is not found: %v", c.Found())
	}
	c = intaketest.New(t, "syslog")
	tok := intaketest.Token(1)
	take(t, c, false, intake.Record{Sender: "a", Text: []byte("x " + tok[:9]), Piece: true})
	take(t, c, false, rec("a", tok[9:]))
	c.Want(t, "github-pat a:1")
}

// The same message again has its findings at the same place, and one that is said with
// every other is scanned once.
func TestAgain(t *testing.T) {
	c := intaketest.New(t, "otlp")
	r := rec("a", "x "+intaketest.Token(1))
	r.Place = 1 << 60
	take(t, c, true, rec("a", "other"), r, r)
	f := c.Found()
	if len(f) != 2 || f[0].Start != r.Place+2 || f[0].Start != f[1].Start || f[0].Origin.Path != f[1].Origin.Path {
		t.Errorf("%+v", f)
	}
	r.Once = true
	take(t, c, true, r, r)
	if n := len(c.Found()); n != 1 {
		t.Errorf("%d findings of what is said again", n)
	}
}

// After a sender's silence, or among so many that it was forgotten, nothing that it says
// is taken for what stood at the same place of what it said before.
func TestGone(t *testing.T) {
	c := intaketest.New(t, "syslog")
	take(t, c, false, rec("a", "x "+intaketest.Token(1)))
	first := c.Found()
	c.Clock = c.Clock.Add(intake.Gone)
	if err := c.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	take(t, c, false, rec("a", "x "+intaketest.Token(2)))
	second := c.Found()
	for i := range 1000 {
		take(t, c, false, rec(fmt.Sprint("b", i), "hello"))
	}
	take(t, c, false, rec("a", "x "+intaketest.Token(3)))
	third := c.Found()
	if len(first) != 1 || len(second) != 1 || len(third) != 1 {
		t.Fatalf("%d, %d, %d findings", len(first), len(second), len(third))
	}
	at := map[string]bool{}
	for _, f := range []scanner.Finding{first[0], second[0], third[0]} {
		at[fmt.Sprint(f.Origin.Root, f.Start)] = true
	}
	if len(at) != 3 || second[0].Line != 2 {
		t.Errorf("places %v, the second on line %d", at, second[0].Line)
	}
}

// What could not be recorded is, once it can be, and until then is needed.
func TestAway(t *testing.T) {
	c := intaketest.New(t, "syslog")
	c.Fail(errors.New("the database is away"))
	if err := c.Take(t.Context(), []intake.Record{rec("a", intaketest.Token(1))}, true); err == nil {
		t.Fatal("no error")
	}
	if n := c.Need(); n != 1 {
		t.Errorf("message %d is needed", n)
	}
	c.Fail(nil)
	if err := c.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Want(t, "github-pat a:1")
	if n := c.Need(); n != 2 {
		t.Errorf("message %d is needed", n)
	}
}

// Persist waits for the database, and no longer than it is asked to.
func TestPersist(t *testing.T) {
	c := intaketest.New(t, "syslog")
	c.Fail(errors.New("the database is away"))
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	err := c.Persist(ctx, []intake.Record{rec("a", intaketest.Token(1))}, func(error) { told++; cancel() })
	if !errors.Is(err, context.Canceled) || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
}

// What may go on is needed, until its sender has been quiet for long.
func TestNeed(t *testing.T) {
	c := intaketest.New(t, "syslog")
	take(t, c, false, rec("a", "hello"), rec("a", "-----BEGIN RSA PRIV"+"ATE KEY-----"), rec("b", "hello"))
	if n := c.Need(); n != 2 {
		t.Errorf("message %d is needed", n)
	}
	c.Clock = c.Clock.Add(intake.Gone)
	if err := c.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.Need(); n != 4 {
		t.Errorf("message %d is needed", n)
	}
}

// Halves of a credential wait for each other, and not for long.
func TestHalves(t *testing.T) {
	c := intaketest.New(t, "syslog")
	id, secret := intaketest.Expand("AKIA{16:base32}", 1), intaketest.Expand("{40:b64}", 1)
	take(t, c, false, rec("a", "id="+id), rec("b", "x"), rec("a", "aws_secret_access_key="+secret))
	c.Clock = c.Clock.Add(intake.Quiet)
	if err := c.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	pair := scanner.Finding{}
	for _, f := range c.Found() {
		if f.Rule.ID == "aws-secret-access-key" {
			pair = f
		}
	}
	if pair.Pair == nil {
		t.Errorf("no pair: %+v", pair)
	}
}

// As many senders as there may be are remembered, and none of what they said is lost.
func TestManySenders(t *testing.T) {
	c := intaketest.New(t, "syslog")
	for i := range 1200 {
		c.Clock = c.Clock.Add(time.Millisecond)
		take(t, c, false, rec(strings.Repeat("s", 1+i), "x"))
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.Need(); n != 1201 {
		t.Errorf("message %d is needed", n)
	}
}

func TestCheckAddress(t *testing.T) {
	for addr, ok := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "0.0.0.0:1": false, ":1": false, "[::]:1": false, "192.0.2.1:1": false, "example.com:1": false, "127.0.0.1": false} {
		if err := intake.CheckAddress(addr, false); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if err := intake.CheckAddress("0.0.0.0:1", true); err != nil {
		t.Error(err)
	}
}

// Another engine scans each text from where nothing of it is undecided, and lines and
// offsets go on.
func TestSet(t *testing.T) {
	c := intaketest.New(t, "syslog")
	key := strings.Split(intaketest.Key(3), "\n")
	take(t, c, false, rec("a", "one"), rec("b", key[0]))
	other := intaketest.Engine(t, "other_[0-9]{6}", "other_")
	c.Set(other, "")
	take(t, c, true, rec("a", "other_123456"), rec("b", strings.Join(key[1:], "\n")))
	take(t, c, false, intake.Record{Sender: "c", Text: []byte("other_12"), Piece: true})
	take(t, c, false, rec("c", "3456"))
	lines := map[string]int{}
	for _, f := range c.Found() {
		lines[f.Origin.Path+" "+f.Rule.ID] = f.Line
	}
	if lines["a test"] != 2 || lines["b private-key"] != 1 || lines["c test"] != 1 {
		t.Errorf("%v", lines)
	}
}
