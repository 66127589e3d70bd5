package revoker_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/revoker/revokertest"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// found are the findings of a text, as a scan has them: halves joined.
func found(t *testing.T, text, rule string) (all []scanner.Finding) {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Run(t.Context(), sources.Stdin(strings.NewReader(text)), scanner.RunOptions{Workers: 1, Finding: func(f scanner.Finding) {
		if f.Rule.ID == rule {
			all = append(all, f)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The id that a scan found beside the secret goes to AWS with it, and another key of
// the same file is not touched.
func TestPairIsCalledWith(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "aws")
	other, otherID := expand(t, "{40:b64}"), expand(t, "AKIA{16:base32}")
	text := fmt.Sprintf("[ci]\naws_access_key_id = %s\naws_secret_access_key = %s\n[other]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
		v.Parts["key_id"], v.Secret, otherID, other)
	all := found(t, text, "aws-secret-access-key")
	if len(all) != 2 {
		t.Fatalf("%d findings", len(all))
	}
	policy := v.policyWith(t, "[[leak]]\nprovider = ['aws']\ndo = 'revoke'\n", "# the vendor's own host\n")
	r, err := revoker.New(f.reg, policy, revoker.Options{Mode: revoker.Auto, DialContext: v.net.Dial, Lookup: v.net.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Leak(t.Context(), all[0])
	if err != nil || c.Action != revoker.Revoked || v.Alive() || !v.DecoysAlive() {
		t.Errorf("%+v, %v, alive %v, others alive %v, %s", c, err, v.Alive(), v.DecoysAlive(), f.incident(t, r, c.IncidentID).Note)
	}
	// The other pair is none of this account: AWS says so, and nothing ends.
	if c, err = r.Leak(t.Context(), all[1]); err != nil || !v.DecoysAlive() {
		t.Errorf("%+v, %v, others alive %v", c, err, v.DecoysAlive())
	}
	f.unsealed(t, v.Secret)
}

// A Twilio token is asked about with the account beside it, each with its own, and is
// for a person to end: the incident names the page.
func TestPairIsCheckedWith(t *testing.T) {
	f := newFixture(t, "")
	sid, token, sid2, token2 := expand(t, "AC{32:hex}"), expand(t, "{32:hex}"), expand(t, "AC{32:hex}"), expand(t, "{32:hex}")
	net := revokertest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		if (user != sid || pass != token) && (user != sid2 || pass != token2) || r.URL.Path != "/2010-04-01/Accounts/"+user+".json" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"code":20003}`)
			return
		}
		fmt.Fprintf(w, `{"sid":%q}`, user)
	}))
	v := &fake{&revokertest.Vendor{Provider: "twilio-auth-token"}, net}
	all := found(t, fmt.Sprintf("TWILIO_ACCOUNT_SID=%s\nTWILIO_AUTH_TOKEN=%s\n\nTWILIO_ACCOUNT_SID=%s\nTWILIO_AUTH_TOKEN=%s\n", sid, token, sid2, token2), "twilio-auth-token")
	if len(all) != 2 {
		t.Fatalf("%d findings", len(all))
	}
	with := func(do string) *revoker.Revoker {
		p := v.policyWith(t, "[[leak]]\nprovider = ['twilio-auth-token']\ndo = '"+do+"'\n", "# the vendor's own host\n")
		r, err := revoker.New(f.reg, p, revoker.Options{Mode: revoker.Auto, DialContext: net.Dial, Lookup: net.Lookup})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := with("check")
	for _, leak := range all {
		c, err := r.Leak(t.Context(), leak)
		if err != nil {
			t.Fatal(err)
		}
		if i := f.incident(t, r, c.IncidentID); i.Outcome != revoker.Outcome(provider.Live) {
			t.Errorf("%s, %s", i.Outcome, i.Note)
		}
	}
	r = with("revoke")
	c, err := r.Leak(t.Context(), found(t, fmt.Sprintf("TWILIO_ACCOUNT_SID=%s\nTWILIO_AUTH_TOKEN=%s\n", sid, expand(t, "{32:hex}")), "twilio-auth-token")[0])
	if err != nil {
		t.Fatal(err)
	}
	if i := f.incident(t, r, c.IncidentID); i.State != revoker.StateFailed || !strings.Contains(i.Note, "https://console.twilio.com/") {
		t.Errorf("%s, %s", i.State, i.Note)
	}
}

// Each vendor whose secret is ended by an id that stands nowhere beside it: the secret
// alone is enough to ask, and the incident says what ends it and ends nothing.
func TestEachVendorWithParts(t *testing.T) {
	table, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, vendor := range revokertest.Vendors() {
		p, err := table.Get(vendor.Provider)
		if err != nil || len(p.Info().Rules) == 0 || len(vendor.Parts) == 0 || vendor.Provider == "aws" {
			continue
		}
		names = append(names, vendor.Provider)
		t.Run(vendor.Provider, func(t *testing.T) {
			f := newFixture(t, "")
			v := &fake{vendor, revokertest.Serve(t, vendor)}
			keys := "# the vendor's own host\n"
			if v.Host != "" {
				keys = fmt.Sprintf("host = %q\n", v.Host)
			}
			for _, do := range []string{"check", "revoke"} {
				policy := v.policyWith(t, fmt.Sprintf("[[leak]]\nprovider = [%q]\ndo = %q\n", v.Provider, do), keys)
				r, err := revoker.New(f.reg, policy, revoker.Options{Mode: revoker.Auto, DialContext: v.net.Dial, Lookup: v.net.Lookup})
				if err != nil {
					t.Fatal(err)
				}
				value := v.Secret
				if do == "revoke" { // another secret: an incident of its own
					value = v.Secret[:len(v.Secret)-1] + map[bool]string{true: "1", false: "0"}[strings.HasSuffix(v.Secret, "0")]
				}
				c, err := r.Leak(t.Context(), leak(t, p.Info().Rules[0], value, "a"))
				if err != nil || !v.Alive() || !v.DecoysAlive() {
					t.Fatalf("%s: %+v, %v, alive %v, others alive %v", do, c, err, v.Alive(), v.DecoysAlive())
				}
				i := f.incident(t, r, c.IncidentID)
				switch {
				case do == "check" && !slices.Contains([]string{"confluent", "sentry", "azure-devops"}, v.Provider) && i.Outcome != revoker.Outcome(provider.Live): // these are asked with more than the secret
					t.Errorf("check: %s, %s", i.Outcome, i.Note)
				case do == "revoke" && (i.State != revoker.StateFailed || !strings.Contains(i.Note, "--part ")):
					t.Errorf("revoke: %s, %s", i.State, i.Note)
				}
			}
		})
	}
	for _, want := range []string{"azure-devops", "databricks", "grafana", "mailgun", "sentry", "stripe"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not tried", want)
		}
	}
}

// What belongs to a secret and was not found beside it, a person gives: the incident
// waits for it, and then its secret is ended.
func TestPartsOfAPerson(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "confluent")
	needs := "# the vendor's own host\ncredentials = {"
	for name, value := range v.Credentials {
		t.Setenv("QUENCH_TEST_"+name, value)
		needs += fmt.Sprintf(" %s = 'env:QUENCH_TEST_%[1]s',", name)
	}
	r, err := revoker.New(f.reg, v.policyWith(t, "[[leak]]\nprovider = ['confluent']\ndo = 'revoke'\n", strings.TrimSuffix(needs, ",")+" }\n"),
		revoker.Options{Mode: revoker.Auto, DialContext: v.net.Dial, Lookup: v.net.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Leak(t.Context(), leak(t, "confluent-secret", v.Secret, "f"))
	if i := f.incident(t, r, c.IncidentID); err != nil || i.State != revoker.StateFailed || !strings.Contains(i.Note, "--part key_id=…") {
		t.Fatalf("%+v, %v", i, err)
	}
	for name, want := range map[string]string{"admin_key": "takes no part", "": "takes no part"} {
		err := r.AddParts(t.Context(), c.IncidentID, map[string]secret.Secret{name: secret.NewString("x")})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("part %q: %v", name, err)
		}
	}
	if err := r.AddParts(t.Context(), c.IncidentID, map[string]secret.Secret{"key_id": secret.NewString(v.Parts["key_id"])}); err != nil {
		t.Fatal(err)
	}
	if err := r.Retry(t.Context(), c.IncidentID); err != nil || v.Alive() || !v.DecoysAlive() {
		t.Errorf("%v, alive %v, others alive %v: %s", err, v.Alive(), v.DecoysAlive(), f.incident(t, r, c.IncidentID).Note)
	}
	if err := r.AddParts(t.Context(), c.IncidentID, map[string]secret.Secret{"key_id": secret.NewString("y")}); err == nil {
		t.Error("a part is taken for a secret that is no longer kept")
	}
}
