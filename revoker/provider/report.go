package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/quench-dev/quench/revoker/partnerkey"
	"github.com/quench-dev/quench/scanner/secret"
)

// report says where an operator's provider takes reports in the format of GitHub's
// secret scanning partners: a file whose revoke is one signed POST of the token itself.
type report struct {
	URL string `toml:"url"`
	// Type is what the receiver calls such tokens.
	Type string `toml:"type"`
}

// check checks it with the rest of the file.
func (r report) check(s *spec) error {
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.Contains(r.URL, "{{"):
		return errors.New("report.url: want one https address, whole")
	case r.Type == "" || len(r.Type) > 100:
		return errors.New("report.type is missing: what the receiver calls such tokens")
	case s.Check != nil || len(s.Revoke) > 0 || len(s.Needs) > 0 || len(s.Parts) > 0 || len(s.Fields) > 0 || s.Host != "" || len(s.Hosts) > 0:
		return errors.New("report: no calls, needs, parts, fields or hosts stand beside it: the address says all")
	case len(s.Rules) == 0:
		return errors.New("rules is missing: whose findings are sent there")
	}
	return nil
}

// reporter is a provider that takes such reports.
type reporter struct {
	s    *spec
	keys *partnerkey.Keys // nil where the folder of the keys is not known
}

// Signing is t with the keys that reports are signed with.
func (t *Table) Signing(keys *partnerkey.Keys) *Table {
	signing := &Table{byName: map[string]Provider{}, names: t.names}
	for name, p := range t.byName {
		if r, ok := p.(reporter); ok {
			r.keys = keys
			p = r
		}
		signing.byName[name] = p
	}
	return signing
}

// Reports tells whether a provider takes signed reports, whose keys are to be published.
func (t *Table) Reports(name string) bool {
	_, ok := t.byName[name].(reporter)
	return ok
}

func (r reporter) Info() Info {
	u, _ := url.Parse(r.s.Report.URL) // checked
	return Info{Name: r.s.Name, Title: r.s.Title, Docs: r.s.Docs, Manual: r.s.Manual, Rules: r.s.Rules, Hosts: []string{u.Host}, CanRevoke: true, Alone: true,
		Undo: r.s.Undo, Note: strings.TrimSpace("The token itself is sent, in a report signed with your key: see quench provider keys. " + r.s.Note)}
}

func (r reporter) Check(_ context.Context, n Net, _ Settings, _ Input) Answer {
	return Answer{Call: "check", At: n.now(), Outcome: Unsupported, Detail: r.s.Title + " takes reports and tells nothing"}
}

func (r reporter) Revoke(ctx context.Context, n Net, set Settings, in Input) Answer {
	return n.attempt("revoke", func(a *Answer) Outcome { return r.send(ctx, n, set, in, a) })
}

// send makes the one call.
func (r reporter) send(ctx context.Context, n Net, set Settings, in Input, a *Answer) Outcome {
	if r.keys == nil {
		a.Detail = "the folder of the keys that reports are signed with is not known; set QUENCH_PEPPER_FILE"
		return NeedsAdmin
	}
	if u, _ := url.Parse(r.s.Report.URL); set.Host != "" && withPort(set.Host) != withPort(u.Host) {
		a.Detail = "the host in the policy is not that of the address its file names: it may only pin that"
		return NeedsAdmin
	}
	body, err := json.Marshal([]map[string]string{{"token": string(in.Secret.Reveal()), "type": r.s.Report.Type, "url": "", "source": "unknown"}})
	if err != nil {
		a.Detail = "the report cannot be written"
		return Failed
	}
	id, sig, err := r.keys.Sign(body)
	if err != nil {
		a.Detail = err.Error()
		return NeedsAdmin
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.s.Report.URL, bytes.NewReader(body))
	if err != nil {
		a.Detail = "the report cannot be sent to its address"
		return Failed
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "quench")
	req.Header.Set("Github-Public-Key-Identifier", id)
	req.Header.Set("Github-Public-Key-Signature", sig)
	answer, o := roundTrip(n.client(set, []string{req.URL.Host}, ""), req, a, true)
	switch {
	case o != next:
		return o
	case a.Status == http.StatusUnauthorized:
		a.Detail = fmt.Sprintf("it does not know the key %s…: give it the address of yours, %s at quench serve", id[:12], partnerkey.Path)
		return Denied
	case a.Status < 200 || a.Status > 299:
		return usual(a, true)
	}
	switch label(answer, in.Secret) {
	case "true_positive":
		a.Detail = "it says that the token is one of its own"
	case "false_positive":
		a.Detail = "it says that the token is none of its own"
		return Denied
	default:
		a.Detail = "it took the report; it does not say whether the token is one of its own"
	}
	return Accepted
}

// label is what the receiver's feedback says of the token, empty for nothing.
func label(answer []byte, token secret.Secret) string {
	var feedback []struct {
		Raw   string `json:"token_raw"`
		Hash  string `json:"token_hash"`
		Label string `json:"label"`
	}
	if json.Unmarshal(answer, &feedback) != nil {
		return ""
	}
	sum := sha256.Sum256(token.Reveal())
	want := hex.EncodeToString(sum[:])
	for _, f := range feedback {
		if strings.EqualFold(f.Hash, want) || f.Raw == string(token.Reveal()) { // one of both, as they please
			return f.Label
		}
	}
	return ""
}
