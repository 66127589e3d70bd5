package revokertest

import (
	"net/http"
	"strings"
)

// listed are vendors whose credential is first looked up in a list, among others
// that look like it.
func listed() []*Vendor {
	return []*Vendor{heroku(), npm(), openai(), anthropic(), cloudflare(), cloudflareAccount()}
}

func heroku() *Vendor {
	return &Vendor{Provider: "heroku", Docs: "https://devcenter.heroku.com/articles/platform-api-reference#oauth-authorization", Secret: "HRKU-" + random(60), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, isDelete := tail(r, "DELETE /oauth/authorizations/")
			switch {
			case r.Header.Get("Accept") != "application/vnd.heroku+json; version=3":
				reply(w, 400, obj{"id": "bad_request"})
			case a.byValue(bearer(r)) == nil:
				reply(w, 401, obj{"id": "unauthorized", "message": "Invalid credentials provided."})
			case route(r) == "GET /account":
				reply(w, 200, obj{"id": "u"})
			case route(r) == "GET /oauth/authorizations":
				var list []obj
				for _, c := range a.creds {
					list = append(list, obj{"id": c.id, "access_token": obj{"id": "t", "token": c.value}})
				}
				reply(w, 200, list)
			case isDelete && a.byID(id) != nil:
				a.end(a.byID(id))
				reply(w, 200, obj{"id": id})
			default:
				reply(w, 404, obj{"id": "not_found"})
			}
		}}
}

func npm() *Vendor {
	return &Vendor{Provider: "npm", Docs: "https://docs.npmjs.com/cli/v11/commands/npm-token", Host: "npm.example", Secret: "npm_" + random(36), Slow: true,
		Credentials: map[string]string{"owner_token": "npm_" + random(36)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			owner := a.is("owner_token", bearer(r))
			key, isDelete := tail(r, "DELETE /-/npm/v1/tokens/token/")
			switch {
			case !owner && a.byValue(bearer(r)) == nil:
				reply(w, 401, obj{"error": "Unauthorized"})
			case route(r) == "GET /-/whoami":
				reply(w, 200, obj{"username": "x"})
			case !owner: // a token that may not manage tokens
				reply(w, 403, obj{"error": "Forbidden"})
			case route(r) == "GET /-/npm/v1/tokens":
				var list []obj
				for _, c := range a.creds {
					list = append(list, obj{"token": redacted(c.value, 8, 4), "key": c.id})
				}
				reply(w, 200, obj{"objects": list, "total": len(list)})
			case isDelete && a.end(a.byID(key)):
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"error": "Not found"})
			}
		}}
}

func openai() *Vendor {
	return &Vendor{Provider: "openai", Docs: "https://platform.openai.com/docs/api-reference/project-api-keys", Secret: "sk-" + "proj-" + random(60),
		Credentials: map[string]string{"admin_key": "sk-" + "admin-" + random(40), "project_id": "proj_1"},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			const keys = "/v1/organization/projects/proj_1/api_keys"
			id, isDelete := tail(r, "DELETE "+keys+"/")
			admin := a.is("admin_key", bearer(r))
			switch {
			case !admin && a.byValue(bearer(r)) == nil:
				reply(w, 401, obj{"error": obj{"code": "invalid_api_key", "type": "invalid_request_error"}})
			case route(r) == "GET /v1/models":
				reply(w, 200, obj{"object": "list"})
			case !admin:
				reply(w, 403, obj{"error": obj{"code": "insufficient_permissions"}})
			case route(r) == "GET "+keys: // two a page
				from := 0
				for i, c := range a.creds {
					if c.id == r.URL.Query().Get("after") {
						from = i + 1
					}
				}
				var list []obj
				for _, c := range a.creds[from:min(from+2, len(a.creds))] {
					list = append(list, obj{"id": c.id, "redacted_value": redacted(c.value, 7, 4)})
				}
				reply(w, 200, obj{"object": "list", "data": list, "last_id": a.creds[from+len(list)-1].id, "has_more": from+2 < len(a.creds)})
			case isDelete && a.end(a.byID(id)):
				reply(w, 200, obj{"object": "organization.project.api_key.deleted", "id": id, "deleted": true})
			default:
				reply(w, 404, obj{"error": obj{"code": "not_found"}})
			}
		}}
}

func anthropic() *Vendor {
	return &Vendor{Provider: "anthropic", Docs: "https://platform.claude.com/docs/en/api/admin-api/apikeys/update-api-key", Secret: "sk-" + "ant-api03-" + random(90),
		Credentials: map[string]string{"admin_key": "sk-" + "ant-admin01-" + random(60)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("X-Api-Key")
			id, isUpdate := tail(r, "POST /v1/organizations/api_keys/")
			id2, isGet := tail(r, "GET /v1/organizations/api_keys/")
			object := func(c *cred) obj {
				status := "inactive"
				switch {
				case c.alive:
					status = "active"
				case c.gone:
					status = "archived"
				}
				return obj{"type": "api_key", "id": c.id, "partial_key_hint": redacted(c.value, 17, 4), "status": status}
			}
			admin := a.is("admin_key", key)
			switch {
			case r.Header.Get("Anthropic-Version") == "":
				reply(w, 400, obj{"type": "error", "error": obj{"type": "invalid_request_error"}})
			case !admin && a.byValue(key) == nil:
				reply(w, 401, obj{"type": "error", "error": obj{"type": "authentication_error"}})
			case route(r) == "GET /v1/models":
				reply(w, 200, obj{"data": []obj{}})
			case !admin:
				reply(w, 403, obj{"type": "error", "error": obj{"type": "permission_error"}})
			case route(r) == "GET /v1/organizations/api_keys":
				var list []obj
				for _, c := range a.creds {
					list = append(list, object(c))
				}
				reply(w, 200, obj{"data": list, "has_more": false, "last_id": list[len(list)-1]["id"]})
			case isGet && a.any(id2) != nil:
				reply(w, 200, object(a.any(id2)))
			case isUpdate && a.kept(id) != nil: // what is archived stays so
				c := a.kept(id)
				switch body(r)["status"] {
				case "active":
					c.alive = true
				case "inactive":
					c.alive = false
				case "archived":
					c.alive, c.gone = false, true
				default:
					reply(w, 400, obj{"type": "error", "error": obj{"type": "invalid_request_error"}})
					return
				}
				reply(w, 200, object(c))
			default:
				reply(w, 404, obj{"type": "error", "error": obj{"type": "not_found_error"}})
			}
		}}
}

// cloudflareTokens are the token endpoints below a prefix.
func cloudflareTokens(prefix string) func(a *account, w http.ResponseWriter, r *http.Request) {
	return func(a *account, w http.ResponseWriter, r *http.Request) {
		c, admin := a.byValue(bearer(r)), a.is("admin_token", bearer(r))
		id, isDelete := tail(r, "DELETE "+prefix)
		switch {
		case c == nil && !admin:
			reply(w, 401, obj{"success": false, "errors": []obj{{"code": 1000, "message": "Invalid API Token"}}})
		case route(r) == "GET "+strings.TrimSuffix(prefix, "/")+"/verify" && c != nil:
			reply(w, 200, obj{"success": true, "result": obj{"id": c.id, "status": "active"}})
		case !admin: // a token for DNS alone
			reply(w, 403, obj{"success": false, "errors": []obj{{"code": 9109}}})
		case isDelete && a.byID(id) != nil:
			a.end(a.byID(id))
			reply(w, 200, obj{"success": true, "result": obj{"id": id}})
		default:
			reply(w, 404, obj{"success": false})
		}
	}
}

func cloudflare() *Vendor {
	return &Vendor{Provider: "cloudflare", Docs: "https://developers.cloudflare.com/api/resources/user/subresources/tokens/", Secret: "cfut_" + random(48), Tells: true,
		Credentials: map[string]string{"admin_token": "cfut_" + random(48)}, handle: cloudflareTokens("/client/v4/user/tokens/")}
}

func cloudflareAccount() *Vendor {
	return &Vendor{Provider: "cloudflare-account", Docs: "https://developers.cloudflare.com/api/resources/accounts/subresources/tokens/", Secret: "cfat_" + random(48), Tells: true,
		Credentials: map[string]string{"admin_token": "cfat_" + random(48), "account_id": "0123abcd"}, handle: cloudflareTokens("/client/v4/accounts/0123abcd/tokens/")}
}
