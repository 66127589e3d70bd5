package told_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quench-dev/quench/scanner/internal/found"
	"github.com/quench-dev/quench/scanner/internal/told"
	"github.com/quench-dev/quench/scanner/secret"
)

// read reads a file as a scan does, and gives what is known of it and all bytes else.
func read(t *testing.T, fs *told.Files, path, text string, in ...found.Finding) (f *told.File, data string) {
	t.Helper()
	var buf bytes.Buffer
	f, rest, done := fs.Open(path, strings.NewReader(text), &buf)
	if f != nil {
		return f, ""
	}
	all, err := io.ReadAll(rest)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range in {
		fs.Found(one)
	}
	done()
	return nil, string(all)
}

func in(path string, change func(*found.Finding)) found.Finding {
	f := finding()
	f.DecodedVia, f.Origin.Entry, f.Origin.Path, f.Secret = nil, "", path, secret.NewString("secret")
	if change != nil {
		change(&f)
	}
	f.ID = f.Name()
	return f
}

// A file is known by its path and its bytes, and what is known holds no secret.
func TestFiles(t *testing.T) {
	const text = "say secret."
	long := strings.Repeat("0123456789abcdef", 1<<16)
	fs := told.NewFiles(nil)
	read(t, fs, "a", text, in("a", nil))
	read(t, fs, "empty", "")
	read(t, fs, "decoded", text, in("decoded", func(f *found.Finding) { f.DecodedVia = []string{"hex"} }))
	read(t, fs, "token", text, in("token", func(f *found.Finding) { f.Token = &found.Token{} }))
	if _, all := read(t, fs, "long", long); all != long {
		t.Error("a long file is not read whole")
	}
	path := in("a", nil)
	path.Start, path.End = 0, 0
	fs.Found(path)
	report := &told.Report{Files: fs.All()}
	data, err := report.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(text[4:10])) {
		t.Error("the secret is kept")
	}
	again, err := told.Parse(data, byID)
	if err != nil {
		t.Fatal(err)
	}
	known := told.NewFiles(again)
	f, _ := read(t, known, "a", text)
	if f == nil || f.Size != int64(len(text)) || len(f.Findings) != 1 || !f.Findings[0].Secret.Equal(secret.NewString("secret")) {
		t.Fatalf("it is not told again: %+v", f)
	}
	if f, _ := read(t, known, "empty", ""); f == nil || len(f.Findings) > 0 {
		t.Error("a file that holds nothing is not known")
	}
	for _, tt := range [][2]string{{"a", "say secret!"}, {"b", text}, {"decoded", text}, {"token", text}, {"long", long}, {"empty", text}} {
		if f, all := read(t, known, tt[0], tt[1]); f != nil || all != tt[1] {
			t.Errorf("%s: %+v, and %d bytes are to be read", tt[0], f, len(all))
		}
	}
}

// What cannot be read tells so to who reads it, after what can.
func TestFilesUnread(t *testing.T) {
	broken := errors.New("broken")
	fs := told.NewFiles(nil)
	var buf bytes.Buffer
	f, rest, _ := fs.Open("a", io.MultiReader(strings.NewReader("say"), iotest.ErrReader(broken)), &buf)
	if f != nil {
		t.Fatal("it is known")
	}
	if all, err := io.ReadAll(rest); string(all) != "say" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", all, err)
	}
	if len(fs.All()) > 0 {
		t.Error("it is known then")
	}
}
