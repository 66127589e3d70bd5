package input

import (
	"errors"
	"strings"

	"github.com/quench-dev/quench/scanner/secret"
)

// Parts reads what belongs to a secret, NAME=VALUE each. An error repeats nothing: it
// could be the secret itself.
func Parts(flags []string) (map[string]secret.Secret, error) {
	all := map[string]secret.Secret{}
	for _, f := range flags {
		name, value, _ := strings.Cut(f, "=")
		if name == "" || value == "" {
			return nil, errors.New("--part: want NAME=VALUE, such as key_id=…; see quench provider show")
		}
		all[name] = secret.NewString(value)
	}
	return all, nil
}
