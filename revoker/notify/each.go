package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/hook"
)

// event is one alert for a program: by webhook, or on its standard input.
type event struct {
	Type      string    `json:"type"` // the kind of the alert, such as secret.leaked
	Timestamp time.Time `json:"timestamp"`
	Data      eventData `json:"data"`

	id string // the same whenever it is told again
}

type eventData struct {
	Alert alert.Alert `json:"alert"`
	// Incident is what it is about, as it is when this is told; none for alerts of use
	// and deadlines.
	Incident any `json:"incident,omitempty"`
}

// each tells of alerts one by one.
func (n *Notifier) each(ctx context.Context, list []alert.Alert, tell func(event) error) error {
	for _, a := range cleaned(list) {
		e := event{Type: a.Kind, Timestamp: n.o.Now().UTC(), Data: eventData{Alert: a}, id: fmt.Sprintf("alert_%d_%s", a.ID, moment(a))}
		if a.IncidentID != "" && n.o.Incident != nil {
			i, err := n.o.Incident(ctx, a.IncidentID)
			if err != nil {
				return err // the database does not answer: later
			}
			e.Data.Incident = i
		}
		if err := tell(e); err != nil {
			return err
		}
	}
	return nil
}

// program is what a target runs.
func (t *Target) program() hook.Command {
	return hook.Command{Args: t.Command, Env: t.Env, Timeout: t.timeout}
}

// exec runs the program of a target about one event.
func (n *Notifier) exec(ctx context.Context, t Target, e event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	err = t.program().Run(ctx, append(b, '\n'))
	if errors.Is(err, hook.ErrRefused) {
		return &refusedError{err.Error()}
	}
	return err
}
