package shape

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"
)

// The sums of known bytes, worked out by other programs. 123456789 is the text whose
// check value every description of a CRC gives.
func TestSums(t *testing.T) {
	b62, b36 := Base62([]byte("123456789")), Base36([]byte("123456789"))
	for name, c := range map[string][2]string{
		"hexadecimal":          {Hex([]byte("123456789")), "cbf43926"},
		"reverse hexadecimal":  {HexLE([]byte("123456789")), "2639f4cb"},
		"base 62":              {string(b62[:]), "3jZRME"},
		"base 36":              {string(b36[:]), "1kl8mjq"},
		"base64":               {Base64([]byte("hello")), "hqYQNg"},
		"SHA-256 in base 32":   {SHA256Base32([]byte("hello")), "FTZE3OS7"},
		"with zeros in front":  {Hex([]byte("hello")), "3610a686"},
		"base64 of 4 NUL less": {Base64(nil), "AAAAAA"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %s, want %s", name, c[0], c[1])
		}
	}
}

// Tokens that were published as examples: by Grafana in the tests of its sources, by
// others in their documentation. They are written backwards, so that nobody takes
// them for leaked ones.
func TestPublishedTokens(t *testing.T) {
	for backwards, name := range map[string]string{
		"a85faacf_G50BvDibnmZR73Fz8vauIJKSmi52Wcsy_aslg":                                                "crc32-hex-le",
		"b262be81_704bb5a0d02b5c5ae6a4d4d3d8d49f3b_akpz":                                                "crc32-hex",
		"K2PzO0fUfulut4UBFWPMRoh5nlcAmg18eTRvu9a5xUoNVCqHu1jQmkY2_kcv":                                  "crc32-base62",
		"hcvefs0w0.10.VEmUszO9ulz4L6Bq044BAa849Lyc1YSv-taplg":                                           "gitlab-routable",
		"VzyLHYedS26OMNTJAbm51vNxoxquESw5TU1MWxSp7BRO9qaV60pwNOfv8ol_v5vViu3Yxwjt0QDBCYAA11_tap_buhtig": "sha256-base32",
	} {
		token := []byte(backwards)
		slices.Reverse(token)
		if r := check(name, token); r.State != Valid {
			t.Errorf("%s of %.6s…: %v (%s)", name, token, r.State, r.Why)
		}
	}
}

func TestGCPKey(t *testing.T) {
	file := func(kind, key string) []byte {
		b, err := json.Marshal(map[string]string{"type": kind, "private_key": key})
		if err != nil {
			t.Fatal(err)
		}
		return []byte(base64.StdEncoding.EncodeToString(b))
	}
	der := []byte{0x30}
	for i := range byte(200) {
		der = append(der, i)
	}
	body := base64.StdEncoding.EncodeToString(der)
	key := "-----BEGIN PRIVATE" + " KEY-----\n" + body + "\n-----END PRIVATE KEY-----\n"
	for name, c := range map[string]struct {
		text []byte
		want State
	}{
		"whole": {file("service_account", key), Valid}, "of a user": {file("authorized_user", key), Invalid},
		"without key": {file("service_account", ""), Invalid}, "with a placeholder": {file("service_account", "your key"), Invalid},
		"cut": {file("service_account", key)[:100], Unknown},
	} {
		if r := check("gcp-key-base64", c.text); r.State != c.want {
			t.Errorf("%s: %v (%s), want %v", name, r.State, r.Why, c.want)
		}
	}
}
