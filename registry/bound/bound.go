// Package bound tells what a token is bound to: the scopes it may do, and the
// networks and countries it may be shown from.
//
// It knows how each is written, what is wrong with one, and whether what is asked
// lies within. It knows no token, no state and no database. Start reading at
// CheckScope and Covers, then Network and Country.
package bound

import "errors"

// ErrInvalid: what can never succeed as it is written. It is registry.ErrInvalid.
var ErrInvalid = errors.New("invalid request")
