package provider_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/revoker/revokertest"
	"github.com/quench-dev/quench/scanner/secret"
)

// vendor is the world of one vendor's fake, the first of that name.
func vendor(t *testing.T, name string) *world {
	t.Helper()
	all := revokertest.Vendors()
	return newWorld(t, all[slices.IndexFunc(all, func(v *revokertest.Vendor) bool { return v.Provider == name })])
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(body))
	}
}

// A live token whose policy does not let it look itself up, or end itself, is refused with
// the words that Vault before 1.17 has for a dead one, too: it is said to be neither.
func TestVaultPermissionDenied(t *testing.T) {
	w := vendor(t, "vault")
	w.net.Answer(says(403, `{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`))
	if a := w.p.Check(t.Context(), w.n, w.set, w.in); a.Outcome != provider.Unknown {
		t.Errorf("check: %s (%s)", a.Outcome, a.Detail)
	}
	if a := w.revoke(); a.Outcome != provider.Denied || !strings.Contains(a.Detail, "vault-accessor") {
		t.Errorf("revoke: %s (%s)", a.Outcome, a.Detail)
	}
	w.net.Answer(says(403, `{}`)) // no words of Vault's
	if a := w.p.Check(t.Context(), w.n, w.set, w.in); a.Outcome != provider.Denied {
		t.Errorf("check: %s (%s)", a.Outcome, a.Detail)
	}
}

// A vendor that knows no key of an id says nothing of the secret: who gives a wrong id, or
// another account's credential, is not told that it is dead.
func TestWrongID(t *testing.T) {
	w := vendor(t, "mailgun")
	w.in.Parts["key_id"] = secret.NewString("00000000-00000000")
	all := provider.Kill(t.Context(), w.p, w.n, w.set, w.in, false)
	if a := all[len(all)-1]; a.Outcome != provider.Denied || !strings.Contains(a.Detail, "still takes it") || !w.v.Alive() {
		t.Errorf("%s (%s), alive %t", a.Outcome, a.Detail, w.v.Alive())
	}
	w.v.Kill()
	all = provider.Kill(t.Context(), w.p, w.n, w.set, w.in, false)
	if a := all[len(all)-1]; a.Outcome != provider.AlreadyDead {
		t.Errorf("dead: %s (%s)", a.Outcome, a.Detail)
	}
}
