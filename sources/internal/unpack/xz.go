package unpack

import (
	"errors"
	"fmt"
	"io"

	"github.com/quench-dev/quench/sources/xz"
)

// maxDictionary is the largest dictionary that a decoder gets: that of xz -9.
const maxDictionary = 64 << 20

func (w *walker) xz(in Input, prefix string, depth int) error {
	return w.compressed(in, prefix, depth, newXZ(w, in.R))
}

// newXZ reads xz, whose dictionaries are paid for until their block ends.
func newXZ(w *walker, r io.Reader) io.Reader {
	return xzErrors{xz.NewReader(r, xz.Options{MaxDictionary: maxDictionary, Hold: w.hold})}
}

// xzErrors says what the reader's errors mean here.
type xzErrors struct{ r io.Reader }

func (x xzErrors) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	for from, to := range map[error]error{xz.ErrFormat: ErrFormat, xz.ErrTooLarge: ErrTooLarge} {
		if errors.Is(err, from) {
			err = fmt.Errorf("%w: %v", to, err)
		}
	}
	return n, err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
