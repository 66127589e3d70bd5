package revoker_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/internal/outbound"
	"github.com/quench-dev/quench/revoker/partner"
	"github.com/quench-dev/quench/revoker/partnerkey"
	policies "github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/revoker/revokertest"
)

// heard is a receiver of reports: the same one that serve has, and what it was told.
type heard struct {
	mu     sync.Mutex
	tokens []string
}

func (h *heard) handle(_ context.Context, l partner.Leak) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens = append(h.tokens, l.Type+" "+string(l.Secret.Reveal()))
	return strings.HasPrefix(string(l.Secret.Reveal()), "glpat-"), nil
}

func (h *heard) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tokens
}

// What our sender signs our receiver takes, by the keys that we publish: the token
// arrives once, and only from a policy that names the provider.
func TestReportRoundTrip(t *testing.T) {
	f, dir := newFixture(t, ""), t.TempDir()
	path, err := f.reg.KeyFile(partnerkey.File)
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{}
	mux := http.NewServeMux()
	mux.Handle("GET "+partnerkey.Path, partnerkey.At(path, nil))
	net := revokertest.Serve(t, mux)
	routes, err := partner.Routes(partner.Config{GitHub: partner.GitHub{Enabled: true, Feedback: true, Keys: "https://" + net.Addr() + partnerkey.Path}}, h.handle,
		partner.Options{Net: outbound.Options{Dial: net.Dial, Lookup: net.Lookup, RootCAs: net.RootCAs, Pinned: []string{net.Addr()}}})
	if err != nil {
		t.Fatal(err)
	}
	for pattern, handler := range routes {
		mux.Handle(pattern, handler)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "providers"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("providers/acme.toml", fmt.Sprintf("name = 'acme'\ntitle = 'Acme'\ndocs = 'https://docs.acme.example/reports'\nrules = ['gitlab-pat', 'npm-access-token']\n[report]\nurl = 'https://%s/v1/partner/github'\ntype = 'acme_token'\n", net.Addr()))
	write("ca.pem", string(net.CA))
	load := func(more string) revoker.Policy {
		write("policy.toml", "provider_dir = 'providers'\n[[provider]]\nname = 'acme'\nkind = 'api'\nca_file = 'ca.pem'\nhost = '"+net.Addr()+"'\n"+more)
		p, err := policies.Load(filepath.Join(dir, "policy.toml"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	secret := "glpat-" + strings.Repeat("aB3", 6) + "xy"
	for mode, more := range map[revoker.Mode]string{revoker.Auto: "[[leak]]\nprovider = ['acme']\nrule = ['npm-*']\ndo = 'revoke'\n", revoker.DryRun: "[[leak]]\nprovider = ['acme']\ndo = 'revoke'\n"} {
		c, err := f.revoker(t, mode, load(more)).Leak(t.Context(), leak(t, "gitlab-pat", secret, "a"))
		if err != nil || len(h.told()) != 0 || len(net.Seen()) != 0 {
			t.Fatalf("%s: %+v, %v; the receiver was called: %q", mode, c, err, net.Seen())
		}
	}
	r := f.revoker(t, revoker.Auto, load("[[leak]]\nprovider = ['acme']\nrule = ['gitlab-*']\ndo = 'revoke'\n"))
	for range 2 {
		if _, err := r.Leak(t.Context(), leak(t, "gitlab-pat", secret, "a")); err != nil {
			t.Fatal(err)
		}
	}
	list, err := r.Incidents(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%d incidents, %v", len(list), err)
	}
	i := f.incident(t, r, list[0].ID)
	if got := h.told(); len(got) != 1 || got[0] != "acme_token "+secret || i.State != revoker.StateDead || len(i.Receipts) != 1 || !strings.Contains(i.Receipts[0].Detail, "one of its own") {
		t.Errorf("told %d times; incident %+v", len(got), i)
	}
	f.unsealed(t, secret)

	// One that says that it is none of its own has ended nothing.
	c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", "other-"+strings.Repeat("cD4", 7), "b"))
	if err != nil || c.Action != revoker.Refused {
		t.Errorf("%+v, %v", c, err)
	}
}
