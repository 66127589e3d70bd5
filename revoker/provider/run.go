package provider

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/quench-dev/quench/scanner/secret"
)

// entry is a provider that a file describes.
type entry struct{ s *spec }

func (e entry) Info() Info {
	i := Info{Name: e.s.Name, Title: e.s.Title, Docs: e.s.Docs, Manual: e.s.Manual, Rules: e.s.Rules, Needs: e.s.Needs, Parts: e.s.Parts,
		Undo: e.s.Undo, Note: e.s.Note, CanCheck: e.s.Check != nil, CanRevoke: len(e.s.Revoke) > 0, Hosts: slices.Clone(e.s.Hosts), HostFrom: e.s.HostFrom}
	if e.s.Host != "" {
		i.Hosts = append([]string{e.s.Host}, i.Hosts...)
	}
	i.Alone = slices.ContainsFunc(e.s.Revoke, func(c call) bool { return len(c.Needs) == 0 })
	return i
}

func (e entry) Check(ctx context.Context, n Net, set Settings, in Input) Answer {
	if e.s.Check == nil {
		return Answer{Call: "check", Outcome: Unsupported, At: n.now(), Detail: e.s.Title + " has no call that tells"}
	}
	return e.run(ctx, n, set, in, "check", *e.s.Check)
}

func (e entry) Revoke(ctx context.Context, n Net, set Settings, in Input) Answer {
	return e.first(ctx, n, set, in, "revoke", e.s.Revoke)
}

// suspender is a provider of a file that says how a revocation is taken back.
type suspender struct{ entry }

func (e suspender) Resume(ctx context.Context, n Net, set Settings, in Input) Answer {
	return e.first(ctx, n, set, in, "resume", e.s.Resume)
}

func (e suspender) Delete(ctx context.Context, n Net, set Settings, in Input) Answer {
	return e.first(ctx, n, set, in, "delete", e.s.Delete)
}

// first tries ways in their order until one does it.
func (e entry) first(ctx context.Context, n Net, set Settings, in Input, kind string, ways []call) Answer {
	if len(ways) == 0 {
		return Answer{Call: kind, Outcome: Unsupported, At: n.now(), Detail: strings.TrimPrefix(e.byHand(set), "; ")}
	}
	var a Answer
	var why []string
	for _, c := range ways {
		a = e.run(ctx, n, set, in, kind, c)
		if a.Outcome != NeedsAdmin && a.Outcome != Denied && a.Outcome != Unsupported {
			return a
		}
		why = append(why, a.Detail)
	}
	a.Detail = strings.Join(why, "; ")
	a.Detail += e.byHand(set)
	return a
}

// byHand names the page where a person ends it.
func (e entry) byHand(set Settings) string {
	if e.s.Manual == "" {
		return ""
	}
	return "; by hand: " + strings.Replace(e.s.Manual, "{{host}}", cmp.Or(set.Host, e.s.Host, "YOUR-HOST"), 1)
}

// values are the placeholders of a call, or why it cannot be made.
func (e entry) values(set Settings, in Input, c call) (vars, string) {
	v := vars{"secret": in.Secret}
	for name, re := range e.s.patterns() {
		if m := re.FindSubmatch(in.Secret.Reveal()); m != nil {
			v[name] = secret.New(m[1])
		}
	}
	used := c.placeholders()
	for _, p := range e.s.Parts {
		if !used[p] {
			continue // this call goes without, as a check by the secret itself
		}
		if in.Parts[p].IsZero() {
			return nil, fmt.Sprintf("its %s is not known: %s", p, howPart(e.s.Name, p))
		}
		v[p] = in.Parts[p]
	}
	for _, need := range e.s.Needs {
		if !slices.Contains(c.Needs, need.Name) {
			continue
		}
		if set.Credentials[need.Name].IsZero() {
			return nil, fmt.Sprintf("it takes %s: %s; %s", need.Name, need.Ask, howGiven(need.Name))
		}
		v[need.Name] = set.Credentials[need.Name]
	}
	return v, ""
}

// howGiven says how the operator gives a credential: never in words of a command.
func howGiven(need string) string {
	return "give it by --credential " + need + "=file:PATH, or in credentials of its [[provider]] in the policy"
}

// howPart says how a part is given that was not found beside the secret.
func howPart(provider, part string) string {
	return "--part " + part + "=… of quench revoke --provider " + provider + ", or of quench incident retry, takes it"
}

// run makes the steps of one call.
func (e entry) run(ctx context.Context, n Net, set Settings, in Input, kind string, c call) Answer {
	return n.attempt(kind, func(a *Answer) Outcome {
		v, missing := e.values(set, in, c)
		host := cmp.Or(set.Host, e.s.Host)
		switch {
		case missing != "":
			a.Detail = missing
			return NeedsAdmin
		case host == "" && slices.ContainsFunc(c.Steps, func(st step) bool { return strings.HasPrefix(st.URL, "https://{{host}}") }):
			a.Detail = "which host of " + e.s.Title + "? Name it in the policy"
			return NeedsAdmin
		case set.Host != "" && !HostOK(set.Host):
			a.Detail = "the host in the policy is no name or name:port"
			return NeedsAdmin
		case host != "":
			v["host"] = secret.NewString(host)
		}
		client := n.client(set, e.s.Hosts, e.s.Host)
		for i, st := range c.Steps {
			x := exchange{client: client, st: st, v: v, host: host, kind: kind}
			if o := x.do(ctx, a); o != next || i == len(c.Steps)-1 {
				return o
			}
		}
		return Failed // a call has steps
	})
}

// exchange is one step on its way.
type exchange struct {
	client *http.Client
	st     step
	v      vars
	host   string
	kind   string // check, revoke, resume or delete
}

// mutates reports whether the request may change something.
func (x exchange) mutates() bool {
	return x.kind != "check" && x.st.Method != http.MethodGet && !x.st.Reads
}

// do makes the request, and those of further pages, reads what they mean into a
// and takes the values for later steps.
func (x exchange) do(ctx context.Context, a *Answer) Outcome {
	body, o := x.send(ctx, a, "")
	if o != next {
		return o
	}
	answer := decode(body)
	for name, path := range x.st.Take {
		val, _ := at(answer, path)
		t, ok := text(val)
		if !ok {
			a.Detail = "the answer does not hold " + name
			return x.unclear()
		}
		x.v[name] = secret.NewString(t)
	}
	if x.st.Find == nil {
		return next
	}
	return x.find(ctx, a, answer)
}

// unclear is the outcome when an answer is not what was documented.
func (x exchange) unclear() Outcome {
	if x.mutates() {
		return Unknown
	}
	return Failed
}

// maxPages bounds a list: at the usual 100 entries a page, 5,000 keys.
const maxPages = 50

// find reads the whole list, since only then it is known that one entry alone is
// the leaked credential.
func (x exchange) find(ctx context.Context, a *Answer, answer any) Outcome {
	f := x.st.Find
	var hit any
	hits := 0
	for pages := 1; ; pages++ {
		v, _ := at(answer, f.List)
		list, ok := v.([]any)
		if _, one := v.(map[string]any); one {
			list, ok = []any{v}, true
		}
		if !ok {
			a.Detail = "the answer holds no list of keys"
			return Failed
		}
		for _, e := range list {
			if f.matches(x.v, e) {
				hit, hits = e, hits+1
			}
		}
		after, more := f.more(answer)
		if !more {
			break
		}
		if pages == maxPages {
			a.Detail = fmt.Sprintf("the list of keys has more than %d pages", maxPages)
			return NeedsAdmin
		}
		body, o := x.send(ctx, a, after)
		if o != next {
			return o
		}
		answer = decode(body)
	}
	switch {
	case hits > 1:
		a.Detail = "several keys of the list look like it, and none is ended by a guess"
		return NeedsAdmin
	case hits == 0 && f.None != "":
		a.Detail = "it is not among the keys"
		return f.None
	case hits == 0:
		a.Detail = "it is not among the keys that this credential may see"
		return NeedsAdmin
	}
	for name, path := range f.Take {
		v, _ := at(hit, path)
		t, ok := text(v)
		if !ok {
			a.Detail = "the entry in the list does not hold " + name
			return Failed
		}
		x.v[name] = secret.NewString(t)
	}
	return next
}

// more is the value that asks for the next page, if there is one.
func (f *find) more(answer any) (string, bool) {
	if f.Page == nil {
		return "", false
	}
	if f.Page.More != "" {
		v, _ := at(answer, f.Page.More)
		if t, _ := text(v); t != "true" {
			return "", false
		}
	}
	v, _ := at(answer, f.Page.From)
	return text(v)
}

// send makes one request. next means that the answer is good and not the end.
func (x exchange) send(ctx context.Context, a *Answer, after string) ([]byte, Outcome) {
	req, err := x.st.request(ctx, x.v, x.host)
	if err != nil {
		a.Detail = "the request cannot be written: " + err.Error()
		return nil, NeedsAdmin
	}
	if after != "" {
		q := req.URL.Query()
		q.Set(x.st.Find.Page.Query, after)
		req.URL.RawQuery = q.Encode()
	}
	body, o := roundTrip(x.client, req, a, x.mutates())
	if o != next {
		return nil, o
	}
	answer := decode(body)
	for _, w := range x.st.When {
		if w.holds(a.Status, answer) {
			a.Detail = w.Say
			return body, w.Is
		}
	}
	return body, usual(a, x.mutates())
}
