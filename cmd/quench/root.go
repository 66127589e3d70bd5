package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/alertcmd"
	"github.com/quench-dev/quench/cmd/internal/auditcmd"
	"github.com/quench-dev/quench/cmd/internal/bulkcmd"
	"github.com/quench-dev/quench/cmd/internal/incidentcmd"
	"github.com/quench-dev/quench/cmd/internal/limits"
	"github.com/quench-dev/quench/cmd/internal/policycmd"
	"github.com/quench-dev/quench/cmd/internal/providercmd"
	"github.com/quench-dev/quench/cmd/internal/registrycmd"
	"github.com/quench-dev/quench/cmd/internal/usagecmd"
)

// Exit codes of every command. A scan uses all of them, see design: findings
// beat incomplete coverage.
const (
	exitOK         = 0
	exitFindings   = 1 // also: a token that does not verify
	exitError      = 2
	exitIncomplete = 3
)

// exit is an error that carries its exit code. A nil Err is silent: the command
// has already said what there was to say.
type exit struct {
	Code int
	Err  error
}

func (e exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

func (e exit) Unwrap() error { return e.Err }

// Main runs the program with args (without its name) and returns its exit
// code. The first interrupt ends ctx so that commands stop cleanly and report
// what they have; a second one kills the process as usual.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	limits.NoCore()
	context.AfterFunc(ctx, stop)
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var e exit
	if errors.As(err, &e) {
		if e.Err != nil {
			fmt.Fprintf(stderr, "quench: %v\n", e.Err)
		}
		return e.Code
	}
	fmt.Fprintf(stderr, "quench: %v\n", err)
	return exitError
}

func newRoot() *cobra.Command {
	there := registrycmd.Optional{Open: openRegistry, Named: registryNamed}
	root := &cobra.Command{
		Use:   "quench",
		Short: "Find leaked secrets, match them with issued tokens, revoke what leaked",
		Long: `Quench finds leaked secrets in git history, files, standard input and live logs,
knows which of them are tokens you issued, and revokes those.

Exit codes: 0 clean and complete, 1 findings, 2 error, 3 nothing found but
something wanted could not be read.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	registryFlag(root)
	// Flags are wrapped for a terminal of 80 columns, which cobra leaves to it.
	root.SetUsageTemplate(strings.NewReplacer("Flags.FlagUsages |", "Flags.FlagUsagesWrapped 80 |",
		"for more information about a command.", "for more of a command.").Replace(root.UsageTemplate()))
	root.AddCommand(
		newVersionCmd(),
		newActionCmd(),
		newHookCmd(),
		newDemoCmd(),
		newWatchCmd(),
		newExplainCmd(),
		policycmd.New(loadPolicy, there),
		newWorkerCmd(),
		incidentcmd.New(withRevoker),
		alertcmd.New(withRevoker),
		newScanCmd(),
		newConfigCmd(),
		newIgnoreCmd(),
		newBaselineCmd(),
		newTokenCmd(),
		auditcmd.New(auditcmd.Env{Open: openToLook, Close: closeRegistry}),
		newServeCmd(),
		bulkcmd.NewFingerprint(bulkEnv()),
		newRegistryCmd(),
		usagecmd.New(usagecmd.Env{Open: openWith, Policy: loadPolicy, Close: closeRegistry, Code: func(code int) error { return exit{Code: code} }}),
		newRulesCmd(),
		newViewCmd(),
	)
	root.AddCommand(providercmd.New(providercmd.Deps{Policy: loadPolicy, Registry: there, Keys: partnerKeys, Code: func(code int) error { return exit{Code: code} }})...)
	return root
}
