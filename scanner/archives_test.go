package scanner_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

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
