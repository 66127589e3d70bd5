// Package gitrepo reads git repositories through go-git: where their parts lie
// and which of them may be trusted, their refs and revisions, and their objects,
// from several goroutines at once.
//
// It knows git's formats and nothing of items, skips or scans. Start reading at
// Find, then Open and Store.
package gitrepo
