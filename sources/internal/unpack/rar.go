package unpack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/nwaples/rardecode/v2"
)

func (w *walker) rar(in Input, prefix string, depth int) error {
	if err := w.hold(maxDictionary); err != nil {
		return err
	}
	r, err := rardecode.NewReader(in.R, rardecode.MaxDictionarySize(maxDictionary))
	if err != nil {
		return rarError(err)
	}
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return rarError(err)
		}
		path := prefix + CleanName(h.Name)
		switch {
		case h.IsDir:
		case h.Encrypted || h.HeaderEncrypted:
			err = w.skip(path, ErrEncrypted)
		case h.Mode()&fs.ModeSymlink != 0 || h.LinkTarget != "":
			err = w.skip(path, ErrLink)
		default:
			size := h.UnPackedSize
			if h.UnKnownSize {
				size = -1
			}
			if err = w.entry(prefix, h.Name, size, rarReader{r}, depth); err == nil {
				// Where files are packed as one, the library would unpack what is
				// passed over outside the budget.
				if io.Copy(io.Discard, &outlet{w: w, r: rarReader{r}}); w.fatal != nil {
					err = w.fatal
				}
			}
		}
		if err != nil {
			return err
		}
	}
}

// rarReader hides WriteTo, which would write past the budget.
type rarReader struct{ r io.Reader }

func (r rarReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = rarError(err)
	}
	return n, err
}

// rarError says what the library's errors mean here.
func rarError(err error) error {
	switch {
	case errors.Is(err, rardecode.ErrArchiveEncrypted), errors.Is(err, rardecode.ErrArchivedFileEncrypted):
		return ErrEncrypted
	case errors.Is(err, rardecode.ErrDictionaryTooLarge):
		return fmt.Errorf("%w: %v", ErrTooLarge, err)
	case errors.Is(err, rardecode.ErrMultiVolume), errors.Is(err, rardecode.ErrFileNameRequired), errors.Is(err, rardecode.ErrUnknownVersion), errors.Is(err, rardecode.ErrUnsupportedDecoder):
		return fmt.Errorf("%w: %v", ErrFormat, err)
	}
	return err
}
