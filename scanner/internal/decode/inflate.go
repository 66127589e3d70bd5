package decode

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
)

// maxInflated bounds what compressed data may become: 48 KB, all that a segment
// holds, as configuration compresses at most some 20 times; what is bigger is cut
// off, so that a bomb costs no more than a megabyte.
const maxInflated = 1 << 20

// inflate reads gzip (RFC 1952) or zlib (RFC 1950) data.
func inflate(b []byte) (plain []byte, via string, ok bool) {
	var r io.Reader
	var err error
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		via = "gzip"
		r, err = gzip.NewReader(bytes.NewReader(b))
	} else {
		via = "zlib"
		r, err = zlib.NewReader(bytes.NewReader(b))
	}
	if err != nil {
		return nil, "", false
	}
	// Data may be cut short by the end of its segment: what came out counts.
	plain, _ = io.ReadAll(io.LimitReader(r, maxInflated))
	return plain, via, len(plain) > 0 && isText(plain)
}
