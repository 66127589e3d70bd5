// Package strict reads the operator's TOML files without forgiving anything.
//
// A misspelt key is an error with its line, since it could have been a protection. The
// package knows TOML and its errors; what the keys mean, others know. Start reading at
// Decode.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Decode reads TOML into v. Its errors begin with the line.
func Decode(b []byte, v any) error {
	d := toml.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var unknown *toml.StrictMissingError
	var at *toml.DecodeError
	switch {
	case errors.As(err, &unknown) && len(unknown.Errors) > 0:
		line, _ := unknown.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %q", line, strings.Join(unknown.Errors[0].Key(), "."))
	case errors.As(err, &at):
		line, col := at.Position()
		return fmt.Errorf("line %d, column %d: %v", line, col, err)
	}
	return err
}
