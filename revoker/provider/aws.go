package provider

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quench-dev/quench/scanner/secret"
)

const (
	stsHost   = "sts.amazonaws.com"
	iamHost   = "iam.amazonaws.com"
	awsRegion = "us-east-1" // where the global endpoints are signed for
)

// awsKey are access keys of IAM users. A key is made inactive, which can be
// undone until it is deleted.
type awsKey struct{}

func (awsKey) Info() Info {
	return Info{Name: "aws", Title: "AWS access key", Docs: "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html",
		Manual: "https://console.aws.amazon.com/iam/home#/security_credentials", Rules: []string{"aws-secret-access-key", "aws-secret-near-key-id"},
		Hosts: []string{stsHost, iamHost}, CanCheck: true, CanRevoke: true, Alone: true, Parts: []string{"key_id"},
		Needs: []Need{{"admin_key_id", "the id of a key with iam:GetAccessKeyLastUsed, iam:UpdateAccessKey and iam:DeleteAccessKey, for keys that may not end themselves, and to delete or resume those that were suspended"},
			{"admin_secret", "the secret of that key"}},
		Undo: "aws iam update-access-key --status Active",
		Note: "Temporary keys (ASIA…) cannot be ended one by one: attach a policy that denies older sessions."}
}

// awsCred is what requests are signed with.
type awsCred struct{ id, secret secret.Secret }

func (awsKey) Check(ctx context.Context, n Net, _ Settings, in Input) Answer {
	return n.attempt("check", func(a *Answer) Outcome {
		if in.Parts["key_id"].IsZero() {
			a.Detail = noKeyID
			return NeedsAdmin
		}
		code, _, o := awsCall(ctx, n, a, stsHost, "sts", awsCred{in.Parts["key_id"], in.Secret}, url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}, false)
		switch {
		case o != next:
			return o
		case a.Status == http.StatusOK:
			return Live
		case code == "InvalidClientTokenId", code == "ExpiredToken": // the first also of an inactive key
			return Dead
		case code == "SignatureDoesNotMatch":
			a.Detail = "AWS knows the id, and it is not that of this secret"
			return Denied
		}
		return usual(a, false)
	})
}

var noKeyID = "its key_id is not known: " + howPart("aws", "key_id")

func (k awsKey) Revoke(ctx context.Context, n Net, set Settings, in Input) Answer {
	return k.end(ctx, n, set, in, url.Values{"Action": {"UpdateAccessKey"}, "Status": {"Inactive"}})
}

// Delete ends a key for good; it cannot be undone.
func (k awsKey) Delete(ctx context.Context, n Net, set Settings, in Input) Answer {
	return n.attempt("delete", func(a *Answer) Outcome {
		return k.byAdmin(ctx, n, set, a, k.form(in, url.Values{"Action": {"DeleteAccessKey"}}))
	})
}

// Resume makes an inactive key active again.
func (k awsKey) Resume(ctx context.Context, n Net, set Settings, in Input) Answer {
	return n.attempt("resume", func(a *Answer) Outcome {
		return k.byAdmin(ctx, n, set, a, k.form(in, url.Values{"Action": {"UpdateAccessKey"}, "Status": {"Active"}}))
	})
}

// form is a call about the key; nil without its id.
func (awsKey) form(in Input, form url.Values) url.Values {
	id := in.Parts["key_id"]
	if id.IsZero() {
		return nil
	}
	form.Set("Version", "2010-05-08")
	form.Set("AccessKeyId", string(id.Reveal()))
	return form
}

// end tries with the key itself, whose user AWS takes from the signature, then
// with the operator's.
func (k awsKey) end(ctx context.Context, n Net, set Settings, in Input, form url.Values) Answer {
	return n.attempt("revoke", func(a *Answer) Outcome {
		id := in.Parts["key_id"]
		form = k.form(in, form)
		switch {
		case form == nil:
			a.Detail = noKeyID
			return NeedsAdmin
		case strings.HasPrefix(string(id.Reveal()), "ASIA"):
			a.Detail = "a temporary key: deny its role's older sessions, see " + k.Info().Manual
			return Unsupported
		}
		if o := k.tell(ctx, n, a, awsCred{id, in.Secret}, form); o != Denied {
			return o
		}
		return k.byAdmin(ctx, n, set, a, form)
	})
}

// byAdmin makes a call about a key with the operator's.
func (k awsKey) byAdmin(ctx context.Context, n Net, set Settings, a *Answer, form url.Values) Outcome {
	admin := awsCred{set.Credentials["admin_key_id"], set.Credentials["admin_secret"]}
	switch {
	case form == nil:
		a.Detail = noKeyID
		return NeedsAdmin
	case admin.id.IsZero() || admin.secret.IsZero():
		a.Detail = strings.TrimPrefix(a.Detail+"; it takes admin_key_id and admin_secret: "+howGiven("admin_secret"), "; ")
		return NeedsAdmin
	}
	who := url.Values{"Action": {"GetAccessKeyLastUsed"}, "Version": {"2010-05-08"}, "AccessKeyId": form["AccessKeyId"]}
	code, user, o := awsCall(ctx, n, a, iamHost, "iam", admin, who, false)
	switch {
	case o != next:
		return o
	case code == "NoSuchEntity" && form.Get("Action") != "UpdateAccessKey" || code == "NoSuchEntity" && form.Get("Status") == "Active":
		return AlreadyDead // it was suspended before, so there was such a key
	case a.Status != http.StatusOK || user == "":
		return usual(a, false)
	}
	form.Set("UserName", user)
	return k.tell(ctx, n, a, admin, form)
}

func (awsKey) tell(ctx context.Context, n Net, a *Answer, c awsCred, form url.Values) Outcome {
	code, _, o := awsCall(ctx, n, a, iamHost, "iam", c, form, true)
	switch {
	case o != next:
		return o
	case a.Status == http.StatusOK && form.Get("Status") == "Active":
		a.Detail = "active again"
		return Resumed
	case a.Status == http.StatusOK:
		a.Detail = "inactive: it can be made active again"
		if form.Get("Action") == "DeleteAccessKey" {
			a.Detail = "deleted"
		}
		return Revoked
	case code == "NoSuchEntity":
		return AlreadyDead
	case code == "InvalidClientTokenId" && form.Get("UserName") == "": // signed by itself
		return AlreadyDead
	case code == "AccessDenied":
		a.Detail = "the key may not end itself"
		if form.Get("UserName") != "" {
			a.Detail = "the admin key may not do that"
		}
		return Denied
	case code == "Throttling":
		a.Detail = "AWS asks to try again later"
		return Failed
	}
	return usual(a, true)
}

// awsAnswer is what is read of the XML of STS and IAM.
type awsAnswer struct {
	Code string `xml:"Error>Code"`
	User string `xml:"GetAccessKeyLastUsedResult>UserName"`
}

// awsCall makes one signed call of a query API.
func awsCall(ctx context.Context, n Net, a *Answer, host, service string, c awsCred, form url.Values, mutates bool) (code, user string, o Outcome) {
	body := form.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+"/", strings.NewReader(body))
	if err != nil {
		return "", "", Failed
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("User-Agent", "quench")
	signV4(req, body, service, c, n.now())
	b, o := roundTrip(n.client(Settings{}, []string{stsHost, iamHost}, ""), req, a, mutates)
	if o != next {
		return "", "", o
	}
	var x awsAnswer
	if xml.Unmarshal(b, &x) != nil && a.Status == http.StatusOK {
		a.Detail = "the answer is none that is documented"
		if mutates {
			return "", "", Unknown
		}
		return "", "", Failed
	}
	return x.Code, x.User, next
}

// signV4 signs a POST to / with Signature Version 4:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
func signV4(req *http.Request, body, service string, c awsCred, now time.Time) {
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	req.Header.Set("X-Amz-Date", stamp)
	scope := day + "/" + awsRegion + "/" + service + "/aws4_request"
	const signed = "content-type;host;x-amz-date"
	canonical := strings.Join([]string{req.Method, "/", "",
		"content-type:" + req.Header.Get("Content-Type") + "\nhost:" + req.URL.Host + "\nx-amz-date:" + stamp + "\n", signed, hexSum(body)}, "\n")
	key := []byte("AWS4" + string(c.secret.Reveal()))
	for _, part := range []string{day, awsRegion, service, "aws4_request"} {
		key = hmacSum(key, part)
	}
	sig := hex.EncodeToString(hmacSum(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hexSum(canonical)))
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", c.id.Reveal(), scope, signed, sig))
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func hmacSum(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}
