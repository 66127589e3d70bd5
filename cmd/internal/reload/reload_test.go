package reload

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/quench-dev/quench/rules"
)

func TestGiven(t *testing.T) {
	flags := func() (*pflag.FlagSet, *string, *[]string) {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		fs.Bool("other", false, "")
		return fs, fs.String("a", "default", ""), fs.StringArray("b", nil, "")
	}
	fs, _, _ := flags()
	if err := fs.Parse([]string{"--a=x", "--b=1,2", "--b=3"}); err != nil {
		t.Fatal(err)
	}
	g := From(fs)
	if err := fs.Set("other", "true"); err != nil { // as a file would
		t.Fatal(err)
	}
	again, a, b := flags()
	if err := g.Set(again); err != nil || *a != "x" || fmt.Sprint(*b) != "[1,2 3]" || again.Changed("other") {
		t.Errorf("%v %q %q", err, *a, *b)
	}
}

func TestDifference(t *testing.T) {
	set := func(texts ...string) *rules.Set {
		out, err := rules.Parse("x.toml", []byte("provider = \"test\"\nname = \"test\"\n"+strings.Join(texts, "")))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	rule := func(id, pattern string) string {
		return fmt.Sprintf("[[rule]]\nid = %q\ndescription = \"d\"\npattern = '%s'\nkeywords = [\"key_\"]\nconfidence = \"high\"\nexamples = ['key_{4:digits}']\nnegatives = ['key_x']\n", id, pattern)
	}
	var d Difference
	d.Rules(set(rule("test-a", `key_[0-9]{4}`), rule("test-b", `key_[0-9]{4}`)), set(rule("test-b", `key_[0-9]{4,5}`), rule("test-c", `key_[0-9]{4}`)))
	d.Names("paths", []string{"1", "2"}, []string{"2", "3"})
	d.Note("x", "y")
	d.Changed("p", true)
	d.Changed("q", false)
	if got := fmt.Sprint(d...); got != "rules_added=[test-c] rules_changed=[test-b] rules_removed=[test-a] paths_added=[3] paths_removed=[1] x=y p=changed" {
		t.Error(got)
	}
}

// The log says what changed, be it nothing, and which flags could not.
func TestTell(t *testing.T) {
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	Given{"policy": {"x"}}.Tell(log, nil)
	Given{"syslog": {"x"}, "rules": {"x"}, "otlp": {"x"}}.Tell(log, Difference{slog.String("tls", "changed")})
	if got := b.String(); got != `level=INFO msg=reloaded changed=nothing
level=INFO msg=reloaded tls=changed
level=INFO msg="these flags are as they were given: a restart changes them" flags="[otlp syslog]"
` {
		t.Error(got)
	}
}
