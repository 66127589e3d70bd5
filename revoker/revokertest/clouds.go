package revokertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// githubs are the ways of GitHub.
func githubs() []*Vendor {
	return []*Vendor{github(), githubServer(), githubInstallation(), githubOAuth("github-oauth-app", "token"), githubOAuth("github-oauth-grant", "grant"), githubOrgPAT()}
}

func github() *Vendor {
	return &Vendor{Provider: "github", Docs: "https://docs.github.com/en/rest/credentials/revoke", Secret: "ghp_" + random(36),
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			switch route(r) {
			case "GET /user":
				if a.byValue(bearer(r)) == nil {
					reply(w, 401, obj{"message": "Bad credentials"})
					return
				}
				reply(w, 200, obj{"login": "x"})
			case "POST /credentials/revoke":
				githubRevoke(a, w, r, r.Header.Get("Authorization") == "")
			default:
				reply(w, 404, obj{"message": "Not Found"})
			}
		}}
}

// githubRevoke takes a batch or refuses all of it.
func githubRevoke(a *account, w http.ResponseWriter, r *http.Request, may bool) {
	list, _ := body(r)["credentials"].([]any)
	switch {
	case !may:
		reply(w, 403, obj{"message": "Forbidden"})
	case len(list) == 0 || len(list) > 1000 || slices.ContainsFunc(list, func(s any) bool { t, ok := s.(string); return !ok || !strings.HasPrefix(t, "gh") }):
		reply(w, 422, obj{"message": "Validation Failed"})
	default:
		for _, s := range list {
			a.end(a.byValue(s.(string)))
		}
		reply(w, 202, obj{})
	}
}

func githubServer() *Vendor {
	return &Vendor{Provider: "github", Docs: "https://docs.github.com/en/enterprise-server@3.19/rest/credentials/revoke", Host: "github.acme.example", Secret: "ghp_" + random(36),
		Credentials: map[string]string{"admin_token": "ghp_" + random(36)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			admin := a.is("admin_token", bearer(r))
			switch {
			case !admin && a.byValue(bearer(r)) == nil:
				reply(w, 401, obj{"message": "Bad credentials"})
			case route(r) == "GET /api/v3/user":
				reply(w, 200, obj{"login": "x"})
			case route(r) == "POST /api/v3/credentials/revoke":
				githubRevoke(a, w, r, admin)
			default:
				reply(w, 404, obj{"message": "Not Found"})
			}
		}}
}

func githubInstallation() *Vendor {
	return &Vendor{Provider: "github-installation", Docs: "https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token", Secret: "ghs_" + random(36), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.byValue(bearer(r))
			switch {
			case c == nil:
				reply(w, 401, obj{"message": "Bad credentials"})
			case route(r) == "GET /installation/repositories":
				reply(w, 200, obj{"total_count": 0, "repositories": []obj{}})
			case route(r) == "DELETE /installation/token":
				a.end(c)
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"message": "Not Found"})
			}
		}}
}

func githubOAuth(name, what string) *Vendor {
	return &Vendor{Provider: name, Docs: "https://docs.github.com/en/rest/apps/oauth-applications", Secret: "gho_" + random(36), Tells: true,
		Credentials: map[string]string{"client_id": "Ov23" + random(16), "client_secret": random(40)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			user, pass, _ := r.BasicAuth()
			if !a.is("client_id", user) || !a.is("client_secret", pass) {
				reply(w, 401, obj{"message": "Bad credentials"})
				return
			}
			token, _ := body(r)["access_token"].(string)
			c := a.byValue(token)
			app := "/applications/" + a.v.Credentials["client_id"]
			switch {
			case c == nil:
				reply(w, 404, obj{"message": "Not Found"})
			case route(r) == "POST "+app+"/token":
				reply(w, 200, obj{"id": 1})
			case route(r) == "DELETE "+app+"/"+what:
				a.end(c)
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"message": "Not Found"})
			}
		}}
}

func githubOrgPAT() *Vendor {
	return &Vendor{Provider: "github-org-pat", Docs: "https://docs.github.com/en/rest/orgs/personal-access-tokens", Secret: "github_pat_" + random(82), Tells: true,
		Parts: map[string]string{"pat_id": "25381"}, Credentials: map[string]string{"org": "acme", "app_token": "ghs_" + random(36)},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			id, ok := tail(r, "POST /orgs/acme/personal-access-tokens/")
			switch {
			case !a.is("app_token", bearer(r)):
				reply(w, 403, obj{"message": "Resource not accessible"})
			case ok && body(r)["action"] == "revoke" && a.end(a.byID(id)):
				reply(w, 204, nil)
			default:
				reply(w, 404, obj{"message": "Not Found"})
			}
		}}
}

// clouds sign their requests.
func clouds() []*Vendor { return []*Vendor{aws(false), aws(true), gcpServiceAccount(), pypi()} }

// awsID is an id of a key as AWS forms it, in base32.
func awsID() string {
	return "AKIA" + strings.NewReplacer("0", "A", "1", "B", "8", "C", "9", "D").Replace(strings.ToUpper(random(16)))
}

// aws is IAM and STS; limited keys may not end themselves.
func aws(limited bool) *Vendor {
	v := &Vendor{Provider: "aws", Docs: "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html", Secret: random(40), Tells: true,
		Parts: map[string]string{"key_id": awsID()}}
	if limited {
		v.Credentials = map[string]string{"admin_key_id": awsID(), "admin_secret": random(40)}
	}
	v.handle = func(a *account, w http.ResponseWriter, r *http.Request) {
		fail := func(status int, code string) {
			w.WriteHeader(status)
			fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code></Error></ErrorResponse>", code)
		}
		b, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(b))
		id, key, admin := "", "", false
		if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
			id, _, _ = strings.Cut(rest, "/")
		}
		if c := a.byID(id); c != nil {
			key = c.value
		} else if a.is("admin_key_id", id) {
			key, admin = a.v.Credentials["admin_secret"], true
		}
		switch target := form.Get("AccessKeyId"); {
		case key == "":
			fail(403, "InvalidClientTokenId")
		case !signedV4(r, b, key):
			fail(403, "SignatureDoesNotMatch")
		case r.Host == "sts.amazonaws.com" && form.Get("Action") == "GetCallerIdentity":
			io.WriteString(w, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/ci</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>")
		case r.Host != "iam.amazonaws.com":
			fail(400, "InvalidAction")
		case limited && !admin:
			fail(403, "AccessDenied")
		case a.kept(target) == nil:
			fail(404, "NoSuchEntity")
		case form.Get("Action") == "GetAccessKeyLastUsed":
			io.WriteString(w, "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><UserName>ci</UserName></GetAccessKeyLastUsedResult></GetAccessKeyLastUsedResponse>")
		case admin && form.Get("UserName") != "ci":
			fail(404, "NoSuchEntity") // without a name it would be the admin's own
		case form.Get("Action") == "UpdateAccessKey" && (form.Get("Status") == "Inactive" || form.Get("Status") == "Active"):
			a.kept(target).alive = form.Get("Status") == "Active"
			io.WriteString(w, "<UpdateAccessKeyResponse/>")
		case form.Get("Action") == "DeleteAccessKey":
			c := a.kept(target)
			c.alive, c.gone = false, true
			io.WriteString(w, "<DeleteAccessKeyResponse/>")
		default:
			fail(400, "InvalidAction")
		}
	}
	return v
}

// signedV4 checks a signature as AWS does, from the request as it arrived.
func signedV4(r *http.Request, body []byte, key string) bool {
	var scope, signed, sig string
	for _, f := range strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "), ", ") {
		k, v, _ := strings.Cut(f, "=")
		switch k {
		case "Credential":
			_, scope, _ = strings.Cut(v, "/")
		case "SignedHeaders":
			signed = v
		case "Signature":
			sig = v
		}
	}
	var headers strings.Builder
	for _, h := range strings.Split(signed, ";") {
		v := r.Header.Get(h)
		if h == "host" {
			v = r.Host
		}
		headers.WriteString(h + ":" + strings.TrimSpace(v) + "\n")
	}
	sum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	canonical := strings.Join([]string{r.Method, "/", r.URL.RawQuery, headers.String(), signed, sum(body)}, "\n")
	mac := []byte("AWS4" + key)
	for _, p := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+scope+"\n"+sum([]byte(canonical))) {
		h := hmac.New(sha256.New, mac)
		h.Write([]byte(p))
		mac = h.Sum(nil)
	}
	return scope != "" && hex.EncodeToString(mac) == sig
}

// serviceKey is made once: it takes a while.
var serviceKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func gcpServiceAccount() *Vendor {
	rsaKey := serviceKey()
	der, _ := x509.MarshalPKCS8PrivateKey(rsaKey)
	id := hex.EncodeToString([]byte(random(20)))
	file, _ := json.Marshal(map[string]string{"type": "service_account", "project_id": "acme", "private_key_id": id, "client_email": "ci@acme.iam.example",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://attacker.example/token"})
	access := "ya29." + random(40)
	return &Vendor{Provider: "google-service-account", Docs: "https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys/disable", Secret: string(file), Tells: true,
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			c := a.creds[1]
			key := "/v1/projects/-/serviceAccounts/ci@acme.iam.example/keys/" + id
			switch r.Host + " " + route(r) {
			case "oauth2.googleapis.com POST /token":
				if !c.alive || !signedRS256(r.PostFormValue("assertion"), &rsaKey.PublicKey) {
					reply(w, 400, obj{"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
					return
				}
				reply(w, 200, obj{"access_token": access, "expires_in": 3600})
			case "iam.googleapis.com POST " + key + ":disable", "iam.googleapis.com POST " + key + ":enable", "iam.googleapis.com DELETE " + key:
				switch {
				case bearer(r) != access && !a.is("access_token", bearer(r)):
					reply(w, 401, obj{"error": obj{"status": "UNAUTHENTICATED"}})
				case c.gone:
					reply(w, 404, obj{"error": obj{"status": "NOT_FOUND"}})
				default:
					c.alive, c.gone = strings.HasSuffix(r.URL.Path, ":enable"), r.Method == http.MethodDelete
					reply(w, 200, obj{})
				}
			default:
				reply(w, 404, obj{"error": obj{"status": "NOT_FOUND"}})
			}
		}}
}

func signedRS256(jwt string, key *rsa.PublicKey) bool {
	i := strings.LastIndexByte(jwt, '.')
	if i < 0 {
		return false
	}
	sig, err := base64.RawURLEncoding.DecodeString(jwt[i+1:])
	sum := sha256.Sum256([]byte(jwt[:i]))
	return err == nil && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil
}

func pypi() *Vendor {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, _ := x509.MarshalPKCS8PrivateKey(key)
	return &Vendor{Provider: "pypi", Docs: "https://docs.pypi.org/api/secrets/", Host: "index.example", Secret: "pypi-" + random(80), Slow: true,
		Credentials: map[string]string{"signing_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))},
		handle: func(a *account, w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			sig, err := base64.StdEncoding.DecodeString(r.Header.Get("Github-Public-Key-Signature"))
			sum := sha256.Sum256(b)
			var list []struct{ Token, Type, URL string }
			switch {
			case route(r) != "POST /_/secrets/disclose-token":
				reply(w, 404, nil)
			case err != nil || r.Header.Get("Github-Public-Key-Identifier") == "" || !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig):
				reply(w, 400, nil)
			case json.Unmarshal(b, &list) != nil:
				reply(w, 400, nil)
			default:
				for _, l := range list {
					a.end(a.byValue(l.Token))
				}
				reply(w, 204, nil)
			}
		}}
}
