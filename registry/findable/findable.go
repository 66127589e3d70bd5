// Package findable tells whether a scan would find a token's value where it may
// leak, and by what form of it.
//
// It lets the scanner try. It knows contexts of text and the form of a value; it
// knows no registry and keeps nothing. Start reading at Missed.
package findable

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// contexts are the ways a token stands in text: %s is the token. Each is tried
// at import, so that nobody trusts in a watch that cannot see.
var contexts = []string{
	`k=%s`, `k: %s`, `"%s"`, `'%s'`, `see %s.`, `%s, and`, `https://u:%s@h`, `https://h/%s/x`, `https://h/?a=%s&b=1`, `(%s)`, `<k>%s</k>`,
	contextBase64,
}

// contextBase64 is the token as an encoded value, as Kubernetes keeps secrets.
const contextBase64 = `k: base64(%s)`

// put appends plain as it stands in context c, on a line.
func put(text []byte, c string, plain []byte) []byte {
	if c == contextBase64 {
		text = append(text, "k: "...)
		text = base64.StdEncoding.AppendEncode(text, plain)
	} else {
		i := bytes.Index([]byte(c), []byte("%s"))
		text = append(append(append(text, c[:i]...), plain...), c[i+2:]...)
	}
	return append(text, '\n')
}

// Missed lists the contexts in which the scanner would not find value, by
// letting it try.
func Missed(value secret.Secret) ([]string, error) {
	plain := value.Reveal()
	e, err := scanner.New(&rules.Set{}, scanner.Options{Known: only{plain}})
	if err != nil {
		return nil, fmt.Errorf("trying whether a scan would find the value: %w", err)
	}
	var missed []string
	for _, c := range contexts {
		found := false
		for _, m := range e.ScanBytes(put(nil, c, plain)) {
			found = found || m.Token != nil && m.Secret.Equal(value)
		}
		if !found {
			missed = append(missed, c)
		}
	}
	return missed, nil
}

// only is a scanner.Known of one value.
type only struct{ plain []byte }

func (o only) Shapes() []scanner.Shape { return []scanner.Shape{ShapeOf(o.plain)} }

func (o only) Lookup(candidate []byte) (scanner.KnownToken, bool) {
	if bytes.Equal(candidate, o.plain) {
		return scanner.KnownToken{ID: "import"}, true
	}
	return scanner.KnownToken{}, false
}

// ShapeOf is the length of b and its bytes beyond letters and digits, sorted.
func ShapeOf(b []byte) scanner.Shape {
	extra := map[byte]bool{}
	for _, c := range b {
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z') {
			extra[c] = true
		}
	}
	return scanner.Shape{Len: len(b), Extra: string(slices.Sorted(maps.Keys(extra)))}
}
