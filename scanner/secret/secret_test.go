package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/quench-dev/quench/scanner/secret"
)

// Ten verbs over ten shapes, JSON and slog: none shows the bytes.
func TestNeverPrinted(t *testing.T) {
	const plain = "correct-horse-battery-staple-0123456789"
	s := secret.NewString(plain)
	type inner struct{ hidden secret.Secret }
	type outer struct {
		In  inner
		Ptr *secret.Secret
		M   map[string]secret.Secret
	}
	shapes := []any{
		s, &s, []secret.Secret{s}, [1]secret.Secret{s}, map[string]secret.Secret{"k": s},
		inner{s}, &inner{s}, outer{In: inner{s}, Ptr: &s, M: map[string]secret.Secret{"k": s}},
		struct{ Any any }{s}, fmt.Errorf("reading %v: %w", s, errors.New("cause")),
	}
	hexed := fmt.Sprintf("%x", plain)
	for i, shape := range shapes {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
			check(t, fmt.Sprintf("shape %d %s", i, verb), fmt.Sprintf(verb, shape), plain, hexed)
		}
		if j, err := json.Marshal(shape); err == nil {
			check(t, fmt.Sprintf("shape %d json", i), string(j), plain, hexed)
		}
		var buf bytes.Buffer
		slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "v", shape)
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "v", shape)
		check(t, fmt.Sprintf("shape %d slog", i), buf.String(), plain, hexed)
	}
}

func check(t *testing.T, what, out string, bad ...string) {
	t.Helper()
	for _, b := range bad {
		if strings.Contains(strings.ToLower(out), strings.ToLower(b)) {
			t.Errorf("%s shows the secret: %s", what, out)
		}
	}
	if strings.Contains(out, "99 111 114 114") { // "corr" as decimal bytes
		t.Errorf("%s shows the secret's bytes: %s", what, out)
	}
}

func TestRedacted(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"hunter2", "********"},
		{strings.Repeat("a", 23), "********"},
		{"abcd0123456789abcdefwxyz", "abcd****wxyz"},
		{"ab\ncd0123456789abcdefwxyz", "********"},
	} {
		if got := secret.NewString(c.in).Redacted(); got != c.want {
			t.Errorf("Redacted(%d bytes) = %q, want %q", len(c.in), got, c.want)
		}
	}
}

func TestEqualAndMAC(t *testing.T) {
	a, b, c := secret.NewString("same"), secret.New([]byte("same")), secret.NewString("other")
	if !a.Equal(b) || a.Equal(c) || !(secret.Secret{}).IsZero() {
		t.Fatal("Equal or IsZero is wrong")
	}
	if a.MAC([]byte("k")) != b.MAC([]byte("k")) || a.MAC([]byte("k")) == a.MAC([]byte("l")) {
		t.Fatal("MAC must depend on bytes and key only")
	}
}
