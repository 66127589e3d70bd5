package hook

import (
	"fmt"
	"io"
	"strings"

	"github.com/quench-dev/quench/sources"
)

// Kind is a hook of git that can be installed.
type Kind struct {
	Name string
	// Args are what git calls it with, for messages.
	Args []string
	// Event is what git is about to do.
	Event string
	// Strict says that the event is blocked too where it could not be scanned
	// completely: on a server nobody would read a warning, and on a laptop nobody
	// can work with a tool that stops all work when it is broken.
	Strict bool
	// ConfigRef is the commit whose configuration holds, where that is not what is
	// scanned: nobody may ignore in a push what the same push brings.
	ConfigRef string
	// Scope reads what git tells the hook. Without anything to scan it is nil.
	Scope func(dir string, stdin io.Reader, args []string) (*sources.Scope, error)
	// Advice says what to do about findings.
	Advice string
}

// Kinds are all of them, the default first.
var Kinds = []Kind{
	{Name: "pre-push", Args: []string{"REMOTE", "URL"}, Event: "push", Scope: prePush, Advice: `  1. Revoke the secret where it was issued: it is in your local history already.
  2. Take it out of the commits: git commit --amend for the last one,
     git rebase -i for an earlier one, then push again.
  If it is no secret at all, git push --no-verify skips this check.
`},
	{Name: "pre-commit", Event: "commit", Scope: preCommit, Advice: `  1. Take the secret out of the file, to where secrets are kept, and git add it again.
  2. If anybody else could have seen it, revoke it where it was issued.
  If it is no secret at all, git commit --no-verify skips this check.
`},
	{Name: "pre-receive", Event: "push", Strict: true, ConfigRef: "HEAD", Scope: preReceive, Advice: `  1. Revoke the secret where it was issued: this server has seen it.
  2. Take it out of the commits: git commit --amend for the last one,
     git rebase -i for an earlier one, then push again.
`},
}

// Named gives the Kind of a name.
func Named(name string) (Kind, error) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("hook %q is not known: want one of %s", name, strings.Join(Names(), ", "))
}

// Names are those of Kinds.
func Names() (names []string) {
	for _, k := range Kinds {
		names = append(names, k.Name)
	}
	return names
}

// prePush is what a push brings that the remote is not known to have.
func prePush(dir string, stdin io.Reader, args []string) (*sources.Scope, error) {
	refs, err := ParseRefs(stdin)
	if err != nil {
		return nil, err
	}
	tracking, err := Tracking(dir, args[0])
	if err != nil {
		return nil, err
	}
	tips, exclude := Pushed(refs, tracking)
	if len(tips) == 0 {
		return nil, nil
	}
	return &sources.Scope{NewTips: tips, Exclude: exclude}, nil
}

func preCommit(string, io.Reader, []string) (*sources.Scope, error) {
	return &sources.Scope{Staged: true}, nil
}

// preReceive is what a push brings that no ref of this repository has: they are those
// from before the push as long as the hook runs.
func preReceive(_ string, stdin io.Reader, _ []string) (*sources.Scope, error) {
	tips, err := ParseReceived(stdin)
	if err != nil || len(tips) == 0 {
		return nil, err
	}
	return &sources.Scope{NewTips: tips, ExcludeRefs: true}, nil
}
