package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	servecmd "github.com/quench-dev/quench/cmd/internal/serve"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/partner"
	"github.com/quench-dev/quench/revoker/partnerkey"
	"github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/revoker/receive"
)

// newServeCmd serves with uses written down together, which other commands do not
// live long enough for.
func newServeCmd() *cobra.Command {
	return servecmd.New(servecmd.Env{Version: buildVersion(), Close: closeRegistry, Open: func(cmd *cobra.Command) (*registry.Registry, error) {
		return openWatched(cmd, false, cmd.ErrOrStderr())
	}, Beside: serveBeside})
}

// serveBeside runs what a policy wants beside the service: the queue is worked, and
// those heard who may tell of leaks.
func serveBeside(cmd *cobra.Command, reg *registry.Registry, log *slog.Logger, work func(map[string]http.Handler) error) error {
	p, err := loadPolicy("")
	if err != nil {
		return err
	}
	r, err := revoker.New(reg, p, revoker.Options{Logger: log, Mode: p.Receive.Revoke})
	if err != nil {
		return err
	}
	routes := map[string]http.Handler{}
	if p.Receive.Enabled() {
		set, err := reg.Match(cmd.Context())
		if err != nil {
			return err
		}
		if routes, err = partner.Routes(p.Receive.Config, receive.Handle(r, set), partner.Options{Logger: log}); err != nil {
			return err
		}
	}
	keys, err := published(reg, p)
	if err != nil {
		return err
	}
	if keys != nil {
		routes["GET "+partnerkey.Path] = keys
	}
	queue := make(chan error, 1)
	ctx, stop := context.WithCancel(cmd.Context())
	if p.Receive.Revoke == revoker.Auto {
		go func() { queue <- r.Work(ctx, revoker.WorkOptions{}) }()
	} else {
		queue <- nil
	}
	err = beside(cmd, r, func() error { return work(routes) })
	stop()
	return errors.Join(err, <-queue)
}

// published are the keys that reports to the providers of a policy are signed with, nil
// if none takes any.
func published(reg *registry.Registry, p revoker.Policy) (*partnerkey.Keys, error) {
	t, err := p.Table()
	if err != nil || !slices.ContainsFunc(p.Providers, func(v policy.Provider) bool { return t.Reports(v.Name) }) {
		return nil, err
	}
	path, err := reg.KeyFile(partnerkey.File)
	if err != nil {
		return nil, err
	}
	return partnerkey.At(path, reg.Now), nil
}

// partnerKeys are the keys of the registry that exists.
func partnerKeys(cmd *cobra.Command) (_ *partnerkey.Keys, err error) {
	reg, err := openRegistry(cmd, false)
	if err != nil {
		return nil, err
	}
	defer closeRegistry(reg, &err)
	path, err := reg.KeyFile(partnerkey.File)
	return partnerkey.At(path, nil), err
}
