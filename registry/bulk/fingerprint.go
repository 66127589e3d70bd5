package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/quench-dev/quench/registry/findable"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

// pairLine is a line with a pair in place of its value, as Reader reads it.
type pairLine struct {
	Pair     pepper.Pair `json:"pair"`
	Owner    string      `json:"owner,omitempty"`
	Purpose  string      `json:"purpose,omitempty"`
	Env      string      `json:"env,omitempty"`
	Provider string      `json:"provider,omitempty"`
	Scopes   []string    `json:"scopes,omitempty"`
	Tags     []string    `json:"tags,omitempty"`
	TTL      string      `json:"ttl,omitempty"`
}

// fingerprintChunk lines are proven findable together.
const fingerprintChunk = 1000

// Fingerprint writes each line of in with what the registry keeps of its value in
// place of the value, as JSON lines for Import. A line that no token can be of is
// told to bad.
func Fingerprint(h pepper.Hand, in *Reader, w io.Writer, bad func(n int, err error)) (c Count, err error) {
	f, err := findable.NewFinder()
	if err != nil {
		return c, err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for end := false; !end; {
		var lines []Line
		var all []secret.Secret
		for len(lines) < fingerprintChunk {
			l, err := in.Next()
			if errors.Is(err, io.EOF) {
				end = true
				break
			}
			if err != nil {
				return c, err
			}
			c.Lines, c.Last = c.Lines+1, l.N
			if err := fit(l); err != nil {
				c.Bad++
				bad(l.N, err)
				continue
			}
			lines, all = append(lines, l), append(all, l.Value)
		}
		missed, err := f.Missed(all)
		if err != nil {
			return c, err
		}
		for i, l := range lines {
			if len(missed[i]) > 0 {
				c.Hard++
			}
			line := pairLine{h.Pair(l.Value, findable.ShapeOf(l.Value.Reveal()), missed[i]), l.Owner, l.Purpose, l.Env, l.Provider, l.Scopes, l.Tags, ""}
			if l.TTL > 0 {
				line.TTL = l.TTL.String()
			}
			if err := e.Encode(line); err != nil {
				return c, fmt.Errorf("writing fingerprints: %w", err)
			}
			c.Stored++
		}
	}
	return c, nil
}

func fit(l Line) error {
	switch {
	case l.Err != nil:
		return l.Err
	case l.Pair != nil:
		return errors.New("it holds a pair already")
	}
	if err := values.Check(l.Value.Reveal()); err != nil {
		return err
	}
	if p, ok := rules.ParseToken(l.Value.Reveal()); !ok && string(p.Brand) == rules.DefaultBrand {
		return errors.New("the value has the form of a quench token and a wrong checksum: it is mistyped or cut")
	}
	return nil
}
