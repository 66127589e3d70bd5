package scanner_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// testRules are one rule of each kind the engine decides differently.
const testRules = `
provider = "test"
name = "Test"

[[rule]]
id = "test-prefixed"
description = "prefixed and case-sensitive"
keywords = ["tst_"]
pattern = 'tst_[0-9a-f]{16}'
confidence = "high"
examples = ["key tst_{16:hex}"]
negatives = ["tst_123"]

[[rule]]
id = "test-inner"
description = "keyword in the middle"
keywords = [".atl."]
pattern = '[0-9a-z]{8}\.atl\.[0-9a-z]{12}'
confidence = "high"
examples = ["x"]
negatives = ["y"]

[[rule]]
id = "test-word"
description = "folded context word before the value"
keywords = ["acme"]
pattern = '(?i)acme[ \t]{0,8}[:=][ \t]{0,8}([0-9a-f]{32})'
examples = ["x"]
negatives = ["y"]

[[rule]]
id = "test-block"
description = "holds line feeds"
keywords = ["-----BEGIN TEST-----"]
pattern = '-----BEGIN TEST-----[0-9A-Za-z\n]{20,300}-----END TEST-----'
confidence = "high"
examples = ["x"]
negatives = ["y"]

[[rule]]
id = "test-slow"
description = "no text that every match holds"
pattern = '\b[A-Z]{3}-[0-9]{4}-(?:[A-Z]{3}-[0-9]{4}|[q-z]+)'
maxlen = 40
examples = ["x"]
negatives = ["y"]

[[rule]]
id = "test-assignment"
description = "assignment"
kind = "assignment"
keywords = ["password", "secret", "token", "api_key", "auth", "key"]
entropy = 3.0
stop_words = ["example"]
examples = ["x"]
negatives = ["y"]
`

func testEngine(t testing.TB, o scanner.Options) *scanner.Engine {
	t.Helper()
	set, err := rules.Load(fstest.MapFS{"test.toml": {Data: []byte(testRules)}}, "test.toml")
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// plain is a Match without what may differ between two scans of one text.
var plain = cmp.Options{
	cmpopts.IgnoreFields(scanner.Match{}, "Masked", "Column16", "EndColumn16"),
	cmp.Comparer(func(a, b secret.Secret) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b *rules.Rule) bool { return a.ID == b.ID }),
	cmpopts.SortSlices(func(a, b scanner.Match) bool {
		return fmt.Sprint(a.Start, a.End, a.Rule.ID, a.DecodedVia) < fmt.Sprint(b.Start, b.End, b.Rule.ID, b.DecodedVia)
	}),
	cmpopts.EquateEmpty(),
}

const hex = "0123456789abcdef"

func tst(i int) string { return fmt.Sprintf("tst_%016x", 0x123456789abcdef*uint64(i+1)) }

func TestMatches(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	block := "-----BEGIN TEST-----\n" + strings.Repeat("Ab3\n", 12) + "-----END TEST-----"
	for _, c := range []struct{ name, text, want string }{
		{"prefixed", "x " + tst(1) + " y", "test-prefixed 1:3"},
		{"at the edges", tst(1), "test-prefixed 1:1"},
		{"wrong case", strings.ToUpper(tst(1)), ""},
		{"one too many", tst(1) + "0", ""},
		{"token character before", "x" + tst(1), ""},
		{"after an escape", `"first\n` + tst(1) + `"`, "test-prefixed 1:9"},
		{"two on a line", tst(1) + " " + tst(2), "test-prefixed 1:1, test-prefixed 1:22"},
		{"inner keyword", "\n\n  abcd1234.atl.abcd1234abcd", "test-inner 3:3"},
		{"context word", "ACME = " + strings.Repeat("7c1e94d2", 4), "test-word 1:8"},
		{"context on another line", "acme =\n" + strings.Repeat(hex, 2), ""},
		{"block", "a\n" + block + "\n", "test-block 2:1"},
		{"block cut", block[:50], ""},
		{"base64", base64.StdEncoding.EncodeToString([]byte("id: " + tst(3) + "; ok")), "test-prefixed 1:5 base64"},
		{"base64 twice", base64.StdEncoding.EncodeToString([]byte("data: " + base64.URLEncoding.EncodeToString([]byte("k="+tst(3))))), "test-prefixed 1:9 base64,base64"},
		{"base64url, raw", base64.RawURLEncoding.EncodeToString([]byte("subject: " + tst(3))), "test-prefixed 1:13 base64"},
		{"hex", hexed("token " + tst(3) + "."), "test-prefixed 1:13 hex"},
		{"percent", "?x=%20tst%5F" + tst(1)[4:] + "&y", "test-prefixed 1:7 percent"},
		{"percent-encoded name", "password%3D%22q7Xk2mB9vR4tLw8Z%22", "test-assignment 1:15 percent"},
		{"\\u escapes", `"\u0074st_` + tst(1)[4:] + `"`, "test-prefixed 1:2 escapes"},
		{"\\x escapes", `'\x74\x73\x74_` + tst(1)[4:] + `'`, "test-prefixed 1:2 escapes"},
		{"\\u{} escapes", `'\u{74}st_` + tst(1)[4:] + `'`, "test-prefixed 1:2 escapes"},
		{"escaped elsewhere", `\u0020` + " " + tst(1), "test-prefixed 1:8"},
		{"UTF-16LE", wide("key "+tst(1)+"\n", 0), "test-prefixed 1:9 utf-16"},
		{"UTF-16BE with BOM", "\xfe\xff" + wide("key "+tst(1)+"\n", 1), "test-prefixed 1:12 utf-16"},
		{"gzip in base64", base64.StdEncoding.EncodeToString(gzipped("key: " + tst(1) + "\n")), "test-prefixed 1:1 base64,gzip"},
		{"zlib in base64", base64.StdEncoding.EncodeToString(zlibbed("key: " + tst(1) + "\n")), "test-prefixed 1:1 base64,zlib"},
		{"concatenation", `k = "` + tst(1)[:9] + `" + "` + tst(1)[9:] + `";` + "\n", "test-prefixed 1:6 concatenation"},
		{"over lines", "k = '" + tst(1)[:9] + "' +\n    '" + tst(1)[9:] + "';\n", "test-prefixed 1:6 concatenation"},
		{"over lines, leading", "x\nk = '" + tst(1)[:9] + "'\n    + '" + tst(1)[9:] + "';\n", "test-prefixed 2:6 concatenation"},
		{"beside a concatenation", `k = "a" + "b"; // ` + tst(1) + "\n", "test-prefixed 1:19"},
		{"continued line", "export K=" + tst(1)[:9] + "\\\n" + tst(1)[9:] + "\n\n", "test-prefixed 1:10 continuation"},
		{"invalid UTF-8 and NUL", "\xff\x00\xfe" + tst(1) + "\x00", "test-prefixed 1:4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := show(e.ScanBytes([]byte(c.text))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func hexed(s string) string { return fmt.Sprintf("%x", s) }

// wide is s in UTF-16, in little-endian order for phase 0.
func wide(s string, phase int) string {
	b := make([]byte, 2*len(s))
	for i := range len(s) {
		b[2*i+phase] = s[i]
	}
	return string(b)
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.Bytes()
}

func zlibbed(s string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.Bytes()
}

func show(ms []scanner.Match) string {
	var out []string
	for _, m := range ms {
		s := fmt.Sprintf("%s %d:%d", m.Rule.ID, m.Line, m.Column)
		if m.DecodedVia != nil {
			s += " " + strings.Join(m.DecodedVia, ",")
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// Each value is random-looking text; the names and forms around it decide.
func TestAssignments(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	v := "q7Xk2mB9" + "vR4tLw8Z"
	for _, c := range []struct {
		text  string
		found bool
	}{
		{`password=` + v, true},
		{`db_password: ` + v, true},
		{`"dbPassword": "` + v + `",`, true},
		{`PASSWORD := "` + v + `"`, true},
		{`config['api_key'] = '` + v + `'`, true},
		{`\"token\":\"` + v + `\"`, true},
		{`secret => "` + v + `"`, true},
		{`export API_KEY=` + v, true},
		{`password = b"` + v + `"`, true},
		{`password = "p@` + v + `!"`, true},
		{`GIT_AUTHOR_DATE = "` + v + `"`, false},
		{`keyboard = "` + v + `"`, false},
		{`tokenizer = "` + v + `"`, false},
		{`password == "` + v + `"`, true},
		{`token validated id=` + v, false},
		{`password = get` + v + `()`, false},
		{`password = "${` + v + `}"`, false},
		{`password = "hunter"`, false},
		{`password = "example` + v + `"`, false},
		{`token_id = 0f8fad5b-d9cb-469f-a165-70867728950e`, false},
		{`password = config.Database.Password`, false},
		{`secret: /run/secrets/` + v, false},
		{`password = 1234567890123456`, false},
		{`password = "aaaaaaaaaaaaaaA1"`, false},
	} {
		got := slices.ContainsFunc(e.ScanBytes([]byte(c.text+"\n")), func(m scanner.Match) bool { return m.Confidence.AtLeast(rules.Medium) })
		if got != c.found {
			t.Errorf("%s: found %v, want %v", c.text, got, c.found)
		}
	}
}

func TestSpecificRuleWins(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	if got := show(e.ScanBytes([]byte("password = \"" + tst(1) + "\"\n"))); got != "test-prefixed 1:13" {
		t.Errorf("got %q", got)
	}
}

// A line shows neither its secret nor another one that stands on it.
func TestMasked(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	text := "first\nkey " + tst(1) + ` password="q7Xk2mB9vR" blob=` + strings.Repeat("Zx9", 10) + " end\nlast " + tst(2)
	for _, m := range e.ScanBytes([]byte(text)) {
		want := `key **** password="****" blob=**** end`
		if m.Line == 3 {
			want = "last ****"
		}
		if strings.HasPrefix(m.Masked, "key") && m.Masked != want && !strings.Contains(m.Masked, "blob=") || m.Line == 3 && m.Masked != want {
			t.Errorf("line %d is shown as %q, want %q", m.Line, m.Masked, want)
		}
		for _, bad := range []string{tst(1), tst(2), "q7Xk2mB9vR", "Zx9Zx9"} {
			if strings.Contains(m.Masked, bad) || strings.Contains(m.Context, tst(1)) {
				t.Errorf("%q shows a secret", m.Masked)
			}
		}
	}
}

// A stream decides a line when it is complete, before the text ends.
func TestStreamDecidesAtLineEnd(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	var got []scanner.Match
	s := e.NewStream(func(m scanner.Match) { got = append(got, m) })
	s.Write([]byte("hello\nkey=" + tst(1)))
	if len(got) != 0 {
		t.Fatal("decided before the token could have ended")
	}
	s.Write([]byte("\n"))
	if show(got) != "test-prefixed 2:5" {
		t.Fatalf("after the line feed: %q", show(got))
	}
	if s.Settled() != int64(len("hello\nkey=\n")+len(tst(1))) {
		t.Errorf("settled at %d", s.Settled())
	}
	s.Write([]byte("-----BEGIN TEST-----\n" + strings.Repeat("Ab3\n", 12)))
	s.Write([]byte("-----END TEST-----\n"))
	s.Flush()
	s.Flush()
	if show(got) != "test-prefixed 2:5, test-block 3:1" {
		t.Fatalf("after the flush: %q", show(got))
	}
	s.Write([]byte(strings.Repeat("more\n", 1000)))
	s.Close()
	if show(got) != "test-prefixed 2:5, test-block 3:1" {
		t.Fatalf("after the end: %q", show(got))
	}
}

// fragments are what adversarial text is made of.
func fragments() []string {
	long := strings.Repeat("Zm9vYmFyYmF6", 9000) // a base64 run over the segment length
	return []string{
		tst(1), tst(2), "tst_", "tst_tst_" + hex, "abcd1234.atl.abcd1234abcd", ".atl.", "0.atl.0.atl.", "acme = " + hex + hex, "AcMe:",
		"-----BEGIN TEST-----\n", "-----BEGIN TEST-----", strings.Repeat("Ab3\n", 12), "-----END TEST-----", `password="q7Xk2mB9vR4tLw8Z"`,
		"password = ", "db.password.key'] :=  ", `\"token\": \"q7Xk2mB9vR4tLw8Z\"`, "secret_key_token=:=", "key", `"q7Xk2mB9vR4tLw8Z"`, "secret: ", "=", "\"", "\n", "\r\n", " ", "\x00\xff", strings.Repeat(" ", 300), strings.Repeat("a", 5000),
		base64.StdEncoding.EncodeToString([]byte("key " + tst(3) + " end")), base64.StdEncoding.EncodeToString([]byte("password = q7Xk2mB9vR4tLw8Z\n")),
		base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("some text, ", 4000) + tst(4) + strings.Repeat(" more text", 4000))), long,
		"%20tst%5F" + tst(1)[4:], "%", "%3D%22", `\u0074st_` + tst(1)[4:], `\`, `\x`, "\\\n", "' + '", "'\n   + '", "' +\n '", "'", "+",
		hexed("key " + tst(1) + " end"), wide("key "+tst(2)+" ", 0), wide("key "+tst(2)+" ", 1), wide(strings.Repeat("some text ", 9000)+tst(4), 0), base64.StdEncoding.EncodeToString(gzipped("key " + tst(1))),
		"ABC-1234-DEF-5678", "XABC-1234-DEF-5678-9", "QRS-0123-" + strings.Repeat("wq", 14), "QRS-0123-" + strings.Repeat("wq", 30), "ABC-1234-", strings.Repeat(" ab", 21000),
		base64.StdEncoding.EncodeToString([]byte("key = ABC-1234-DEF-5678, ABC-1234-DEF-5679\nABC-1234-DEF-5678")),
		tst(1)[:9], tst(1)[9:], strings.Repeat("%41bcdefg", 10000), strings.Repeat("0a", 40000),
		"known-" + hex[:12], "KnOwN/Tok+" + hex[:10],
	}
}

// knownSet is a registry of two tokens for tests.
type knownSet map[string]string

func (k knownSet) Shapes() []scanner.Shape {
	return []scanner.Shape{{Len: 18, Extra: "-"}, {Len: 20, Extra: "+/"}}
}

func (k knownSet) Lookup(c []byte) (scanner.KnownToken, bool) {
	id, ok := k[string(c)]
	return scanner.KnownToken{ID: id, State: "live"}, ok
}

var known = knownSet{"known-" + hex[:12]: "a", "KnOwN/Tok+" + hex[:10]: "b"}

// The matches of a text do not depend on the pieces it comes in, nor on how
// keywords are looked for.
func TestChunkedIsWhole(t *testing.T) {
	e, oracle := testEngine(t, scanner.Options{Known: known}), testEngine(t, scanner.Options{Known: known, Plain: true})
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(fragments()), 1, 30).Draw(t, "fragments"), ""))
		want := e.ScanBytes(text)
		if d := cmp.Diff(oracle.ScanBytes(text), want, plain); d != "" {
			t.Fatalf("plain (-) and fast (+) differ: %s", d)
		}
		least := len(text)/3000 + 1 // some thousand pieces are enough
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(least, least+40), rapid.IntRange(least, 30000)), 1, 20).Draw(t, "sizes")
		var got []scanner.Match
		s := e.NewStream(func(m scanner.Match) { got = append(got, m) })
		for i, rest := 0, text; len(rest) > 0; i++ {
			n := min(len(rest), sizes[i%len(sizes)])
			s.Write(rest[:n])
			rest = rest[n:]
			if at := s.Settled(); at > int64(len(text)-len(rest)) {
				t.Fatalf("settled at %d of %d written", at, len(text)-len(rest))
			}
		}
		s.Close()
		if d := cmp.Diff(want, got, plain); d != "" {
			t.Fatalf("whole (-) and chunked (+) differ: %s", d)
		}
	})
}

// Known tokens are found in every context of design.md, whatever their shape.
func TestKnownInContext(t *testing.T) {
	e := testEngine(t, scanner.Options{Known: known})
	for tok := range known {
		for _, c := range []string{"%s", "k=%s", `"%s"`, "'%s'", "%s.", "u:%s@h", "/%s/", "(%s)", "x %s,", "<a>%s</a>", "k=%s&x=y", "%s\n", "Bearer %s", "a-%s-b", "a/%s/b", "=%s="} {
			text := fmt.Sprintf(c, tok)
			for _, text := range []string{text, base64.StdEncoding.EncodeToString([]byte("some text " + text + " more"))} {
				n := 0
				for _, m := range e.ScanBytes([]byte(text)) {
					if m.Token != nil && m.Token.ID == known[tok] {
						n++
					}
				}
				if n != 1 {
					t.Errorf("%q: token %s found %d times", text, known[tok], n)
				}
			}
		}
	}
}

// One line of any length is scanned in constant memory.
func TestLongLine(t *testing.T) {
	const lines = 64
	e := testEngine(t, scanner.Options{})
	n := 0
	s := e.NewStream(func(m scanner.Match) {
		n++
		if m.Line != 1 || m.Start%(1<<20+20) != 1<<20 {
			t.Errorf("found at line %d, offset %d", m.Line, m.Start)
		}
	})
	filler := []byte(strings.Repeat(" lorem ipsum dolo", 1<<20/17+1)[:1<<20-1] + " ")
	for i := range lines {
		s.Write(filler)
		s.Write([]byte(tst(i)))
	}
	s.Close()
	if n != lines {
		t.Errorf("found %d of %d", n, lines)
	}
	if c := s.Buffered(); c > 4<<20 {
		t.Errorf("the stream holds %d bytes", c)
	}
}
