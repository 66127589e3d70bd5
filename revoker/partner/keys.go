package partner

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/quench-dev/quench/revoker/internal/outbound"
)

// refetch is how often the keys are asked for at most: GitHub counts such calls, and
// whoever sends made-up identifiers must not use them up.
const refetch = time.Minute

// maxKeys bounds the document of keys, in bytes; GitHub's has 2 kB.
const maxKeys = 256 << 10

// errSignature: the body is not signed by a key of the document.
var errSignature = errors.New("the signature does not fit")

// keyring is the public keys that reports are signed with.
type keyring struct {
	url    *url.URL
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	keys  map[string]*ecdsa.PublicKey
	etag  string
	asked time.Time
}

func newKeyring(address string, o Options) *keyring {
	if address == "" {
		address = githubKeys
	}
	u, _ := url.Parse(address) // checked
	net := o.Net
	net.Hosts = []string{outbound.HostPort(u)}
	k := &keyring{url: u, client: outbound.Client(net), now: o.Now}
	if k.now == nil {
		k.now = time.Now
	}
	return k
}

// verify checks the signature over a body: ECDSA on P-256 with SHA-256, as DER in
// base64. errSignature is for a wrong one; other errors mean that the keys are not
// known.
func (k *keyring) verify(ctx context.Context, id, signature string, body []byte) error {
	key, err := k.key(ctx, id)
	if err != nil {
		return err
	}
	sig, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return fmt.Errorf("%w: it is no base64", errSignature)
	}
	sum := sha256.Sum256(body)
	if !ecdsa.VerifyASN1(key, sum[:], sig) {
		return errSignature
	}
	return nil
}

// key finds a key, asking for them again when it is not known, at most once a minute.
func (k *keyring) key(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.keys[id]; key != nil {
		return key, nil
	}
	if !k.asked.IsZero() && k.now().Sub(k.asked) < refetch {
		if k.keys == nil {
			return nil, errors.New("the keys could not be had a moment ago")
		}
		return nil, fmt.Errorf("%w: its key is not known", errSignature)
	}
	k.asked = k.now()
	if err := k.fetch(ctx); err != nil {
		return nil, fmt.Errorf("reading the keys at %s: %w", k.url.Host, err)
	}
	if key := k.keys[id]; key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("%w: its key is not known", errSignature)
}

func (k *keyring) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, outbound.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "quench")
	if k.etag != "" {
		req.Header.Set("If-None-Match", k.etag)
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return errors.New(outbound.Describe(err))
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotModified:
		return nil
	case http.StatusOK:
	default:
		return fmt.Errorf("it answers %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys+1))
	if err != nil || len(b) > maxKeys {
		return errors.New("the answer broke off, or is too long")
	}
	keys, err := parseKeys(b)
	if err != nil {
		return err
	}
	k.keys, k.etag = keys, resp.Header.Get("Etag")
	return nil
}

// parseKeys reads the document of keys; those that are no P-256 key are left out.
func parseKeys(b []byte) (map[string]*ecdsa.PublicKey, error) {
	var doc struct {
		Keys []struct {
			ID  string `json:"key_identifier"`
			Key string `json:"key"`
		} `json:"public_keys"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, errors.New("it is no document of keys")
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, e := range doc.Keys {
		block, _ := pem.Decode([]byte(e.Key))
		if block == nil || e.ID == "" {
			continue
		}
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			continue
		}
		if key, ok := pub.(*ecdsa.PublicKey); ok && key.Curve == elliptic.P256() {
			keys[e.ID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return keys, nil
}
