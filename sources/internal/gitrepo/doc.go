// Package gitrepo reads git repositories: where their parts lie and which of them
// may be trusted, their refs and revisions through go-git, and their objects
// through package pack, from several goroutines at once.
//
// It knows git's formats and nothing of items, skips or scans. Start reading at
// Find, then Open and Store.
package gitrepo
