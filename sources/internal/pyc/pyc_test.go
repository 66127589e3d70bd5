package pyc

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const source = `# -*- coding: utf-8 -*-
"""A module, with a docstring."""
import os
TOKEN = "module constant"
class Client(object):
    url = "class constant"
    def __init__(self):
        self.password = "attribute constant"
        local = "local constant"
        if local: return "returned constant"
        print(os.getenv("PASSED_TO_A_CALL"))
    def many(self):
        return ("in a tuple", ["in a list", {"key of dict": "value of dict"}])
MANY = """two
lines"""
`

var want = []string{
	"A module, with a docstring.", "TOKEN = \"module constant\"", "url = \"class constant\"", "password = \"attribute constant\"", "local = \"local constant\"",
	"\"returned constant\"", "\"PASSED_TO_A_CALL\"", "\"in a tuple\"", "\"in a list\"", "\"value of dict\"", "MANY =\ntwo\nlines\n",
}

// compiled is the source as each Python that is installed compiles it, by name.
func compiled(t testing.TB, src string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "mod.py")
	if err := os.WriteFile(name, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	pythons, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".pyenv/versions/*/bin/python"))
	for _, p := range []string{"python3", "python2"} {
		if p, err := exec.LookPath(p); err == nil {
			pythons = append(pythons, p)
		}
	}
	out := map[string][]byte{}
	for _, p := range pythons {
		to := filepath.Join(dir, "out.pyc")
		if msg, err := exec.Command(p, "-c", "import py_compile,sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)", name, to).CombinedOutput(); err != nil {
			t.Logf("%s: %v\n%s", p, err, msg)
			continue
		}
		data, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		out[p] = data
	}
	return out
}

// What each Python that is here compiles is read.
func TestText(t *testing.T) {
	all := compiled(t, source)
	if len(all) == 0 {
		t.Skip("no Python is installed")
	}
	for python, data := range all {
		if !Is(data[:64]) {
			t.Errorf("%s: version %d is not known", python, version(data))
			continue
		}
		text, err := Text(data)
		if err != nil {
			t.Errorf("%s: version %d: %v", python, version(data), err)
		}
		for _, s := range want {
			if version(data) >= 3600 && version(data) < 4000 {
				_, s, _ = strings.Cut(s, " = ") // its instructions are not known
			}
			if !strings.Contains(string(text), s) {
				t.Errorf("%s: version %d: no %q in\n%s", python, version(data), s, text)
			}
		}
		for n := 24; n < len(data)-1; n += 7 {
			if _, err := Text(data[:n]); err == nil {
				t.Errorf("%s: cut to %d of %d bytes: no error", python, n, len(data))
			}
		}
	}
}

// small is a module made by hand, of Python 3.11, with one constant in a tuple.
func small() []byte {
	str := func(s string) []byte { return append([]byte{'z', byte(len(s))}, s...) }
	b := []byte{0xa7, 0x0d, '\r', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'c' | refFlag}
	b = append(b, make([]byte, 20)...)
	ops := []byte{100, 0, 90, 0}
	b = append(append(b, 's', byte(len(ops)), 0, 0, 0), ops...)
	b = append(append(b, ')', 2), str("a constant")...)
	b = append(append(b, ')', 1), str("inner")...)
	b = append(append(b, ')', 1), str("NAME")...)
	b = append(b, ')', 0, 's', 0, 0, 0, 0)
	for range 3 {
		b = append(b, str("m")...)
	}
	return append(b, 0, 0, 0, 0, 's', 0, 0, 0, 0, 's', 0, 0, 0, 0)
}

func TestSmall(t *testing.T) {
	text, err := Text(small())
	if err != nil || string(text) != "NAME = \"a constant\"\n\"inner\"\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestHostile(t *testing.T) {
	head := small()[:16]
	deep := append(slices.Clone(head), 'c')
	deep = append(deep, make([]byte, 20)...)
	for range 100_000 {
		deep = append(deep, ')', 1)
	}
	if _, err := Text(deep); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("deep: %v", err)
	}
	long := append(slices.Clone(head), 'c')
	long = append(append(long, make([]byte, 20)...), '(', 0xff, 0xff, 0xff, 0x7f)
	if _, err := Text(long); err == nil {
		t.Error("a list of two billion: no error")
	}
}

func FuzzText(f *testing.F) {
	f.Add(small())
	for _, data := range compiled(f, source) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, _ := Text(data)
		// Names are told with every value, and values once.
		if len(text) > 40*len(data)+200 {
			t.Errorf("%d bytes of %d", len(text), len(data))
		}
	})
}
