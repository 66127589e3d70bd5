package unpack

import "github.com/quench-dev/quench/sources/internal/pyc"

// maxModule is several times what the largest modules of the standard library and of
// generated code take compiled.
const maxModule = 8 << 20

// pyc gives the string constants of a compiled Python module as a text.
func (w *walker) pyc(in Input, prefix string, _ int) error {
	data, err := w.atMost(in.R, maxModule)
	if err != nil {
		return err
	}
	text, err := pyc.Text(data)
	if err := w.text(prefix, "constants", text); err != nil {
		return err
	}
	return err
}
