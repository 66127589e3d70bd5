package unpack

import (
	"github.com/quench-dev/quench/sources/internal/keystore"
)

// maxStore is far more than any keystore: those of certificate authorities have some
// 200 kB.
const maxStore = 16 << 20

// keystore gives each key of a keystore as a text in PEM.
func (w *walker) keystore(in Input, prefix string, _ int) error {
	data, err := w.atMost(in.R, maxStore)
	if err != nil {
		return err
	}
	keys, err := keystore.Keys(data)
	if err != nil && len(keys) == 0 {
		return ErrBinary // it only began as one
	}
	for _, k := range keys {
		name := k.Alias
		if name == "" {
			name = "key"
		}
		if err := w.text(prefix, name+".pem", k.PEM); err != nil {
			return err
		}
	}
	return err
}
