// Package action is what a GitHub Action needs beside a scan: which commits an
// event is about, annotations, and the summary of the job.
//
// It knows GitHub's events and file formats; it does not scan. Nothing here
// comes from the scanned tree: a pull request cannot configure its own check.
// Start reading at Read and NewWriter.
package action

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/go-github/v62/github"
)

// Scope is what an event asks to be scanned.
type Scope struct {
	// Range is "base..head", or "" for the whole repository.
	Range string
	// Base is the commit that a pull request is to be merged into.
	Base string
	// Nothing says that there is nothing to scan: a deleted branch.
	Nothing bool
	// What says it in words.
	What string
}

// maxEvent bounds an event file: GitHub caps payloads at 25 MB.
const maxEvent = 25 << 20

// Read reads the event of the running job from the environment.
func Read(getenv func(string) string) (Scope, error) {
	name, file := getenv("GITHUB_EVENT_NAME"), getenv("GITHUB_EVENT_PATH")
	if name == "" || file == "" {
		return Scope{}, errors.New("GITHUB_EVENT_NAME and GITHUB_EVENT_PATH are not set: quench action runs in GitHub Actions; use quench scan elsewhere")
	}
	f, err := os.Open(file)
	if err != nil {
		return Scope{}, fmt.Errorf("reading the event: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEvent+1))
	if err != nil {
		return Scope{}, fmt.Errorf("reading the event %q: %w", file, err)
	}
	if len(b) > maxEvent {
		return Scope{}, fmt.Errorf("the event %q is larger than GitHub's limit of %d MB", file, maxEvent>>20)
	}
	return Parse(name, b)
}

// Parse says what an event asks to be scanned.
func Parse(name string, payload []byte) (Scope, error) {
	switch name {
	case "pull_request", "pull_request_target", "push":
	default: // schedule, workflow_dispatch and all others
		return Scope{What: "the whole repository"}, nil
	}
	ev, err := github.ParseWebHook(strings.TrimSuffix(name, "_target"), payload)
	if err != nil {
		return Scope{}, fmt.Errorf("the %s event does not parse: %w", name, err)
	}
	switch ev := ev.(type) {
	case *github.PullRequestEvent:
		base, head := ev.GetPullRequest().GetBase().GetSHA(), ev.GetPullRequest().GetHead().GetSHA()
		if !isID(base) || !isID(head) {
			return Scope{}, errors.New("the pull_request event names no base and head commit")
		}
		return Scope{Range: base + ".." + head, Base: base, What: fmt.Sprintf("pull request %d", ev.GetNumber())}, nil
	case *github.PushEvent:
		before, after := ev.GetBefore(), ev.GetAfter()
		switch {
		case ev.GetDeleted():
			return Scope{Nothing: true, What: "a deleted branch"}, nil
		case !isID(after):
			return Scope{}, errors.New("the push event names no commit")
		case !isID(before):
			return Scope{Range: after, What: "a new branch"}, nil
		}
		return Scope{Range: before + ".." + after, What: "a push"}, nil
	}
	return Scope{}, fmt.Errorf("the %s event is of an unexpected kind", name)
}

// isID reports whether s is an object id other than the zero one.
func isID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == "" && strings.Trim(s, "0") != ""
}
