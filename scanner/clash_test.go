package scanner_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// Of several rules that match one secret, the most specific tells it and names the
// others: section by section the clashes that rule authors know.
func TestClashes(t *testing.T) {
	e, set := engineOf(t)
	for _, c := range []struct{ template, rule, also string }{
		{"CLERK_SECRET_KEY=sk_live_{40:alnum}", "clerk-secret-key", "stripe-secret-key"},
		{"STRIPE_SECRET_KEY=sk_live_{40:alnum}", "stripe-secret-key", ""},
		{"HIGHNOTE_API_KEY=sk_live_{40:alnum}", "highnote-key", "stripe-secret-key"},
		{"DEEPSEEK_API_KEY=sk-{32:hex}", "deepseek-api-key", ""},
		{"MOONSHOT_API_KEY=sk-{48:alnum}", "moonshot-api-key", ""},
		{"STABILITY_API_KEY=sk-{48:alnum}", "stability-api-key", ""},
		{"OPENAI_API_KEY=sk-{20:alnum}T3BlbkFJ{20:alnum}", "openai-api-key-legacy", ""},
		{"SEGMENT_TOKEN=sgp_{64:alnum}", "segment-public-api-token", ""},
		{"SRC_ACCESS_TOKEN=sgp_{16:hex}_{40:hex}", "sourcegraph-token", ""},
		{"RUNPOD_API_KEY=rpa_{40:uppernum}{6:alnum}", "runpod-api-key", ""},
		{"TOKEN=rpa_{30:alnum}", "redirectpizza-token", ""},
		{"CLICKUP_TOKEN=pk_{8:digits}_{32:uppernum}", "clickup-token", ""},
		{"KLAVIYO_KEY=pk_{34:hex}", "klaviyo-private-key", ""},
		{"Authorization: Bearer ghp_{30:alnum}{6:crc32}", "github-pat", "http-bearer-token"},
		{"Authorization: Bearer ghs_{7:digits}_{jwt}", "github-app-installation-jwt", ""},
		{"git clone https://oauth2:glpat-{20:alnum}@gitlab.com/a/b", "gitlab-pat", "https-credentials"},
		{"SASL_PASSWORD=cflt{54:b64}{6:crc32-base64}", "confluent-cloud-secret", "confluent-secret"},
		{"SNOWFLAKE_TOKEN={jwt}", "snowflake-access-token", "jwt"},
	} {
		text, err := rules.Expand(c.template, 5)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, m := range e.ScanBytes([]byte(text)) {
			told = append(told, m.Rule.ID+":"+strings.Join(m.Also, " "))
		}
		if want := []string{c.rule + ":" + c.also}; !slices.Equal(told, want) {
			t.Errorf("%s: %q, want %q", c.template, told, want)
		}
	}
	for _, a := range set.Rules() {
		for _, b := range set.Rules() {
			if a != b && a.MoreSpecific(b) == b.MoreSpecific(a) {
				t.Errorf("neither or both of %s and %s are the more specific rule", a.ID, b.ID)
			}
		}
	}
}

// What a check drops is told, with the reason, to who asks for it, and to nobody else.
func TestDropped(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{Dropped: true})
	if err != nil {
		t.Fatal(err)
	}
	quiet, _ := engineOf(t)
	for template, why := range map[string]string{
		"x = ghp_{36:alnum}":                      "the offline check fails: wrong checksum",
		"x = glsa_{32:alnum}_{8:hex}":             "the offline check fails: wrong checksum",
		"aws_access_key_id=AKIA{9:base32}EXAMPLE": "it holds a stop word of the rule",
		"x = hf_{34:x}":                           "its entropy is below the rule's",
		"x = ghp_{30:alnum}{6:crc32}":             "",
		"-----BEGIN PRIVATE KEY-----\n{20:b64}\n{44:x}<{44:x}\n-----END PRIVATE KEY-----": "the offline check fails: its body is not base64",
	} {
		text, err := rules.Expand(template, 5)
		if err != nil {
			t.Fatal(err)
		}
		ms := e.ScanBytes([]byte(text))
		if len(ms) != 1 || ms[0].Dropped != why || why != "" && ms[0].Confidence != rules.Low {
			t.Errorf("%s: %+v, want one dropped since %q", template, ms, why)
		}
		if n := len(quiet.ScanBytes([]byte(text))); (n > 0) != (why == "") {
			t.Errorf("%s: %d matches without asking", template, n)
		}
	}
}
