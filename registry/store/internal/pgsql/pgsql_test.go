package pgsql

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRebind(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT 1":                       "SELECT 1",
		"a = ? AND b = ?":                "a = $1 AND b = $2",
		"?2, ?1, ?":                      "$2, $1, $3",
		"a = ?12 OR b = ?":               "a = $12 OR b = $13",
		"'?' || ?":                       "'?' || $1",
		"'it''s ?' = ?":                  "'it''s ?' = $1",
		`'\' = ? -- ?`:                   `'\' = $1 -- ?`,
		`e'\'?' = ?`:                     `e'\'?' = $1`,
		`E'\\' = ? AND '?'`:              `E'\\' = $1 AND '?'`,
		`name'?' = ?`:                    `name'?' = $1`,
		`"a?""?" = ?`:                    `"a?""?" = $1`,
		"? -- ?\n?":                      "$1 -- ?\n$2",
		"? /* ? /* ? */ ? */ ?":          "$1 /* ? /* ? */ ? */ $2",
		"$$ ? $$ ?":                      "$$ ? $$ $1",
		"$a1$ ? $$ $a1$ ?":               "$a1$ ? $$ $a1$ $1",
		"a$b$?$b$":                       "a$b$$1$b$",
		"metadata ? 'x' AND id = $1":     "metadata ? 'x' AND id = $1",
		"'$1' || ?":                      "'$1' || $1",
		"-- $1\n?":                       "-- $1\n$1",
		"'open ?":                        "'open ?",
		"/* open ?":                      "/* open ?",
		"$x$ open ?":                     "$x$ open ?",
		"?":                              "$1",
		"ü'?'?":                          "ü'?'$1",
		"1 - ? / ? * ?":                  "1 - $1 / $2 * $3",
		"x::text = ? AND y = E'a''\\'?'": "x::text = $1 AND y = E'a''\\'?'",
	} {
		if got := Rebind(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// plain is Rebind by one expression, but for comments in comments, which are not
// regular, and are looked for before it.
func plain(q string) string {
	var b strings.Builder
	token := regexp.MustCompile(`(?s)^(?:[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?$)|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|--[^\r\n]*|[A-Za-z_\x80-\x{10FFFF}][A-Za-z0-9_$\x80-\x{10FFFF}]*|\$[0-9]|\?[0-9]*)`)
	n := 0
	for q != "" {
		if strings.HasPrefix(q, "/*") {
			depth, i := 1, 2
			for depth > 0 && i < len(q) {
				switch {
				case strings.HasPrefix(q[i:], "/*"):
					depth, i = depth+1, i+2
				case strings.HasPrefix(q[i:], "*/"):
					depth, i = depth-1, i+2
				default:
					i++
				}
			}
			b.WriteString(q[:i])
			q = q[i:]
			continue
		}
		if m := regexp.MustCompile(`^\$(?:[A-Za-z_\x80-\x{10FFFF}][A-Za-z0-9_\x80-\x{10FFFF}]*)?\$`).FindString(q); m != "" {
			i := strings.Index(q[len(m):], m)
			end := len(q)
			if i >= 0 {
				end = len(m) + i + len(m)
			}
			b.WriteString(q[:end])
			q = q[end:]
			continue
		}
		m := token.FindString(q)
		switch {
		case m == "":
			m = q[:1]
			b.WriteString(m)
		case strings.HasPrefix(m, "$"):
			return ""
		case strings.HasPrefix(m, "?"):
			if i, err := strconv.Atoi(m[1:]); err == nil {
				n = max(n, i)
				b.WriteString("$" + strconv.Itoa(i))
			} else {
				n++
				b.WriteString("$" + strconv.Itoa(n))
			}
		default:
			b.WriteString(m)
		}
		q = q[len(m):]
	}
	return b.String()
}

func FuzzRebind(f *testing.F) {
	for _, s := range []string{"a = ?1 AND 'b?' = ? -- ?\n/* ? /* */ ? */ $x$ ? $x$ \"?\" e'\\'?' ?", "$1 ?", "e'\\", "'", "$$", "a$1?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, q string) {
		if !utf8.ValidString(q) || regexp.MustCompile(`\?[0-9]{4}`).MatchString(q) {
			return // the expression knows characters and not bytes; numbers of no use
		}
		got, want := Rebind(q), plain(q)
		if want == "" {
			want = q
		}
		if got != want {
			t.Errorf("%q became %q, and by the expression %q", q, got, want)
		}
	})
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{"": "", "plain ü": "plain ü", "a\xffb": "a\uFFFDffb", "a\x00": "a\uFFFD00", "\xc3(": "\uFFFDc3(", "\uFFFD": "\uFFFD"} {
		if got := Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\xff\x00ü")
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if !utf8.ValidString(got) || strings.Contains(got, "\x00") {
			t.Errorf("%q became %q", s, got)
		}
		if utf8.ValidString(s) && !strings.Contains(s, "\x00") && got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// No error and no name shows a password, wherever in the address it stands.
func TestParseHidesPasswords(t *testing.T) {
	t.Setenv("PGPASSWORD", "from-environment")
	secret := "hunter" + "2"
	for _, address := range []string{
		"postgres://u:" + secret + "@h/db",
		"postgres://u:" + secret + "@h:x/db",
		"postgres://u:" + secret + "/x@h:5432/db",
		"postgres://u:" + secret + "%zz@h/db",
		"postgres://u:" + secret + "@h:99999999/db",
		"postgres://u:" + secret + "@h/db?sslmode=" + secret,
		"postgres://u:" + secret + "@h/db?sslmode=from-environment",
		"postgres://h/db?password=" + secret + "&sslmode=x",
		"postgres://u:" + secret + " x@h/db",
		"postgres://u:" + secret + "@h/db?search_path=" + secret + "!",
		"postgres://u:" + secret + "@[::1/db",
		"postgresql://u:" + secret + "@h/db?connect_timeout=x",
		"postgres://u:" + secret + "@h/db?sslrootcert=/none/" + secret,
	} {
		c, err := Parse(address)
		shown := ""
		if err != nil {
			shown = err.Error()
			for in := err; in != nil; in = errors.Unwrap(in) {
				shown += in.Error()
			}
		} else {
			shown = c.Name
		}
		if strings.Contains(shown, secret) || strings.Contains(shown, "from-environment") {
			t.Errorf("%q: %s", address, shown)
		}
	}
}

func TestHoldsPassword(t *testing.T) {
	for address, want := range map[string]bool{
		"registry.db": false, "u:p@h": false, "postgres://u@h/db": false, "postgres://h/db?sslmode=disable": false,
		"postgres://u:p@h/db": true, "postgres://u:@h/db": true, "postgresql://h/db?password=p": true, "postgres://u:p/x@h/db": true,
	} {
		if got := HoldsPassword(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestParse(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	t.Setenv("PGSERVICE", "")
	for address, want := range map[string]struct{ name, schema string }{
		"postgres://u@db.example/app":                            {"postgres://u@db.example:5432/app", "quench"},
		"postgres://u:p@localhost:5433/app?search_path=tokens_1": {"postgres://u@localhost:5433/app?search_path=tokens_1", "tokens_1"},
		"postgres://u@/app?host=/run/sock":                       {"postgres://u@/app?host=/run/sock", "quench"},
	} {
		c, err := Parse(address)
		if err != nil || c.Name != want.name || c.Schema != want.schema {
			t.Errorf("%s: %+v, %v", address, c, err)
			continue
		}
		far := strings.Contains(address, "db.example")
		if tls := c.conn.TLSConfig; far != (tls != nil && !tls.InsecureSkipVerify && tls.ServerName == "db.example" && len(c.conn.Fallbacks) == 0) {
			t.Errorf("%s: certificate checked: %v, want %v", address, !far, far)
		}
		if !strings.HasPrefix(c.conn.RuntimeParams["search_path"], want.schema+",") {
			t.Errorf("%s: search_path %q", address, c.conn.RuntimeParams["search_path"])
		}
	}
	for _, bad := range []string{"postgres://h/db?search_path=a,b", "postgres://h/db?search_path=", "postgres://h/db?search_path=pg_x", "postgres://h/db?search_path=A", "postgres://h/db?search_path=" + strings.Repeat("x", 49)} {
		if _, err := Parse(bad); err == nil || !strings.Contains(err.Error(), "search_path") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if c, err := Parse("postgres://u@db.example/app?sslmode=disable"); err != nil || c.conn.TLSConfig != nil {
		t.Errorf("sslmode=disable: %v", err)
	}
}
