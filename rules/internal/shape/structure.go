package shape

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// jwt wants header and payload to be JSON objects. The signature cannot
// be checked without the key; an unsigned token ("alg":"none", empty signature)
// lets nobody in and is not a secret.
func jwt(s []byte) Result {
	if i := bytes.Index(s, []byte("eyJ")); i > 0 {
		s = s[i:] // a prefix before the JWT, as in ghs_<app>_<jwt>
	}
	parts := bytes.Split(s, []byte("."))
	if len(parts) != 3 || len(parts[2]) == 0 {
		return No("not three parts")
	}
	var head struct {
		Alg string `json:"alg"`
	}
	var claims map[string]json.RawMessage
	if !decodeJSON(parts[0], &head) || !decodeJSON(parts[1], &claims) {
		return No("header or payload is not JSON")
	}
	if head.Alg == "" || strings.EqualFold(head.Alg, "none") {
		return No("not signed")
	}
	if exp, ok := expiry(claims["exp"]); ok && exp.Before(now()) {
		return Spent("it expired on " + exp.UTC().Format(time.DateOnly))
	}
	if why := publicToken(claims); why != "" {
		return Spent(why)
	}
	return Yes("header and payload are JSON")
}

// publicToken says why a token is meant to be seen by everybody; "" when it is not.
func publicToken(claims map[string]json.RawMessage) string {
	is := func(claim, value string) bool { return string(claims[claim]) == `"`+value+`"` }
	switch {
	case is("role", "anon") && (is("iss", "supabase") || is("iss", "supabase-demo")):
		return "it is public: the anon key of a Supabase project"
	case is("sub", "1234567890") && is("name", "John Doe"):
		return "it is the example of jwt.io"
	}
	return ""
}

// decodeJSON reads base64 or base64url, padded or not, of one JSON value.
func decodeJSON(b []byte, v any) bool {
	raw, ok := decode64(b)
	return ok && json.Unmarshal(raw, v) == nil
}

func decode64(b []byte) ([]byte, bool) {
	b = bytes.TrimRight(b, "=")
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(b, "-_") {
		enc = base64.RawURLEncoding
	}
	raw := make([]byte, enc.DecodedLen(len(b)))
	n, err := enc.Decode(raw, b)
	return raw[:n], err == nil
}

// base64JSON finds the base64 of a JSON object ("eyJ" or "ey" and more) in the
// secret, up to the first byte that is not base64.
func base64JSON(s []byte) Result {
	i := bytes.Index(s, []byte("ey"))
	if i < 0 {
		return No("no base64 of a JSON object")
	}
	s = s[i:]
	end := 0
	for end < len(s) && (isAlnum(s[end]) || s[end] == '+' || s[end] == '/') {
		end++
	}
	var obj map[string]json.RawMessage
	if !decodeJSON(s[:end], &obj) {
		return No("not base64 of a JSON object")
	}
	return Yes("decodes to a JSON object")
}

// basicAuth decodes the credentials of HTTP Basic. Passwords that stand for
// one in documents are none.
func basicAuth(s []byte) Result {
	raw, ok := decode64(s)
	user, pass, cut := bytes.Cut(raw, []byte(":"))
	if !ok || !cut || len(user) == 0 || len(pass) == 0 || !utf8.Valid(raw) || bytes.ContainsFunc(raw, unicode.IsControl) {
		return No("not base64 of user:password")
	}
	low := bytes.ToLower(pass)
	if len(pass) < 4 || bytes.HasPrefix(low, []byte("pass")) || bytes.ContainsAny(pass, "<>{}$") {
		return No("its password is a placeholder")
	}
	if bytes.Equal(user, pass) {
		return No("its password is the name of its user")
	}
	// "open sesame" is the password of the RFC's own example, gX1fBat3bV that of OAuth's;
	// the others are those of tests of OAuth clients.
	squeezed := bytes.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return r
	}, low)
	for _, w := range append([]string{"open sesame", "opensesame", "gx1fbat3bv", "clientsecret", "mysecret", "appsecret"}, StopWords...) {
		if bytes.Contains(low, []byte(w)) || bytes.Contains(squeezed, []byte(w)) {
			return No("its password is a placeholder")
		}
	}
	return Yes("decodes to a user name and a password")
}

// gcpKeyBase64 decodes the key file of a service account of Google Cloud. Text that
// is cut before the end of the file is kept: its beginning names the type.
func gcpKeyBase64(s []byte) Result {
	var key struct {
		Type  string `json:"type"`
		Key   string `json:"private_key"`
		Email string `json:"client_email"`
	}
	if !decodeJSON(s, &key) {
		return Perhaps("not a whole key file")
	}
	if key.Type != "service_account" || key.Key == "" {
		return No("not the key file of a service account")
	}
	if r := pem([]byte(key.Key)); r.State != Valid {
		return r
	}
	return Yes("decodes to the key file of a service account")
}

// grafanaKey decodes an API key of Grafana before version 9, {"k": …, "n": …, "id": …}.
func grafanaKey(s []byte) Result {
	var key struct {
		Key string `json:"k"`
		ID  int64  `json:"id"`
	}
	if !decodeJSON(s, &key) {
		return Perhaps("not whole base64 of JSON")
	}
	if key.Key == "" || key.ID == 0 {
		return No("its JSON has no key and id")
	}
	return Yes("decodes to a key and its id")
}

// discordBotToken wants the bot's number, a snowflake of 17 to 20 digits, in base64
// before the first dot.
func discordBotToken(s []byte) Result {
	head, _, _ := bytes.Cut(s, []byte("."))
	raw, ok := decode64(head)
	if !ok || len(raw) < 17 || len(raw) > 20 || len(bytes.Trim(raw, base62[:10])) > 0 {
		return No("its first part is no bot's number")
	}
	return Yes("its first part is a bot's number")
}
