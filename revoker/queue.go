package revoker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/internal/lease"
	"github.com/quench-dev/quench/revoker/internal/sealed"
	"github.com/quench-dev/quench/revoker/internal/webhook"
)

const (
	// leaseTime is how long one process has an incident for itself: longer
	// than a call can take, so that two never call at once, and no longer, since
	// what a killed process held waits for it.
	leaseTime = webhook.Timeout + 3*time.Second
	// headStart is how far ahead a job is scheduled, for the attempt that the
	// process which found the leak makes itself.
	headStart = leaseTime + time.Second
	// jobTimeout and rescueAfter follow: a worker's call ends within
	// webhook.Timeout, and a worker that died is noticed after twice the time.
	jobTimeout  = 15 * time.Second
	rescueAfter = 30 * time.Second
)

// tellArgs are a job's arguments: an id and nothing else, since the queue's
// tables are no place for more.
type tellArgs struct {
	IncidentID string `json:"incident_id" river:"unique"`
}

func (tellArgs) Kind() string { return "tell-provider" }

// maxWait is the longest pause between calls: a provider that is down for an
// hour hears of a leak minutes after it is back.
const maxWait = 5 * time.Minute

// maxAttempts is enough for two days of maxWait. Then the incident is failed, and
// says so: a person must act.
const maxAttempts = 600

// retryPolicy waits 0.5 s, 1 s, 2 s … and at most maxWait.
type retryPolicy struct{}

func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	wait := 500 * time.Millisecond << min(len(job.Errors), 10)
	return time.Now().Add(min(wait, maxWait))
}

// newQueue makes a client of the queue; without workers it only inserts.
func (r *Revoker) newQueue(workers *river.Workers) (*river.Client[*sql.Tx], error) {
	cfg := &river.Config{Logger: r.log, JobTimeout: jobTimeout, RescueStuckJobsAfter: rescueAfter, RetryPolicy: retryPolicy{},
		MaxAttempts: maxAttempts}
	if workers != nil {
		cfg.Workers = workers
		// Calls wait on the network, not on this machine. As many as may run are fetched at
		// once, and the next so soon after: the usual 100 ms were most of what a long queue took.
		cfg.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 16}}
		cfg.FetchPollInterval, cfg.FetchCooldown = 200*time.Millisecond, 10*time.Millisecond
		cfg.PollOnly = true
	}
	c, err := r.reg.Store().NewQueue(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	return c, nil
}

// unfinished is one job an incident that is still to be done; a finished one does not
// keep Retry from queueing it again.
var unfinished = river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending,
	rivertype.JobStateRunning, rivertype.JobStateScheduled, rivertype.JobStateRetryable}}

func (r *Revoker) enqueue(ctx context.Context, tx *sql.Tx, incident string) (int64, error) {
	res, err := r.queue.InsertTx(ctx, tx, tellArgs{incident}, &river.InsertOpts{
		ScheduledAt: time.Now().Add(headStart),
		UniqueOpts:  unfinished,
	})
	if err != nil {
		return 0, fmt.Errorf("queueing the call: %w", err)
	}
	return res.Job.ID, nil
}

var (
	errLeased  = lease.ErrTaken
	errSettled = errors.New("the incident is settled")
	// ErrRefused means that the provider answered and took nothing.
	ErrRefused = errors.New("the provider refused")
)

// claim leases an incident that is still to be told. The state is read under the
// same lock as the lease is taken: whoever waited for the lease while another
// settled the incident sees that, and does not call again.
func (r *Revoker) claim(ctx context.Context, id string) error {
	return r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		var state string
		if err := tx.QueryRowContext(ctx, "SELECT state FROM incidents WHERE id = ?", id).Scan(&state); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				err = ErrNoIncident
			}
			return fmt.Errorf("incident %s: %w", id, err)
		}
		if state != StateRevoking {
			return errSettled
		}
		return r.lease(ctx, tx, id)
	})
}

// lease gives this process the incident for leaseTime, or says who has it.
func (r *Revoker) lease(ctx context.Context, tx *sql.Tx, incident string) error {
	return lease.Take(ctx, tx, incident, r.owner, r.owner, r.reg.Now(), leaseTime)
}

// retryError asks the queue to come back.
type retryError struct {
	after  time.Duration // 0: as the retry policy says
	detail string
}

func (e *retryError) Error() string { return e.detail }

// deliver tells the incident's provider once, under a lease, and stores the
// receipt. A nil error means that there is nothing left to do, and the outcome
// says why; it is empty if the incident was settled before.
func (r *Revoker) deliver(ctx context.Context, id string) (Outcome, error) {
	if r.policy.Off() {
		return "", &retryError{after: maxWait, detail: decide.KillSwitch}
	}
	inc, err := scanIncident(r.reg.Store().Reader().QueryRowContext(ctx, selectIncident+" WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("incident %s: %w", id, ErrNoIncident)
	} else if err != nil {
		return "", err
	}
	if inc.TokenID == "" || r.policy.Calls(inc.Provider) {
		return r.end(ctx, inc)
	}
	if err := r.claim(ctx, id); errors.Is(err, errSettled) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	if inc, err = r.Incident(ctx, id); err != nil {
		return "", err
	}
	p, ok := r.policy.Webhook(inc.Provider)
	if !ok {
		return "", &retryError{after: maxWait, detail: fmt.Sprintf("provider %q is not in the policy any more", inc.Provider)}
	}
	tok, err := r.reg.Token(ctx, inc.TokenID)
	if err != nil {
		return "", err
	}
	a := p.Endpoint().Tell(ctx, webhook.Data{Action: "revoke", IncidentID: inc.ID, TokenID: tok.ID, Hint: tok.Hint, Owner: tok.Owner, Provider: p.Name,
		LeakedAt: inc.LeakedAt, FoundAt: inc.FoundAt, Places: inc.Places}, r.dial, r.reg.Now())
	rc := Receipt{Provider: p.Name, Outcome: Outcome(a.Outcome), Status: a.Status, AnswerHash: a.Hash, Detail: a.Detail, At: a.At, Took: a.Took}
	if err := r.settle(context.WithoutCancel(ctx), inc, rc); err != nil {
		return "", fmt.Errorf("storing the receipt: %w", err)
	}
	if rc.Outcome == Failed {
		return Failed, &retryError{a.RetryAfter, rc.Detail}
	}
	return rc.Outcome, nil
}

// settle stores a receipt and what follows from it, in one transaction. A late
// answer, after a sleep that outlasted the lease, is kept as a receipt but does
// not change what another process settled meanwhile.
func (r *Revoker) settle(ctx context.Context, inc Incident, rc Receipt) error {
	return r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO receipts (incident_id, provider, outcome, status, answer_hash, detail, at, took_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			inc.ID, rc.Provider, rc.Outcome, rc.Status, rc.AnswerHash, rc.Detail, micros(rc.At), rc.Took.Microseconds())
		if err != nil {
			return err
		}
		if _, err := audit.Append(ctx, tx, r.reg.Now(), audit.Event{Kind: "provider.told", Actor: r.reg.Actor(), TokenID: inc.TokenID, IncidentID: inc.ID,
			Details: map[string]string{"provider": rc.Provider, "outcome": string(rc.Outcome), "status": fmt.Sprint(rc.Status)}}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM leases WHERE incident_id = ? AND owner = ?", inc.ID, r.owner); err != nil {
			return err
		}
		switch rc.Outcome {
		case Failed:
			return nil
		case Denied:
			_, err = tx.ExecContext(ctx, "UPDATE incidents SET state = ?, note = ? WHERE id = ? AND state = ?", StateFailed, rc.Detail, inc.ID, StateRevoking)
		default:
			_, err = tx.ExecContext(ctx, "UPDATE incidents SET state = ?, confirmed_at = ?, note = '' WHERE id = ? AND state = ?", StateDead, micros(r.reg.Now()), inc.ID, StateRevoking)
		}
		if err != nil {
			return err
		}
		return r.dropJob(ctx, tx, inc.job)
	})
}

// dropJob takes a job out of the queue that somebody else did. The job of a
// running worker completes by itself.
func (r *Revoker) dropJob(ctx context.Context, tx *sql.Tx, id int64) error {
	if id == 0 {
		return nil
	}
	_, err := r.queue.JobDeleteTx(ctx, tx, id)
	if errors.Is(err, rivertype.ErrNotFound) || errors.Is(err, rivertype.ErrJobRunning) {
		return nil
	}
	return err
}

// Timeout is that of the longer calls, to an api; reports end by themselves.
func (t *teller) Timeout(*river.Job[tellArgs]) time.Duration { return endTimeout + jobTimeout }

// teller is the worker of the queue.
type teller struct {
	river.WorkerDefaults[tellArgs]
	r *Revoker
}

func (t *teller) Work(ctx context.Context, job *river.Job[tellArgs]) error {
	_, err := t.r.deliver(ctx, job.Args.IncidentID)
	var again *retryError
	switch {
	case errors.Is(err, errLeased):
		return river.JobSnooze(time.Second)
	case errors.Is(err, ErrNoIncident):
		return river.JobCancel(err)
	case errors.As(err, &again) && again.after > 0:
		return river.JobSnooze(again.after)
	case err != nil && job.Attempt >= job.MaxAttempts:
		return errors.Join(err, t.r.giveUp(context.WithoutCancel(ctx), job.Args.IncidentID, err))
	}
	return err
}

// ender is the worker that ends what was waiting.
type ender struct {
	river.WorkerDefaults[dueArgs]
	r *Revoker
}

// Timeout is that of the first call, which follows at once.
func (e *ender) Timeout(*river.Job[dueArgs]) time.Duration { return endTimeout + jobTimeout }

func (e *ender) Work(ctx context.Context, job *river.Job[dueArgs]) error {
	err := e.r.due(ctx, job.Args.IncidentID)
	var again *retryError
	switch {
	case errors.Is(err, ErrNoIncident):
		return river.JobCancel(err)
	case errors.As(err, &again):
		inc, readErr := e.r.Incident(ctx, job.Args.IncidentID)
		if readErr != nil || inc.State == StateWaiting {
			return river.JobSnooze(again.after)
		}
		return nil // what it called for has a job of its own
	case errors.Is(err, errLeased):
		return nil
	}
	return err
}

// giveUp says in the incident that the queue does not come back to it.
func (r *Revoker) giveUp(ctx context.Context, id string, last error) error {
	return r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		inc, err := scanIncident(tx.QueryRowContext(ctx, selectIncident+" WHERE id = ?", id))
		if err != nil {
			return err
		}
		inc.Note = fmt.Sprintf("given up after %d calls, the last: %v; quench incident retry tells it again", maxAttempts, last)
		res, err := tx.ExecContext(ctx, "UPDATE incidents SET state = ?, note = ? WHERE id = ? AND state IN (?, ?)", StateFailed, inc.Note, id, StateRevoking, StateChecking)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return r.tellFailed(ctx, tx, inc)
	})
}

// WorkOptions say when Work ends.
type WorkOptions struct {
	// Drain ends Work when nothing is due within the next headStart.
	Drain bool
}

// Work runs the queue until ctx ends, or until it is drained. What still waits
// for a later attempt then is an error that says so.
func (r *Revoker) Work(ctx context.Context, o WorkOptions) error {
	var sweep sealed.Sweep
	if o.Drain {
		return r.work(ctx, true, &sweep)
	}
	// The queue's client asks the database many times a second, which is most of what a
	// process takes that has nothing to do: it runs while a job is due, from headStart
	// before that.
	glance, last := r.reg.Store().Glance(), time.Time{}
	for {
		r.expire(ctx, &sweep)
		if !glance.Changed() && time.Since(last) < headStart/4 {
			// Nothing was queued, and what waits longer is seen long before it is due.
		} else if due, _, err := r.waiting(ctx, 1); err == nil && due > 0 {
			if err := r.work(ctx, false, &sweep); err != nil {
				return err
			}
		} else if err == nil {
			last = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second))): // a job is made headStart before it is due
		}
	}
}

// work runs the client until ctx ends or nothing is due.
func (r *Revoker) work(ctx context.Context, drain bool, sweep *sealed.Sweep) (err error) {
	workers := river.NewWorkers()
	if err := errors.Join(river.AddWorkerSafely(workers, &teller{r: r}), river.AddWorkerSafely(workers, &ender{r: r})); err != nil {
		return err
	}
	c, err := r.newQueue(workers)
	if err != nil {
		return err
	}
	if err := c.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the queue: %w", err)
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), jobTimeout)
		defer cancel()
		if stopErr := c.Stop(stop); stopErr != nil {
			err = errors.Join(err, fmt.Errorf("stopping the queue: %w", stopErr))
		}
	}()
	for {
		begun := time.Now()
		r.expire(ctx, sweep)
		if drain {
			due, later, err := r.waiting(ctx, 10_000)
			if err != nil {
				return err
			}
			if due == 0 && later > 0 {
				return fmt.Errorf("%d calls to providers failed and wait for a later attempt: run quench worker, or see quench incident list", later)
			}
			if due == 0 {
				return nil
			}
		} else if due, _, err := r.waiting(ctx, 1); err == nil && due == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(100*time.Millisecond, 20*time.Since(begun))): // of a long queue a look takes long
		}
	}
}

// expire deletes the sealed secrets that were kept for long enough, when that is due.
// One that cannot be deleted now stops no revocation: it is told, and tried again.
func (r *Revoker) expire(ctx context.Context, sweep *sealed.Sweep) {
	if err := sweep.Expire(ctx, r.reg.Store(), r.reg.Now()); err != nil && ctx.Err() == nil {
		r.log.Error("sealed secrets whose time is over could not be deleted; tried again within the hour", "error", err)
	}
}

// waiting counts the jobs due within headStart, and of those later at most so many.
func (r *Revoker) waiting(ctx context.Context, most int) (due, later int, err error) {
	// The earliest alone tells whether something is due: a long queue is not
	// read through several times a second.
	list := func(n int, kinds ...string) ([]*rivertype.JobRow, error) {
		res, err := r.queue.JobList(ctx, river.NewJobListParams().Kinds(kinds...).First(n).
			States(rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled).
			OrderBy(river.JobListOrderByScheduledAt, river.SortOrderAsc))
		if err != nil {
			return nil, fmt.Errorf("looking at the queue: %w", err)
		}
		return res.Jobs, nil
	}
	first, err := list(1, tellArgs{}.Kind(), dueArgs{}.Kind())
	if err != nil || len(first) == 0 {
		return 0, 0, err
	}
	horizon := time.Now().Add(headStart)
	if !first[0].ScheduledAt.After(horizon) {
		return 1, 0, nil
	}
	all, err := list(most, tellArgs{}.Kind()) // what waits by policy did not fail
	return 0, len(all), err
}

// Retry tells an incident's provider now, whatever the queue waits for, also one
// that the policy did not have when the token was revoked. It wraps ErrRefused
// when the provider answers and takes nothing.
func (r *Revoker) Retry(ctx context.Context, id string) error {
	inc, err := r.Incident(ctx, id)
	if err != nil {
		return err
	}
	if inc.TokenID == "" || r.policy.Calls(inc.Provider) {
		return r.retryEnd(ctx, inc)
	}
	if inc.State == StateWaiting || inc.State == StateAsking {
		return fmt.Errorf("incident %s is %s: quench incident confirm revokes its token", inc.ID, inc.State)
	}
	if inc.State == StateReported {
		return fmt.Errorf("incident %s: its token was not revoked through it; scan with --revoke=auto, or quench token revoke %s", inc.ID, inc.TokenID)
	}
	if inc.State == StateDead && !inc.ConfirmedAt.IsZero() {
		return nil
	}
	tok, err := r.reg.Token(ctx, inc.TokenID)
	if err != nil {
		return err
	}
	p, ok := r.policy.Webhook(tok.Provider)
	switch {
	case tok.Provider == "":
		return fmt.Errorf("incident %s: its token has no provider to tell", inc.ID)
	case !ok:
		return fmt.Errorf("incident %s: provider %q is not in the policy", inc.ID, tok.Provider)
	}
	if err := r.requeue(ctx, inc.ID, p.Name); err != nil {
		return fmt.Errorf("queueing incident %s again: %w", inc.ID, err)
	}
	outcome, err := r.deliver(ctx, inc.ID)
	if err == nil && outcome == Denied {
		return fmt.Errorf("incident %s: %w; its receipts say why", inc.ID, ErrRefused)
	}
	return err
}

// requeue makes an incident one that is to be told, with a job that outlives
// this process; one that is already in the queue stays.
func (r *Revoker) requeue(ctx context.Context, id, provider string) error {
	return r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE incidents SET state = ?, provider = ? WHERE id = ? AND state IN (?, ?, ?) AND confirmed_at IS NULL",
			StateRevoking, provider, id, StateRevoking, StateFailed, StateDead)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // settled by another process meanwhile
		}
		job, err := r.enqueue(ctx, tx, id)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE incidents SET job_id = ? WHERE id = ?", job, id)
		return err
	})
}
