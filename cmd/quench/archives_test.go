package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() { scriptCmds["pack"] = scriptPack }

// scriptPack makes an archive, of a kind that its name tells, from files:
//
//	pack all.zip inner.tar.gz app.env=conf/app.env
func scriptPack(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pack ARCHIVE FILE[=NAME]…")
	}
	var out bytes.Buffer
	var err error
	check := func(e error) {
		if err == nil {
			err = e
		}
	}
	name := args[0]
	z, g := zip.NewWriter(&out), gzip.NewWriter(&out)
	t := tar.NewWriter(&out)
	if strings.HasSuffix(name, ".tar.gz") {
		t = tar.NewWriter(g)
	}
	for _, arg := range args[1:] {
		file, inner, ok := strings.Cut(arg, "=")
		if !ok {
			inner = file
		}
		data := []byte(ts.ReadFile(file))
		switch {
		case filepath.Ext(name) == ".zip":
			w, e := z.Create(inner)
			check(e)
			_, e = w.Write(data)
			check(e)
		case strings.Contains(name, ".tar"):
			check(t.WriteHeader(&tar.Header{Name: inner, Mode: 0o600, Size: int64(len(data)), Typeflag: tar.TypeReg}))
			_, e := t.Write(data)
			check(e)
		default:
			_, e := g.Write(data)
			check(e)
		}
	}
	switch {
	case filepath.Ext(name) == ".zip":
		check(z.Close())
	case strings.HasSuffix(name, ".tar"):
		check(t.Close())
	case strings.HasSuffix(name, ".tar.gz"):
		check(t.Close())
		check(g.Close())
	default:
		check(g.Close())
	}
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(name), out.Bytes(), 0o644))
}
