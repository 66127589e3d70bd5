package scanner_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

type packed struct{ name, data string }

func inZip(t *testing.T, files ...packed) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.name)
		if err == nil {
			_, err = w.Write([]byte(f.data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func inTar(t *testing.T, files ...packed) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = w.Write([]byte(f.data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func inGzip(t *testing.T, data string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(data))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sqliteOf(t *testing.T, statements ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "db")
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// pycOf is a module of Python 3.11 with two constants.
func pycOf(constant string) string {
	str := func(s string) string { return "z" + string(rune(len(s))) + s }
	empty := "s\x00\x00\x00\x00"
	return "\xa7\x0d\r\n" + strings.Repeat("\x00", 12) + "c" + strings.Repeat("\x00", 20) + "s\x04\x00\x00\x00d\x00Z\x00" +
		")\x02" + str("first constant") + str(constant) + ")\x01" + str("NAME") + ")\x00" + empty + str("f") + str("m") + str("m") + "\x00\x00\x00\x00" + empty + empty
}

// found scans a folder that holds one file and gives the places of the findings.
func found(t *testing.T, e *scanner.Engine, name, data string) (places []string, cov scanner.Coverage) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	cov, err := e.Run(t.Context(), sources.Files(dir, sources.FileOptions{}), scanner.RunOptions{Finding: func(f scanner.Finding) {
		places = append(places, fmt.Sprintf("%s:%d %s %v", f.Origin.Path, f.Line, f.Rule.ID, f.Origin.Labels))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return places, cov
}

func builtinEngine(t *testing.T) *scanner.Engine {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What is planted in an archive is found under its inner path, on its line there.
func TestArchives(t *testing.T) {
	e := builtinEngine(t)
	token, err := rules.Expand("ghp_{30:alnum}{6:crc32}", 1)
	if err != nil {
		t.Fatal(err)
	}
	env := "# settings\nTOKEN=" + token + "\n"
	config := `{"config":{"Env":["PATH=/bin","TOKEN=` + token + `"]},"history":[{"created_by":"RUN echo hi"}]}`
	layer := inTar(t, packed{"srv/app.env", env}, packed{"bin/sh", "\x7fELF\x00"})
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"a.zip", inZip(t, packed{"conf/app.env", env}), []string{"a.zip!/conf/app.env:2 github-pat []"}},
		{"app.env.gz", inGzip(t, env), []string{"app.env.gz!/app.env:2 github-pat []"}},
		{"a.tgz", inGzip(t, inTar(t, packed{"x.env", env})), []string{"a.tgz!/x.env:2 github-pat []"}},
		{"saved.tar", inTar(t, packed{"manifest.json", `[{"Config":"c.json"}]`}, packed{"c.json", config}, packed{"0/layer.tar", layer}),
			[]string{"saved.tar!/c.json:1 github-pat []", "saved.tar!/0/layer.tar!/srv/app.env:2 github-pat []"}},
		{"oci.tar", inTar(t, packed{"oci-layout", "{}"}, packed{"blobs/sha256/0a", config}, packed{"blobs/sha256/0b", inGzip(t, layer)}),
			[]string{"oci.tar!/blobs/sha256/0a:1 github-pat []", "oci.tar!/blobs/sha256/0b!/srv/app.env:2 github-pat []"}},
		{"letter.docx", inZip(t, packed{"[Content_Types].xml", "<Types/>"}, packed{"word/document.xml", "<w:document><w:body><w:p><w:r><w:t>one</w:t></w:r></w:p><w:p><w:r><w:t>" +
			token[:9] + "</w:t></w:r><w:proofErr/><w:r><w:rPr><w:b/></w:rPr><w:t>" + token[9:] + "</w:t></w:r></w:p></w:body></w:document>"},
			packed{"word/_rels/document.xml.rels", "<R>\n<R Target=\"https://example.com/?t=" + token + "\"/></R>"}),
			[]string{"letter.docx!/word/document.xml:2 github-pat [extracted]", "letter.docx!/word/_rels/document.xml.rels:2 github-pat []"}},
		{"sheet.xlsx", inZip(t, packed{"[Content_Types].xml", "<Types/>"}, packed{"xl/sharedStrings.xml", "<sst><si><t>x</t></si><si><r><t>" + token[:20] + "</t></r><r><t>" + token[20:] + "</t></r></si></sst>"}),
			[]string{"sheet.xlsx!/xl/sharedStrings.xml:2 github-pat [extracted]"}},
		{"slides.pptx", inZip(t, packed{"[Content_Types].xml", "<Types/>"}, packed{"ppt/slides/slide1.xml", "<a:p><a:r><a:t>" + token + "</a:t></a:r></a:p>"}),
			[]string{"slides.pptx!/ppt/slides/slide1.xml:1 github-pat [extracted]"}},
		{"text.odt", inZip(t, packed{"mimetype", "application/vnd.oasis.opendocument.text"}, packed{"META-INF/manifest.xml", "<m/>"},
			packed{"content.xml", "<text:p>one</text:p><text:p>" + token[:7] + "<text:span>" + token[7:] + "</text:span></text:p>"}),
			[]string{"text.odt!/content.xml:2 github-pat [extracted]"}},
		{"app.db", sqliteOf(t, "CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT)", "INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (2, '"+token+"')"),
			[]string{"app.db!/t:2 github-pat [extracted]"}},
		{"conf.cpython-311.pyc", pycOf(token), []string{"conf.cpython-311.pyc!/constants:2 github-pat [extracted]"}},
		{"letter.pdf", "%PDF-1.4\n1 0 obj\n<< /Type /Page /Contents 2 0 R >>\nendobj\n2 0 obj\n<< /Length 9 >>\nstream\nBT /F 10 Tf (a line) Tj 0 -12 Td [(" +
			token[:11] + ") 20 (" + token[11:] + ")] TJ ET\nendstream\nendobj\n", []string{"letter.pdf!/page-1:2 github-pat [extracted]"}},
		{"app.war", inZip(t, packed{"WEB-INF/lib/x.jar", inZip(t, packed{"x.properties", env})}), []string{"app.war!/WEB-INF/lib/x.jar!/x.properties:2 github-pat []"}},
	} {
		got, cov := found(t, e, c.name, c.data)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: (-want +got):\n%s", c.name, d)
		}
		if !cov.Complete() || cov.Archives == 0 || cov.Entries == 0 || cov.Files != 1 {
			t.Errorf("%s: coverage %+v", c.name, cov)
		}
	}
}

// A key in a keystore is told as the private key it is, and as encrypted.
func TestKeystore(t *testing.T) {
	e := builtinEngine(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	// What an encrypted key looks like: an algorithm, and what it made.
	sealed, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 42, 2, 17, 1, 1}}, bytes.Repeat(der, 3)})
	if err != nil {
		t.Fatal(err)
	}
	var jks []byte
	put := func(b string) { jks = append(binary.BigEndian.AppendUint16(jks, uint16(len(b))), b...) }
	for _, v := range []uint32{0xfeedfeed, 2, 1, 1} { // the format, its version, entries, a key
		jks = binary.BigEndian.AppendUint32(jks, v)
	}
	put("signing")
	jks = binary.BigEndian.AppendUint64(jks, 0)
	jks = append(binary.BigEndian.AppendUint32(jks, uint32(len(sealed))), sealed...)
	jks = append(jks, make([]byte, 4+20)...) // no chain, a digest
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"release.jks", string(jks), []string{"release.jks!/signing.pem:1 private-key [extracted]"}},
		{"key.der", string(der), []string{"key.der!/key.pem:1 private-key [extracted]"}},
	} {
		got, cov := found(t, e, c.name, c.data)
		if d := cmp.Diff(c.want, got); d != "" || !cov.Complete() {
			t.Errorf("%s: coverage %+v (-want +got):\n%s", c.name, cov, d)
		}
	}
}

// A notebook is JSON: cells and outputs are found on their lines of the file, quotes
// escaped or not.
func TestNotebook(t *testing.T) {
	e := builtinEngine(t)
	token, err := rules.Expand("ghp_{30:alnum}{6:crc32}", 1)
	if err != nil {
		t.Fatal(err)
	}
	value, err := rules.Expand("{24:alnum}", 3)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"{", ` "cells": [{"cell_type": "code", "source": [`, `  "import os\n",`, `  "token = \"` + token + `\"\n",`, `  "password = '` + value + `'\n"`, ` ],`,
		` "outputs": [{"output_type": "stream", "text": ["auth: ` + token + `\n"]}]}],`, ` "nbformat": 4}`}
	got, _ := found(t, e, "a.ipynb", strings.Join(lines, "\n"))
	if d := cmp.Diff([]string{"a.ipynb:4 github-pat []", "a.ipynb:5 generic-assignment []", "a.ipynb:7 github-pat []"}, got); d != "" {
		t.Error(d)
	}
}
