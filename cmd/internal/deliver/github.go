package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"
)

// GitHub says which secret of GitHub Actions to set.
type GitHub struct {
	// Where is OWNER/REPO, OWNER/REPO@ENVIRONMENT, or an ORGANISATION.
	Where string
	// Name of the secret. One of an organisation exists already, and keeps the
	// repositories that may read it.
	Name string
	// API is the address of GitHub's API: https, or http of this machine; empty is
	// github.com's.
	API string
	// Token may write secrets there.
	Token string
}

// githubTimeout bounds each call: GitHub itself gives up after ten seconds.
const githubTimeout = 15 * time.Second

// maxSecret is the most that GitHub takes, in bytes.
const maxSecret = 48 << 10

// secretAt is one place for secrets of that name.
type secretAt struct {
	get func(context.Context) (*github.Secret, *github.Response, error)
	key func(context.Context) (*github.PublicKey, *github.Response, error)
	put func(context.Context, *github.EncryptedSecret) (*github.Response, error)
}

// Check says what is wrong with it, and asks GitHub nothing.
func (g *GitHub) Check() error {
	api, err := url.Parse(g.API)
	owner, repo, env := g.parts()
	switch {
	case err != nil || g.API != "" && (api.Host == "" || api.User != nil || api.RawQuery != "" || api.Scheme != "https" && !(api.Scheme == "http" && loopback(api.Hostname()))):
		return fmt.Errorf("the address %q of GitHub's API must be https://HOST[/PATH]", g.API)
	case !only(owner, "-") || strings.Contains(g.Where, "/") && !only(repo, "-_.") || strings.Trim(repo, ".") == "" && repo != "":
		return fmt.Errorf("%q is no place for a secret of GitHub: want OWNER/REPO, OWNER/REPO@ENVIRONMENT or ORGANISATION", g.Where)
	case strings.Contains(g.Where, "@") && (env == "" || repo == ""):
		return fmt.Errorf("%q is no place for a secret of GitHub: an environment is OWNER/REPO@ENVIRONMENT", g.Where)
	case !only(g.Name, "_") || g.Name[0] >= '0' && g.Name[0] <= '9' || strings.HasPrefix(strings.ToUpper(g.Name), "GITHUB_"):
		return fmt.Errorf("%q is no name of a secret of GitHub: letters, digits and _, not a digit first, not GITHUB_", g.Name)
	case g.Token == "":
		return errors.New("setting a secret of GitHub needs a token that may write it, in GITHUB_TOKEN or GH_TOKEN, or on standard input or in a file (--github-token-file)")
	}
	return nil
}

func (g *GitHub) parts() (owner, repo, env string) {
	where, env, _ := strings.Cut(g.Where, "@")
	owner, repo, _ = strings.Cut(where, "/")
	return owner, repo, env
}

// only reports whether s is some letters, digits and characters of more.
func only(s, more string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(more, c))
	})
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// deliver sets the secret. Where the answer to that is lost it asks whether the secret
// changed; an error that wraps ErrUnknown is one where nobody can tell.
func (g *GitHub) deliver(ctx context.Context, write func(io.Writer) error) error {
	if err := g.Check(); err != nil {
		return err
	}
	var value bytes.Buffer
	defer func() { clear(value.Bytes()[:value.Cap()]) }()
	value.Grow(4096) // once, so that no copy is left behind
	if err := write(&value); err != nil {
		return err
	}
	plain := bytes.TrimRight(value.Bytes(), "\n") // a line's end is none of a value
	if len(plain) > maxSecret {
		return fmt.Errorf("the value has %d bytes, GitHub takes %d", len(plain), maxSecret)
	}
	if err := g.set(ctx, plain); err != nil {
		return fmt.Errorf("setting the secret %s of %s at GitHub: %w", g.Name, g.Where, err)
	}
	return nil
}

func (g *GitHub) set(ctx context.Context, plain []byte) error {
	c := github.NewClient(&http.Client{
		Timeout:       githubTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // with a credential, never
	}).WithAuthToken(g.Token)
	c.UserAgent = "quench"
	if g.API != "" {
		base, err := url.Parse(strings.TrimRight(g.API, "/") + "/")
		if err != nil {
			return err
		}
		c.BaseURL = base
	}
	s, err := g.at(ctx, c)
	if err != nil {
		return told(err)
	}
	before, err := s.stamp(ctx)
	if err != nil {
		return told(err)
	}
	key, _, err := s.key(ctx)
	if err != nil {
		return told(err)
	}
	box, err := sealed(key.GetKey(), plain)
	if err != nil {
		return err
	}
	secret := &github.EncryptedSecret{Name: g.Name, KeyID: key.GetKeyID(), EncryptedValue: box}
	if err := g.readers(ctx, c, s, secret); err != nil {
		return told(err)
	}
	res, err := s.put(ctx, secret)
	if err == nil || res != nil && res.StatusCode < 500 {
		return told(err)
	}
	after, again := s.stamp(context.WithoutCancel(ctx))
	switch {
	case again != nil:
		return fmt.Errorf("%w: %w", ErrUnknown, errors.Join(told(err), told(again)))
	case after.Equal(before):
		return told(err)
	}
	return nil
}

// at finds where the secret is.
func (g *GitHub) at(ctx context.Context, c *github.Client) (s secretAt, err error) {
	owner, repo, env := g.parts()
	a := c.Actions
	switch {
	case repo == "":
		s.get = func(ctx context.Context) (*github.Secret, *github.Response, error) {
			return a.GetOrgSecret(ctx, owner, g.Name)
		}
		s.key = func(ctx context.Context) (*github.PublicKey, *github.Response, error) {
			return a.GetOrgPublicKey(ctx, owner)
		}
		s.put = func(ctx context.Context, v *github.EncryptedSecret) (*github.Response, error) {
			return a.CreateOrUpdateOrgSecret(ctx, owner, v)
		}
	case env == "":
		s.get = func(ctx context.Context) (*github.Secret, *github.Response, error) {
			return a.GetRepoSecret(ctx, owner, repo, g.Name)
		}
		s.key = func(ctx context.Context) (*github.PublicKey, *github.Response, error) {
			return a.GetRepoPublicKey(ctx, owner, repo)
		}
		s.put = func(ctx context.Context, v *github.EncryptedSecret) (*github.Response, error) {
			return a.CreateOrUpdateRepoSecret(ctx, owner, repo, v)
		}
	default:
		r, _, err := c.Repositories.Get(ctx, owner, repo)
		if err != nil {
			return s, err
		}
		id, env := int(r.GetID()), url.PathEscape(env)
		s.get = func(ctx context.Context) (*github.Secret, *github.Response, error) {
			return a.GetEnvSecret(ctx, id, env, g.Name)
		}
		s.key = func(ctx context.Context) (*github.PublicKey, *github.Response, error) {
			return a.GetEnvPublicKey(ctx, id, env)
		}
		s.put = func(ctx context.Context, v *github.EncryptedSecret) (*github.Response, error) {
			return a.CreateOrUpdateEnvSecret(ctx, id, env, v)
		}
	}
	return s, nil
}

// stamp is when the secret was last set; zero when there is none.
func (s secretAt) stamp(ctx context.Context) (time.Time, error) {
	v, res, err := s.get(ctx)
	if res != nil && res.StatusCode == http.StatusNotFound {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return v.UpdatedAt.Time, nil
}

// readers gives a secret of an organisation the repositories that read it now, which
// the call would take from it.
func (g *GitHub) readers(ctx context.Context, c *github.Client, s secretAt, secret *github.EncryptedSecret) error {
	org, repo, _ := g.parts()
	if repo != "" {
		return nil
	}
	old, res, err := s.get(ctx)
	if res != nil && res.StatusCode == http.StatusNotFound {
		return errors.New("the organisation has no such secret: make it first, and say which repositories may read it")
	}
	if err != nil {
		return err
	}
	secret.Visibility = old.Visibility
	for page := 1; page != 0 && old.Visibility == "selected"; {
		list, res, err := c.Actions.ListSelectedReposForOrgSecret(ctx, org, g.Name, &github.ListOptions{Page: page, PerPage: 100})
		if err != nil {
			return err
		}
		for _, r := range list.Repositories {
			secret.SelectedRepositoryIDs = append(secret.SelectedRepositoryIDs, r.GetID())
		}
		page = res.NextPage
	}
	return nil
}

// told is an error in words: GitHub's answer without what was sent.
func told(err error) error {
	var limited *github.RateLimitError
	var answer *github.ErrorResponse
	switch {
	case errors.As(err, &limited):
		return fmt.Errorf("GitHub's limit of calls is reached; try again after %s", limited.Rate.Reset.UTC().Format(time.RFC3339))
	case !errors.As(err, &answer) || answer.Response == nil:
		return err
	}
	hint := map[int]string{401: "the token is not valid", 403: "the token may not do this", 404: "there is no such place, or the token may not see it"}[answer.Response.StatusCode]
	if hint == "" {
		hint = answer.Message
	}
	return fmt.Errorf("GitHub answered %d: %s", answer.Response.StatusCode, hint)
}
