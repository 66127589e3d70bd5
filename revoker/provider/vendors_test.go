package provider_test

import (
	"encoding/json"
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

// The secret of another application of the tenant, whose id was given, is not rotated, and
// the leaked one is not said to be dead.
func TestAuth0OtherClient(t *testing.T) {
	w := vendor(t, "auth0-client")
	w.set.Credentials["client_id"] = secret.NewString("id-1")
	if a := w.p.Revoke(t.Context(), w.n, w.set, w.in); a.Outcome != provider.NeedsAdmin {
		t.Errorf("%s (%s)", a.Outcome, a.Detail)
	}
	for _, seen := range w.net.Seen() {
		if strings.Contains(seen, "rotate-secret") {
			t.Errorf("called %s", seen)
		}
	}
}

// Where the owner's token is not to be had, an administrator's ends a token of Azure DevOps:
// https://learn.microsoft.com/en-us/rest/api/azure/devops/tokenadmin/revocations/revoke-authorizations
func TestAzureDevOpsAdministrator(t *testing.T) {
	w := vendor(t, "azure-devops")
	admin := "ey" + strings.Repeat("a", 40)
	w.set.Credentials = secrets(map[string]string{"organization": "acme", "admin_entra_token": admin})
	var ended []map[string]string
	w.net.Answer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+admin:
			rw.WriteHeader(401)
		case r.Method+" "+r.URL.Path != "POST /acme/_apis/tokenadmin/revocations" || r.URL.Query().Get("api-version") == "" || r.URL.Query().Get("isPublic") != "false":
			rw.WriteHeader(404)
		case json.NewDecoder(r.Body).Decode(&ended) != nil:
			rw.WriteHeader(400)
		default:
			rw.WriteHeader(204)
		}
	}))
	a := w.p.Revoke(t.Context(), w.n, w.set, w.in)
	if id := w.v.Parts["authorization_id"]; a.Outcome != provider.Revoked || len(ended) != 1 || ended[0]["authorizationId"] != id {
		t.Errorf("%s (%s), ended %v", a.Outcome, a.Detail, ended)
	}
}
