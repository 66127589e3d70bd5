package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/revoker/figures"
)

// IncidentBuckets are KillBuckets, and days: a leak may be as old as a history, and a
// provider that was asked all week may confirm at last.
var IncidentBuckets = append(append([]float64{}, KillBuckets...), 86400, 7*86400, 30*86400)

// readTimeout is for one look at the incidents: half of what a scrape may take.
const readTimeout = 5 * time.Second

// incidents shows figures when somebody wants them.
type incidents struct {
	f   *figures.Figures
	log *slog.Logger
}

var (
	stepDesc  = prometheus.NewDesc("quench_incident_step_seconds", "Time from one of an incident's times to the next, of all processes on the database.", []string{"step", "provider"}, nil)
	stateDesc = prometheus.NewDesc("quench_incidents", "Incidents by state, of all processes on the database.", []string{"state"}, nil)
)

// Incidents adds the figures of a registry's incidents; without a registry there are none.
func (s *Set) Incidents(r *registry.Registry, log *slog.Logger) {
	if r == nil {
		return
	}
	s.Register(incidents{figures.New(r.Store(), r.Now, IncidentBuckets), log})
}

func (i incidents) Describe(ch chan<- *prometheus.Desc) { ch <- stepDesc; ch <- stateDesc }

func (i incidents) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	times, states, err := i.f.Read(ctx)
	if err != nil { // the other metrics are shown, above all then
		i.log.Warn("the metrics of incidents are missing", "err", err)
		return
	}
	for _, t := range times {
		under := map[float64]uint64{}
		for n, b := range IncidentBuckets {
			under[b] = t.Under[n]
		}
		ch <- prometheus.MustNewConstHistogram(stepDesc, t.Count, t.Sum, under, t.Step, t.Provider)
	}
	for s, n := range states {
		ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, float64(n), s)
	}
}
