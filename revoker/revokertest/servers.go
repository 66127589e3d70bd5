package revokertest

import (
	"fmt"
	"net/http"
	"strings"
)

// servers are what operators run themselves.
func servers() []*Vendor {
	return []*Vendor{auth0(), auth0Client(), oauth(), vault(), vaultAccessor(), vaultLease()}
}

// auth0 answers 200 also about a token that is none, or another application's: its page
// of errors. That the token is dead nobody confirms.
func auth0() *Vendor {
	return &Vendor{Provider: "auth0", Bare: true, Slow: true, Docs: "https://auth0.com/docs/api/authentication/revoke-refresh-token/revoke-refresh-token", Host: "acme.auth0.example", Secret: "v1." + random(60),
		Credentials: map[string]string{"client_id": random(32), "client_secret": random(64)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			b := body(r)
			id, _ := b["client_id"].(string)
			key, _ := b["client_secret"].(string)
			token, _ := b["token"].(string)
			switch {
			case route(r) != "POST /oauth/revoke":
				reply(w, 404, nil)
			case token == "":
				reply(w, 400, obj{"error": "invalid_request", "error_description": "Missing required parameter: token"})
			case !a.is("client_id", id) || !a.is("client_secret", key):
				reply(w, 401, obj{"error": "invalid_client", "error_description": "Unauthorized"})
			default:
				a.end(a.byValue(token))
				reply(w, 200, nil)
			}
		}}
}

// auth0Client shows the secret of each application to who may read client keys.
func auth0Client() *Vendor {
	return &Vendor{Provider: "auth0-client", Mute: true, Docs: "https://auth0.com/docs/get-started/applications/rotate-client-secret", Host: "acme.auth0.example", Secret: random(64),
		Credentials: map[string]string{"client_id": leaked, "management_token": "ey" + random(60)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, rotate := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/api/v2/clients/"), "/rotate-secret")
			now := random(64) // what a client has whose secret was rotated
			c := a.byID(id)
			if c != nil {
				now = c.value
			}
			switch {
			case !a.is("management_token", bearer(r)):
				reply(w, 401, obj{"statusCode": 401, "error": "Unauthorized", "message": "Invalid token"})
			case c == nil && id != a.creds[1].id:
				reply(w, 404, obj{"statusCode": 404, "error": "Not Found", "message": "The client does not exist"})
			case rotate && r.Method == http.MethodPost:
				a.end(c)
				reply(w, 200, obj{"client_id": id, "client_secret": random(64)})
			case !rotate && r.Method == http.MethodGet && r.URL.Query().Get("fields") == "client_id,client_secret":
				reply(w, 200, obj{"client_id": id, "client_secret": now})
			default:
				reply(w, 404, nil)
			}
		}}
}

func oauth() *Vendor {
	return &Vendor{Provider: "oauth", Bare: true, Docs: "https://www.rfc-editor.org/rfc/rfc7009", Host: "login.acme.example:8443", Secret: random(43),
		Credentials: map[string]string{"client_id": "quench", "client_secret": random(40), "revocation_path": "/oauth2/v1/revoke", "introspection_path": "/oauth2/v1/introspect"},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			user, pass, _ := r.BasicAuth()
			if !a.is("client_id", user) || !a.is("client_secret", pass) {
				reply(w, 401, obj{"error": "invalid_client"})
				return
			}
			c := a.byValue(r.PostFormValue("token"))
			switch route(r) {
			case "POST /oauth2/v1/revoke": // the same answer for any token
				a.end(c)
				reply(w, 200, nil)
			case "POST /oauth2/v1/introspect":
				reply(w, 200, obj{"active": c != nil})
			default:
				reply(w, 404, nil)
			}
		}}
}

// vaultErrors is the body of a refusal: Vault lists its errors in one text.
func vaultErrors(all ...string) obj {
	s := "1 error occurred:\n"
	if len(all) > 1 {
		s = fmt.Sprintf("%d errors occurred:\n", len(all))
	}
	for _, e := range all {
		s += "\t* " + e + "\n"
	}
	return obj{"errors": []string{s + "\n"}}
}

// https://developer.hashicorp.com/vault/docs/concepts/tokens#error-responses
func vault() *Vendor {
	return &Vendor{Provider: "vault", Docs: "https://developer.hashicorp.com/vault/api-docs/auth/token", Host: "vault.acme.example:8200", Secret: "hvs." + random(90), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(r.Header.Get("X-Vault-Token"))
			switch {
			case c == nil:
				reply(w, 403, vaultErrors("permission denied", "invalid token"))
			case route(r) == "GET /v1/auth/token/lookup-self":
				reply(w, 200, obj{"data": obj{"policies": []string{"default"}}})
			case route(r) == "POST /v1/auth/token/revoke-self":
				a.end(c)
				reply(w, 204, nil)
			default: // its policy is the default one
				reply(w, 403, vaultErrors("permission denied"))
			}
		}}
}

func vaultAccessor() *Vendor {
	return &Vendor{Provider: "vault-accessor", Docs: "https://developer.hashicorp.com/vault/api-docs/auth/token", Host: "vault.acme.example:8200", Secret: "hvs." + random(90), Tells: true,
		Parts: map[string]string{"accessor": random(24)}, Credentials: map[string]string{"admin_token": "hvs." + random(60)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			acc, _ := body(r)["accessor"].(string)
			switch {
			case !a.is("admin_token", r.Header.Get("X-Vault-Token")):
				reply(w, 403, vaultErrors("permission denied", "invalid token"))
			case a.byID(acc) == nil:
				reply(w, 400, vaultErrors("invalid accessor"))
			case route(r) == "POST /v1/auth/token/lookup-accessor":
				reply(w, 200, obj{"data": obj{"accessor": acc}})
			case route(r) == "POST /v1/auth/token/revoke-accessor":
				a.end(a.byID(acc)) // with a warning, 200 stands for 204: api-docs, "HTTP status codes"
				reply(w, 200, obj{"warnings": []string{"this is slow today"}})
			default:
				reply(w, 404, obj{"errors": []string{}})
			}
		}}
}

func vaultLease() *Vendor {
	return &Vendor{Provider: "vault-lease", Docs: "https://developer.hashicorp.com/vault/api-docs/system/leases", Host: "vault.acme.example:8200", Secret: random(30),
		Parts: map[string]string{"lease_id": "database/creds/ci/" + random(24)}, Credentials: map[string]string{"admin_token": "hvs." + random(60)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			b := body(r)
			id, _ := b["lease_id"].(string)
			switch {
			case !a.is("admin_token", r.Header.Get("X-Vault-Token")):
				reply(w, 403, vaultErrors("permission denied", "invalid token"))
			case route(r) == "POST /v1/sys/leases/revoke" && b["sync"] == true: // the same answer for any lease
				a.end(a.byID(id))
				reply(w, 204, nil)
			case a.byID(id) == nil:
				reply(w, 400, obj{"errors": []string{"invalid lease"}})
			case route(r) == "POST /v1/sys/leases/lookup":
				reply(w, 200, obj{"data": obj{"id": id}})
			default:
				reply(w, 404, obj{"errors": []string{}})
			}
		}}
}
