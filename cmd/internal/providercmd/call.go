package providercmd

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/scanner/secret"
)

// callFlags are those of a call by hand.
type callFlags struct {
	tableFlags
	provider, file, host, ca, format string
	parts, credentials               []string
}

func (f *callFlags) add(cmd *cobra.Command, d Deps) {
	f.tableFlags.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.provider, "provider", "", "who issued it (default: what the rules say of it); see quench provider list")
	fl.StringVar(&f.file, "file", "", "read the secret from a file instead of standard input")
	fl.StringArrayVar(&f.parts, "part", nil, "NAME=VALUE that belongs to it and is no secret, such as key_id=…")
	fl.StringArrayVar(&f.credentials, "credential", nil, "NAME=env:VARIABLE or NAME=file:PATH, a credential of yours that the provider needs")
	fl.StringVar(&f.host, "host", "", "the provider's host where you run your own: name or name:port")
	fl.StringVar(&f.ca, "ca-file", "", "certificates (PEM) to trust for it")
	fl.StringVarP(&f.format, "format", "f", "human", "human or json")
	if err := cmd.RegisterFlagCompletionFunc("provider", names(d)); err != nil {
		panic(err) // the flag is there
	}
}

// target is what a call is made with.
type target struct {
	p   provider.Provider
	net provider.Net
	set provider.Settings
	in  provider.Input
	// policy says how often the provider may be called; elsewhere is at another host.
	policy    policy.Policy
	elsewhere bool
}

// read takes the secret from standard input, and the rest from flags and policy.
func (f *callFlags) read(cmd *cobra.Command, d Deps) (x target, err error) {
	if f.format != "human" && f.format != "json" {
		return x, fmt.Errorf("unknown format %q: want human or json", f.format)
	}
	policy, t, err := f.tableFlags.read(d)
	if err != nil {
		return x, err
	}
	if f.provider != "" { // before somebody types a secret in vain
		if x.p, err = t.Get(f.provider); err != nil {
			return x, err
		}
	}
	if x.in.Secret, err = input.Whole(cmd.InOrStdin(), cmd.ErrOrStderr(), f.file); err != nil {
		return x, err
	}
	if x.p == nil {
		if x.p, err = whose(t, x.in.Secret); err != nil {
			return x, err
		}
	}
	if name := x.p.Info().Name; t.Reports(name) {
		keys, err := d.Keys(cmd)
		if err != nil {
			return x, fmt.Errorf("%s takes signed reports: %w", name, err)
		}
		if x.p, err = t.Signing(keys).Get(name); err != nil {
			return x, err
		}
	}
	return x, f.settings(policy, &x)
}

// settings are those of the policy, and of flags over them.
func (f *callFlags) settings(by policy.Policy, x *target) (err error) {
	name := x.p.Info().Name
	x.policy = by
	if x.set, x.net, err = by.API(name); err != nil {
		return err
	}
	if f.host != "" {
		if !provider.HostOK(f.host) {
			return fmt.Errorf("--host %q: want name or name:port, in lower case", f.host)
		}
		x.set.Host, x.elsewhere = f.host, true
	}
	if x.set.Host == "" && x.p.Info().HostFrom == provider.Npmrc {
		if x.set.Host, err = npmHost(userNpmrc()); err != nil {
			return err
		}
	}
	if f.ca != "" {
		if x.net.RootCAs, err = policy.CAFile(f.ca); err != nil {
			return err
		}
	}
	if x.set.Credentials == nil {
		x.set.Credentials = map[string]secret.Secret{}
	}
	for _, c := range f.credentials {
		need, from, _ := strings.Cut(c, "=")
		if !slices.ContainsFunc(x.p.Info().Needs, func(n provider.Need) bool { return n.Name == need }) {
			return fmt.Errorf("--credential: %s takes none of that name; see quench provider show %s", name, name)
		}
		if x.set.Credentials[need], err = policy.Credential(from); err != nil {
			return fmt.Errorf("--credential %s: %w", need, err)
		}
	}
	parts, err := input.Parts(f.parts)
	if err != nil {
		return err
	}
	x.in.Parts = map[string]secret.Secret{}
	for name, value := range parts {
		if !slices.Contains(x.p.Info().Parts, name) {
			return fmt.Errorf("--part %s: want NAME=VALUE, NAME one of %q", name, x.p.Info().Parts)
		}
		x.in.Parts[name] = value
	}
	return nil
}

func newCheck(d Deps) *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Ask a provider whether a secret is alive",
		Long: `Reads a secret from standard input (at a terminal, without showing it), or from
--file, and asks its provider whether it is alive. The call changes nothing.

Exit codes: 0 it is dead, 1 it is alive, 2 error, 3 the provider does not say.`,
		Example: "  quench check --provider gitlab < token.txt",
		Args:    input.NoValue("check", 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			x, err := f.read(cmd, d)
			if err != nil {
				return err
			}
			a, err := d.check(cmd, x)
			if err != nil {
				return err
			}
			if err := f.show(cmd.OutOrStdout(), x.p, []provider.Answer{a}); err != nil {
				return err
			}
			switch a.Outcome {
			case provider.Dead:
				return nil
			case provider.Live:
				return d.Code(1)
			}
			return d.Code(3)
		},
	}
	f.add(cmd, d)
	return cmd
}

func newRevoke(d Deps) *cobra.Command {
	var f callFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "End a leaked secret at its provider, now",
		Long: `Reads a secret from standard input (at a terminal, without showing it), or from
--file, ends it at its provider and asks whether it is dead. A token of your own
registry is ended by quench token revoke.

Exit codes: 0 it is dead, or the provider has taken it to be ended; 1 the
provider refuses, or it takes a credential of yours; 2 error; 3 not known, or to
be tried again.`,
		Example: "  quench revoke --dry-run < token.txt\n  quench revoke --provider twilio --credential auth_password=file:twilio.key < sid.txt",
		Args:    input.NoValue("revoke", 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			x, err := f.read(cmd, d)
			if err != nil {
				return err
			}
			if dry {
				return f.plan(cmd.OutOrStdout(), x)
			}
			all, err := d.counted(cmd, x, true, func() []provider.Answer {
				return provider.Kill(cmd.Context(), x.p, x.net, x.set, x.in, false)
			})
			if err != nil {
				return err
			}
			if err := f.show(cmd.OutOrStdout(), x.p, all); err != nil {
				return err
			}
			switch last := all[len(all)-1]; last.Outcome {
			case provider.Revoked, provider.AlreadyDead, provider.Accepted:
				return nil
			case provider.Denied, provider.NeedsAdmin, provider.Unsupported:
				return d.Code(1)
			}
			return d.Code(3)
		},
	}
	f.add(cmd, d)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be called, and call nobody")
	return cmd
}

// plan says what a revocation would do.
func (f *callFlags) plan(w io.Writer, x target) error {
	i := x.p.Info()
	if !i.CanRevoke {
		_, err := fmt.Fprintf(w, "%s cannot be asked to end it; by hand: %s\n", i.Title, i.Manual)
		return err
	}
	host := x.set.Host
	if host == "" {
		host = strings.Join(i.Hosts, ", ")
	}
	if host == "" {
		host = "your own host, which --host names"
	}
	fmt.Fprintf(w, "would end a secret of %s at %s\n", i.Title, host)
	var missing []string
	for _, n := range i.Needs {
		if x.set.Credentials[n.Name].IsZero() {
			missing = append(missing, n.Name+": "+n.Ask)
		}
	}
	for _, p := range i.Parts {
		if x.in.Parts[p].IsZero() {
			fmt.Fprintf(w, "  missing --part %s=…\n", p)
		}
	}
	for _, m := range missing {
		how := "missing"
		if i.Alone {
			how = "if it may not end itself, also"
		}
		fmt.Fprintf(w, "  %s --credential %s\n", how, m)
	}
	undo := "it cannot be undone"
	if i.Undo != "" {
		undo = "to undo: " + i.Undo
	}
	fmt.Fprintf(w, "  %s\n", undo)
	if i.Note != "" {
		fmt.Fprintf(w, "  %s\n", i.Note)
	}
	_, err := fmt.Fprintf(w, "  documented at %s\n", i.Docs)
	return err
}

// answer is an Answer as JSON has it.
type answer struct {
	Provider  string    `json:"provider"`
	Call      string    `json:"call"`
	Outcome   string    `json:"outcome"`
	Status    int       `json:"status,omitempty"`
	BodyHash  string    `json:"answer_sha256,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	RetryMS   int64     `json:"retry_after_ms,omitempty"`
	At        time.Time `json:"at"`
	TookMS    float64   `json:"took_ms"`
}

// show prints what came of it: all answers in JSON, the last one for people.
func (f *callFlags) show(w io.Writer, p provider.Provider, all []provider.Answer) error {
	i := p.Info()
	if f.format == "json" {
		enc := json.NewEncoder(w)
		for _, a := range all {
			err := enc.Encode(answer{i.Name, a.Call, string(a.Outcome), a.Status, hex.EncodeToString(a.BodyHash), a.Detail, a.RequestID,
				a.RetryAfter.Milliseconds(), a.At, float64(a.Took.Microseconds()) / 1000})
			if err != nil {
				return err
			}
		}
		return nil
	}
	a := all[len(all)-1]
	// What there is to do is a line each: all in one is too long for a terminal.
	text := strings.ReplaceAll(a.Detail, "; ", "\n  ")
	if text != "" {
		text = ": " + text
	}
	if a.RetryAfter > 0 && !a.Outcome.Final() {
		text += fmt.Sprintf(" (not before %s)", a.RetryAfter)
	}
	_, err := fmt.Fprintf(w, "%s: %s%s\n", i.Title, a.Outcome, text)
	return err
}

func newTest(d Deps) *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Ask a provider about a made-up secret: can it be reached?",
		Long: `Asks a provider whether a made-up, random secret is alive, with the host and
credentials of your policy. It should say that it is dead. Nothing is changed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, t, err := f.tableFlags.read(d)
			if err != nil {
				return err
			}
			x := target{in: provider.Input{Secret: secret.NewString("quench-test-" + rand.Text())}}
			if x.p, err = t.Get(args[0]); err != nil {
				return err
			}
			if err := f.settings(policy, &x); err != nil {
				return err
			}
			for _, p := range x.p.Info().Parts {
				if x.in.Parts[p].IsZero() {
					x.in.Parts[p] = secret.NewString("quench-test")
				}
			}
			if !x.p.Info().CanCheck {
				fmt.Fprintf(cmd.OutOrStdout(), "%s has no call that tells; documented at %s\n", x.p.Info().Title, x.p.Info().Docs)
				return d.Code(3)
			}
			a, err := d.check(cmd, x)
			if err != nil {
				return err
			}
			if err := f.show(cmd.OutOrStdout(), x.p, []provider.Answer{a}); err != nil {
				return err
			}
			if a.Outcome != provider.Dead {
				return d.Code(1)
			}
			return nil
		},
	}
	f.tableFlags.add(cmd)
	cmd.Flags().StringVar(&f.host, "host", "", "the provider's host where you run your own: name or name:port")
	cmd.Flags().StringVar(&f.ca, "ca-file", "", "certificates (PEM) to trust for it")
	cmd.Flags().StringVarP(&f.format, "format", "f", "human", "human or json")
	cmd.ValidArgsFunction = names(d)
	return cmd
}
