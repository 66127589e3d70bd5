package scanner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

func engineOf(t testing.TB) (*scanner.Engine, *rules.Set) {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{DecodeDepth: -1})
	if err != nil {
		t.Fatal(err)
	}
	return e, set
}

// counted gives how many secrets each rule found in text.
func counted(e *scanner.Engine, text string) map[string]int {
	n := map[string]int{}
	for _, m := range e.ScanBytes([]byte(text)) {
		n[m.Rule.ID]++
	}
	return n
}

// TestRulesThroughEngine runs every example and negative of every built-in
// rule through the engine, whose verdict must be what the rule's author says.
func TestRulesThroughEngine(t *testing.T) {
	e, set := engineOf(t)
	for _, r := range set.Rules() {
		examples, negatives, err := r.ExpandExamples()
		if err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
		for i, ex := range examples {
			if n := counted(e, ex)[r.ID]; n != 1 {
				t.Errorf("%s: example %d: %d secrets, want 1: %q", r.ID, i+1, n, r.Examples[i])
			}
		}
		for i, ex := range negatives {
			if n := counted(e, ex)[r.ID]; n != 0 {
				t.Errorf("%s: negative %d: %d secrets, want 0: %q", r.ID, i+1, n, r.Negatives[i])
			}
		}
	}
	if err := e.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestRulesCrossEngine wants the engine to name, for an example, its own rule,
// rules declared to overlap, and the generic one, no others.
func TestRulesCrossEngine(t *testing.T) {
	e, set := engineOf(t)
	for _, r := range set.Rules() {
		examples, _, err := r.ExpandExamples()
		if err != nil {
			t.Fatal(err)
		}
		for i, ex := range examples {
			for id := range counted(e, ex) {
				other, _ := set.Rule(id)
				if id == r.ID || other.Kind == rules.KindAssignment || slices.Contains(r.Overlaps, id) || slices.Contains(other.Overlaps, r.ID) {
					continue
				}
				t.Errorf("%s also matches example %d of %s: %q", id, i+1, r.ID, r.Examples[i])
			}
		}
	}
}

// TestRulesAnywhere puts the secret of every rule at the edges of a text and
// between text that must not matter.
func TestRulesAnywhere(t *testing.T) {
	e, set := engineOf(t)
	pad := strings.Repeat("lorem ipsum dolor sit amet\n", 40)
	for _, r := range set.Rules() {
		examples, _, err := r.ExpandExamples()
		if err != nil {
			t.Fatal(err)
		}
		ex := examples[0]
		for name, text := range map[string]string{
			"after text":     pad + ex,
			"before text":    ex + "\n" + pad,
			"in text":        pad + ex + "\n" + pad,
			"crlf":           "a\r\n" + ex + "\r\nb",
			"invalid UTF-8":  "\xff\xfe\x80 " + ex + " \xff\xc3\n",
			"among NULs":     "\x00" + ex + "\x00",
			"unicode around": "„" + ex + "“",
		} {
			if n := counted(e, text)[r.ID]; n != 1 && !(r.Kind == rules.KindAssignment && name != "after text" && name != "before text" && name != "in text" && name != "crlf") {
				t.Errorf("%s: %s: %d secrets, want 1: %q", r.ID, name, n, r.Examples[0])
			}
		}
		if n := counted(e, ex+"\n"+pad+ex)[r.ID]; n != 2 {
			t.Errorf("%s: twice in a text: %d secrets, want 2: %q", r.ID, n, r.Examples[0])
		}
	}
}

// TestRulesSpan holds the span of each rule's first example to the secret.
func TestRulesSpan(t *testing.T) {
	e, set := engineOf(t)
	for _, r := range set.Rules() {
		examples, _, _ := r.ExpandExamples()
		for _, m := range e.ScanBytes([]byte(examples[0])) {
			if m.Rule.ID == r.ID && !m.Secret.Equal(secretOf(examples[0][m.Start:m.End])) {
				t.Errorf("%s: the secret is not what its span [%d,%d) holds", r.ID, m.Start, m.End)
			}
		}
	}
}

func secretOf(s string) secret.Secret { return secret.New([]byte(s)) }

// TestRulesOfLogs finds the kinds of the log benchmark, in plain lines and in
// JSON lines, where quotes are escaped.
func TestRulesOfLogs(t *testing.T) {
	e, _ := engineOf(t)
	for template, id := range map[string]string{
		"aws_access_key_id=AKIA{16:base32} aws_secret_access_key=x":                                              "aws-access-key-id",
		"aws_access_key_id=x aws_secret_access_key={40:b64}":                                                     "aws-secret-access-key",
		"git clone https://x-access-token:ghp_{30:alnum}{6:crc32}@github.com/acme/app.git":                       "github-pat",
		"Authorization: token gho_{30:alnum}{6:crc32}":                                                           "github-oauth",
		"PRIVATE-TOKEN: glpat-{20:alnum}":                                                                        "gitlab-pat",
		"slack token=xoxb-{12:digits}-{13:digits}-{24:alnum}":                                                    "slack-bot-token",
		"POST https://hooks.slack.com/services/T{10:uppernum}/B{10:uppernum}/{24:alnum}":                         "slack-webhook",
		"STRIPE_API_KEY=sk_live_{24:alnum}":                                                                      "stripe-secret-key",
		"GET https://maps.googleapis.com/maps/api/geocode/json?address=x&key=AIza{35:b64url}":                    "google-api-key",
		"OPENAI_API_KEY=sk-{20:alnum}T3BlbkFJ{20:alnum}":                                                         "openai-api-key-legacy",
		"x-api-key: sk-ant-api03-{93:b64url}AA":                                                                  "anthropic-api-key",
		"SENDGRID_API_KEY=SG.{22:alnum}.{43:alnum}":                                                              "sendgrid-api-key",
		"//npm.example.com/:_authToken=npm_{30:alnum}{6:crc32}":                                                  "npm-access-token",
		"TWINE_PASSWORD=pypi-AgEIcHlwaS5vcmc{156:b64url}":                                                        "pypi-upload-token",
		"HF_TOKEN=hf_{34:letters}":                                                                               "huggingface-user-token",
		"DIGITALOCEAN_ACCESS_TOKEN=dop_v1_{64:hex}":                                                              "digitalocean-pat",
		"X-Shopify-Access-Token: shpat_{32:hex}":                                                                 "shopify-access-token",
		"DATABRICKS_TOKEN=dapi{32:hex}":                                                                          "databricks-pat",
		"VAULT_TOKEN=hvs.{95:b64url}":                                                                            "vault-service-token",
		"Authorization: Bearer glsa_{32:alnum}_{8:crc32-hex-le}":                                                 "grafana-service-account-token",
		"NEW_RELIC_API_KEY=NRAK-{27:uppernum}":                                                                   "newrelic-user-key",
		"telegram https://api.telegram.org/bot{10:digits}:AA{33:b64url}/sendMessage":                             "telegram-bot-token",
		"DefaultEndpointsProtocol=https;AccountName=acme1;AccountKey={86:b64}==;EndpointSuffix=core.windows.net": "azure-storage-key",
		"dsn=postgres://svc_orders:{18:alnum}@db-3.internal.acme.io:5432/orders":                                 "postgres-uri",
		"Authorization: Bearer {jwt}":                                                                            "jwt",
		`loaded key "{pem-escaped:RSA}"`:                                                                         "private-key",
		`db_password="{22:alnum}"`:                                                                               "generic-assignment",
	} {
		for seed := range uint64(20) {
			msg, err := rules.Expand(template, seed)
			if err != nil {
				t.Fatal(err)
			}
			for form, line := range map[string]string{
				"plain": "2026-01-02T03:04:05.678Z INFO  [orders-3] c.a.orde.Worker - " + msg + " id=7 shard=9\n",
				"JSON":  `{"level":"info","duration_ms":12.5,"msg":"` + strings.ReplaceAll(msg, `"`, `\"`) + "\"}\n",
			} {
				if n := counted(e, line)[id]; n != 1 {
					t.Errorf("%s, %s line, seed %d: %d secrets of %s, want 1", template, form, seed, n, id)
				}
			}
		}
	}
}

func BenchmarkRulesFirstUse(b *testing.B) {
	set, err := rules.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	r, _ := set.Rule("github-pat")
	examples, _, err := r.ExpandExamples()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := scanner.New(set, scanner.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if len(e.ScanBytes([]byte(examples[0]))) == 0 {
			b.Fatal(fmt.Errorf("nothing found"))
		}
	}
}
