package main

import (
	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/rulescmd"
)

func newRulesCmd() *cobra.Command {
	return rulescmd.New(func(err error) error { return exit{Code: exitFindings, Err: err} })
}
