package pdftext

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kept is a Sink that keeps all.
type kept struct {
	texts, files map[string]string
	unread       []string
	spent, limit int
}

var errSpent = errors.New("spent")

func (k *kept) Text(name string, text []byte) error { k.texts[name] = string(text); return nil }
func (k *kept) Unread(name string) error            { k.unread = append(k.unread, name); return nil }
func (k *kept) File(name string, r io.Reader) error {
	b, err := io.ReadAll(r)
	k.files[name] = string(b)
	return err
}
func (k *kept) Spend(n int) error {
	if k.spent += n; k.limit > 0 && k.spent > k.limit {
		return errSpent
	}
	return nil
}

func read(data string) (*kept, error) {
	k := &kept{texts: map[string]string{}, files: map[string]string{}}
	return k, Read([]byte(data), k)
}

func deflated(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func streamOf(dict, data string) string {
	return fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(data), data)
}

// pdf makes a file of objects, numbered from 1.
func pdf(objects ...string) string {
	var b strings.Builder
	b.WriteString("%PDF-1.7\n")
	for i, o := range objects {
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	b.WriteString("trailer << /Root 1 0 R >>\n%%EOF\n")
	return b.String()
}

const catalog = "<< /Type /Catalog /Pages 2 0 R >>"

func page(content string, more ...string) string {
	return pdf(append([]string{catalog, "<< /Type /Pages /Kids [3 0 R] /Resources << /Font << /F1 5 0 R >> /XObject << /X 6 0 R >> >> >>",
		"<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>", content}, more...)...)
}

const simple = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"

func TestPages(t *testing.T) {
	toUnicode := "1 begincodespacerange <0000> <ffff> endcodespacerange 2 beginbfchar <0001> <0041> <0002> <D83DDE00> endbfchar 2 beginbfrange <0010> <0012> <0061> <0020> <0021> [<0078> <0079>] endbfrange"
	for what, c := range map[string]struct{ pdf, want string }{
		"literal":  {page(streamOf("", `BT /F1 12 Tf 72 700 Td (first \(line\) \101\n) Tj 0 -14 Td (second) Tj ET`), simple), "first (line) A\n\nsecond"},
		"deflated": {page(streamOf("/Filter /FlateDecode", deflated("BT /F1 12 Tf (text) Tj ET")), simple), "text"},
		"chain":    {page(streamOf("/Filter [/ASCIIHexDecode /FlateDecode]", fmt.Sprintf("%x>", deflated("BT /F1 12 Tf (text) Tj ET"))), simple), "text"},
		"kerned":   {page(streamOf("", `BT /F1 10 Tf [(to) 20 (ke) -15 (n) -300 (next)] TJ ET`), simple), "token next"},
		"runs":     {page(streamOf("", `BT /F1 10 Tf (ab) Tj 10 0 Td (cd) Tj 40 0 Td (ef) Tj ET`), simple), "abcd ef"},
		"matrix":   {page(streamOf("", `BT /F1 1 Tf 10 0 0 10 50 50 Tm (one) Tj 10 0 0 10 65 50 Tm (two) Tj 10 0 0 10 50 30 Tm (three) Tj ET`), simple), "onetwo\nthree"},
		"axes":     {page(streamOf("", `q 1 0 0 1 0 10 cm BT /F1 10 Tf (one) Tj ET Q q 1 0 0 1 0 50 cm BT /F1 10 Tf (two) Tj ET Q`), simple), "one\ntwo"},
		"cid": {page(streamOf("", `BT /F1 10 Tf <000100020010001200200021> Tj ET`), "<< /Type /Font /Subtype /Type0 /ToUnicode 7 0 R >>", "null", streamOf("", toUnicode)),
			"A😀acxy"},
		"form":   {page(streamOf("", `/X Do`), simple, streamOf("/Type /XObject /Subtype /Form", "BT /F1 10 Tf (in a form) Tj ET")), "in a form"},
		"image":  {page(streamOf("", "BI /W 1 /H 1 ID (\x00EI\xff Tj EI\nBT /F1 9 Tf (after) Tj ET"), simple), "after"},
		"quotes": {page(streamOf("", `BT /F1 10 Tf 12 TL (a) Tj (b) ' 0 0 (c) " ET`), simple), "a\nb\nc"},
		"length": {strings.Replace(page(streamOf("", "BT /F1 10 Tf (wrong length) Tj ET"), simple), "/Length 3", "/Length 9", 1), "wrong length"},
		"packed": {pdf(catalog, streamOf("/Type /ObjStm /N 2 /First 10 /Filter /FlateDecode", deflated("3 0 5 60   << /Type /Page /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>       "+simple)),
			"null", streamOf("", "BT /F1 10 Tf (in a packed page) Tj ET")), "in a packed page"},
		"cut": {page(streamOf("", "BT /F1 10 Tf (kept) Tj ET ("), simple)[:300], "kept"},
	} {
		got, err := read(c.pdf)
		if err != nil || strings.TrimRight(got.texts["page-1"], "\n") != c.want {
			t.Errorf("%s: %q, %v; want %q", what, got.texts, err, c.want)
		}
	}
}

func TestRest(t *testing.T) {
	got, err := read(pdf(catalog, "<< /Title (a title) /Author <FEFF00C4006E006E> /ID (not told) >>",
		"<< /Type /Annot /A << /URI (https://example.com/?q=1) >> /Contents (a note) /V (typed in) >>",
		streamOf("/Type /EmbeddedFile", "attached text")))
	want := "Author: Änn\nTitle: a title\nURI: https://example.com/?q=1\nContents: a note\nV: typed in\n"
	if err != nil || got.texts["strings"] != want || got.files["attached-4"] != "attached text" {
		t.Errorf("%q %q, %v", got.texts, got.files, err)
	}
}

func TestRefused(t *testing.T) {
	if _, err := read(strings.Replace(pdf(catalog), "/Root", "/Encrypt 9 0 R /Root", 1)); !errors.Is(err, ErrEncrypted) {
		t.Errorf("encrypted: %v", err)
	}
	if _, err := read("%PDF-1.4 nothing"); !errors.Is(err, ErrMalformed) {
		t.Errorf("empty: %v", err)
	}
	// A font that names no characters is told.
	got, err := read(page(streamOf("", `BT /F1 10 Tf <00010002> Tj ET`), "<< /Type /Font /Subtype /Type0 >>"))
	if err != nil || len(got.unread) != 1 {
		t.Errorf("unread %q, %v", got.unread, err)
	}
	k := &kept{texts: map[string]string{}, limit: 1 << 20}
	bomb := page(streamOf("/Filter [/FlateDecode /FlateDecode]", deflated(deflated(strings.Repeat("\x00", 64<<20)))), simple)
	if err := Read([]byte(bomb), k); !errors.Is(err, errSpent) || k.spent > 2<<20 {
		t.Errorf("bomb: spent %d, %v", k.spent, err)
	}
	// Pages, fonts and forms that lead to themselves end.
	for _, loop := range []string{
		pdf("1 0 R"), pdf(catalog, "<< /Type /Page /Parent 2 0 R /Contents 2 0 R >>"),
		page(streamOf("", "/X Do"), simple, streamOf("/Subtype /Form", "/X Do /X Do /X Do")),
		pdf(strings.Repeat("[", 100000)), pdf(strings.Repeat("<</A", 100000)), "%PDF-" + strings.Repeat("1 0 obj(", 10000),
	} {
		read(loop)
	}
}

// What a browser prints is read.
func TestChromium(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("no chromium, or -short")
	}
	dir := t.TempDir()
	words := []string{"configuration", "password: correct-horse_battery9", "a0b1c2d3e4f5g6h7i8j9k0l1m2n3o4p5", "Ünïcode € file"}
	html := "<meta charset=utf-8><h1>" + words[0] + "</h1><p>" + words[1] + "</p><pre>" + words[2] + "</pre><p style='font-family:serif'>" + words[3] + "</p>"
	if err := os.WriteFile(filepath.Join(dir, "in.html"), []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.pdf")
	cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+dir, "--print-to-pdf="+out, filepath.Join(dir, "in.html"))
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("chromium does not print here: %v\n%s", err, msg)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Skip(err)
	}
	got, err := read(string(data))
	for _, w := range words {
		if err != nil || !strings.Contains(got.texts["page-1"], w) {
			t.Errorf("no %q in %q, %v", w, got.texts["page-1"], err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(page(streamOf("", "BT /F1 10 Tf [(a) -300 <0041>] TJ ET"), simple)))
	f.Add([]byte(page(streamOf("/Filter /FlateDecode", deflated("/X Do")), simple, streamOf("/Subtype /Form", "(x) Tj"))))
	f.Add([]byte(pdf(catalog, streamOf("/Type /ObjStm /N 1 /First 4", "3 0 << /Type /Page >>"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		k := &kept{texts: map[string]string{}, files: map[string]string{}, limit: 1 << 20}
		Read(data, k)
	})
}
