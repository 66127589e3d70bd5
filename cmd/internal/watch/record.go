package watch

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/quench-dev/quench/cmd/internal/metrics"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/finding"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/record"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/ignore"
	"github.com/quench-dev/quench/scanner/report"
)

// Recorder does what is to be done about findings: tokens of the registry and leaks that
// the policy names are contained, all are stored, and what was not known is reported.
type Recorder struct {
	Registry *registry.Registry // nil stores nothing
	Writer   report.Writer
	Metrics  *metrics.Watch
	Now      func() time.Time

	mu       sync.Mutex
	settings Settings
	totals   report.Totals
	// unreported are places that were new when they were contained, until they are
	// reported: when they are delivered again they are known.
	unreported map[finding.Record]bool
}

// Settings are what a reload may change of it.
type Settings struct {
	// Revoker contains; nil without a registry.
	Revoker *revoker.Revoker
	// Filter says what is left out of the report, nil nothing; ShowIgnored writes it
	// all the same.
	Filter      *ignore.Filter
	ShowIgnored bool
}

// Set changes the settings.
func (r *Recorder) Set(s Settings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settings = s
}

// delivery is a list of findings on its way. What is done of it is not done again when
// it is tried once more.
type delivery struct {
	list      []scanner.Finding
	read      []time.Time // when each was read, for metrics; nil for not known
	contained []bool
	fresh     []bool
}

// Deliver contains, stores and reports findings. After an error it may be called again
// with the same: nothing is revoked, stored or reported twice.
func (r *Recorder) Deliver(ctx context.Context, list []scanner.Finding) error {
	return r.deliver(ctx, &delivery{list: list}, nil)
}

// deliver calls also in the transaction that stores the findings.
func (r *Recorder) deliver(ctx context.Context, d *delivery, also func(*sql.Tx) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.contained == nil {
		d.contained, d.fresh = make([]bool, len(d.list)), make([]bool, len(d.list))
	}
	for i := range d.list {
		if d.contained[i] {
			continue
		}
		if err := r.contain(ctx, d, i); err != nil {
			return err
		}
		d.contained[i] = true
	}
	if err := r.store(ctx, d, also); err != nil {
		return err
	}
	for i, f := range d.list {
		if d.fresh[i] {
			if err := r.report(f); err != nil {
				return err
			}
			delete(r.unreported, place(f.Hit))
		}
	}
	return nil
}

// contain does what mode and policy say of one finding.
func (r *Recorder) contain(ctx context.Context, d *delivery, i int) error {
	f := &d.list[i]
	var c revoker.Containment
	var err error
	switch {
	case r.settings.Revoker == nil:
		return nil
	case f.Token != nil:
		if c, err = r.settings.Revoker.Contain(ctx, f.Hit); err != nil {
			return fmt.Errorf("containing token %s: %w", f.Token.ID, err)
		}
	default:
		// What is left out of the report is left alone.
		if _, ok := r.settings.Filter.Ignored(*f); ok {
			return nil
		}
		if c, err = r.settings.Revoker.Leak(ctx, *f); err != nil {
			return fmt.Errorf("containing the secret at %s, line %d: %w", f.Origin.Path, f.Line, err)
		}
	}
	f.IncidentID, f.Contained, d.fresh[i] = c.IncidentID, c.Told(), c.Fresh || r.unreported[place(f.Hit)]
	if c.IncidentID != "" {
		if d.fresh[i] {
			if r.unreported == nil {
				r.unreported = map[finding.Record]bool{}
			}
			r.unreported[place(f.Hit)] = true
		}
		r.Metrics.Incident(string(c.Action))
	}
	if c.Action == revoker.Revoked || f.Token != nil && c.Action == revoker.Queued {
		r.totals.Revoked++
		if f.Token != nil && d.read != nil {
			r.Metrics.Killed(r.Now().Sub(d.read[i]))
		}
	}
	return nil
}

// place is what the store knows a finding by, and no time.
func place(h scanner.Hit) finding.Record {
	p := record.Of(h)
	return finding.Record{Source: p.Source, Identity: p.Identity, Offset: p.Offset, Rule: p.Rule}
}

// store records what containing has not, and says of each whether it was known.
func (r *Recorder) store(ctx context.Context, d *delivery, also func(*sql.Tx) error) error {
	if r.Registry == nil {
		for i := range d.fresh {
			d.fresh[i] = true
		}
		return nil
	}
	fresh := make([]bool, len(d.list))
	err := r.Registry.Store().InTx(ctx, func(tx *sql.Tx) error {
		for i, f := range d.list {
			if fresh[i] = d.fresh[i]; f.IncidentID != "" {
				continue
			}
			var err error
			if _, fresh[i], err = finding.Store(ctx, tx, record.Of(f.Hit)); err != nil {
				return err
			}
		}
		if also != nil {
			return also(tx)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storing what was found: %w", store.Explain(err))
	}
	copy(d.fresh, fresh)
	return nil
}

// report writes one finding, or counts it as left out.
func (r *Recorder) report(f scanner.Finding) error {
	t := &r.totals
	if why, ok := r.settings.Filter.Ignored(f); ok {
		if t.Ignored == nil {
			t.Ignored = map[string]int{}
		}
		t.Ignored[string(why.Kind)]++
		if !r.settings.ShowIgnored {
			return nil
		}
		f.Ignored = string(why.Kind) + ": " + why.Text
	} else {
		if t.ByConfidence == nil {
			t.ByConfidence = map[rules.Confidence]int{}
		}
		t.Findings++
		t.ByConfidence[f.Confidence]++
		r.Metrics.Finding(f.Rule.ID, string(f.Confidence))
		if f.IncidentID != "" {
			t.Incidents++
		}
	}
	if err := r.Writer.Finding(f); err != nil {
		return fmt.Errorf("%w: %w", errWriting, err)
	}
	return nil
}

// Close ends the report.
func (r *Recorder) Close(cov scanner.Coverage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Writer.Close(cov, r.totals)
}
