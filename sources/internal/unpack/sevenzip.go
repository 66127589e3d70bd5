package unpack

import (
	"errors"
	"fmt"
	"io"

	"github.com/quench-dev/quench/sources/internal/sevenzip"
)

func (w *walker) sevenzip(in Input, prefix string, depth int) error {
	// The dictionary, and the list of files.
	if err := w.hold(maxDictionary + 32<<20); err != nil {
		return err
	}
	var given error // by the walk itself
	err := sevenzip.Walk(in.At, in.Size, sevenzip.Options{
		MaxDictionary: maxDictionary, Meter: func(r io.Reader) io.Reader { return &outlet{w: w, r: r} },
	}, func(f sevenzip.File, r io.Reader, err error) error {
		switch {
		case err != nil:
			given = w.skip(prefix+CleanName(f.Name), sevenzipError(err))
		case f.Dir:
		default:
			given = w.entry(prefix, f.Name, int64(min(f.Size, 1<<62)), r, depth)
		}
		return given
	})
	if err != nil && given == nil {
		return sevenzipError(err)
	}
	return err
}

// sevenzipError says what the reader's errors mean here.
func sevenzipError(err error) error {
	for from, to := range map[error]error{sevenzip.ErrEncrypted: ErrEncrypted, sevenzip.ErrMethod: ErrFormat, sevenzip.ErrTooLarge: ErrTooLarge} {
		if errors.Is(err, from) {
			return fmt.Errorf("%w: %v", to, err)
		}
	}
	return err
}
