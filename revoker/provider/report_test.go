package provider

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/quench-dev/quench/scanner/secret"
)

// A receiver's feedback names the token raw or hashed, whichever it pleases, among others:
// https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program#provide-feedback-for-false-positives
func TestFeedbackLabel(t *testing.T) {
	hash := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	token := secret.NewString("the-token")
	for answer, want := range map[string]string{
		`[{"token_raw":"other","token_type":"x","label":"false_positive"},{"token_raw":"the-token","token_type":"x","label":"true_positive"}]`: "true_positive",
		`[{"token_hash":"` + hash("the-token") + `","token_type":"x","label":"false_positive"}]`:                                               "false_positive",
		`[{"token_hash":"` + hash("other") + `","token_type":"x","label":"true_positive"}]`:                                                    "",
		`[{"token_hash":"","token_raw":"","label":"true_positive"}]`:                                                                           "",
		``: "", `{}`: "", `[1]`: "",
	} {
		if got := label([]byte(answer), token); got != want {
			t.Errorf("%s: %q, want %q", answer, got, want)
		}
	}
}
