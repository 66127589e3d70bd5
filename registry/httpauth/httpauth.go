// Package httpauth guards HTTP handlers with the tokens of a registry.
//
// It reads a token from a request, asks a Verifier (a Registry of this process, or
// a Client of a quench serve), and answers for the handler when it is refused, as
// RFC 6750 has it, telling no more than that. Which address a request comes from,
// and which proxies are believed about it, is decided in client.go. The package
// issues nothing and keeps nothing. Start reading at New.
package httpauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/scanner/secret"
)

// Verifier decides on a token: a *registry.Registry or a *Client. An error is no
// answer.
type Verifier interface {
	Verify(ctx context.Context, value secret.Secret, use registry.Use) (registry.Verdict, error)
}

// Options of New.
type Options struct {
	Verifier Verifier // required
	// Scope that every request needs, such as read:invoices. One of Scope and ScopeOf
	// is required: what needs no right needs no token.
	Scope string
	// ScopeOf names the scope that a request needs. A request for which it names none
	// is refused.
	ScopeOf func(*http.Request) string
	// Header is one more header that may hold the token, as its whole value, such as
	// X-API-Key; empty is Authorization alone.
	Header string
	// Realm is told to who sends no token; empty is "api".
	Realm string
	// Client tells where a request comes from.
	Client ClientOptions
	// Open lets requests pass, without a token in their context, while the registry
	// cannot be asked. Revoked tokens pass with them. By default they are answered
	// with 503.
	Open bool
	// Log is told when the registry cannot be asked, and of no secret; nil is
	// slog.Default.
	Log *slog.Logger
}

// maxToken bounds the header that is looked at, in bytes: no registry has longer
// tokens, even as a URI.
const maxToken = 8 << 10

// New makes a middleware. Handlers behind it find the token with Token.
func New(o Options) (func(http.Handler) http.Handler, error) {
	switch {
	case o.Verifier == nil:
		return nil, errors.New("guarding a handler: no verifier")
	case (o.Scope == "") == (o.ScopeOf == nil):
		return nil, errors.New("guarding a handler: name a scope that requests need, or a function that does")
	case o.Scope != "":
		if err := bound.CheckScope(o.Scope, true); err != nil {
			return nil, fmt.Errorf("guarding a handler: %w", err)
		}
		o.ScopeOf = func(*http.Request) string { return o.Scope }
	}
	if o.Realm == "" {
		o.Realm = "api"
	}
	if strings.ContainsAny(o.Realm, "\"\\\r\n") {
		return nil, fmt.Errorf("guarding a handler: realm %q cannot stand in a header", o.Realm)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := o.Client.check(); err != nil {
		return nil, fmt.Errorf("guarding a handler: %w", err)
	}
	return func(next http.Handler) http.Handler { return &guard{o, next} }, nil
}

type guard struct {
	o    Options
	next http.Handler
}

type contextKey struct{}

// Token is the token that a request was let pass with. There is none outside the
// middleware, and with Options.Open while the registry cannot be asked.
func Token(ctx context.Context) (*registry.Token, bool) {
	t, ok := ctx.Value(contextKey{}).(*registry.Token)
	return t, ok
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	value, err := g.token(r)
	switch {
	case err != nil:
		g.refuse(w, http.StatusBadRequest, `, error="invalid_request"`)
		return
	case value.IsZero():
		g.refuse(w, http.StatusUnauthorized, "")
		return
	}
	scope := g.o.ScopeOf(r)
	if scope == "" {
		g.refuse(w, http.StatusForbidden, `, error="insufficient_scope"`)
		return
	}
	use := registry.Use{Scope: scope, Method: r.Method, Endpoint: endpoint(r), Agent: r.UserAgent()}
	use.Address, use.Country = g.o.Client.From(r)
	v, err := g.o.Verifier.Verify(r.Context(), value, use)
	switch {
	case errors.Is(err, registry.ErrInvalid): // a scope that is none: our own mistake, and none of the registry's
		g.o.Log.Error("a request cannot be judged", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	case err != nil && !g.o.Open:
		g.o.Log.Error("the registry cannot be asked; a request is refused", "error", err)
		w.Header().Set("Retry-After", "1")
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	case err != nil:
		g.o.Log.Error("the registry cannot be asked; a request passes unverified", "error", err)
		g.next.ServeHTTP(w, r)
	case v.Valid:
		g.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, v.Token)))
	case v.Reason == registry.ReasonOutOfScope:
		g.refuse(w, http.StatusForbidden, fmt.Sprintf(`, error="insufficient_scope", scope=%q`, scope))
	default:
		// Why is for the audit log: who shows somebody else's token need not learn
		// whether it was ever good, or from where it is.
		g.refuse(w, http.StatusUnauthorized, `, error="invalid_token"`)
	}
}

func (g *guard) refuse(w http.ResponseWriter, status int, more string) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q%s", g.o.Realm, more))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

// errRequest: the request shows a token in a way that could be read as two.
var errRequest = errors.New("invalid request")

// token reads the token of a request; none is zero. A token twice, or in a form that
// is not a bearer token's, is errRequest: parts of a system that read it differently
// must not disagree about who is asking.
func (g *guard) token(r *http.Request) (secret.Secret, error) {
	auth := r.Header.Values("Authorization")
	var own []string
	if g.o.Header != "" && !strings.EqualFold(g.o.Header, "Authorization") {
		own = r.Header.Values(g.o.Header)
	}
	if len(auth)+len(own) > 1 {
		return secret.Secret{}, errRequest
	}
	text := ""
	if len(own) == 1 {
		text = strings.TrimSpace(own[0])
	}
	if len(auth) == 1 {
		scheme, rest, _ := strings.Cut(auth[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return secret.Secret{}, nil // another scheme: no token, and it is told which one to use
		}
		if text = strings.TrimSpace(rest); text == "" {
			return secret.Secret{}, errRequest
		}
	}
	if len(text) > maxToken || strings.ContainsAny(text, " \t") {
		return secret.Secret{}, errRequest
	}
	return secret.NewString(text), nil
}

// endpoint is the pattern a ServeMux chose for r, which names no single thing, or
// else its path.
func endpoint(r *http.Request) string {
	if _, path, ok := strings.Cut(r.Pattern, "/"); ok {
		return "/" + path
	}
	return r.URL.Path
}

// ClientOptions say which proxies are believed about where a request comes from.
type ClientOptions struct {
	// Proxies are the networks of the proxies that requests come through.
	// X-Forwarded-For, and CountryHeader, count only from them.
	Proxies []netip.Prefix
	// CountryHeader is a header in which the proxies tell the client's country by its
	// ISO 3166-1 code, such as CF-IPCountry; empty is none. They must set it on every
	// request, or the client does.
	CountryHeader string
}
