package revokertest

import (
	"net/http"
	"slices"
	"strings"
)

// owners are vendors where it takes a credential of the owner, or of another of
// the same account, and the id of the leaked one.
func owners() []*Vendor {
	return []*Vendor{stripe(), twilio(), sendgrid(), mailgun(), mailgunToday(), datadog(), databricks(), gitlabID(), sentry(), grafana(), confluent(), azureDevOps(), unkey(), googleAPIKey()}
}

func stripe() *Vendor {
	return &Vendor{Provider: "stripe", Docs: "https://docs.stripe.com/api/v2/iam/api_keys", Secret: "sk_" + "live_" + random(40), Slow: true,
		Parts: map[string]string{"key_id": "mk_1" + random(20)}, Credentials: map[string]string{"admin_key": "admin" + random(30)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, isExpire := strings.CutSuffix(strings.TrimPrefix(route(r), "POST /v2/iam/api_keys/"), "/expire")
			switch {
			case route(r) == "GET /v1/balance" && a.byValue(bearer(r)) != nil:
				reply(w, 200, obj{"object": "balance"})
			case isExpire && a.is("admin_key", bearer(r)):
				if !a.end(a.byID(id)) {
					reply(w, 404, obj{"error": obj{"code": "not_found"}})
					return
				}
				reply(w, 200, obj{"id": id, "status": "expired"})
			default:
				reply(w, 401, obj{"error": obj{"type": "invalid_request_error", "message": "Invalid API Key provided"}})
			}
		}}
}

func twilio() *Vendor {
	return &Vendor{Provider: "twilio", Docs: "https://www.twilio.com/docs/iam/api-keys/key-resource-v2010", Secret: "SK" + random(32), Tells: true, InURL: true,
		Credentials: map[string]string{"account_sid": "AC" + random(32), "auth_user": "SK" + random(32), "auth_password": random(32)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			user, pass, _ := r.BasicAuth()
			if !a.is("auth_user", user) || !a.is("auth_password", pass) {
				reply(w, 401, obj{"code": 20003, "message": "Authenticate"})
				return
			}
			sid, ok := strings.CutPrefix(r.URL.Path, "/2010-04-01/Accounts/"+a.v.Credentials["account_sid"]+"/Keys/")
			sid, json := strings.CutSuffix(sid, ".json")
			c := a.byValue(sid)
			switch {
			case !ok || !json || c == nil:
				reply(w, 404, obj{"code": 20404, "message": "The requested resource was not found"})
			case r.Method == http.MethodGet:
				reply(w, 200, obj{"sid": sid, "friendly_name": "ci"})
			case r.Method == http.MethodDelete:
				a.end(c)
				reply(w, 204, nil)
			default:
				reply(w, 405, nil)
			}
		}}
}

func sendgrid() *Vendor {
	id := random(22)
	return &Vendor{Provider: "sendgrid", Docs: "https://www.twilio.com/docs/sendgrid/api-reference/api-keys/delete-api-keys", Secret: "SG" + "." + id + "." + random(43), Tells: true,
		Credentials: map[string]string{"admin_key": "admin" + random(30)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(bearer(r))
			admin := a.is("admin_key", bearer(r))
			key, isDelete := tail(r, "DELETE /v3/api_keys/")
			switch {
			case c == nil && !admin:
				reply(w, 401, obj{"errors": []obj{{"message": "authorization required"}}})
			case route(r) == "GET /v3/scopes":
				reply(w, 200, obj{"scopes": []string{"mail.send"}})
			case isDelete && !admin: // a key for sending mail alone
				reply(w, 403, obj{"errors": []obj{{"message": "access forbidden"}}})
			case isDelete && key == id && a.creds[1].alive:
				a.creds[1].alive = false
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"errors": []obj{{"message": "unable to find API Key"}}})
			}
		}}
}

func mailgun() *Vendor { return mailgunKey("key-"+hexDigits(32), hexDigits(8)+"-"+hexDigits(8)) }

// mailgunToday is a key that ends in its id.
func mailgunToday() *Vendor {
	id := hexDigits(8) + "-" + hexDigits(8)
	v := mailgunKey(hexDigits(32)+"-"+id, id)
	v.id, v.Parts = id, nil
	return v
}

func mailgunKey(key, id string) *Vendor {
	return &Vendor{Provider: "mailgun", Docs: "https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/keys", Secret: key, Tells: true,
		Parts: map[string]string{"key_id": id}, Credentials: map[string]string{"admin_key": "admin" + random(30)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			_, pass, _ := r.BasicAuth()
			id, isDelete := tail(r, "DELETE /v1/keys/")
			switch {
			case route(r) == "GET /v3/domains" && a.byValue(pass) != nil:
				reply(w, 200, obj{"total_count": 1})
			case !a.is("admin_key", pass):
				reply(w, 401, obj{"message": "Forbidden"})
			case route(r) == "GET /v1/keys":
				items := []obj{}
				for _, c := range a.creds {
					items = append(items, obj{"id": c.id, "kind": "user", "role": "basic", "is_disabled": false})
				}
				reply(w, 200, obj{"total_count": len(items), "items": items})
			case isDelete && a.end(a.byID(id)):
				reply(w, 200, obj{"message": "key deleted"})
			default:
				reply(w, 404, obj{"message": "no key matching id"})
			}
		}}
}

func datadog() *Vendor {
	return &Vendor{Provider: "datadog", Docs: "https://docs.datadoghq.com/api/latest/key-management/delete-an-api-key/", Secret: random(32), Tells: true,
		Credentials: map[string]string{"admin_api_key": random(32), "admin_app_key": random(40)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, isDelete := tail(r, "DELETE /api/v2/api_keys/")
			switch {
			case route(r) == "GET /api/v1/validate" && a.byValue(r.Header.Get("Dd-Api-Key")) != nil:
				reply(w, 200, obj{"valid": true})
			case route(r) == "GET /api/v2/validate" && a.byValue(r.Header.Get("Dd-Api-Key")) != nil:
				reply(w, 200, obj{"data": obj{"id": "org", "type": "validate_v2", "attributes": obj{"api_key_id": a.byValue(r.Header.Get("Dd-Api-Key")).id, "api_key_scopes": []string{}, "valid": true}}})
			case !isDelete || !a.is("admin_api_key", r.Header.Get("Dd-Api-Key")) || !a.is("admin_app_key", r.Header.Get("Dd-Application-Key")):
				reply(w, 403, obj{"errors": []string{"Forbidden"}})
			case a.end(a.byID(id)):
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"errors": []string{"API key not found"}})
			}
		}}
}

func gitlabID() *Vendor {
	return &Vendor{Provider: "gitlab-id", Docs: "https://docs.gitlab.com/api/personal_access_tokens/#revoke-a-personal-access-token", Host: "gitlab.acme.example", Secret: "glpat-" + random(20),
		Parts: map[string]string{"token_id": "4712"}, Credentials: map[string]string{"admin_token": "admin" + random(30)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, ours := strings.CutPrefix(r.URL.Path, "/api/v4/personal_access_tokens/")
			c := a.byID(id)
			switch {
			case !a.is("admin_token", r.Header.Get("PRIVATE-TOKEN")):
				reply(w, 401, obj{"message": "401 Unauthorized"})
			case !ours || c == nil && id != a.creds[1].id:
				reply(w, 404, obj{"message": "404 Personal Access Token Not Found"})
			case r.Method == http.MethodGet: // a revoked one is shown, too
				reply(w, 200, obj{"id": 4712, "active": c != nil, "revoked": c == nil})
			case r.Method == http.MethodDelete:
				a.end(c)
				reply(w, 204, nil)
			default:
				reply(w, 405, nil)
			}
		}}
}

func databricks() *Vendor {
	return &Vendor{Provider: "databricks", Docs: "https://docs.databricks.com/api/workspace/tokens/delete", Host: "dbc-1.databricks.example", Secret: "dapi" + random(32), Tells: true,
		Parts: map[string]string{"token_id": random(64)}, Credentials: map[string]string{"admin_token": "admin" + random(30)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, isDelete := tail(r, "DELETE /api/2.0/token-management/tokens/")
			c, admin := a.byValue(bearer(r)), a.is("admin_token", bearer(r))
			if c == nil && !admin {
				reply(w, 401, obj{"error_code": 401, "message": "Credential was not sent or was of an unsupported type for this API."})
				return
			}
			if route(r) == "GET /api/2.0/preview/scim/v2/Me" {
				reply(w, 200, obj{"userName": "x"})
				return
			}
			if route(r) == "POST /api/2.0/token/delete" {
				id, _ = body(r)["token_id"].(string)
				isDelete = true
			}
			if !isDelete || !a.end(a.byID(id)) {
				reply(w, 404, obj{"error_code": "RESOURCE_DOES_NOT_EXIST"})
				return
			}
			reply(w, 200, obj{})
		}}
}

func sentry() *Vendor {
	return &Vendor{Provider: "sentry", Docs: "https://docs.sentry.io/api/organizations/revoke-an-org-auth-token/", Secret: "sntrys_" + random(60), Tells: true,
		Parts: map[string]string{"token_id": "4711"}, Credentials: map[string]string{"org": "acme", "admin_token": "admin" + random(30)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			admin := a.is("admin_token", bearer(r))
			id, isDelete := strings.CutPrefix(route(r), "DELETE /api/0/organizations/acme/org-auth-tokens/")
			switch {
			case isDelete && strings.HasPrefix(bearer(r), "sntryu_"): // a person's token, whatever its scopes
				reply(w, 403, obj{"detail": "You do not have permission to perform this action."})
			case !admin && a.byValue(bearer(r)) == nil:
				reply(w, 401, obj{"detail": "Invalid token"})
			case !admin: // a token for releases may read nothing else
				reply(w, 403, obj{"detail": "You do not have permission to perform this action."})
			case isDelete && a.end(a.byID(strings.TrimSuffix(id, "/"))):
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"detail": "The requested resource does not exist"})
			}
		}}
}

func grafana() *Vendor {
	return &Vendor{Provider: "grafana", Docs: "https://grafana.com/docs/grafana/latest/developers/http_api/serviceaccount/", Host: "grafana.example:3000", Secret: "glsa_" + random(32), Tells: true,
		Parts: map[string]string{"service_account_id": "2", "token_id": "17"}, Credentials: map[string]string{"admin_token": "admin" + random(30)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, isDelete := tail(r, "DELETE /api/serviceaccounts/2/tokens/")
			admin := a.is("admin_token", bearer(r))
			switch {
			case !admin && a.byValue(bearer(r)) == nil:
				reply(w, 401, obj{"message": "Invalid API key"})
			case route(r) == "GET /api/org":
				reply(w, 200, obj{"id": 1})
			case !admin:
				reply(w, 403, obj{"message": "You'll need additional permissions to perform this action"})
			case isDelete && a.end(a.byID(id)):
				reply(w, 200, obj{"message": "API key deleted"})
			default:
				reply(w, 404, obj{"message": "Service account token not found"})
			}
		}}
}

func confluent() *Vendor {
	return &Vendor{Provider: "confluent", Docs: "https://docs.confluent.io/cloud/current/api.html#tag/API-Keys-(iamv2)", Secret: "cflt" + random(60),
		Parts: map[string]string{"key_id": random(16)}, Credentials: map[string]string{"admin_key_id": random(16), "admin_key_secret": random(64)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			user, pass, _ := r.BasicAuth()
			c := a.byValue(pass)
			own := c != nil && c.id == user
			admin := a.is("admin_key_id", user) && a.is("admin_key_secret", pass)
			id := strings.TrimPrefix(r.URL.Path, "/iam/v2/api-keys/")
			switch {
			case !own && !admin:
				reply(w, 401, obj{"errors": []obj{{"status": "401"}}})
			case own && r.Method == http.MethodDelete: // a key of a cluster, not of the cloud
				reply(w, 403, obj{"errors": []obj{{"status": "403"}}})
			case a.byID(id) == nil:
				reply(w, 404, obj{"errors": []obj{{"status": "404"}}})
			case r.Method == http.MethodDelete:
				a.end(a.byID(id))
				reply(w, 204, nil)
			default:
				reply(w, 200, obj{"id": id})
			}
		}}
}

// azureDevOps is written from the OpenAPI files of MicrosoftDocs/vsts-rest-api-specs; the
// owner has more tokens than fit a page.
func azureDevOps() *Vendor {
	return &Vendor{Provider: "azure-devops", Docs: "https://learn.microsoft.com/en-us/rest/api/azure/devops/tokens/pats/revoke", Secret: random(84),
		Parts: map[string]string{"authorization_id": random(36)}, Credentials: map[string]string{"organization": "acme", "entra_token": "ey" + random(60)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			const pats = "/acme/_apis/tokens/pats"
			q := r.URL.Query()
			id := q.Get("authorizationId")
			i := slices.IndexFunc(a.creds, func(c *cred) bool { return c.id == id })
			switch {
			case !a.is("entra_token", bearer(r)): // a page to sign in at
				reply(w, 203, "<html>")
			case q.Get("api-version") == "":
				reply(w, 400, obj{"message": "No api-version was supplied"})
			case route(r) == "DELETE "+pats && i >= 0:
				a.end(a.creds[i])
				reply(w, 204, nil)
			case route(r) == "GET "+pats && id == "":
				all, next := []obj{}, ""
				for i, c := range a.creds {
					switch {
					case i < 2 == (q.Get("continuationToken") == "2"), !c.alive && q.Get("displayFilterOption") == "active":
					default:
						all = append(all, obj{"displayName": "ci", "authorizationId": c.id, "token": nil})
					}
				}
				if q.Get("continuationToken") == "" {
					next = "2"
				}
				reply(w, 200, obj{"continuationToken": next, "patTokens": all})
			case route(r) == "GET "+pats && i >= 0: // a revoked one is shown, too
				reply(w, 200, obj{"patToken": obj{"authorizationId": id, "token": nil}, "patTokenError": "none"})
			default:
				reply(w, 404, nil)
			}
		}}
}

func unkey() *Vendor {
	return &Vendor{Provider: "unkey", Docs: "https://www.unkey.com/docs/api-reference/v2/keys/delete-api-keys", Secret: "key_" + random(24), Tells: true, Slow: true,
		Parts: map[string]string{"key_id": "key_" + random(12)}, Credentials: map[string]string{"root_key": "unkey_" + random(24)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, _ := body(r)["keyId"].(string)
			switch {
			case !a.is("root_key", bearer(r)):
				reply(w, 401, obj{"error": obj{"status": 401}})
			case route(r) == "POST /v2/keys.deleteKey" && a.end(a.byID(id)):
				reply(w, 200, obj{"data": obj{}})
			default:
				reply(w, 404, obj{"error": obj{"status": 404}})
			}
		}}
}

func googleAPIKey() *Vendor {
	const parent = "projects/123/locations/global/keys/"
	return &Vendor{Provider: "google-api-key", Docs: "https://cloud.google.com/api-keys/docs/reference/rest/v2/projects.locations.keys", Secret: "AIza" + random(35), Tells: true, Slow: true, Keeps: true, InURL: true,
		Credentials: map[string]string{"access_token": "ya29." + random(60)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			if !a.is("access_token", bearer(r)) {
				reply(w, 401, obj{"error": obj{"code": 401, "status": "UNAUTHENTICATED"}})
				return
			}
			verb, path := r.Method, strings.TrimPrefix(r.URL.EscapedPath(), "/v2/")
			if key, ok := strings.CutSuffix(path, ":undelete"); ok && verb == http.MethodPost {
				verb, path = "undelete", key
			}
			if path == "keys:lookupKey" && verb == http.MethodGet { // deleted ones, too, until they are purged
				for _, c := range a.creds {
					switch {
					case c.value == r.URL.Query().Get("keyString") && c.gone:
						reply(w, 200, obj{"parent": "projects/123/locations/global"})
						return
					case c.value == r.URL.Query().Get("keyString"):
						reply(w, 200, obj{"parent": "projects/123/locations/global", "name": parent + c.id})
						return
					}
				}
			}
			id, _ := strings.CutPrefix(path, parent)
			c := a.kept(id)
			switch {
			case c == nil:
				reply(w, 404, obj{"error": obj{"code": 404, "status": "NOT_FOUND"}})
			case verb == http.MethodGet && c.alive:
				reply(w, 200, obj{"name": parent + c.id, "uid": "u", "createTime": "2026-01-01T00:00:00Z"})
			case verb == http.MethodGet:
				reply(w, 200, obj{"name": parent + c.id, "uid": "u", "createTime": "2026-01-01T00:00:00Z", "deleteTime": "2026-01-02T00:00:00Z"})
			case verb == http.MethodDelete && c.alive, verb == "undelete" && !c.alive:
				c.alive = verb == "undelete"
				reply(w, 200, obj{"name": "operations/akmf.1", "done": false})
			default:
				reply(w, 400, obj{"error": obj{"code": 400, "status": "FAILED_PRECONDITION"}})
			}
		}}
}
