package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/spf13/cobra"

	servecmd "github.com/quench-dev/quench/cmd/internal/serve"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/partner"
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
	var routes map[string]http.Handler
	if p.Receive.Enabled() {
		set, err := reg.Match(cmd.Context())
		if err != nil {
			return err
		}
		if routes, err = partner.Routes(p.Receive.Config, r.Receive(set), partner.Options{Logger: log}); err != nil {
			return err
		}
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
