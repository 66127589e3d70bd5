// Package policy is what an operator allows to be done about leaks: who is called, what
// is revoked, where and how fast, what is protected, who is told.
//
// It reads policy.toml strictly and says what it holds, in words too; it calls nobody,
// opens no registry and keeps nothing. What a policy decides of one leak is in
// internal/decide, what is done about it in package revoker. Start reading at Policy,
// then Load.
package policy

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/usage"
	"github.com/quench-dev/quench/revoker/internal/credential"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/internal/strict"
	"github.com/quench-dev/quench/revoker/internal/webhook"
	"github.com/quench-dev/quench/revoker/notify"
	"github.com/quench-dev/quench/revoker/partner"
)

// Policy is what may be revoked and who is told. The zero value tells nobody
// and protects nothing; whether anything is revoked is the Mode's to say. A
// policy comes from the user's own configuration, never from a scanned tree.
type Policy struct {
	Providers []Provider `toml:"provider"`
	// Proxy is asked for every call to an api, if there is one.
	Proxy string `toml:"proxy"`
	// ProviderDir holds providers of the operator's own, one TOML file each.
	ProviderDir string `toml:"provider_dir"`
	Protect     struct {
		// Tokens and Owners are never revoked automatically.
		Tokens []string `toml:"tokens"`
		Owners []string `toml:"owners"`
		// Providers (names), Rules and Paths (patterns) keep third-party secrets so.
		Providers []string `toml:"providers"`
		Rules     []string `toml:"rules"`
		Paths     []string `toml:"paths"`
	} `toml:"protect"`
	// Leaks say what is done about secrets that providers of kind "api" issued: the
	// first entry that holds decides, and where none does nobody is called.
	Leaks decide.Rules `toml:"leak"`
	// Tokens holds back the revocation of leaked tokens of the registry, which are
	// suspended meanwhile.
	Tokens decide.Final `toml:"tokens"`
	// Brake is how much is revoked within an hour without a person.
	Brake decide.Brake `toml:"brake"`
	// Revoke "off" is the kill switch: nothing is revoked and no provider called.
	Revoke string `toml:"revoke"`
	// Issue is what tokens may be issued: the registry's to hold.
	Issue registry.IssuePolicy `toml:"issue"`
	// Usage is what use of a token is alarming.
	Usage usage.Policy `toml:"usage"`
	// Notify is who is told of alerts.
	Notify notify.Config `toml:"notify"`
	// Receive is who may tell of leaks, by quench serve.
	Receive struct {
		partner.Config
		// Revoke is what is done about the registry's own tokens then: off or auto.
		Revoke Mode `toml:"revoke"`
	} `toml:"receive"`
}

// Provider is who is told that a token of theirs leaked.
type Provider struct {
	// Name is what tokens imported with --provider name.
	Name string `toml:"name"`
	// Kind is "webhook": a POST signed by the Standard Webhooks scheme; or "api":
	// the provider of that name in package provider, called with these settings.
	Kind string `toml:"kind"`
	// Host is a self-managed one of an api, exactly name or name:port.
	Host string `toml:"host"`
	// CAFile holds the certificates, in PEM, that are trusted for it alone.
	CAFile string `toml:"ca_file"`
	// Credentials are the operator's for an api, by the names of its needs, each
	// as env:NAME or file:PATH: the policy itself holds no secret.
	Credentials map[string]string `toml:"credentials"`
	// CallsPerHour is how many revocations an api may be asked for, where its own limit,
	// or none, is not the operator's.
	CallsPerHour int `toml:"calls_per_hour"`
	// URL is https, or http to a loopback address. A host that resolves to a
	// private address is refused unless URL names that address itself.
	URL string `toml:"url"`
	// SecretFile holds the signing secret, "whsec_" and base64, mode 0600. In a
	// policy file, a relative path is one from that file's folder: the folder a
	// command runs in may be a scanned tree, whose files are not trusted.
	SecretFile string `toml:"secret_file"`

	url *url.URL
}

// maxPolicy bounds a policy file in bytes; a larger one is a mistaken argument.
const maxPolicy = 1 << 20

// Load reads and checks a policy file. Unknown keys are errors: a
// misspelt protection must not be none.
func Load(path string) (Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return Policy{}, fmt.Errorf("reading the policy: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	if err != nil {
		return Policy{}, fmt.Errorf("reading the policy %q: %w", path, err)
	}
	if len(b) > maxPolicy {
		return Policy{}, fmt.Errorf("the policy %q is larger than %d bytes: is it the right file?", path, maxPolicy)
	}
	p, err := Parse(b)
	if err != nil {
		return Policy{}, fmt.Errorf("policy %s: %w", path, err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return Policy{}, fmt.Errorf("reading the policy %q: %w", path, err)
	}
	p.below(dir)
	return p, p.checkNames()
}

// below makes the paths of a policy ones from its file's folder.
func (p *Policy) below(dir string) {
	abs := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	abs(&p.ProviderDir)
	abs(&p.Usage.Countries)
	p.Notify.Below(dir)
	p.Receive.Below(dir)
	for i := range p.Providers {
		v := &p.Providers[i]
		abs(&v.SecretFile)
		abs(&v.CAFile)
		for name, from := range v.Credentials {
			v.Credentials[name] = credential.Below(dir, from)
		}
	}
}

// CheckSecrets reports the signing secrets that could not be used in a call.
func (p Policy) CheckSecrets() error {
	var errs []error
	for _, v := range p.Providers {
		if v.Kind == "api" {
			_, _, err := p.API(v.Name)
			errs = append(errs, err)
			continue
		}
		_, err := v.Endpoint().Signer()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Parse reads a policy in TOML.
func Parse(b []byte) (Policy, error) {
	var p Policy
	if err := strict.Decode(b, &p); err != nil {
		return Policy{}, err
	}
	if err := errors.Join(p.Issue.Check(), p.Usage.Check()); err != nil {
		return Policy{}, err
	}
	if err := errors.Join(p.checkLeaks(), p.Brake.Check(), p.Notify.Check(), p.Receive.Check()); err != nil {
		return Policy{}, err
	}
	if m, err := ParseMode(string(p.Receive.Revoke)); err != nil || m == DryRun {
		return Policy{}, fmt.Errorf("receive: revoke %q: want off or auto", p.Receive.Revoke)
	}
	if u, err := url.Parse(p.Proxy); p.Proxy != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return Policy{}, errors.New("proxy: want http://host:port or https://host:port")
	}
	seen := map[string]bool{}
	for i := range p.Providers {
		v := &p.Providers[i]
		if err := v.check(); err != nil {
			return Policy{}, fmt.Errorf("provider %d (%q): %w", i+1, v.Name, err)
		}
		if seen[v.Name] {
			return Policy{}, fmt.Errorf("provider %q is there twice", v.Name)
		}
		seen[v.Name] = true
	}
	return p, nil
}

func (v *Provider) check() error {
	if v.Name == "" {
		return errors.New("it has no name")
	}
	switch v.Kind {
	case "webhook":
	case "api":
		return v.checkAPI()
	default:
		return fmt.Errorf("kind %q is not known; want webhook or api", v.Kind)
	}
	if v.Host != "" || v.CAFile != "" || len(v.Credentials) > 0 || v.CallsPerHour != 0 {
		return errors.New("host, ca_file, credentials and calls_per_hour are for kind api")
	}
	if v.SecretFile == "" {
		return errors.New("secret_file is missing: calls are always signed")
	}
	u, err := url.Parse(v.URL)
	if err != nil || u.Host == "" {
		return fmt.Errorf("url %q is not an absolute URL", v.URL)
	}
	if u.User != nil {
		return errors.New("the url holds credentials; calls are authenticated by their signature")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return fmt.Errorf("url %q: want https (http only to a loopback address such as 127.0.0.1)", v.URL)
	}
	v.url = u
	return nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Endpoint is where a provider of kind webhook is told.
func (v Provider) Endpoint() webhook.Endpoint {
	return webhook.Endpoint{Name: v.Name, URL: v.url, SecretFile: v.SecretFile}
}

// Address is the host of the URL; empty of an api.
func (v Provider) Address() string {
	if v.url == nil {
		return ""
	}
	return v.url.Host
}

// Webhook finds the provider called name that is told by webhook.
func (p Policy) Webhook(name string) (Provider, bool) {
	for _, v := range p.Providers {
		if v.Name == name && name != "" && v.Kind == "webhook" {
			return v, true
		}
	}
	return Provider{}, false
}
