package provider

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"

	"github.com/quench-dev/quench/scanner/secret"
)

// pypi takes signed reports in the format of GitHub's secret scanning partners,
// from those whose key it was given:
// https://docs.pypi.org/api/secrets/. The host is the
// index's, named in the policy.
type pypi struct{}

func (pypi) Info() Info {
	return Info{Name: "pypi", Title: "Python package index", Docs: "https://docs.pypi.org/api/secrets/",
		Manual: "https://docs.pypi.org/help/#compromised-token", Rules: []string{"pypi-upload-token"}, CanRevoke: true,
		Needs: []Need{{"signing_key", "a private key (ECDSA P-256, PEM) whose public half the index was given as a reporter's"}},
		Note:  "The index ends the token and tells its owner by mail."}
}

func (pypi) Check(_ context.Context, n Net, _ Settings, _ Input) Answer {
	return Answer{Call: "check", At: n.now(), Outcome: Unsupported, Detail: "the index has no call that tells"}
}

func (p pypi) Revoke(ctx context.Context, n Net, set Settings, in Input) Answer {
	return n.attempt("revoke", func(a *Answer) Outcome { return p.report(ctx, n, set, in, a) })
}

func (p pypi) report(ctx context.Context, n Net, set Settings, in Input, a *Answer) Outcome {
	if set.Host == "" || !HostOK(set.Host) {
		a.Detail = "which index? Name its host in the policy"
		return NeedsAdmin
	}
	key, id, ok := reportKey(set.Credentials["signing_key"])
	if !ok {
		a.Detail = "it takes signing_key: " + p.Info().Needs[0].Ask
		return NeedsAdmin
	}
	body, err := json.Marshal([]map[string]string{{"token": string(in.Secret.Reveal()), "type": "pypi_api_token", "url": ""}})
	if err != nil {
		a.Detail = "the report cannot be written"
		return Failed
	}
	sum := sha256.Sum256(body)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		a.Detail = "the report cannot be signed"
		return Failed
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+set.Host+"/_/secrets/disclose-token", bytes.NewReader(body))
	if err != nil {
		a.Detail = "the report cannot be sent to that host"
		return Failed
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Github-Public-Key-Identifier", id)
	req.Header.Set("Github-Public-Key-Signature", base64.StdEncoding.EncodeToString(sig))
	_, o := roundTrip(n.client(set, nil, ""), req, a, true)
	switch {
	case o != next:
		return o
	case a.Status == http.StatusNoContent:
		a.Detail = "the index ends it if it is one of its own; it never says whether it was"
		return Accepted
	}
	return usual(a, true)
}

// reportKey reads a signing key; id is the SHA-256 of its public half, by which
// the receiver finds it.
func reportKey(s secret.Secret) (key *ecdsa.PrivateKey, id string, ok bool) {
	block, _ := pem.Decode(s.Reveal())
	if block == nil {
		return nil, "", false
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		key, _ = k.(*ecdsa.PrivateKey)
	} else if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		key = k
	}
	if key == nil {
		return nil, "", false
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, "", false
	}
	sum := sha256.Sum256(pub)
	return key, hex.EncodeToString(sum[:]), true
}
