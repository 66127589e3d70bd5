package decode

// Boundary reports whether text[i] is a line feed that no encoded run can lie
// across or touch: what is decoded before it and after it is decoded alike when
// either is looked at alone, with the line feed left to the part before it, to the
// one after it, or to both.
//
// Runs of base64, hex, percent and backslash escapes hold no line feed. UTF-16
// does, beside a NUL. Joined literals and continued lines go on when a line ends
// with '+', a quote or a backslash, white space aside. So the byte before, or the
// one before a carriage return, must be none of these, and the byte after no NUL.
// A new decoder that looks over a line end in another way must be taken in here;
// FuzzBoundary finds it if it is not.
func Boundary(text []byte, i int) bool {
	if i < 1 || text[i] != '\n' || i+1 < len(text) && text[i+1] == 0 {
		return false
	}
	c := text[i-1]
	if c == '\r' && i > 1 {
		c = text[i-2]
	}
	switch c {
	case '+', '\\', '"', '\'', '`', 0x7f:
		return false
	}
	return c > ' '
}

// BoundaryWidth is how many bytes before and after the line feed Boundary looks
// at.
const BoundaryWidth = 2
