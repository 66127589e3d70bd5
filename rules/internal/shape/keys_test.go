package shape

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	pemfile "encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Keys are parsed, and named for what they are.
func TestProofKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(k any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		label, want string
		der         []byte
	}{
		{"RSA PRIVATE KEY", "RSA private key of 2048 bits", x509.MarshalPKCS1PrivateKey(rsaKey)},
		{"PRIVATE KEY", "RSA private key of 2048 bits", pkcs8(rsaKey)},
		{"EC PRIVATE KEY", "EC private key on P-256", ec},
		{"PRIVATE KEY", "EC private key on P-256", pkcs8(ecKey)},
		{"PRIVATE KEY", "Ed25519 private key", pkcs8(edKey)},
	} {
		block := string(pemfile.EncodeToMemory(&pemfile.Block{Type: c.label, Bytes: c.der}))
		for _, text := range []string{block, strings.ReplaceAll(block, "\n", `\n`)} {
			if r := check("pem", []byte(text)); r.State != Valid || !strings.Contains(r.Why, c.want) {
				t.Errorf("%s: %v (%s), want one that is valid: %s", c.label, r.State, r.Why, c.want)
			}
		}
	}
	field := func(s string) string {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		return string(n[:]) + s
	}
	for cipher, want := range map[string]State{"none": Valid, "aes256-ctr": Harmless} {
		raw := "openssh-key-v1\x00" + field(cipher) + field("none") + strings.Repeat("k", 200)
		block := pemfile.EncodeToMemory(&pemfile.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte(raw)})
		if r := check("pem", block); r.State != want {
			t.Errorf("OpenSSH key with cipher %s: %v (%s), want %v", cipher, r.State, r.Why, want)
		}
	}
}

func TestProofExpiry(t *testing.T) {
	was := now
	defer func() { now = was }()
	now = func() time.Time { return time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC) }
	for exp, want := range map[string]State{
		"1777593601": Valid, // 2026-05-01T00:00:01Z
		"1777593599": Harmless, "1777593599.5": Harmless, "1e3": Valid, `"soon"`: Valid, "9999999999999": Valid,
	} {
		enc := base64.RawURLEncoding.EncodeToString
		token := enc([]byte(`{"alg":"HS256"}`)) + "." + enc([]byte(`{"sub":"1","exp":`+exp+`}`)) + "." + strings.Repeat("s", 43)
		if r := check("jwt", []byte(token)); r.State != want {
			t.Errorf("exp %s: %v (%s), want %v", exp, r.State, r.Why, want)
		}
	}
}

// Tokens that everybody may see are told at low confidence.
func TestProofPublicTokens(t *testing.T) {
	for claims, want := range map[string]State{
		`{"iss":"supabase","ref":"abc","role":"anon","iat":1700000000,"exp":4000000000}`: Harmless,
		`{"iss":"supabase","ref":"abc","role":"service_role"}`:                           Valid,
		`{"iss":"acme","role":"anon"}`:                                                   Valid,
		`{"sub":"1234567890","name":"John Doe","iat":1516239022}`:                        Harmless,
		`{"sub":"1234567890","name":"Jane Doe"}`:                                         Valid,
	} {
		enc := base64.RawURLEncoding.EncodeToString
		token := enc([]byte(`{"alg":"HS256"}`)) + "." + enc([]byte(claims)) + "." + strings.Repeat("s", 43)
		if r := check("jwt", []byte(token)); r.State != want {
			t.Errorf("%s: %v (%s), want %v", claims, r.State, r.Why, want)
		}
	}
}

func TestProofAWSAccount(t *testing.T) {
	const account = 123456789012
	raw := make([]byte, 10)
	binary.BigEndian.PutUint64(raw, (1<<47|account<<7)<<16)
	id := "AKIA" + base32.StdEncoding.EncodeToString(raw)
	if r := check("aws-key-id", []byte(id)); r.State != Valid || !strings.Contains(r.Why, fmt.Sprint(account)) {
		t.Errorf("%v (%s), want the account %d", r.State, r.Why, account)
	}
}

func TestProofMacaroon(t *testing.T) {
	packet := func(kind byte, b string) string { return string([]byte{kind, byte(len(b))}) + b }
	good := "\x02" + packet(1, "pypi.org") + packet(2, "0a1b2c3d-0000-4000-8000-000000000000") + "\x00" + packet(2, "[2,null]") + "\x00\x00" + packet(6, strings.Repeat("s", 32))
	for name, c := range map[string]struct {
		raw  string
		want State
	}{
		"whole": {good, Valid}, "cut": {good[:len(good)-1], Unknown}, "more": {good + "x", Unknown}, "no signature": {good[:12], Unknown},
		"length beyond the end": {"\x02\x01\xff\xff\xff\xff\x0f", Unknown}, "empty": {"", Unknown},
	} {
		if r := check("pypi-macaroon", []byte("pypi-"+base64.RawURLEncoding.EncodeToString([]byte(c.raw)))); r.State != c.want {
			t.Errorf("%s: %v (%s), want %v", name, r.State, r.Why, c.want)
		}
	}
}

func check(name string, secret []byte) Result {
	s, _ := Named(name)
	return s.Check(secret)
}
