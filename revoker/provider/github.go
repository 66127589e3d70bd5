package provider

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/quench-dev/quench/revoker/internal/budget"
	"github.com/quench-dev/quench/revoker/internal/outbound"
	"github.com/quench-dev/quench/scanner/secret"
)

// githubAPI is github.com's own host.
const githubAPI = "api.github.com"

// MaxBatch is how many credentials one request may hold, and githubHour how many such
// requests an hour may have: https://docs.github.com/en/rest/credentials/revoke. On a
// GitHub Enterprise Server they count by user, and are as many.
const (
	MaxBatch   = 1000
	githubHour = 60
)

// githubAs makes a client of GitHub's API: anonymous, with a bearer, or as an
// OAuth app. A host of the operator's own has the API below /api/v3.
func githubAs(n Net, set Settings, a *Answer, sent *bool, auth func(*http.Request)) *github.Client {
	c := recording(n.client(set, nil, githubAPI), a, sent)
	if auth != nil {
		c.Transport = authorized{auth, c.Transport}
	}
	gh := github.NewClient(c)
	gh.UserAgent = "quench"
	if set.Host != "" {
		gh.BaseURL = &url.URL{Scheme: "https", Host: set.Host, Path: "/api/v3/"}
	}
	return gh
}

// authorized adds a credential to each request.
type authorized struct {
	auth func(*http.Request)
	next http.RoundTripper
}

func (t authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	t.auth(req)
	return t.next.RoundTrip(req)
}

func asBearer(s secret.Secret) func(*http.Request) {
	return func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+string(s.Reveal())) }
}

// githubCall makes one call of go-github and says what came of it; means maps
// the statuses that mean something.
func githubCall(ctx context.Context, n Net, kind string, means map[int]Outcome, do func(context.Context, *Answer, *bool) error) Answer {
	return n.attempt(kind, func(a *Answer) Outcome {
		ctx, cancel := context.WithTimeout(ctx, outbound.Timeout)
		defer cancel()
		sent := false
		err := do(ctx, a, &sent)
		var limited *github.RateLimitError
		var abuse *github.AbuseRateLimitError
		switch o, known := means[a.Status]; {
		case errors.As(err, &limited):
			a.Detail = "GitHub's limit of calls an hour is reached"
			a.RetryAfter = min(max(limited.Rate.Reset.Sub(a.At), time.Second), time.Hour)
			return Failed
		case errors.As(err, &abuse):
			a.Detail = "GitHub asks to slow down"
			a.RetryAfter = min(max(abuse.GetRetryAfter(), time.Minute), time.Hour)
			return Failed
		case a.Status == 0 && err != nil:
			return lost(a, err, sent, kind == "revoke")
		case known:
			return o // the accepted of a 202 is an error of go-github's
		}
		return usual(a, kind == "revoke")
	})
}

// githubPAT is GitHub's way for whoever finds a token: anonymous on github.com,
// with a token of an administrator on a server of one's own.
type githubPAT struct{}

func (githubPAT) Info() Info {
	return Info{Name: "github", Title: "GitHub", Docs: "https://docs.github.com/en/rest/credentials/revoke", Manual: "https://github.com/settings/tokens",
		Rules: []string{"github-pat", "github-fine-grained-pat", "github-oauth", "github-user-to-server", "github-refresh"},
		Hosts: []string{githubAPI}, CanCheck: true, CanRevoke: true, Alone: true,
		Needs: []Need{{"admin_token", "for a GitHub Enterprise Server only: a token of any user there"}},
		Rate:  budget.PerHour(githubHour),
		Note:  "It cannot be undone, and the owner is told by mail. A refresh token cannot be checked."}
}

func (githubPAT) Check(ctx context.Context, n Net, set Settings, in Input) Answer {
	if bytes.HasPrefix(in.Secret.Reveal(), []byte("ghr_")) { // no request takes it: it would look dead
		return Answer{Call: "check", At: n.now(), Outcome: Unsupported, Detail: "a refresh token cannot be checked without using it up"}
	}
	means := map[int]Outcome{http.StatusOK: Live, http.StatusForbidden: Live, http.StatusUnauthorized: Dead}
	return githubCall(ctx, n, "check", means, func(ctx context.Context, a *Answer, sent *bool) error {
		_, _, err := githubAs(n, set, a, sent, asBearer(in.Secret)).Users.Get(ctx, "")
		return err
	})
}

func (g githubPAT) Revoke(ctx context.Context, n Net, set Settings, in Input) Answer {
	return g.revoke(ctx, n, set, []secret.Secret{in.Secret})
}

// RevokeMany ends up to MaxBatch secrets with one request, for there are few an hour.
// A batch that GitHub refuses as a whole, for one that is malformed, is halved until
// that one is alone.
func (g githubPAT) RevokeMany(ctx context.Context, n Net, set Settings, all []secret.Secret, more func() time.Duration) []Answer {
	halves := func(at int) []Answer {
		answers := g.RevokeMany(ctx, n, set, all[:at], more)
		rest := all[at:]
		if wait := more(); wait > 0 {
			return append(answers, slices.Repeat([]Answer{{Outcome: Failed, Call: "revoke", At: n.now(), RetryAfter: wait, Detail: "GitHub's calls of this hour are used up"}}, len(rest))...)
		}
		return append(answers, g.RevokeMany(ctx, n, set, rest, more)...)
	}
	if len(all) > MaxBatch {
		return halves(MaxBatch)
	}
	if len(all) == 0 {
		return nil
	}
	a := g.revoke(ctx, n, set, all)
	if a.Status == http.StatusUnprocessableEntity && len(all) > 1 {
		if wait := more(); wait > 0 {
			a.Outcome, a.RetryAfter, a.Detail = Failed, wait, "GitHub refuses the batch for one of it, and its calls of this hour are used up"
			return slices.Repeat([]Answer{a}, len(all))
		}
		return halves(len(all) / 2)
	}
	return slices.Repeat([]Answer{a}, len(all))
}

func (githubPAT) revoke(ctx context.Context, n Net, set Settings, all []secret.Secret) Answer {
	var auth func(*http.Request)
	if set.Host != "" {
		admin := set.Credentials["admin_token"]
		if admin.IsZero() {
			return Answer{Call: "revoke", At: n.now(), Outcome: NeedsAdmin, Detail: "a GitHub Enterprise Server takes admin_token: a token of any user there"}
		}
		auth = asBearer(admin)
	}
	means := map[int]Outcome{http.StatusAccepted: Accepted}
	a := githubCall(ctx, n, "revoke", means, func(ctx context.Context, a *Answer, sent *bool) error {
		gh := githubAs(n, set, a, sent, auth)
		values := make([]string, len(all))
		for i, s := range all {
			values[i] = string(s.Reveal())
		}
		req, err := gh.NewRequest(http.MethodPost, "credentials/revoke", map[string][]string{"credentials": values})
		if err != nil {
			return err
		}
		_, err = gh.Do(ctx, req, nil)
		return err
	})
	if a.Status == http.StatusUnprocessableEntity {
		a.Detail = "GitHub takes it for no credential of a kind that can be reported, or for spam"
	}
	return a
}

// githubInstallation are tokens of installed apps, which live for an hour.
type githubInstallation struct{}

func (githubInstallation) Info() Info {
	return Info{Name: "github-installation", Title: "GitHub App installation token", Docs: "https://docs.github.com/en/rest/apps/installations#revoke-an-installation-access-token",
		Manual: "https://github.com/settings/installations", Rules: []string{"github-app-installation", "github-app-installation-jwt"},
		Hosts: []string{githubAPI}, CanCheck: true, CanRevoke: true, Alone: true, Note: "It dies of itself an hour after it was made."}
}

func (githubInstallation) Check(ctx context.Context, n Net, set Settings, in Input) Answer {
	means := map[int]Outcome{http.StatusOK: Live, http.StatusForbidden: Live, http.StatusUnauthorized: Dead}
	return githubCall(ctx, n, "check", means, func(ctx context.Context, a *Answer, sent *bool) error {
		_, _, err := githubAs(n, set, a, sent, asBearer(in.Secret)).Apps.ListRepos(ctx, &github.ListOptions{PerPage: 1})
		return err
	})
}

func (githubInstallation) Revoke(ctx context.Context, n Net, set Settings, in Input) Answer {
	means := map[int]Outcome{http.StatusNoContent: Revoked, http.StatusUnauthorized: AlreadyDead}
	return githubCall(ctx, n, "revoke", means, func(ctx context.Context, a *Answer, sent *bool) error {
		_, err := githubAs(n, set, a, sent, asBearer(in.Secret)).Apps.RevokeInstallationToken(ctx)
		return err
	})
}

// githubOAuthApp are tokens that users gave an OAuth app of the operator's own.
type githubOAuthApp struct{ grant bool }

func (g githubOAuthApp) Info() Info {
	i := Info{Name: "github-oauth-app", Title: "token of an own GitHub OAuth app", Docs: "https://docs.github.com/en/rest/apps/oauth-applications",
		Manual: "https://github.com/settings/developers", Hosts: []string{githubAPI}, CanCheck: true, CanRevoke: true,
		Needs: []Need{{"client_id", "the client id of the app"}, {"client_secret", "a client secret of the app"}}}
	if g.grant {
		i.Name, i.Title, i.Note = "github-oauth-grant", "grant of an own GitHub OAuth app", "Ends every token that the user gave the app."
	}
	return i
}

// call runs do as the app, if it is known.
func (g githubOAuthApp) call(ctx context.Context, n Net, set Settings, kind string, means map[int]Outcome, do func(context.Context, *github.Client, string) error) Answer {
	id, key := set.Credentials["client_id"], set.Credentials["client_secret"]
	if id.IsZero() || key.IsZero() {
		return Answer{Call: kind, At: n.now(), Outcome: NeedsAdmin, Detail: "it takes client_id and client_secret of the app"}
	}
	return githubCall(ctx, n, kind, means, func(ctx context.Context, a *Answer, sent *bool) error {
		auth := func(req *http.Request) { req.SetBasicAuth(string(id.Reveal()), string(key.Reveal())) }
		return do(ctx, githubAs(n, set, a, sent, auth), url.PathEscape(string(id.Reveal())))
	})
}

func (g githubOAuthApp) Check(ctx context.Context, n Net, set Settings, in Input) Answer {
	means := map[int]Outcome{http.StatusOK: Live, http.StatusNotFound: Dead}
	return g.call(ctx, n, set, "check", means, func(ctx context.Context, gh *github.Client, id string) error {
		_, _, err := gh.Authorizations.Check(ctx, id, string(in.Secret.Reveal()))
		return err
	})
}

func (g githubOAuthApp) Revoke(ctx context.Context, n Net, set Settings, in Input) Answer {
	means := map[int]Outcome{http.StatusNoContent: Revoked, http.StatusNotFound: AlreadyDead}
	return g.call(ctx, n, set, "revoke", means, func(ctx context.Context, gh *github.Client, id string) (err error) {
		if g.grant {
			_, err = gh.Authorizations.DeleteGrant(ctx, id, string(in.Secret.Reveal()))
		} else {
			_, err = gh.Authorizations.Revoke(ctx, id, string(in.Secret.Reveal()))
		}
		return err
	})
}
