package unpack

import (
	"encoding/binary"
	"fmt"
	"io"
)

// rpmMagic begins the lead of an RPM package, rpmHeader each of its two headers
// (rpm.org, "RPM V4 Package Format").
const (
	rpmMagic  = "\xed\xab\xee\xdb"
	rpmHeader = "\x8e\xad\xe8\x01"

	rpmLead      = 96
	rpmIntro     = 16 // magic, four bytes for later, two counts
	rpmIndex     = 16 // one entry
	maxRPMHeader = 256 << 20
)

// rpm reads the payload of a package, a cpio archive that is compressed as a rule,
// and the texts of its second header, in which its scripts lie.
func (w *walker) rpm(in Input, prefix string, depth int) error {
	if _, err := io.CopyN(io.Discard, in.R, rpmLead); err != nil {
		return unexpected(err)
	}
	for i := range 2 {
		var b [rpmIntro]byte
		if _, err := io.ReadFull(in.R, b[:]); err != nil {
			return unexpected(err)
		}
		entries, store := int64(binary.BigEndian.Uint32(b[8:])), int64(binary.BigEndian.Uint32(b[12:]))
		if string(b[:4]) != rpmHeader || entries*rpmIndex+store > maxRPMHeader {
			return fmt.Errorf("%w: no header of a package", ErrCorrupt)
		}
		if _, err := io.CopyN(io.Discard, in.R, entries*rpmIndex); err != nil {
			return unexpected(err)
		}
		body := &io.LimitedReader{R: in.R, N: store}
		if i == 1 {
			if err := w.strings(prefix, "header", store, body, depth); err != nil {
				return err
			}
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		if body.N > 0 {
			return io.ErrUnexpectedEOF
		}
		if i == 0 { // the signature's header is padded
			if _, err := io.CopyN(io.Discard, in.R, padding(store, 8)); err != nil {
				return unexpected(err)
			}
		}
	}
	return w.entry(prefix, "payload", -1, in.R, depth)
}
