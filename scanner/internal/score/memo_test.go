package score_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quench-dev/quench/scanner/internal/assign"
	"github.com/quench-dev/quench/scanner/internal/score"
)

// TestMemo holds a memory equal to Of: on names, values and surroundings put
// together by chance, each met more than once.
func TestMemo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	random := func() string {
		b := make([]byte, 4+rnd.IntN(40))
		for i := range b {
			b[i] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKL0123456789-_+/.$%"[rnd.IntN(52)]
		}
		return string(b)
	}
	values := []string{"hunter2", "correct horse", "[REDACTED]", "********", "${TOKEN}", "os.environ", "getSecret", "user@host", "aaaa", "12345678", "example.key", "s3cure!Pass", "v1.2.3", strings.Repeat("q9", 200)}
	for range 60 {
		values = append(values, random())
	}
	var m score.Memo
	told := map[bool]int{}
	for range 30_000 {
		left := pick("", "  ", "// ", "export ", "curl -u user ", "return ", "?", "<", `{"a":1,"`, "badge.svg?", "x.set", "gpg --recv-", "const ")
		name := pick("password", "api_key", "db.token", "client_secret", "csrf_token", "keyboard", "SECRET", "auth", "public_key", "seed")
		give := pick("=", ": ", " = ", `": "`, `="`, `="`, "('", `", "`, "=>", " ", "==\"", `"]=Some("`)
		line := pick("\n", "x") + left + name + give + values[rnd.IntN(len(values))] + pick("\"", "'", "") + pick("", ",", ")", "(", " {", " // no", ": x", ".call()", "&b=1", "\r") + pick("\n", "")
		buf := []byte(line)
		at := strings.Index(line, name)
		word := strings.Index(line, pick("password", "key", "token", "secret", "auth", "SECRET", "seed"))
		if word < at {
			continue
		}
		for _, end := range []int{word + 3, word + 4, word + 5, word + 6, word + 8} {
			v, ok := assign.At(buf, word, min(end, len(buf)), 1024)
			if !ok {
				continue
			}
			r := score.Of(buf, v)
			secret := r.Refusal == "" && r.Points >= score.Low
			told[secret]++
			if got := m.Refuses(buf, v); (got == "") != secret {
				t.Fatalf("%q: refused %q, of %d points and refusal %q", line, got, r.Points, r.Refusal)
			}
		}
	}
	if told[true] < 1000 || told[false] < 1000 {
		t.Errorf("%d values are secrets and %d are none: nothing is compared", told[true], told[false])
	}
}
