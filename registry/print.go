package registry

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/quench-dev/quench/scanner/secret"
)

// WriteIssued writes a token just issued with its value, the one time that is
// shown: as "text" the value alone on a line, as "uri" one
// of RFC 8959 (secret-token:), as "env" a line for an
// environment file, as "json" an object of the token with the member "token".
func WriteIssued(w io.Writer, format string, t Token, value secret.Secret) error {
	var err error
	switch format {
	case "text":
		_, err = fmt.Fprintf(w, "%s\n", value.Reveal())
	case "uri":
		_, err = fmt.Fprintf(w, "%s%s\n", uriScheme, value.Reveal())
	case "env":
		_, err = fmt.Fprintf(w, "QUENCH_TOKEN=%s\n", value.Reveal())
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		err = e.Encode(struct {
			Value string `json:"token"`
			Token
		}{string(value.Reveal()), t})
	default:
		return fmt.Errorf("%w: format %q; it is text, uri, env or json", ErrInvalid, format)
	}
	if err != nil {
		return fmt.Errorf("writing the token %s, which cannot be shown again (revoke it): %w", t.ID, err)
	}
	return nil
}
