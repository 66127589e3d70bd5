package xmltext

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func text(t *testing.T, xml string) string {
	t.Helper()
	all, err := io.ReadAll(NewReader(strings.NewReader(xml)))
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestText(t *testing.T) {
	for name, c := range map[string]struct{ xml, want string }{
		"runs": {`<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/w"><w:body><w:p><w:pPr><w:b/></w:pPr>` +
			`<w:r w:rsidR="00A7"><w:rPr><w:b w:val="1"/></w:rPr><w:t>pass</w:t></w:r><w:proofErr w:type="x"/><w:r><w:t xml:space="preserve">word = a&amp;b</w:t></w:r></w:p>` + "\n  " +
			`<w:p><w:r><w:t>next</w:t><w:tab/><w:t>col</w:t></w:r></w:p></w:body></w:document>`, "password = a&b\nnext\tcol\n"},
		"sheet": {`<sst><si><t>one</t></si><si><r><t>tw</t></r><r><t>o</t></r></si></sst>`, "one\ntwo\n"},
		"cells": {`<row r="1"><c r="A1"><v>17</v></c><c t="inlineStr"><is><t>x</t></is></c></row>`, "17\nx\n"},
		"odf":   {`<text:p text:style-name="P1">user <text:span>ann</text:span><text:line-break/>key</text:p>`, "user ann\nkey\n"},
		"props": {`<Properties><Company>Acme</Company><Manager>Ann</Manager></Properties>`, "Acme\nAnn\n"},
		"attributes": {`<w:p><w:r><a:docPr descr="a long &quot;description&quot;" id="7"/><w:t>line</w:t></w:r></w:p>`,
			"line\ndescr=\"a long \"description\"\"\n"},
		"comment and cdata": {`<a><!-- note --><b><![CDATA[x <y> ]] z]]></b></a>`, " note x <y> ]] z\n"},
		"numbers":           {"<p>&#65;&#x42;&#xFFFFFFF;</p>", "AB&#xFFFFFFF;\n"},
	} {
		if got := text(t, c.xml); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := text(t, "key = value & more"); got != "key = value & more\n" {
		t.Errorf("no markup: %q", got)
	}
	if got := text(t, "before <unfinished tag"); got != "before unfinished tag\n" {
		t.Errorf("unfinished: %q", got)
	}
}

func TestHostile(t *testing.T) {
	deep := strings.Repeat("<a>", 3*maxDepth) + "x" + strings.Repeat("</a>", 3*maxDepth) + "<p>y</p>"
	if got := text(t, deep); got != "xy\n" && got != "x\ny\n" {
		t.Errorf("deep: %q", got)
	}
	long := `<a title="` + strings.Repeat("z", 3*maxTag) + `">text</a>`
	if got := text(t, long); got != "text\n" {
		t.Errorf("a long tag: %.60q", got)
	}
	broken := iotest.ErrReader(io.ErrUnexpectedEOF)
	all, err := io.ReadAll(NewReader(io.MultiReader(strings.NewReader("<p>kept"), broken)))
	if string(all) != "kept\n" || err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", all, err)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"<p>a&amp;b</p>", "<!-- x --><![CDATA[y]]>", `<a b="cccccccccccccccc"/>`, "<", "&#x41;", "</a></a>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, xml string) {
		whole, err := io.ReadAll(NewReader(strings.NewReader(xml)))
		if err != nil {
			t.Fatal(err)
		}
		bytewise, err := io.ReadAll(NewReader(iotest.OneByteReader(strings.NewReader(xml))))
		if err != nil {
			t.Fatal(err)
		}
		// The pieces it comes in decide nothing, but on white space alone.
		strip := func(b []byte) string { return strings.Join(strings.Fields(string(b)), "") }
		if strip(whole) != strip(bytewise) {
			t.Errorf("%q, bytewise %q", whole, bytewise)
		}
		if len(whole) > 2*len(xml)+16 {
			t.Errorf("%d bytes of %d", len(whole), len(xml))
		}
	})
}
