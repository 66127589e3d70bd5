// Package partner hears from others that tokens leaked: as a partner of GitHub's
// secret scanning, and as the token revocation service of a GitLab.
//
// Who calls is proven by a signature or a token before anything is read; a value that
// is a token of the registry is handed on, all others are forgotten, and the answer is
// the same for both. The package knows the two formats and nothing of what is done
// about a leak. Start reading at Routes.
package partner

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quench-dev/quench/revoker/internal/credential"
	"github.com/quench-dev/quench/revoker/internal/outbound"
	"github.com/quench-dev/quench/scanner/secret"
)

// Config is the part of a policy that says who is heard. The zero one hears nobody.
type Config struct {
	GitHub GitHub `toml:"github"`
	GitLab GitLab `toml:"gitlab"`
}

// GitHub is a secret scanning partnership:
// https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program
type GitHub struct {
	Enabled bool `toml:"enabled"`
	// Keys is where the public keys of the signatures are; empty is github.com's.
	Keys string `toml:"keys"`
	// Feedback answers which tokens were real, for partners enrolled in that.
	Feedback bool `toml:"feedback"`
}

// GitLab is its token revocation interface:
// https://docs.gitlab.com/development/sec/token_revocation_api/
type GitLab struct {
	// Token is env:NAME or file:PATH: what GitLab authorizes itself with. Empty is
	// no such service.
	Token string `toml:"token"`
	// Types are the kinds of tokens it may send.
	Types []string `toml:"types"`
}

// githubKeys is where github.com publishes its keys.
const githubKeys = "https://api.github.com/meta/public_keys/secret_scanning"

// Enabled reports whether anybody is heard.
func (c Config) Enabled() bool { return c.GitHub.Enabled || c.GitLab.Token != "" }

// Below makes the paths of a configuration ones from a folder.
func (c *Config) Below(dir string) { c.GitLab.Token = credential.Below(dir, c.GitLab.Token) }

// Check reports what is wrong with a configuration.
func (c Config) Check() error {
	if u, err := url.Parse(c.GitHub.Keys); c.GitHub.Keys != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		return errors.New("receive.github: keys: want an https address")
	}
	if c.GitLab.Token != "" && !credential.OK(c.GitLab.Token) {
		return errors.New("receive.gitlab: token: want env:NAME or file:PATH") // what stands there may be the token
	}
	if c.GitLab.Token != "" && len(c.GitLab.Types) == 0 {
		return errors.New("receive.gitlab: types is missing: the kinds of tokens it may send")
	}
	return nil
}

// Leak is one token that somebody else found.
type Leak struct {
	From   string // github or gitlab
	Secret secret.Secret
	Type   string // what the finder calls it
	URL    string // where it was; may be empty
	Source string // what kind of place that is, such as content; may be empty
}

// Handle does what is to be done about a leak, and reports whether the token is one
// of the registry's. It may be called again for the same leak.
type Handle func(ctx context.Context, l Leak) (known bool, err error)

// Options of Routes. Only Logger is usually set.
type Options struct {
	Logger *slog.Logger
	Now    func() time.Time
	// Net replaces the network in tests.
	Net outbound.Options
}

// service hears.
type service struct {
	cfg    Config
	handle Handle
	log    *slog.Logger
	keys   *keyring
	token  secret.Secret
	pace   pace
	now    func() time.Time
}

// perSecond calls of a GitLab are heard at most, as its interface wants of a service: each
// holds the findings of a whole pipeline, and a server with a thousand projects ends fewer
// in a second.
const perSecond = 20

// pace counts the calls of a second.
type pace struct {
	mu     sync.Mutex
	second int64
	calls  int
}

// allows reports whether one more call is heard now.
func (p *pace) allows(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := now.Unix(); s != p.second {
		p.second, p.calls = s, 0
	}
	p.calls++
	return p.calls <= perSecond
}

// Routes are the handlers by pattern of http.ServeMux, none when nobody is heard.
func Routes(cfg Config, handle Handle, o Options) (map[string]http.Handler, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	s := &service{cfg: cfg, handle: handle, log: o.Logger, now: o.Now}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	routes := map[string]http.Handler{}
	if cfg.GitHub.Enabled {
		s.keys = newKeyring(cfg.GitHub.Keys, o)
		routes["POST /v1/partner/github"] = http.HandlerFunc(s.github)
	}
	if cfg.GitLab.Token != "" {
		var err error
		if s.token, err = credential.Read(cfg.GitLab.Token); err != nil {
			return nil, fmt.Errorf("receive.gitlab: token: %w", err)
		}
		routes["GET /v1/revocable_token_types"] = s.authorized(s.types)
		routes["POST /v1/revoke_tokens"] = s.authorized(s.gitlab)
	}
	return routes, nil
}

const (
	// maxBody is GitHub's own bound on a payload, in bytes.
	maxBody = 25 << 20
	// maxLeaks of one call: at 100 bytes each, the least a leak takes, 25 MB hold
	// 250,000; a tenth of that is what one repository may hold.
	maxLeaks = 25_000
	// maxToken and maxURL bound a value and its place, in bytes. Longer ones are no
	// token of ours.
	maxToken, maxURL = 4 << 10, 2 << 10
)

// refuse says why not, in JSON as GitLab expects it.
func refuse(w http.ResponseWriter, why string, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why}) // the caller has gone
}

// read gives the body, or answers why not.
func read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		refuse(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if err != nil {
		refuse(w, "the body broke off", http.StatusBadRequest)
		return nil, false
	}
	return b, true
}

// message is one leak as both send it; GitLab calls the place location.
type message struct {
	Token    string `json:"token"`
	Type     string `json:"type"`
	URL      string `json:"url"`
	Location string `json:"location"`
	Source   string `json:"source"`
}

// parse reads the leaks of a body.
func parse(from string, body []byte) ([]Leak, error) {
	var list []message
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, errors.New("want a JSON array of objects with token, type and url")
	}
	if len(list) > maxLeaks {
		return nil, fmt.Errorf("more than %d tokens in one call", maxLeaks)
	}
	leaks := make([]Leak, 0, len(list))
	for _, m := range list {
		if m.Token == "" {
			return nil, errors.New("an object without a token")
		}
		place := m.URL
		if place == "" {
			place = m.Location
		}
		leaks = append(leaks, Leak{From: from, Secret: secret.NewString(m.Token), Type: short(m.Type, 100), URL: short(place, maxURL), Source: strings.ToLower(short(m.Source, 40))})
	}
	return leaks, nil
}

// short bounds a text from elsewhere and takes out what steers.
func short(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// hear hands leaks on. An error means that some were not, and the whole call is to
// be made again: each is safe to be told twice.
func (s *service) hear(ctx context.Context, leaks []Leak) (known []bool, err error) {
	known = make([]bool, len(leaks))
	for i, l := range leaks {
		if l.Secret.Len() > maxToken {
			continue // no token of ours
		}
		ok, herr := s.handle(ctx, l)
		known[i], err = ok, errors.Join(err, herr)
	}
	return known, err
}

// github is POST /v1/partner/github.
func (s *service) github(w http.ResponseWriter, r *http.Request) {
	id, sig := r.Header.Get("Github-Public-Key-Identifier"), r.Header.Get("Github-Public-Key-Signature")
	if id == "" || sig == "" {
		http.NotFound(w, r)
		return
	}
	body, ok := read(w, r)
	if !ok {
		return
	}
	switch err := s.keys.verify(r.Context(), id, sig, body); {
	case errors.Is(err, errSignature):
		s.log.Warn("a report as if from GitHub is refused", "err", err)
		refuse(w, "the signature is not one of GitHub's", http.StatusUnauthorized)
		return
	case err != nil: // the keys cannot be had now: GitHub tries again
		s.log.Error("a report from GitHub cannot be checked", "err", err)
		refuse(w, "the signature cannot be checked now", http.StatusServiceUnavailable)
		return
	}
	leaks, err := parse("github", body)
	if err != nil {
		refuse(w, err.Error(), http.StatusBadRequest)
		return
	}
	known, err := s.hear(r.Context(), leaks)
	if err != nil {
		s.log.Error("a report from GitHub is not dealt with", "err", err)
		refuse(w, "not dealt with: send it again", http.StatusInternalServerError)
		return
	}
	s.log.Info("a report from GitHub", "tokens", len(leaks), "ours", count(known))
	if !s.cfg.GitHub.Feedback {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	type feedback struct {
		Hash  string `json:"token_hash"`
		Type  string `json:"token_type"`
		Label string `json:"label"`
	}
	answer := []feedback{}
	for i, l := range leaks {
		sum := sha256.Sum256(l.Secret.Reveal())
		label := "false_positive"
		if known[i] {
			label = "true_positive"
		}
		answer = append(answer, feedback{hex.EncodeToString(sum[:]), l.Type, label})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // GitHub has gone
}

func count(known []bool) (n int) {
	for _, k := range known {
		if k {
			n++
		}
	}
	return n
}

// authorized lets GitLab through: it shows its token, alone or as a bearer.
func (s *service) authorized(next http.HandlerFunc) http.Handler {
	want := sha256.Sum256(s.token.Reveal())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			refuse(w, "the token of this service is not shown", http.StatusUnauthorized)
			return
		}
		if !s.pace.allows(s.now()) {
			w.Header().Set("Retry-After", "1")
			refuse(w, "too many calls: send it again in a second", http.StatusTooManyRequests)
			return
		}
		next(w, r)
	})
}

// types is GET /v1/revocable_token_types.
func (s *service) types(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]string{"types": s.cfg.GitLab.Types}) // GitLab has gone
}

// gitlab is POST /v1/revoke_tokens: 204 for taken, 400 for not to be sent again, 429 and
// 500 for later.
func (s *service) gitlab(w http.ResponseWriter, r *http.Request) {
	body, ok := read(w, r)
	if !ok {
		return
	}
	leaks, err := parse("gitlab", body)
	if err == nil && slices.ContainsFunc(leaks, func(l Leak) bool { return !slices.Contains(s.cfg.GitLab.Types, l.Type) }) {
		err = errors.New("a type that is not among revocable_token_types")
	}
	if err != nil {
		refuse(w, err.Error(), http.StatusBadRequest)
		return
	}
	known, err := s.hear(r.Context(), leaks)
	if err != nil {
		s.log.Error("a report from GitLab is not dealt with", "err", err)
		refuse(w, "not dealt with: send it again", http.StatusInternalServerError)
		return
	}
	s.log.Info("a report from GitLab", "tokens", len(leaks), "ours", count(known))
	w.WriteHeader(http.StatusNoContent)
}
