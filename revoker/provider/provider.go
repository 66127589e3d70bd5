// Package provider knows who issued a secret, and how to ask them whether it is
// alive and to end it.
//
// Most providers are entries in builtin/*.toml, one file each: the requests, what
// of an answer means what, where the vendor documents it. Those whose calls no
// template can tell (signatures, batches) are written in Go beside them. The
// package makes single attempts and says what came of them; it does not know
// policy, incidents, queues or the database, and nothing is called that the
// caller did not ask for. A secret is revealed only into the request it is sent
// in. Start reading at Provider, then Kill.
package provider

import (
	"context"
	"crypto/x509"
	"net/url"
	"slices"
	"time"

	"github.com/quench-dev/quench/revoker/internal/budget"
	"github.com/quench-dev/quench/revoker/internal/outbound"
	"github.com/quench-dev/quench/scanner/secret"
)

// Outcome is what came of a call.
type Outcome string

// Outcomes of a check.
const (
	Live Outcome = "live" // the provider takes the secret
	Dead Outcome = "dead" // the provider says that it is no credential (any more)
)

// Outcomes of a revocation.
const (
	Revoked     Outcome = "revoked"      // the provider ended it
	Accepted    Outcome = "accepted"     // the provider will end it: to be confirmed by a check
	AlreadyDead Outcome = "already-dead" // the provider had ended it before
)

// Resumed is the outcome of a revocation that was taken back.
const Resumed Outcome = "resumed"

// Outcomes of both.
const (
	Denied      Outcome = "denied"      // the provider refuses the call; the same call again will not do
	NeedsAdmin  Outcome = "needs-admin" // only with a credential of the operator, see Detail
	Unsupported Outcome = "unsupported" // the provider has no such call, see Detail for its page
	Unknown     Outcome = "unknown"     // it may have happened or not: check before trying again
	Failed      Outcome = "failed"      // nothing happened; to be tried again
)

// Final reports whether trying again can change nothing.
func (o Outcome) Final() bool {
	return o != Unknown && o != Failed && o != Accepted
}

// Answer is what came of one attempt. It holds nothing of the provider's words
// but numbers and its name for the request.
type Answer struct {
	Outcome Outcome
	Call    string // check, revoke, resume or delete
	// Status of the HTTP answer that decided; 0 without one.
	Status int
	// BodyHash is the SHA-256 of that answer's body, as proof; nil without one.
	BodyHash []byte
	// Detail says in our words why, and what to do.
	Detail string
	// RetryAfter is what the provider asked for, at most an hour; 0 is nothing.
	RetryAfter time.Duration
	RequestID  string // the provider's name for the request
	At         time.Time
	Took       time.Duration
}

// Input is one secret and what belongs to it.
type Input struct {
	Secret secret.Secret
	// Parts are further values of the same credential by name, such as the id of
	// an AWS key, found beside the secret or stored with the token.
	Parts map[string]secret.Secret
}

// Settings are the operator's for one provider. They never come from a scanned
// tree.
type Settings struct {
	// Host is a self-managed one, exactly host or host:port; empty is the
	// provider's own.
	Host string
	// Credentials are the operator's own, by the names of the provider's needs.
	Credentials map[string]secret.Secret
}

// Net is how calls leave. The zero one is the real network.
type Net struct {
	Proxy   *url.URL
	RootCAs *x509.CertPool
	// Dial and Lookup are for tests.
	Dial   outbound.Dial
	Lookup outbound.Lookup
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (n Net) now() time.Time {
	if n.Now == nil {
		return time.Now().UTC()
	}
	return n.Now().UTC()
}

// Need is a credential or value that only the operator can give.
type Need struct {
	Name string `toml:"name"`
	// Ask says what it is and where to get it.
	Ask string `toml:"ask"`
}

// Npmrc is the HostFrom of what is called at the registry of npm's configuration.
const Npmrc = "npmrc"

// Info is what is known of a provider without calling it.
type Info struct {
	Name  string // as policies and commands have it
	Title string // as people have it
	Docs  string // the vendor's page the calls were written from
	// Manual is the page where a person ends such a secret by hand.
	Manual string
	Rules  []string // whose secrets it issues
	Hosts  []string // that are called; empty: the operator names one
	// HostFrom is where a person's own configuration names the host, Npmrc or empty.
	HostFrom string
	Needs    []Need
	// Parts that must be known beside the secret.
	Parts []string
	// CanCheck and CanRevoke tell whether there are such calls at all.
	CanCheck, CanRevoke bool
	// Alone: the secret itself is enough to end it.
	Alone bool
	// Rate is how often revocations may be asked for; a check is the secret's own call.
	Rate budget.Rate
	// Undo says how a revocation is taken back; empty: it cannot be.
	Undo string
	// Note is what a person should know before revoking.
	Note string
}

// Provider can check and revoke the secrets it issued. Its methods make one
// attempt and never fail: what went wrong is an Outcome.
type Provider interface {
	Info() Info
	// Check asks whether the secret is alive. It changes nothing.
	Check(ctx context.Context, n Net, s Settings, in Input) Answer
	// Revoke ends exactly this secret.
	Revoke(ctx context.Context, n Net, s Settings, in Input) Answer
}

// Suspender is a provider whose Revoke can be taken back, until Delete. Both calls name
// the one credential, and may be repeated: a second does nothing that the first did not.
// They take the operator's credentials, since a suspended secret can do nothing itself.
type Suspender interface {
	Provider
	// Resume makes a suspended secret live again. AlreadyDead means that it was deleted.
	Resume(ctx context.Context, n Net, s Settings, in Input) Answer
	// Delete ends a suspended secret for good, as far as the provider lets anybody.
	Delete(ctx context.Context, n Net, s Settings, in Input) Answer
}

// Batcher is a provider that ends many secrets with one request. RevokeMany asks more
// before each further request it makes, for the time to wait until that may be made: it
// does not wait, but answers Failed with that in RetryAfter. The answers are in the
// order of the secrets.
type Batcher interface {
	Provider
	RevokeMany(ctx context.Context, n Net, s Settings, all []secret.Secret, more func() time.Duration) []Answer
}

// Kill revokes a secret and confirms it where the provider can be asked. maybe
// says that an attempt was made before whose outcome is not known: then the
// provider is asked first, and only a secret that is alive is revoked again. The
// last answer is what came of it; all are proof.
func Kill(ctx context.Context, p Provider, n Net, s Settings, in Input, maybe bool) []Answer {
	var all []Answer
	can := p.Info().CanCheck
	if maybe && can {
		a := p.Check(ctx, n, s, in)
		all = append(all, a)
		switch a.Outcome {
		case Live: // the attempt before did nothing
		case Dead:
			a.Outcome, a.Detail = Revoked, "dead: a call before, whose answer was lost, ended it"
			return append(all, a)
		default:
			a.Outcome = Unknown
			a.Detail = "not tried again, since the call before may have worked and the check says nothing: " + a.Detail
			return append(all, a)
		}
	}
	a := p.Revoke(ctx, n, s, in)
	all = append(all, a)
	if !can || !slices.Contains([]Outcome{Revoked, Accepted, Unknown, AlreadyDead}, a.Outcome) {
		return all
	}
	c := p.Check(ctx, n, s, in)
	all = append(all, c)
	last := a
	last.At, last.Took = c.At, c.Took
	switch {
	case a.Outcome == AlreadyDead && c.Outcome == Live:
		// The id is one of no secret, or of an account that does not have it.
		last.Outcome, last.Detail = Denied, "the provider knows none to end, and still takes it: is its id, or the account it is looked for in, another's?"
	case a.Outcome == AlreadyDead: // as it said; what the check says is proof
	case c.Outcome == Dead:
		last.Outcome, last.Detail = Revoked, "confirmed: the provider does not take it any more"
	case a.Outcome == Unknown && c.Outcome == Live:
		last.Outcome, last.Detail = Failed, "it is still alive: "+a.Detail
	case c.Outcome == Live:
		last.Outcome, last.Detail = Accepted, "the provider still takes it: to be checked again"
	case a.Outcome == Unknown:
	default:
		last.Detail = "not confirmed: " + c.Detail
	}
	return append(all, last)
}
