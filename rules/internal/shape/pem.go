package shape

import (
	"bytes"
	"strings"
)

// pem reads one PEM block, its line ends real or escaped (\n in JSON and
// source code). Tools put anything between the lines; the body is what is left
// after white space, escapes, quotes and joining operators are taken out.
func pem(s []byte) Result {
	label, rest, ok := cutPEMLabel(s)
	if !ok || !strings.HasSuffix(label, "PRIVATE KEY") && label != "PGP PRIVATE KEY BLOCK" {
		return No("not a private key")
	}
	if i := bytes.Index(rest, []byte("-----END")); i >= 0 {
		rest = rest[:i]
	}
	encrypted := strings.HasPrefix(label, "ENCRYPTED") || bytes.Contains(rest, []byte("ENCRYPTED"))
	body, ok := pemBody(rest)
	if !ok {
		return No("its body is not base64")
	}
	if len(body) < 64 {
		return No("its body is too short for a key")
	}
	if distinct(body) < minDistinct {
		return No("its body repeats a few characters, as examples do")
	}
	raw, ok := decode64(body)
	switch {
	case encrypted || ok && sshEncrypted(raw):
		return Spent("the key is encrypted with a passphrase")
	case !ok || len(raw) == 0:
		return Perhaps("its body is cut or damaged")
	}
	if kind := keyKind(raw); kind != "" {
		return Yes("it parses as " + kind)
	}
	switch {
	case raw[0] == 0x30 || bytes.HasPrefix(raw, sshMagic):
		return Yes("a private key that decodes")
	}
	return Perhaps("its body decodes, but not to a known kind of key")
}

// minDistinct is far below the 25 characters and more that the shortest key has, an
// Ed25519 one of 64: "XXXX…" and "abcabc…" stand for one.
const minDistinct = 8

func distinct(b []byte) (n int) {
	var seen [256]bool
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

func cutPEMLabel(s []byte) (label string, rest []byte, ok bool) {
	s, ok = bytes.CutPrefix(s, []byte("-----BEGIN "))
	if !ok {
		return "", nil, false
	}
	i := bytes.Index(s, []byte("-----"))
	if i < 0 {
		return "", nil, false
	}
	return string(s[:i]), s[i+5:], true
}

// pemBody joins the base64 characters of a PEM body. Header lines of encrypted
// keys ("DEK-Info: …") and PGP armour ("Version: …") are left out, as is PGP's
// own checksum line.
func pemBody(b []byte) ([]byte, bool) {
	for _, esc := range []string{`\\r`, `\\n`, `\r`, `\n`, "\r"} {
		b = bytes.ReplaceAll(b, []byte(esc), []byte("\n"))
	}
	var out []byte
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		line = unquoteLine(line)
		if bytes.Contains(line, []byte(": ")) || len(line) == 5 && line[0] == '=' {
			continue
		}
		for _, c := range line {
			switch {
			case isAlnum(c) || c == '+' || c == '/' || c == '=':
				out = append(out, c)
			case c == ' ' || c == '\t':
			default:
				return nil, false
			}
		}
	}
	return out, true
}

// unquoteLine takes off what languages put around the lines of a key: indents,
// comment signs, quotes, and a joining '+' outside of quotes, which is also a
// character of base64.
func unquoteLine(line []byte) []byte {
	const around, quotes = " \t,;\\>|#*", "\"'`"
	line = bytes.Trim(line, around)
	if head, ok := bytes.CutSuffix(line, []byte("+")); ok {
		if head = bytes.TrimRight(head, around); len(head) > 0 && bytes.IndexByte([]byte(quotes), head[len(head)-1]) >= 0 {
			line = head
		}
	}
	if tail, ok := bytes.CutPrefix(line, []byte("+")); ok {
		if tail = bytes.TrimLeft(tail, around); len(tail) > 0 && bytes.IndexByte([]byte(quotes), tail[0]) >= 0 {
			line = tail
		}
	}
	return bytes.Trim(line, around+quotes)
}
