package bound

import (
	"fmt"
	"strings"
)

// A scope is action:resource, each side segments joined by '/', such as
// read:repo/quench or deploy:*/staging. In a token's scope '*' stands for one
// whole segment and '**', only as the last one, for one or more. No scope
// grants nothing.

// maxScope bounds a scope's length in bytes; a path of a web API fits many times.
const maxScope = 512

// MaxScopes bounds the scopes of one token: Verify looks at each of them, and a
// token that needs more is not scoped but a list of everything.
const MaxScopes = 10_000

// CheckScope says what is wrong with a scope. concrete refuses wildcards: what a
// caller asks for is one thing.
func CheckScope(scope string, concrete bool) error {
	bad := func(why string) error {
		return fmt.Errorf("%w: scope %q: %s; a scope is action:resource, such as read:repo/quench, write:repo/* or read:**", ErrInvalid, Clip(scope), why)
	}
	if len(scope) > maxScope {
		return bad(fmt.Sprintf("longer than %d bytes", maxScope))
	}
	action, resource, ok := strings.Cut(scope, ":")
	if !ok {
		return bad("no ':'")
	}
	for _, side := range []string{action, resource} {
		segs := strings.Split(side, "/")
		for i, seg := range segs {
			switch {
			case seg == "":
				return bad("an empty segment")
			case seg == "*" || seg == "**":
				if concrete {
					return bad("a wildcard where one thing must be named")
				}
				if seg == "**" && i != len(segs)-1 {
					return bad("'**' is not the last segment")
				}
			case strings.Trim(seg, scopeBytes) != "":
				return bad(fmt.Sprintf("segment %q has characters other than letters, digits and . _ - @ +, or '*' beside others", seg))
			}
		}
	}
	return nil
}

const scopeBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+"

// OnEach are scopes in which one that is an action alone, such as read, stands for that
// action on each of resources. Resources that no action is asked for on are an error:
// who names them thinks that they bound something.
func OnEach(scopes, resources []string) ([]string, error) {
	if len(resources) == 0 {
		return scopes, nil
	}
	var all []string
	alone := false
	for _, s := range scopes {
		on := resources
		if strings.Contains(s, ":") {
			all, on = append(all, s), nil
		}
		if alone = alone || on != nil; len(all)+len(on) > MaxScopes {
			return nil, fmt.Errorf("%w: more than %d scopes", ErrInvalid, MaxScopes)
		}
		for _, r := range on {
			all = append(all, s+":"+r)
		}
	}
	if !alone {
		return nil, fmt.Errorf("%w: a resource %q, and no scope that is an action alone, such as read, to be allowed on it", ErrInvalid, Clip(resources[0]))
	}
	return all, nil
}

// Covers reports whether scope, which may have wildcards, grants want; one with
// wildcards only where it grants all that want does. Both are valid. It allocates
// nothing: a verification asks it about each scope of a token.
func Covers(scope, want string) bool {
	sa, sr, _ := strings.Cut(scope, ":")
	wa, wr, _ := strings.Cut(want, ":")
	return coversSide(sa, wa) && coversSide(sr, wr)
}

func coversSide(pattern, want string) bool {
	for more, left := true, true; more; {
		var p, w string
		if !left {
			return false
		}
		p, pattern, more = strings.Cut(pattern, "/")
		if p == "**" {
			return true
		}
		w, want, left = strings.Cut(want, "/")
		if w == "**" || p != "*" && p != w {
			return false
		}
		if !more {
			return !left
		}
	}
	return false
}

// Clip shortens what a user gave for an error message.
func Clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
