package policy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/quench-dev/quench/revoker/internal/credential"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/scanner/secret"
)

// Table is the providers a policy knows: those built in, and those of its folder.
func (p Policy) Table() (*provider.Table, error) {
	t, err := provider.Builtin()
	if err != nil || p.ProviderDir == "" {
		return t, err
	}
	return t.With(p.ProviderDir)
}

// API is what the policy gives the provider of that name to be called with. A
// provider that the policy does not name has no settings, and may be called only
// because a person asks.
func (p Policy) API(name string) (provider.Settings, provider.Net, error) {
	var set provider.Settings
	var n provider.Net
	if p.Proxy != "" {
		n.Proxy, _ = url.Parse(p.Proxy) // checked
	}
	i := slices.IndexFunc(p.Providers, func(v Provider) bool { return v.Kind == "api" && v.Name == name })
	if i < 0 {
		return set, n, nil
	}
	v := p.Providers[i]
	set.Host = v.Host
	set.Credentials = map[string]secret.Secret{}
	for need, from := range v.Credentials {
		s, err := Credential(from)
		if err != nil {
			return set, n, fmt.Errorf("provider %q: credential %q: %w", name, need, err)
		}
		set.Credentials[need] = s
	}
	if v.CAFile != "" {
		var err error
		if n.RootCAs, err = CAFile(v.CAFile); err != nil {
			return set, n, fmt.Errorf("provider %q: %w", name, err)
		}
	}
	return set, n, nil
}

// Calls reports whether the policy names a provider as one whose interface is called.
func (p Policy) Calls(name string) bool {
	return slices.ContainsFunc(p.Providers, func(v Provider) bool { return v.Kind == "api" && v.Name == name })
}

// CAFile reads certificates in PEM.
func CAFile(path string) (*x509.CertPool, error) { return credential.CAFile(path) }

// Credential reads what env:NAME or file:PATH holds, without a final newline.
func Credential(from string) (secret.Secret, error) { return credential.Read(from) }

// checkAPI checks what a policy says of an api, but for its name.
func (v *Provider) checkAPI() error {
	if v.URL != "" || v.SecretFile != "" {
		return errors.New("url and secret_file are for kind webhook")
	}
	if v.CallsPerHour < 0 {
		return fmt.Errorf("calls_per_hour %d: want 1 or more", v.CallsPerHour)
	}
	if v.Host != "" && !provider.HostOK(v.Host) {
		return fmt.Errorf("host %q: want name or name:port, in lower case", v.Host)
	}
	for need, from := range v.Credentials {
		if !credential.OK(from) {
			return fmt.Errorf("credential %q: want env:NAME or file:PATH", need) // what stands there may be a secret
		}
	}
	return nil
}

// checkNames holds the apis of a policy to providers there are, and their
// credentials to what those take.
func (p Policy) checkNames() error {
	for i, l := range p.Leaks {
		for _, name := range l.Provider {
			if l.Do != decide.Report && !p.Calls(name) {
				return fmt.Errorf("leak %d: provider %q has no [[provider]] of kind \"api\" in the policy: who is called is named there, too", i+1, name)
			}
		}
	}
	if !slices.ContainsFunc(p.Providers, func(v Provider) bool { return v.Kind == "api" }) {
		return nil
	}
	t, err := p.Table()
	if err != nil {
		return err
	}
	for _, v := range p.Providers {
		if v.Kind != "api" {
			continue
		}
		known, err := t.Get(v.Name)
		if err != nil {
			return err
		}
		needs := known.Info().Needs
		for _, name := range slices.Sorted(maps.Keys(v.Credentials)) {
			if !slices.ContainsFunc(needs, func(n provider.Need) bool { return n.Name == name }) {
				return fmt.Errorf("provider %q takes no credential %q; see quench provider show %s", v.Name, name, v.Name)
			}
		}
		if err := p.checkGrace(v, known); err != nil {
			return err
		}
		if len(known.Info().Hosts) == 0 && v.Host == "" {
			return fmt.Errorf("provider %q: its host is missing, since each operator has their own", v.Name)
		}
	}
	return nil
}

// checkGrace refuses a grace after which nothing could be done: a suspended secret
// deletes or resumes nothing itself.
func (p Policy) checkGrace(v Provider, known provider.Provider) error {
	if _, ok := known.(provider.Suspender); !ok {
		return nil
	}
	for i, l := range p.Leaks {
		if l.Grace == 0 || !slices.Contains(l.Provider, v.Name) {
			continue
		}
		for _, n := range known.Info().Needs {
			if v.Credentials[n.Name] == "" {
				return fmt.Errorf("leak %d: grace: provider %q needs the credential %q, %s", i+1, v.Name, n.Name, n.Ask)
			}
		}
	}
	return nil
}
