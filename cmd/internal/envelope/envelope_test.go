package envelope_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quench-dev/quench/cmd/internal/envelope"
)

func read(t testing.TB, in, format string, one bool) string {
	t.Helper()
	var r io.Reader = strings.NewReader(in)
	if one {
		r = iotest.OneByteReader(r)
	}
	r, err := envelope.New(r, format)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const at = "2026-01-02T03:04:05.123456789Z"

func TestFormats(t *testing.T) {
	for _, c := range []struct{ name, format, in, want string }{
		{"docker", "auto", `{"log":"a \"b\"\n","stream":"stdout","time":"` + at + `"}` + "\n" + `{"log":"half","stream":"stdout","time":"` + at + `"}` + "\n" +
			`{"log":"err\n","stream":"stderr","time":"` + at + `"}` + "\n" + `{"log":" rest\n","stream":"stdout","time":"` + at + `"}` + "\n",
			"a \"b\"\nhalf rest\nerr\n\n"},
		{"cri", "auto", at + " stdout P ab\n" + at + " stdout P cd\n" + at + " stderr F x y\n" + at + " stdout F ef\n" + at + " stdout F \n", "abcdef\n\nx y\n\n\n"},
		{"labels stay", "docker", `{"log":"a\n","stream":"stdout","attrs":{"k":"v"},"time":""}` + "\n", `{"log":"a\n","stream":"stdout","attrs":{"k":"v"},"time":""}` + "\n"},
		{"what is no record stays", "cri", "x\n" + at + " stdout F a\ny", "x\na\ny"},
		{"never ended", "auto", at + " stdout P ab\n", "ab\n"},
		{"plain", "auto", "1 line\n" + at + " stdout F a\n", "1 line\n" + at + " stdout F a\n"},
		{"told plain", "plain", at + " stdout F a\n", at + " stdout F a\n"},
		{"empty", "auto", "", ""},
		{"bytes that are no text", "docker", `{"log":"` + "\xff" + `\n","stream":"stdout","time":""}` + "\n", `{"log":"` + "\xff" + `\n","stream":"stdout","time":""}` + "\n"},
	} {
		for _, one := range []bool{false, true} {
			if got := read(t, c.in, c.format, one); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	if _, err := envelope.New(nil, "loki"); err == nil || !strings.Contains(err.Error(), "want one of") {
		t.Error(err)
	}
}

// TestLongIsGiven gives a line that never ends in parts: nothing waits for ever.
func TestLongIsGiven(t *testing.T) {
	part := at + " stdout P " + strings.Repeat("a", 16<<10) + "\n"
	got := read(t, strings.Repeat(part, 200), "auto", false)
	if n := strings.Count(got, "a"); n != 200*16<<10 || strings.Count(got, "\n") != 200 {
		t.Errorf("%d bytes, %d lines", n, strings.Count(got, "\n"))
	}
	line := strings.Repeat("b", 3<<20) + "\n" + at + " stdout F c\n"
	if got := read(t, line, "cri", false); got != strings.Repeat("b", 3<<20)+"\nc\n" {
		t.Errorf("%d bytes", len(got))
	}
}

// FuzzRecords has a line for each record, however it is read, and what messages hold.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("x\n"), "a", true)
	f.Add([]byte(at+" stdout P ab\n"+at+" stderr F x\n"), "pass word", false)
	f.Add([]byte(`{"log":"half","stream":"stdout","time":"`+at+`"}`+"\n"), "b", true)
	f.Fuzz(func(t *testing.T, in []byte, message string, docker bool) {
		for _, format := range []string{"auto", "docker", "cri"} {
			got := read(t, string(in), format, false)
			if one := read(t, string(in), format, true); one != got {
				t.Fatalf("%s: %q byte by byte, %q at once", format, one, got)
			}
			if n := bytes.Count(in, []byte{'\n'}); strings.Count(got, "\n") != n {
				t.Fatalf("%s: %d lines, want %d: %q", format, strings.Count(got, "\n"), n, got)
			}
		}
		message = strings.ToValidUTF8(strings.ReplaceAll(message, "\n", ""), "")
		line := at + " stdout F " + message + "\n"
		if docker {
			b, err := json.Marshal(message + "\n")
			if err != nil {
				t.Fatal(err)
			}
			line = `{"log":` + string(b) + `,"stream":"stdout","time":"` + at + `"}` + "\n"
		}
		if got := read(t, line, "auto", false); got != message+"\n" {
			t.Fatalf("%q of %q", got, line)
		}
	})
}
