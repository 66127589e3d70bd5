package provider

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quench-dev/quench/scanner/secret"
)

const (
	gcpTokenHost = "oauth2.googleapis.com"
	gcpIAMHost   = "iam.googleapis.com"
)

// gcpServiceAccount are key files of service accounts. A key is disabled, which
// can be undone.
type gcpServiceAccount struct{}

func (gcpServiceAccount) Info() Info {
	return Info{Name: "google-service-account", Title: "Google service account key", Docs: "https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys/disable",
		Manual: "https://console.cloud.google.com/iam-admin/serviceaccounts", Rules: []string{"google-service-account-key"},
		Hosts: []string{gcpTokenHost, gcpIAMHost}, CanCheck: true, CanRevoke: true, Alone: true,
		Needs: []Need{{"access_token", "an OAuth access token with iam.serviceAccountKeys.disable, .enable and .delete, for accounts that may not end their own, and to delete or resume keys that were suspended (gcloud auth print-access-token)"}},
		Undo:  "gcloud iam service-accounts keys enable"}
}

// gcpKey is a key file, as far as it is used. Where it is exchanged is not read
// from it: a file of an attacker must not name a host.
type gcpKey struct {
	ID      string `json:"private_key_id"`
	Email   string `json:"client_email"`
	Private string `json:"private_key"`
	rsa     *rsa.PrivateKey
}

var errKeyFile = errors.New("the value is no whole key file of a service account")

func parseGCPKey(s secret.Secret) (k gcpKey, err error) {
	if json.Unmarshal(s.Reveal(), &k) != nil || k.ID == "" || k.Email == "" {
		return k, errKeyFile
	}
	block, _ := pem.Decode([]byte(k.Private))
	if block == nil {
		return k, errKeyFile
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return k, errKeyFile
	}
	var ok bool
	if k.rsa, ok = parsed.(*rsa.PrivateKey); !ok {
		return k, errKeyFile
	}
	return k, nil
}

// assertion is the signed JWT that is exchanged for an access token (RFC 7523).
func (k gcpKey) assertion(now time.Time) (string, error) {
	enc := func(v any) string {
		b, _ := json.Marshal(v) // of strings and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := enc(map[string]string{"alg": "RS256", "typ": "JWT", "kid": k.ID}) + "." + enc(map[string]any{
		"iss": k.Email, "scope": "https://www.googleapis.com/auth/cloud-platform", "aud": "https://" + gcpTokenHost + "/token",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()})
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, k.rsa, crypto.SHA256, sum[:])
	if err != nil {
		return "", errKeyFile
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// exchange gets an access token with the key. Live means that there is one.
func (gcpServiceAccount) exchange(ctx context.Context, n Net, k gcpKey, a *Answer) (secret.Secret, Outcome) {
	jwt, err := k.assertion(n.now())
	if err != nil {
		a.Detail = err.Error()
		return secret.Secret{}, Denied
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {jwt}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+gcpTokenHost+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return secret.Secret{}, Failed
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, o := roundTrip(n.client(Settings{}, []string{gcpTokenHost, gcpIAMHost}, ""), req, a, false)
	if o != next {
		return secret.Secret{}, o
	}
	answer := decode(body)
	if v, _ := at(answer, "error"); a.Status == http.StatusBadRequest && v == "invalid_grant" {
		// The same code tells of a clock that is wrong, and the description which.
		if why, _ := at(answer, "error_description"); strings.Contains(fmt.Sprint(why), "timeframe") {
			a.Detail = "Google refuses the time of the request: is this machine's clock right?"
			return secret.Secret{}, Failed
		}
		return secret.Secret{}, Dead // also of a disabled key
	}
	if a.Status != http.StatusOK {
		return secret.Secret{}, usual(a, false)
	}
	v, _ := at(answer, "access_token")
	t, ok := text(v)
	if !ok {
		a.Detail = "the answer is none that is documented"
		return secret.Secret{}, Failed
	}
	return secret.NewString(t), Live
}

func (g gcpServiceAccount) Check(ctx context.Context, n Net, _ Settings, in Input) Answer {
	return n.attempt("check", func(a *Answer) Outcome {
		k, err := parseGCPKey(in.Secret)
		if err != nil {
			a.Detail = err.Error()
			return Unsupported
		}
		_, o := g.exchange(ctx, n, k, a)
		return o
	})
}

func (g gcpServiceAccount) Revoke(ctx context.Context, n Net, set Settings, in Input) Answer {
	return n.attempt("revoke", func(a *Answer) Outcome {
		k, err := parseGCPKey(in.Secret)
		if err != nil {
			a.Detail = err.Error()
			return Unsupported
		}
		own, o := g.exchange(ctx, n, k, a)
		switch o {
		case Dead:
			return AlreadyDead
		case Live:
			o = g.tell(ctx, n, k, own, a, "disable")
		}
		if o != Denied {
			return o
		}
		admin := set.Credentials["access_token"]
		if admin.IsZero() {
			a.Detail += "; it takes access_token: " + g.Info().Needs[0].Ask
			return NeedsAdmin
		}
		return g.tell(ctx, n, k, admin, a, "disable")
	})
}

// Resume enables a disabled key; Delete ends it for good.
func (g gcpServiceAccount) Resume(ctx context.Context, n Net, set Settings, in Input) Answer {
	return n.attempt("resume", func(a *Answer) Outcome { return g.byAdmin(ctx, n, set, in, a, "enable") })
}

// Delete is described at Resume.
func (g gcpServiceAccount) Delete(ctx context.Context, n Net, set Settings, in Input) Answer {
	return n.attempt("delete", func(a *Answer) Outcome { return g.byAdmin(ctx, n, set, in, a, "delete") })
}

// byAdmin asks with the operator's token: a disabled key gets none.
func (g gcpServiceAccount) byAdmin(ctx context.Context, n Net, set Settings, in Input, a *Answer, what string) Outcome {
	k, err := parseGCPKey(in.Secret)
	if err != nil {
		a.Detail = err.Error()
		return Unsupported
	}
	admin := set.Credentials["access_token"]
	if admin.IsZero() {
		a.Detail = "it takes access_token: " + g.Info().Needs[0].Ask
		return NeedsAdmin
	}
	return g.tell(ctx, n, k, admin, a, what)
}

// tell asks IAM with a bearer to disable, enable or delete a key.
func (gcpServiceAccount) tell(ctx context.Context, n Net, k gcpKey, bearer secret.Secret, a *Answer, what string) Outcome {
	email, err := segment(k.Email)
	id, err2 := segment(k.ID)
	if err != nil || err2 != nil {
		a.Detail = errKeyFile.Error()
		return Unsupported
	}
	u, method, sent := "https://"+gcpIAMHost+"/v1/projects/-/serviceAccounts/"+email+"/keys/"+id, http.MethodDelete, ""
	if what != "delete" {
		u, method, sent = u+":"+what, http.MethodPost, "{}"
	}
	req, err := http.NewRequestWithContext(ctx, method, u, strings.NewReader(sent))
	if err != nil {
		a.Detail = errKeyFile.Error()
		return Unsupported
	}
	req.Header.Set("Content-Type", "application/json")
	asBearer(bearer)(req)
	body, o := roundTrip(n.client(Settings{}, []string{gcpTokenHost, gcpIAMHost}, ""), req, a, true)
	empty, isObject := decode(body).(map[string]any)
	switch {
	case o != next:
		return o
	case a.Status == http.StatusOK && isObject && len(empty) == 0: // as documented
		return map[string]func() Outcome{
			"disable": func() Outcome { a.Detail = "disabled: it can be enabled again"; return Revoked },
			"enable":  func() Outcome { a.Detail = "enabled again"; return Resumed },
			"delete":  func() Outcome { a.Detail = "deleted"; return Revoked },
		}[what]()
	case a.Status == http.StatusNotFound:
		return AlreadyDead
	case a.Status == http.StatusForbidden:
		a.Detail = "this credential may not " + what + " the account's keys"
		return Denied
	}
	return usual(a, true)
}
