// Package objskip tells why an object of git was not read, as a reason to pass an
// item over.
//
// It knows what package gitrepo says and what an item says, and nothing of whose
// object it was. Start reading at Of.
package objskip

import (
	"errors"
	"io"
	"io/fs"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/item"
)

// Of classifies what reading an object said.
func Of(err error) *item.Skip {
	switch {
	case errors.Is(err, gitrepo.ErrMissing):
		return &item.Skip{Reason: item.SkipMissing, Err: err}
	case errors.Is(err, gitrepo.ErrTooLarge):
		return &item.Skip{Reason: item.SkipTooLarge, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &item.Skip{Reason: item.SkipUnreadable, Err: err}
	}
	return &item.Skip{Reason: item.SkipCorrupt, Err: err}
}

// Error is Of as an error of an item's Open.
func Error(err error) error {
	s := Of(err)
	return &item.SkipError{Reason: s.Reason, Err: s.Err}
}

// Reader tells a read that ends in corruption as Error.
type Reader struct{ io.ReadCloser }

// Read implements io.Reader.
func (r Reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = Error(err)
	}
	return n, err
}
