package unpack

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is that of zstd --long, which people use for images and dumps; what
// asks for more is refused as the zstd program does.
const maxWindow = 128 << 20

func (w *walker) zstd(in Input, prefix string, depth int) error {
	d, err := newZstd(in.R)
	if err != nil {
		return err
	}
	defer d.Close()
	return w.compressed(in, prefix, depth, zstdReader{d})
}

// newZstd makes a decoder of one goroutine: the scan has a worker for each CPU
// already, and none is left behind when a walk ends early.
func newZstd(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}

// zstdReader hides WriteTo, which would write past the budget.
type zstdReader struct{ io.Reader }
