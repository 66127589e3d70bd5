// Package demo plays the main job once, with real parts in a temporary folder:
// a registry, a git repository and a log, two issued tokens that leak, one into a
// commit that is deleted later, one into a watched log, and their death. Start
// reading at Run.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/quench-dev/quench/cmd/internal/pipeline"
	"github.com/quench-dev/quench/cmd/internal/watch"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// Leak is the timeline of one token.
type Leak struct {
	Where      string    `json:"where"`
	TokenID    string    `json:"token_id"`
	IncidentID string    `json:"incident_id"`
	LeakedAt   time.Time `json:"leaked_at"`
	FoundAt    time.Time `json:"found_at"`
	MatchedAt  time.Time `json:"matched_at"`
	DeadAt     time.Time `json:"dead_at"`
	// LeakToDeathMS is DeadAt less LeakedAt in milliseconds.
	LeakToDeathMS float64 `json:"leak_to_death_ms"`
	// Verify is what the registry says of the token now.
	Verify string `json:"verify"`
}

// patience is how long the demo waits for the watch: a thousand times what it
// takes, for slow machines.
const patience = 30 * time.Second

// Run plays the demo. say hears what happens, step by step.
func Run(ctx context.Context, say func(format string, args ...any)) (leaks []Leak, err error) {
	dir, err := os.MkdirTemp("", "quench-demo-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{dir: dir, say: say}
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.rev.Close(ctx), d.reg.Close()) }()
	inCommit, err := d.leakInCommit(ctx)
	if err != nil {
		return nil, err
	}
	inLog, err := d.leakInLog(ctx)
	if err != nil {
		return nil, err
	}
	return []Leak{inCommit, inLog}, nil
}

type demo struct {
	dir string
	say func(string, ...any)
	reg *registry.Registry
	rev *revoker.Revoker
	eng *scanner.Engine
}

func (d *demo) open(ctx context.Context) (err error) {
	d.reg, err = registry.Open(ctx, registry.Options{
		Path: filepath.Join(d.dir, "registry", "registry.db"), Create: true, Actor: "demo",
		Pepper: registry.PepperSource{File: filepath.Join(d.dir, "keys", "pepper"), Checkpoints: filepath.Join(d.dir, "keys", "checkpoints")},
	})
	if err != nil {
		return err
	}
	set, err := d.reg.Match(ctx)
	if err != nil {
		return err
	}
	d.rev, err = revoker.New(d.reg, revoker.Policy{}, revoker.Options{Mode: revoker.Auto})
	if err != nil {
		return err
	}
	rs, err := rules.Builtin()
	if err != nil {
		return err
	}
	d.eng, err = scanner.New(rs, scanner.Options{Known: set})
	return err
}

// issue makes a token and shows that it is valid.
func (d *demo) issue(ctx context.Context, owner, purpose string) (registry.Token, secret.Secret, error) {
	tok, value, err := d.reg.Issue(ctx, registry.IssueRequest{Owner: owner, Purpose: purpose, Scopes: []string{"read:invoices"}, TTL: time.Hour})
	if err != nil {
		return tok, value, err
	}
	v, err := d.reg.Verify(ctx, value, registry.Use{Scope: "read:invoices"})
	if err != nil {
		return tok, value, err
	}
	d.say("issued token %s for %s (%s): verify says %s", tok.ID, owner, value, v.Reason)
	return tok, value, nil
}

func (d *demo) leakInCommit(ctx context.Context) (Leak, error) {
	tok, value, err := d.issue(ctx, "billing", "nightly export")
	if err != nil {
		return Leak{}, err
	}
	repo := filepath.Join(d.dir, "repo")
	at, err := commitAndDelete(repo, value)
	if err != nil {
		return Leak{}, fmt.Errorf("making the repository: %w", err)
	}
	d.say("leaked it in a commit, and deleted the file in the next")
	srcs, err := sources.Open(repo, sources.OpenOptions{History: true, Worktree: true})
	if err != nil {
		return Leak{}, err
	}
	w, err := report.New("jsonl", io.Discard, report.Options{})
	if err != nil {
		return Leak{}, err
	}
	res, err := pipeline.Run(ctx, srcs, pipeline.Options{Engine: d.eng, Revoker: d.rev, Writer: w})
	if err = errors.Join(err, res.Failed); err != nil {
		return Leak{}, err
	}
	d.say("scanned %d commits: %d finding, matched with the registry, revoked", res.Coverage.Commits, res.Findings)
	return d.leak(ctx, "commit", tok, value, at)
}

// commitAndDelete makes a repository whose history holds value and whose HEAD
// does not, and says when the commit was made.
func commitAndDelete(dir string, value secret.Secret) (time.Time, error) {
	repo, err := git.PlainInit(dir, false)
	if err != nil {
		return time.Time{}, err
	}
	wt, err := repo.Worktree()
	if err != nil {
		return time.Time{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "deploy.env"), line("BILLING_TOKEN=", value), 0o600); err != nil {
		return time.Time{}, err
	}
	if _, err := wt.Add("deploy.env"); err != nil {
		return time.Time{}, err
	}
	who := &git.CommitOptions{Author: &object.Signature{Name: "Demo", Email: "demo@example.com", When: time.Now()}}
	if _, err := wt.Commit("configure the export", who); err != nil {
		return time.Time{}, err
	}
	at := time.Now()
	if _, err := wt.Remove("deploy.env"); err != nil {
		return at, err
	}
	_, err = wt.Commit("remove the configuration", who)
	return at, err
}

func (d *demo) leakInLog(ctx context.Context) (Leak, error) {
	tok, value, err := d.issue(ctx, "search", "index refresh")
	if err != nil {
		return Leak{}, err
	}
	log := filepath.Join(d.dir, "app.log")
	if err := os.WriteFile(log, []byte("starting\n"), 0o600); err != nil {
		return Leak{}, err
	}
	w, err := report.New("jsonl", io.Discard, report.Options{})
	if err != nil {
		return Leak{}, err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- watch.Run(watching, watch.Options{Engine: d.eng, Registry: d.reg, Settings: watch.Settings{Revoker: d.rev}, Writer: w, Paths: []string{log}, Ready: func(int) { close(ready) }})
	}()
	select {
	case <-ready:
	case err := <-done:
		return Leak{}, err
	}
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Leak{}, err
	}
	at := time.Now()
	_, err = f.Write(line("GET /v1/invoices Authorization: Bearer ", value))
	if err = errors.Join(err, f.Close()); err != nil {
		return Leak{}, err
	}
	d.say("leaked it in a line of a watched log")
	if err := d.untilDead(ctx, tok.ID); err != nil {
		return Leak{}, err
	}
	stop()
	if err := <-done; err != nil {
		return Leak{}, err
	}
	d.say("found, matched with the registry, revoked")
	return d.leak(ctx, "log", tok, value, at)
}

func (d *demo) untilDead(ctx context.Context, id string) error {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		tok, err := d.reg.Token(ctx, id)
		if err != nil || tok.State == registry.Revoked {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("token %s still lives %v after it leaked", id, patience)
}

// leak tells the timeline and shows that the token is refused.
func (d *demo) leak(ctx context.Context, where string, tok registry.Token, value secret.Secret, at time.Time) (Leak, error) {
	v, err := d.reg.Verify(ctx, value, registry.Use{Scope: "read:invoices"})
	if err != nil {
		return Leak{}, err
	}
	if v.Valid {
		return Leak{}, fmt.Errorf("token %s is still valid after its leak", tok.ID)
	}
	list, err := d.rev.Incidents(ctx)
	if err != nil {
		return Leak{}, err
	}
	for _, i := range list {
		if i.TokenID == tok.ID {
			return Leak{Where: where, TokenID: tok.ID, IncidentID: i.ID, LeakedAt: at.UTC(), FoundAt: i.FoundAt, MatchedAt: i.MatchedAt, DeadAt: i.DeadAt,
				LeakToDeathMS: float64(i.DeadAt.Sub(at).Microseconds()) / 1000, Verify: v.Reason}, nil
		}
	}
	return Leak{}, fmt.Errorf("no incident for token %s", tok.ID)
}
