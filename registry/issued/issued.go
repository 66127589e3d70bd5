// Package issued writes tokens that were just issued with their values, the one time
// that these are shown.
//
// It knows formats; who may see a value, and where it goes, is its caller's to know.
// Start reading at Write.
package issued

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/scanner/secret"
)

// Header names the columns of Write as "csv".
const Header = "id,owner,purpose,env,expires_at,token\n"

// Write writes a token just issued with its value, the one time that is
// shown: as "text" the value alone on a line, as "uri" one
// of RFC 8959 (secret-token:), as "env" a line for an
// environment file, as "json" an object of the token with the member "token". For
// many, as "jsonl" that object on one line, as "csv" a row of Header.
func Write(w io.Writer, format string, t registry.Token, value secret.Secret) error {
	var err error
	switch format {
	case "text":
		_, err = fmt.Fprintf(w, "%s\n", value.Reveal())
	case "uri":
		_, err = fmt.Fprintf(w, "%s%s\n", values.URIScheme, value.Reveal())
	case "env":
		_, err = fmt.Fprintf(w, "QUENCH_TOKEN=%s\n", value.Reveal())
	case "csv":
		c := csv.NewWriter(w)
		expires := ""
		if !t.ExpiresAt.IsZero() {
			expires = t.ExpiresAt.Format(time.RFC3339)
		}
		err = c.Write([]string{t.ID, t.Owner, t.Purpose, t.Env, expires, string(value.Reveal())})
		c.Flush()
		err = errors.Join(err, c.Error())
	case "json", "jsonl":
		e := json.NewEncoder(w)
		if format == "json" {
			e.SetIndent("", "  ")
		}
		err = e.Encode(struct {
			Value string `json:"token"`
			registry.Token
		}{string(value.Reveal()), t})
	default:
		return fmt.Errorf("%w: format %q; it is text, uri, env, json, jsonl or csv", registry.ErrInvalid, format)
	}
	if err != nil {
		return fmt.Errorf("writing the token %s, which cannot be shown again (revoke it): %w", t.ID, err)
	}
	return nil
}

// WriteHand writes what makes pairs where values live. It is a secret.
func WriteHand(w io.Writer, h pepper.Hand) error {
	_, err := fmt.Fprintf(w, "%s\n", h.Encode().Reveal())
	return err
}
