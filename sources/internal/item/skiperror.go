package item

import "fmt"

// SkipError is what Item.Open, or a read, returns when the item turns out not to
// be read for a Reason that only its content or its opening tells.
type SkipError struct {
	Reason Reason
	Err    error // the cause, where there is one
}

func (e *SkipError) Error() string {
	if e.Err == nil {
		return "skipped: " + string(e.Reason)
	}
	return fmt.Sprintf("skipped (%s): %v", e.Reason, e.Err)
}

func (e *SkipError) Unwrap() error { return e.Err }
