package unpack

import (
	"archive/zip"
	"path"
	"strings"
)

// officeParts are the folders of Office Open XML whose XML is text that people wrote.
var officeParts = map[string]bool{"word": true, "xl": true, "ppt": true, "visio": true, "docProps": true, "customXml": true}

// documentParts tells which entries of a zip are XML of an office document, whose
// text is read in place of the XML. Relations (.rels), where links lead, and all
// else are read as they are.
func documentParts(files []*zip.File) func(name string) bool {
	for _, f := range files {
		switch f.Name {
		case "[Content_Types].xml": // ECMA-376 part 2
			return func(name string) bool {
				top, _, _ := strings.Cut(name, "/")
				return officeParts[top] && strings.EqualFold(path.Ext(name), ".xml")
			}
		case "META-INF/manifest.xml": // OpenDocument part 2
			return func(name string) bool {
				switch path.Base(name) {
				case "content.xml", "styles.xml", "meta.xml", "settings.xml":
					return true
				}
				return false
			}
		}
	}
	return func(string) bool { return false }
}
