package revokertest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// random is n characters of base62: values are made for each test.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = base62[int(b[i])%len(base62)]
	}
	return string(b)
}

// hexDigits is n hexadecimal digits.
func hexDigits(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return fmt.Sprintf("%x", b)[:n]
}

// Vendors makes every fake anew.
func Vendors() []*Vendor {
	var all []*Vendor
	for _, group := range [][]*Vendor{alone(), owners(), listed(), githubs(), clouds(), servers()} {
		for _, v := range group {
			all = append(all, v.init())
		}
	}
	return all
}

// alone are vendors whose credentials end themselves.
func alone() []*Vendor {
	return []*Vendor{gitlab(), slack(), crates(), googleOAuth(), digitalocean(), okta(), huggingface(), posthog(), perplexity(), doppler(), buildkite(), vercel(), twitch()}
}

func gitlab() *Vendor {
	return &Vendor{Provider: "gitlab", Docs: "https://docs.gitlab.com/api/personal_access_tokens/", Secret: "glpat-" + random(20), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(r.Header.Get("Private-Token"))
			switch {
			case c == nil:
				reply(w, 401, obj{"message": "401 Unauthorized"})
			case route(r) == "GET /api/v4/personal_access_tokens/self":
				reply(w, 200, obj{"id": 7, "active": true, "revoked": false, "scopes": []string{"api"}})
			case route(r) == "DELETE /api/v4/personal_access_tokens/self":
				a.end(c)
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"error": "404 Not Found"})
			}
		}}
}

func slack() *Vendor {
	return &Vendor{Provider: "slack", Docs: "https://docs.slack.dev/reference/methods/auth.revoke", Secret: "xoxb-" + random(40), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(bearer(r))
			switch {
			case c == nil:
				reply(w, 200, obj{"ok": false, "error": "token_revoked"})
			case route(r) == "POST /api/auth.test":
				reply(w, 200, obj{"ok": true, "team_id": "T1"})
			case route(r) == "POST /api/auth.revoke":
				a.end(c)
				reply(w, 200, obj{"ok": true, "revoked": true})
			default:
				reply(w, 200, obj{"ok": false, "error": "unknown_method"})
			}
		}}
}

func crates() *Vendor {
	return &Vendor{Provider: "crates", Mute: true, Docs: "https://doc.rust-lang.org/cargo/reference/registry-web-api.html", Host: "registry.example", Secret: "cio" + random(32),
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(r.Header.Get("Authorization"))
			switch {
			case c == nil:
				reply(w, 403, obj{"errors": []obj{{"detail": "authentication failed"}}})
			case route(r) == "GET /api/v1/me":
				reply(w, 200, obj{"user": obj{"id": 1}})
			case route(r) == "DELETE /api/v1/tokens/current":
				a.end(c)
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"errors": []obj{{"detail": "Not Found"}}})
			}
		}}
}

func googleOAuth() *Vendor {
	return &Vendor{Provider: "google-oauth", Docs: "https://developers.google.com/identity/protocols/oauth2/web-server#tokenrevoke", Secret: "ya29." + random(60), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			switch route(r) {
			case "POST /tokeninfo":
				if a.byValue(r.PostFormValue("access_token")) == nil {
					reply(w, 400, obj{"error": "invalid_token", "error_description": "Invalid Value"})
					return
				}
				reply(w, 200, obj{"aud": "x", "expires_in": "100"})
			case "POST /revoke":
				if !a.end(a.byValue(r.PostFormValue("token"))) {
					reply(w, 400, obj{"error": "invalid_token"})
					return
				}
				reply(w, 200, obj{})
			default:
				reply(w, 404, nil)
			}
		}}
}

func digitalocean() *Vendor {
	return &Vendor{Provider: "digitalocean", Docs: "https://docs.digitalocean.com/reference/api/oauth/", Secret: "dop_v1_" + random(64), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(bearer(r))
			switch {
			case c == nil:
				reply(w, 401, obj{"id": "unauthorized", "message": "Unable to authenticate you"})
			case r.Host == "api.digitalocean.com" && route(r) == "GET /v2/account":
				reply(w, 200, obj{"account": obj{"status": "active"}})
			case r.Host == "cloud.digitalocean.com" && route(r) == "POST /v1/oauth/revoke":
				a.end(a.byValue(r.PostFormValue("token")))
				reply(w, 200, obj{})
			default:
				reply(w, 404, nil)
			}
		}}
}

func okta() *Vendor {
	return &Vendor{Provider: "okta", Docs: "https://developer.okta.com/docs/api/openapi/okta-management/management/tag/ApiToken/", Host: "acme.okta.example", Secret: "00" + random(40), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(strings.TrimPrefix(r.Header.Get("Authorization"), "SSWS "))
			switch {
			case c == nil:
				reply(w, 401, obj{"errorCode": "E0000011", "errorSummary": "Invalid token provided"})
			case route(r) == "GET /api/v1/users/me":
				reply(w, 200, obj{"id": "00u1"})
			case route(r) == "DELETE /api/v1/api-tokens/current":
				a.end(c)
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"errorCode": "E0000007"})
			}
		}}
}

func huggingface() *Vendor {
	return &Vendor{Provider: "huggingface", Docs: "https://huggingface.co/docs/hub/security-tokens", Secret: "hf_" + random(34),
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			switch route(r) {
			case "GET /api/whoami-v2":
				if a.byValue(bearer(r)) == nil {
					reply(w, 401, obj{"error": "Invalid username or password."})
					return
				}
				reply(w, 200, obj{"name": "x"})
			case "POST /api/credentials/revoke":
				list, _ := body(r)["credentials"].([]any)
				for _, s := range list {
					a.end(a.byValue(s.(string)))
				}
				reply(w, 202, obj{})
			default:
				reply(w, 404, nil)
			}
		}}
}

func posthog() *Vendor {
	return &Vendor{Provider: "posthog", Docs: "https://posthog.com/docs/api/revoke-leaked-key", Secret: "phx_" + random(43), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			if route(r) != "POST /api/revoke_leaked_key" {
				reply(w, 404, nil)
				return
			}
			token, _ := body(r)["token"].(string)
			if r.Host == "eu.posthog.com" && a.end(a.byValue(token)) {
				reply(w, 200, obj{"found": true, "type": "personal_api_key"})
				return
			}
			reply(w, 200, obj{"found": false})
		}}
}

func perplexity() *Vendor {
	return &Vendor{Provider: "perplexity", Docs: "https://docs.perplexity.ai/api-reference/revoke-auth-token-post", Secret: "pplx-" + random(48),
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			token, _ := body(r)["auth_token"].(string)
			switch {
			case route(r) != "POST /revoke_auth_token":
				reply(w, 404, nil)
			case a.byValue(bearer(r)) == nil:
				reply(w, 401, obj{"error": obj{"message": "Invalid API key"}})
			default:
				a.end(a.byValue(token))
				reply(w, 200, obj{})
			}
		}}
}

func doppler() *Vendor {
	return &Vendor{Provider: "doppler", Docs: "https://docs.doppler.com/reference/auth-revoke", Secret: "dp.pt." + random(43), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			switch route(r) {
			case "GET /v3/me":
				if a.byValue(bearer(r)) == nil {
					reply(w, 401, obj{"success": false, "messages": []string{"Invalid Auth token"}})
					return
				}
				reply(w, 200, obj{"success": true})
			case "POST /v3/auth/revoke":
				token, _ := body(r)["token"].(string)
				if !a.end(a.byValue(token)) {
					reply(w, 401, obj{"success": false, "messages": []string{"Invalid Auth token"}})
					return
				}
				reply(w, 200, obj{"success": true})
			default:
				reply(w, 404, nil)
			}
		}}
}

func buildkite() *Vendor {
	return &Vendor{Provider: "buildkite", Docs: "https://buildkite.com/docs/apis/rest-api/access-token", Secret: "bkua_" + random(40), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(bearer(r))
			switch {
			case c == nil:
				reply(w, 401, obj{"message": "Authentication required. Please supply a valid API Access Token"})
			case route(r) == "GET /v2/access-token":
				reply(w, 200, obj{"uuid": "u", "scopes": []string{"read_builds"}})
			case route(r) == "DELETE /v2/access-token":
				a.end(c)
				reply(w, 204, nil)
			default:
				reply(w, 404, nil)
			}
		}}
}

func vercel() *Vendor {
	return &Vendor{Provider: "vercel", Docs: "https://vercel.com/docs/rest-api/reference/endpoints/authentication/delete-an-authentication-token", Secret: "vcp_" + random(56), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(bearer(r))
			switch {
			case c == nil:
				reply(w, 403, obj{"error": obj{"code": "forbidden", "message": "Not authorized", "invalidToken": true}})
			case route(r) == "GET /v2/user":
				reply(w, 200, obj{"user": obj{"id": "u"}})
			case route(r) == "DELETE /v3/user/tokens/current":
				a.end(c)
				reply(w, 200, obj{"tokenId": "t"})
			default:
				reply(w, 404, nil)
			}
		}}
}

func twitch() *Vendor {
	return &Vendor{Provider: "twitch", Bare: true, Docs: "https://dev.twitch.tv/docs/authentication/revoke-tokens/", Secret: random(30), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			switch route(r) {
			case "GET /oauth2/validate":
				if a.byValue(strings.TrimPrefix(r.Header.Get("Authorization"), "OAuth ")) == nil {
					reply(w, 401, obj{"status": 401, "message": "invalid access token"})
					return
				}
				reply(w, 200, obj{"client_id": "wbmytr93xzw8", "login": "x"})
			case "POST /oauth2/revoke":
				if r.PostFormValue("client_id") != "wbmytr93xzw8" {
					reply(w, 404, obj{"status": 404, "message": "client does not exist"})
				} else if !a.end(a.byValue(r.PostFormValue("token"))) {
					reply(w, 400, obj{"status": 400, "message": "Invalid token"})
				} else {
					reply(w, 200, nil)
				}
			default:
				reply(w, 404, nil)
			}
		}}
}
