package unpack

import (
	"archive/tar"
	"io"
)

// tar reads any tar, among them images as docker save and the OCI layout have them:
// their layers are tars in it, their configuration is a text.
func (w *walker) tar(in Input, prefix string, depth int) error {
	r := tar.NewReader(in.R)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeReg, '\x00', tar.TypeGNUSparse, tar.TypeCont:
			err = w.entry(prefix, h.Name, h.Size, r, depth)
		case tar.TypeSymlink, tar.TypeLink:
			err = w.skip(prefix+CleanName(h.Name), ErrLink)
		case tar.TypeDir, tar.TypeXGlobalHeader:
		default:
			err = w.skip(prefix+CleanName(h.Name), ErrSpecial)
		}
		if err != nil {
			return err
		}
	}
}
