package deliver

import (
	"crypto/rand"
	"encoding/base64"
	"testing"

	"golang.org/x/crypto/nacl/box"
)

func TestSealed(t *testing.T) {
	public, private, err := box.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sealed(base64.StdEncoding.EncodeToString(public[:]), []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := box.OpenAnonymous(nil, b, public, private); !ok || string(got) != "value" {
		t.Errorf("opened %q, %v", got, ok)
	}
	for _, key := range []string{"", "?", "AAAA", base64.StdEncoding.EncodeToString(make([]byte, 33))} {
		if _, err := sealed(key, []byte("value")); err == nil {
			t.Errorf("the key %q is taken", key)
		}
	}
}
