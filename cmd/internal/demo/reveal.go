package demo

import "github.com/quench-dev/quench/scanner/secret"

// line is the leak itself: a demo must write its token somewhere.
func line(before string, value secret.Secret) []byte {
	return append(append([]byte(before), value.Reveal()...), '\n')
}
