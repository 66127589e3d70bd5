package decide

import (
	"strings"
	"testing"
)

// Nobody is called who is not named, and what cannot be meant is refused.
func TestCheck(t *testing.T) {
	for want, r := range map[string]Rule{
		"nobody is called":    {Do: Revoke},
		"do is missing":       {Provider: []string{"a"}},
		"is not known":        {Provider: []string{"a"}, Do: "kill"},
		"want exact names":    {Provider: []string{"git*"}, Do: Revoke},
		"is no pattern":       {Provider: []string{"a"}, Do: Revoke, Path: []string{"[a"}},
		"confidence \"sure\"": {Provider: []string{"a"}, Do: Revoke, Confidence: "sure"},
	} {
		if err := (Rules{{Do: Report}, r}).Check(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "leak 2: ") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := (Rules{{Do: Report}, {Provider: []string{"a"}, Do: Revoke, Path: []string{"**/*.go"}}}).Check(); err != nil {
		t.Error(err)
	}
}

func TestDecide(t *testing.T) {
	rs := Rules{
		{Path: []string{"testdata/**"}, Do: Report},
		{Provider: []string{"a"}, Branch: []string{"main", "release/*"}, Do: Revoke},
		{Provider: []string{"a"}, Source: []string{"tail"}, Rule: []string{"a-*"}, Do: Revoke, Confidence: "low"},
		{Provider: []string{"a"}, Environment: []string{"live"}, Owner: []string{"ann"}, Do: Check},
		{Provider: []string{"a", "b"}, Do: Ask},
	}
	high := func(l Leak) Leak { l.Confidence = "high"; return l }
	for n, c := range []struct {
		l    Leak
		want Action
	}{
		{high(Leak{Provider: "a", Path: "x", Refs: []string{"refs/heads/main"}}), Revoke},
		{high(Leak{Provider: "a", Path: "x", Refs: []string{"refs/remotes/origin", "refs/heads/release/1"}}), Revoke},
		{Leak{Provider: "a", Path: "x", Refs: []string{"refs/heads/main"}, Confidence: "medium"}, Ask},
		{high(Leak{Provider: "a", Path: "testdata/x/y", Refs: []string{"refs/heads/main"}}), Report},
		{Leak{Provider: "a", Rule: "a-key", Source: "tail", Confidence: "low"}, Revoke},
		{Leak{Provider: "a", Rule: "b-key", Source: "tail", Confidence: "high"}, Ask},
		{high(Leak{Provider: "a", Environment: "live", Owner: "ann"}), Check},
		{high(Leak{Provider: "a", Environment: "live", Owner: "ben"}), Ask},
		{high(Leak{Provider: "b"}), Ask},
		{high(Leak{Provider: "c"}), Report},
	} {
		if got := rs.Decide(c.l); got.Do != c.want {
			t.Errorf("%d: %+v, want %s", n, got, c.want)
		}
	}
	if got := Rules(nil).Decide(high(Leak{Provider: "a"})); got.Do != Report {
		t.Errorf("no policy: %+v", got)
	}
}

// A simulation decides as a scan does, brake and all, and skips what is no finding.
func TestSimulate(t *testing.T) {
	p := &Policy{Rules: Rules{{Provider: []string{"a"}, Do: Revoke}}, Auto: true, Place: func(s string) string { return s + "!" },
		Issuers: func(rule string) []string { return map[string][]string{"a-key": {"a"}}[rule] }}
	in := strings.Repeat(`{"rule_id":"a-key","path":"x","start_line":3,"confidence":"high"}`+"\n", SecretsPerHour+1) +
		`{"rule_id":"a-key","path":"x","confidence":"high","ignored":"path"}` + "\n" + `{"rule_id":"b-key","path":"y","confidence":"high"}` + "\n\n" + `{"coverage":{}}` + "\n"
	var got []string
	if err := p.Simulate(strings.NewReader(in), Lately{}, func(where, what string) error { got = append(got, where+": "+what); return nil }); err != nil {
		t.Fatal(err)
	}
	n := len(got)
	if n != SecretsPerHour+2 || got[0] != "x:3 a-key: would revoke it at a! (leak 1 of the policy)" || !strings.Contains(got[n-2], "would ask: 10 secrets") || !strings.Contains(got[n-1], "y:0 b-key: would only report it") {
		t.Errorf("%q", got)
	}
	if err := p.Simulate(strings.NewReader("{\n"), Lately{}, nil); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("no JSON: %v", err)
	}
}
