package msoffice

import (
	"bytes"
	"encoding/binary"
)

// MaxMacro is more than the source of any module: VBA takes 64K lines at most.
const MaxMacro = 16 << 20

// macroBegin is how the source of each module begins, compressed: a flag, then eight
// bytes as they are ([MS-OVBA] 2.3.4.3; 2.4.1 for the compression).
const macroBegin = "\x00Attribut"

// Macro gives the source of a module of VBA, which stands in its stream after what it
// was compiled to; nil where there is none.
func Macro(data []byte) []byte {
	const before = 3 // a signature, and the header of a chunk
	at := bytes.Index(data, []byte(macroBegin))
	if at < before || data[at-before] != 1 {
		return nil
	}
	return bytes.ReplaceAll(expandMacro(data[at-before+1:]), []byte("\r\n"), []byte("\n"))
}

// macroChunk is how many bytes a chunk holds, unpacked.
const macroChunk = 4096

// expandMacro unpacks chunks; what is damaged ends it.
func expandMacro(data []byte) (out []byte) {
	for len(data) >= 2 {
		h := binary.LittleEndian.Uint16(data)
		n := min(int(h&0xfff)+3, len(data))
		if h>>12&7 != 3 {
			return out
		}
		chunk := data[2:n]
		data = data[n:]
		if h&0x8000 == 0 {
			out = append(out, chunk...)
			continue
		}
		var ok bool
		if out, ok = expandChunk(out, chunk); !ok {
			return out
		}
	}
	return out
}

// expandChunk unpacks one: of each eight tokens a flag says which copy from what came
// before in the chunk. The further that is, the fewer bits are left for the length.
func expandChunk(out, chunk []byte) ([]byte, bool) {
	start := len(out)
	for len(chunk) > 0 {
		flags := chunk[0]
		chunk = chunk[1:]
		for bit := 0; bit < 8 && len(chunk) > 0; bit++ {
			if flags>>bit&1 == 0 {
				out, chunk = append(out, chunk[0]), chunk[1:]
				continue
			}
			if len(chunk) < 2 {
				return out, false
			}
			token, have := int(binary.LittleEndian.Uint16(chunk)), len(out)-start
			chunk = chunk[2:]
			bits := 4
			for 1<<bits < have {
				bits++
			}
			offset, length := token>>(16-bits)+1, token&(1<<(16-bits)-1)+3
			if offset > have || have+length > macroChunk {
				return out, false
			}
			for range length {
				out = append(out, out[len(out)-offset])
			}
		}
	}
	return out, true
}
