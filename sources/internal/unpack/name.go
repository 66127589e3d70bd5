package unpack

import (
	"path"
	"strings"
	"unicode/utf8"
)

// maxName bounds what is shown of an entry's name: no file system has longer
// paths, and an archive may give a megabyte.
const maxName = 4096

// CleanName makes of an entry's name a path below the archive. It is only ever
// shown: nothing is created by it. Steps upward and drives lead nowhere, and control
// characters stay for the report to write out.
func CleanName(name string) string {
	if len(name) > maxName {
		n := maxName
		for n > 0 && !utf8.RuneStart(name[n]) {
			n--
		}
		name = name[:n] + "…"
	}
	name = strings.ReplaceAll(name, `\`, "/")
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "content"
	}
	return name
}

// suffixes are those of files that hold one compressed one, and what it is then
// called.
var suffixes = map[string]string{
	".gz": "", ".z": "", ".bz2": "", ".xz": "", ".zst": "", ".tgz": ".tar", ".tbz2": ".tar", ".tbz": ".tar", ".txz": ".tar", ".tzst": ".tar",
	".svgz": ".svg", ".emz": ".emf",
}

// innerName is what the one file in a compressed one is called.
func innerName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	ext := path.Ext(name)
	to, ok := suffixes[strings.ToLower(ext)]
	if !ok || len(ext) == len(name) {
		return "content"
	}
	return name[:len(name)-len(ext)] + to
}
