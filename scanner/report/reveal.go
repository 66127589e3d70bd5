package report

import "github.com/quench-dev/quench/scanner/secret"

// shown is a secret as the report shows it: redacted, unless the user asked.
func shown(s secret.Secret, o Options) string {
	if o.ShowSecrets {
		return string(s.Reveal())
	}
	return s.Redacted()
}
