package providercmd

import (
	"errors"
	"fmt"

	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

var errWhose = errors.New("give --provider, see quench provider list")

// whose asks the rules who issues such a secret.
func whose(t *provider.Table, s secret.Secret) (provider.Provider, error) {
	set, err := rules.Builtin()
	if err != nil {
		return nil, err
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		return nil, err
	}
	seen := ""
	for _, m := range e.ScanBytes(s.Reveal()) {
		if m.Rule.ID == "quench-token" {
			return nil, errors.New("it is a token of a registry; quench token revoke ends it")
		}
		if p, ok := t.ByRule(m.Rule.ID); ok {
			return p, nil
		}
		seen = m.Rule.ID
	}
	if seen != "" {
		return nil, fmt.Errorf("rule %s finds it, and no provider is known for that; %w", seen, errWhose)
	}
	return nil, fmt.Errorf("no rule says who issued it; %w", errWhose)
}
