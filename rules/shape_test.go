package rules

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func must(t testing.TB, template string, seed uint64) []byte {
	t.Helper()
	s, err := Expand(template, seed)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(s)
}

// checksummed are templates whose shape is a checksum over every byte after
// the given offset.
var checksummed = []struct {
	shape, template string
	from            int
}{
	{"crc32-base62", "ghp_{30:alnum}{6:crc32}", 4},
	{"crc32-base62", "npm_{30:alnum}{6:crc32}", 4},
	{"crc32-base62", "ghr_{70:alnum}{6:crc32}", 4},
	{"crc32-base62", "vcp_{50:b64url}{6:crc32}", 4},
	{"crc32-hex", "zpka_{32:lowernum}_{8:crc32-hex}", 5},
	{"crc32-hex-le", "glsa_{32:alnum}_{8:crc32-hex-le}", 5},
	{"bech32", "AGE-SECRET-KEY-1{52:bech32}{6:bech32-sum}", 16},
	{"crc32-hex-all", "packagist_uut_{60:hex}{8:crc32-hex-all}", 14},
	{"crc32-base64", "cflt{54:b64}{6:crc32-base64}", 4},
	{"gitlab-routable", "glpat-{27:b64url}.01.0r{7:crc32-base36}", 0},
	{"quench", "qnk_live_{42:alnum}{6:crc32-all}", 0},
	{"luhn", "{15:digits}{1:luhn}", 0},
}

// TestChecksums: what a template makes is valid, and no longer so when any
// one character under the sum changes.
func TestChecksums(t *testing.T) {
	for _, c := range checksummed {
		rapid.Check(t, func(rt *rapid.T) {
			good := must(t, c.template, rapid.Uint64().Draw(rt, "seed"))
			if r := CheckShape(c.shape, good); r.State != ShapeValid {
				rt.Fatalf("%s: %s is %v: %s", c.shape, c.template, r.State, r.Why)
			}
			bad := bytes.Clone(good)
			i := rapid.IntRange(c.from, len(bad)-1).Draw(rt, "position")
			was := bad[i]
			bad[i] = "0123456789abcdefg"[(strings.IndexByte("0123456789abcdefg", was)+1+rapid.IntRange(0, 8).Draw(rt, "by"))%10]
			if bad[i] == was {
				return
			}
			if r := CheckShape(c.shape, bad); r.State == ShapeValid {
				rt.Fatalf("%s: still valid with another character at %d", c.shape, i)
			}
		})
	}
}

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		shape, template string
		want            ShapeState
	}{
		{"crc32-base62", "short", ShapeInvalid},
		{"crc32-hex", "zpka_{32:alnum}{9:hex}", ShapeInvalid},
		{"crc32-hex-le", "glsa_{32:alnum}{9:hex}", ShapeInvalid},
		{"crc32-hex-le", "glsa_{32:alnum}_{8:hex}", ShapeInvalid},
		{"crc32-hex-all", "packagist_uut_{68:hex}", ShapeInvalid},
		{"crc32-hex-all", "{8:hex}", ShapeInvalid},
		{"bech32", "AGE-SECRET-KEY-1{58:bech32}", ShapeInvalid},
		{"bech32", "A12UEL5L", ShapeValid}, // of the standard's own list
		{"bech32", "A12UEL5", ShapeInvalid},
		{"bech32", "AGE", ShapeInvalid},
		{"crc32-base64", "cflt{60:b64}", ShapeInvalid},
		{"crc32-base64", "cflt{6:b64}", ShapeInvalid},
		{"sha256-base32", "github_pat_{22:alnum}_{43:alnum}{8:sha256-base32}{8:alnum}", ShapeValid},
		{"sha256-base32", "github_pat_{22:alnum}_{59:alnum}", ShapeUnknown},
		{"sha256-base32", "{16:alnum}", ShapeInvalid},
		{"discord-bot-token", "{b64digits}.{6:b64url}.{27:b64url}", ShapeValid},
		{"discord-bot-token", "M{23:alnum}.{6:b64url}.{27:b64url}", ShapeInvalid},
		{"grafana-key", "eyJrIjoi{88:b64}", ShapeUnknown},
		{"grafana-key", "eyJrIjoiIiwibiI6IngiLCJpZCI6MX0=", ShapeInvalid},
		{"grafana-key", "eyJrIjoiYWJjIiwibiI6IngiLCJpZCI6MX0=", ShapeValid},
		{"gcp-key-base64", "ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCIs{40:b64}", ShapeUnknown},
		{"gcp-key-base64", "{b64json}", ShapeInvalid},
		{"gitlab-routable", "glpat-{27:b64url}.0r{7:crc32-base36}", ShapeValid},
		{"gitlab-routable", "glpat-{27:b64url}.0r{7:lowernum}", ShapeUnknown},
		{"gitlab-routable", "glpat-{27:b64url}.01.0r{7:lowernum}", ShapeInvalid},
		{"gitlab-routable", "glpat-{27:b64url}", ShapeInvalid},
		{"luhn", "4111111111111111", ShapeValid},
		{"luhn", "4111111111111112", ShapeInvalid},
		{"luhn", "41111111x", ShapeInvalid},
		{"luhn", "", ShapeInvalid},
		{"jwt", "{jwt}", ShapeValid},
		{"jwt", "ghs_{7:digits}_{jwt}", ShapeValid},
		{"jwt", "eyJ{30:alnum}.eyJ{30:alnum}.{43:b64url}", ShapeInvalid},
		{"jwt", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.{20:alnum}", ShapeInvalid},
		{"jwt", "eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiJhbm4ifQ.{20:alnum}", ShapeInvalid},
		{"jwt", "{jwt}.x", ShapeInvalid},
		{"base64-json", "sntrys_{b64json}_{43:b64}", ShapeValid},
		{"base64-json", "sntrys_eyJ{60:alnum}", ShapeInvalid},
		{"base64-json", "sntrys_", ShapeInvalid},
		{"pem", "{pem:RSA}", ShapeValid},
		{"pem", "{pem-escaped:EC}", ShapeValid},
		{"pem", "{pem:OPENSSH}", ShapeValid},
		{"pem", "{pem:PGP}", ShapeValid},
		{"pem", "{pem:ENCRYPTED}", ShapeHarmless},
		{"pem", "{pem:PUBLIC}", ShapeInvalid},
		{"pem", "{pem:CERTIFICATE}", ShapeInvalid},
		{"pem", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{32:upperhex}\n\n{64:b64}\n{64:b64}\n-----END RSA PRIVATE KEY-----", ShapeHarmless},
		{"pem", "-----BEGIN PRIVATE KEY-----\n{20:b64}\n-----END PRIVATE KEY-----", ShapeInvalid},
		{"pem", "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("=", 64) + "\n-----END PRIVATE KEY-----", ShapeInvalid},
		{"pem", "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("XXXX", 32) + "\n-----END PRIVATE KEY-----", ShapeInvalid},
		{"pem", "-----BEGIN PRIVATE KEY-----\n{65:b64}\n-----END PRIVATE KEY-----", ShapeUnknown},
		{"pem", "-----BEGIN PRIVATE KEY-----\nput <your key> here: it must have more than sixty-four characters in all\n-----END PRIVATE KEY-----", ShapeInvalid},
		{"pem", "\"-----BEGIN PRIVATE KEY-----\\n\" +\n  \"MIIEpA{58:b64}\\n\" +\n  \"{60:b64}\\n\" +\n \"-----END PRIVATE KEY-----\"", ShapeInvalid},
		{"pem", "-----BEGIN PRIVATE KEY-----\\n\" +\n  \"MIIEpA{58:b64}\\n\" +\n  \"{60:b64}\\n\" +\n \"-----END PRIVATE KEY-----", ShapeValid},
		{"basic-auth", "{userpass}", ShapeValid},
		{"basic-auth", "{24:digits}", ShapeInvalid},
		{"basic-auth", "dXNlcjpwYXNzd29yZA==", ShapeInvalid},
		{"basic-auth", "dXNlcjo=", ShapeInvalid},
		{"basic-auth", "dXNlcjp5b3VyLXRva2Vu", ShapeInvalid},
		{"aws-key-id", "AKIA{16:base32}", ShapeValid},
		{"aws-key-id", "AKIAI{15:base32}", ShapeUnknown},
		{"pypi-macaroon", "pypi-AgEIcHlwaS5vcmc{157:b64url}", ShapeUnknown},
		{"aws-key-id", "AKIA{15:base32}8", ShapeInvalid},
		{"aws-key-id", "AKIA{15:base32}", ShapeInvalid},
		{"quench", "qnk_live_{48:alnum}", ShapeInvalid},
		{"no-such-shape", "x", ShapeUnknown},
	} {
		s := must(t, c.template, 7)
		if got := CheckShape(c.shape, s); got.State != c.want || got.Why == "" {
			t.Errorf("%s of %q: %v (%s), want %v", c.shape, c.template, got.State, got.Why, c.want)
		}
	}
	for _, n := range ShapeNames() {
		if ShapeDoc(n) == "" {
			t.Errorf("%s has no description", n)
		}
	}
}

func TestQuenchToken(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		brand := rapid.StringMatching(`[a-z]{2,8}`).Draw(rt, "brand")
		env := rapid.SampledFrom([]string{"live", "test"}).Draw(rt, "env")
		id := rapid.StringMatching(`[0-9A-Za-z]{10}`).Draw(rt, "id")
		sec := rapid.StringMatching(`[0-9A-Za-z]{32}`).Draw(rt, "secret")
		tok, err := QuenchToken(brand, env, []byte(id), []byte(sec))
		if err != nil {
			rt.Fatal(err)
		}
		p, ok := ParseToken(tok)
		if !ok || string(p.Brand) != brand || string(p.Env) != env || string(p.ID) != id || string(p.Secret) != sec {
			rt.Fatalf("parsed %v, parts differ from what was put in", ok)
		}
		if spans := references()["quench-token"].find("k=" + string(tok) + ";"); len(spans) != 1 || spans[0] != [2]int{2, 2 + len(tok)} {
			rt.Fatalf("the built-in rule finds it at %v", spans)
		}
		for _, bad := range [][]byte{tok[1:], tok[:len(tok)-1], append([]byte("x"), tok...), append(bytes.Clone(tok), 'x'), bytes.ToUpper(tok)} {
			if _, ok := ParseToken(bad); ok {
				rt.Fatal("a damaged token parsed")
			}
		}
	})
	for name, err := range map[string]error{
		"brand":  second(QuenchToken("Q", "live", make([]byte, 10), make([]byte, 32))),
		"case":   second(QuenchToken("QNK", "live", make([]byte, 10), make([]byte, 32))),
		"env":    second(QuenchToken("qnk", "prod", make([]byte, 10), make([]byte, 32))),
		"length": second(QuenchToken("qnk", "live", make([]byte, 9), make([]byte, 32))),
		"bytes":  second(QuenchToken("qnk", "live", make([]byte, 10), make([]byte, 32))),
	} {
		if err == nil {
			t.Errorf("a token with a bad %s was made", name)
		}
	}
}

func second(_ []byte, err error) error { return err }

func FuzzParseToken(f *testing.F) {
	for _, tpl := range []string{"qnk_live_{42:alnum}{6:crc32-all}", "ab_test_{42:alnum}{6:crc32-all}", "qnk_live_{48:alnum}", "_live_{48:alnum}", ""} {
		f.Add(must(f, tpl, 1))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := ParseToken(b)
		if !ok {
			return
		}
		again, err := QuenchToken(string(p.Brand), string(p.Env), p.ID, p.Secret)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("parsed, but its parts make another token: %v", err)
		}
	})
}

// FuzzShapes: no input makes a shape panic, change it or name it in its answer.
func FuzzShapes(f *testing.F) {
	for _, c := range checksummed {
		f.Add(c.shape, must(f, c.template, 1))
	}
	for _, n := range ShapeNames() {
		for _, tpl := range []string{"{jwt}", "{pem:RSA}", "{pem-escaped:PGP}", "sntrys_{b64json}_{43:b64}", "AKIA{16:base32}"} {
			f.Add(n, must(f, tpl, 2))
		}
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		was := bytes.Clone(b)
		r := CheckShape(name, b)
		if !bytes.Equal(was, b) {
			t.Fatal("the secret was changed")
		}
		if r.Why == "" || len(b) >= 24 && strings.Contains(r.Why, string(b)) {
			t.Fatalf("reason %q", r.Why)
		}
		if again := CheckShape(name, b); again != r {
			t.Fatalf("%v, then %v", r, again)
		}
	})
}
