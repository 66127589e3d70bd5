package near

import (
	"strings"
	"testing"
)

// hex32 matches 32 hexadecimal digits.
func hex32(b []byte) int {
	for i := range 32 {
		if i >= len(b) || strings.IndexByte("0123456789abcdef", b[i]) < 0 {
			return 0
		}
	}
	return 32
}

var words = []string{"key", "token", "secret", "auth", "bearer"}

// found gives the names of the values near every occurrence of service in text, where
// V stands for a value.
func found(text, service string) []string {
	value := strings.Repeat("0123456789abcdef", 2)
	buf := []byte(strings.ReplaceAll(text, "V", value))
	s := Search{Match: hex32, Width: 32, Reach: 48, Name: 64, Words: words}
	var out []string
	low := strings.ToLower(string(buf))
	for at := 0; ; {
		i := strings.Index(low[at:], service)
		if i < 0 {
			return out
		}
		at += i
		s.Values(buf, at, at+len(service), func(start, end int, name [2]int) {
			if string(buf[start:end]) != value {
				out = append(out, "not the value")
			}
			out = append(out, string(buf[name[0]:name[1]]))
		})
		at += len(service)
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ service, text, want string }{
		{"algolia", "ALGOLIA_ADMIN_KEY=V", "ALGOLIA_ADMIN_KEY"},
		{"algolia", `"algolia": {"appId": "x", "apiKey": "V"}`, "apiKey"},
		{"algolia", "algolia:\n  apiKey: V", ""}, // another line
		{"algolia", `client := algolia.New("app", key("V"))`, "key"},
		{"algolia", `curl -H "Authorization: Bearer V" https://algolia.example`, "Bearer"},
		{"algolia", "algolia --api-key V", "--api-key"},
		{"algolia", `the algolia token is V`, ""}, // prose names nothing
		{"algolia", `key = "V" // algolia`, "key"},
		{"algolia", "<algolia-token>V</algolia-token>", "algolia-token algolia-token"},
		{"algolia", `{"msg":"ALGOLIA_KEY=\"V\""}`, "ALGOLIA_KEY"},
		{"algolia", `{"msg":"x\nALGOLIA_KEY=V\n"}`, "nALGOLIA_KEY"},
		{"algolia", "algolia_key_id: V", ""},
		{"algolia", "algoliaAuthSha: V", ""},
		{"algolia", "algolia_secret commit=V", ""},
		{"algolia", "algolia_app=V", ""}, // no word that tells
		{"algolia", "algolia_key=" + strings.Repeat(" ", 60) + "V", ""},
		{"algolia", "V algolia_key=", ""},
		{"box", "box_token=V", "box_token"},
		{"box", "myBox.token=V", "myBox.token"},
		{"box", "textbox_token=V", ""},
		{"box", "SANDBOX_TOKEN=V", ""},
		{"box", "boxes_token=V", ""},
	} {
		if got := strings.Join(found(c.text, c.service), " "); got != c.want {
			t.Errorf("%s in %q: %q, want %q", c.service, c.text, got, c.want)
		}
	}
}

func TestWordy(t *testing.T) {
	for val, want := range map[string]bool{
		"3f9a0c1b2d4e5f60718293a4b5c6d7e8": false, "kTvBxQzLmWsYpRuHcEaGdJfNoXiZlb": false, "short": false,
		"getCloudflareApiTokenFromTheEnvironment": true, "KeyAlibabaCloudSecretAccessKey": true,
	} {
		line := "NETLIFY_AUTH_TOKEN=" + val + "\n"
		if got := Wordy([]byte(line), [2]int{0, 18}, 19, 19+len(val)); got != want {
			t.Errorf("%s: %v", val, got)
		}
	}
}

// Values never reads beyond the text, whatever stands in it.
func FuzzValues(f *testing.F) {
	f.Add("ALGOLIA_ADMIN_KEY=0123456789abcdef0123456789abcdef", 0, 7)
	f.Add("\\n0123456789abcdef0123456789abcdef\n", 1, 1)
	f.Fuzz(func(t *testing.T, text string, at, end int) {
		if at < 0 || end <= at || end > len(text) || strings.ContainsRune(text[at:end], '\n') {
			t.Skip()
		}
		s := Search{Match: hex32, Width: 32, Reach: 48, Name: 64, Words: words}
		s.Values([]byte(text), at, end, func(start, end int, name [2]int) {
			if end-start != 32 || hex32([]byte(text[start:end])) == 0 || name[0] < 0 || name[0] > name[1] || name[1] > start || strings.Contains(text[start:end], "\n") {
				t.Errorf("value %d to %d, name %v", start, end, name)
			}
		})
	})
}
