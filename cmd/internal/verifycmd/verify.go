// Package verifycmd is the command token verify: a value is read and judged.
//
// It is given how a registry is opened and closed, and does not know exit codes.
// Start reading at New.
package verifycmd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
)

// Env is what the command is given.
type Env struct {
	Open    func(*cobra.Command, bool) (*registry.Registry, error)
	Close   func(*registry.Registry, *error)
	Refused error // returned when the token is
}

// New makes the command.
func New(e Env) *cobra.Command {
	var use registry.Use
	var file, format string
	var from net.IP
	cmd := &cobra.Command{
		Use:   "verify -|--file FILE",
		Short: "Say whether a token is valid, and if not, why",
		Long: `Verify reads one value from standard input ('-') or a file and says whether it
is a live token of the registry, and with --scope whether it may do that. The
use is recorded. A token that is bound to networks or countries is refused
unless --address and --country tell that it was shown from one of them.

Exit codes: 0 valid, 1 refused, 2 no answer.`,
		Example: `  printenv API_TOKEN | quench token verify - --scope read:repo/quench`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "-" && file == "" || len(args) == 0 && file != "" {
				return nil
			}
			if len(args) > 0 && (len(args) > 1 || args[0] != "-") {
				return input.NoValue("token verify", 0)(cmd, args)
			}
			return errors.New("token verify reads the value from standard input or a file: quench token verify - < FILE, or --file FILE")
		},
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: must be text or json", format)
			}
			value, err := input.Value(cmd.InOrStdin(), cmd.ErrOrStderr(), file)
			if err != nil {
				return err
			}
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			use.Address, _ = netip.AddrFromSlice(from)
			use.Address = use.Address.Unmap()
			v, err := r.Verify(cmd.Context(), value, use)
			if err != nil {
				return err
			}
			if format == "json" {
				err = show.JSON(cmd.OutOrStdout(), v)
			} else {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), show.Verdict(v, use))
			}
			if err == nil && !v.Valid {
				err = e.Refused
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&use.Scope, "scope", "", "ask whether it may do this, action:resource")
	f.StringVar(&use.Client, "client", "", "who showed it, for the audit log")
	f.IPVar(&from, "address", nil, "address it was shown from")
	f.StringVar(&use.Country, "country", "", "country it was shown from, such as DE")
	f.StringVar(&use.Method, "method", "", "method it was shown for, such as GET")
	f.StringVar(&use.Endpoint, "endpoint", "", "path it was shown for, such as /v1/items")
	f.StringVar(&use.Agent, "agent", "", "what the client calls itself")
	f.StringVar(&file, "file", "", "read the value from this file")
	f.StringVar(&format, "format", "text", "of standard output: text or json")
	return cmd
}
