// Package clone brings a repository from elsewhere into a folder: by the git binary
// where that is installed, which knows the user's keys, proxies and helpers, and by
// go-git otherwise.
//
// It knows addresses and credentials and nothing of what a repository holds. An
// address is hostile as soon as it was copied from somewhere: nothing in it becomes an
// option or another command, and credentials in it appear in no message and on no
// command line. Start reading at Parse, then Remote.Clone.
package clone

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Remote is a repository elsewhere.
type Remote struct {
	address string // without credentials, as git takes it
	scheme  string
	user    *url.Userinfo // of http and https; nil without
}

// schemes are the protocols of git that cannot run a command of the address's choice,
// as ext:: can, and what git may go on to by the user's own url.*.insteadOf.
var schemes = map[string]string{
	"https": "https:ssh", "http": "http:https:ssh", "ssh": "ssh:https", "git": "git:ssh:https", "file": "file",
}

// scp is host:path as ssh and git read it, with a user: without one it could be a file.
var scp = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[\w.+][\w.+-]*@(?:\[[0-9A-Fa-f:.]+\]|[\w.][\w.-]*):[^:].*$`)
})

// Parse reads an address. ok says whether target is one at all; the error, what is
// wrong with it.
func Parse(target string) (r Remote, ok bool, err error) {
	scheme, _, isURL := strings.Cut(target, "://")
	if !isURL {
		if strings.HasPrefix(target, "-") || !scp().MatchString(target) {
			return r, false, nil
		}
		return Remote{address: target, scheme: "ssh"}, true, nil
	}
	if strings.ContainsAny(scheme, "/\\. ") {
		return r, false, nil // a path
	}
	r.scheme = strings.ToLower(scheme)
	if schemes[r.scheme] == "" {
		return r, true, fmt.Errorf("the protocol %q of the address is not known: want https, ssh, git, http or file", scheme)
	}
	u, err := url.Parse(target)
	if err != nil || strings.ContainsFunc(target, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		// The parser's words would quote the address, with what it holds.
		return r, true, errors.New("the address does not parse; special characters in a password are written %40 and the like")
	}
	switch {
	case r.scheme != "file" && u.Hostname() == "", strings.HasPrefix(u.Hostname(), "-"), u.Path == "", strings.HasPrefix(strings.TrimLeft(u.Path, "/"), "-"):
		return r, true, errors.New("the address names no host and path of a repository")
	case u.RawQuery != "" || u.Fragment != "":
		return r, true, errors.New("the address has a query or fragment, which no git server takes")
	}
	if _, secret := u.User.Password(); secret && r.scheme != "http" && r.scheme != "https" {
		return r, true, fmt.Errorf("%s takes no password in the address; use a key", r.scheme)
	}
	if r.scheme == "http" || r.scheme == "https" {
		r.user, u.User = u.User, nil
	}
	r.address = u.String()
	return r, true, nil
}

// String is the address without credentials.
func (r Remote) String() string { return r.address }

// secrets are what no message may hold.
func (r Remote) secrets() (out []string) {
	if r.user == nil {
		return nil
	}
	password, _ := r.user.Password()
	for _, s := range []string{password, r.user.Username()} {
		if len(s) > 2 { // as short as that, it is in every message
			out = append(out, s, url.QueryEscape(s), url.PathEscape(s))
		}
	}
	return out
}

// masked takes credentials and what a terminal would obey out of what a server says.
func (r Remote) masked(s string) string {
	for _, secret := range r.secrets() {
		s = strings.ReplaceAll(s, secret, "****")
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 {
			return -1
		}
		return c
	}, s)
}

// environment leaves out the variables of a repository that this process may be in, and
// those that make git ask or talk.
func environment(environ []string) []string {
	drop := []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH",
		"GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_CONFIG", "GIT_TEMPLATE_DIR", "GIT_TERMINAL_PROMPT", "GIT_ASKPASS", "SSH_ASKPASS",
		"GIT_ALLOW_PROTOCOL", "GIT_PROTOCOL_FROM_USER", "GIT_CURL_VERBOSE", "GIT_REDIRECT_STDERR", "GIT_REDIRECT_STDOUT", "LC_ALL", "LANGUAGE"}
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(drop, name) || strings.HasPrefix(name, "GIT_TRACE")
	})
}

// Options are those of a Clone.
type Options struct {
	// Git is the git binary; empty for go-git.
	Git string
	// Note is told how far it is, a line at a time; nil for nobody.
	Note func(string)
}
