package incidentcmd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/revoker"
)

// The screen of a terminal: another one is shown meanwhile, without a cursor, and the
// one before comes back with what stood on it.
const (
	enter = "\x1b[?1049h\x1b[?25l"
	leave = "\x1b[?25h\x1b[?1049l"
	home  = "\x1b[H"
	rest  = "\x1b[K" // of a line is cleared
	below = "\x1b[J"
)

// liveEvery is how often a terminal is drawn anew: a change is seen within a second.
const liveEvery = time.Second

// screen is the terminal that w is, with a way to its size; nil if it is none, or one on
// which nothing can be written again.
func screen(w io.Writer) func() (width, height int) {
	tty, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() (int, int) {
		width, height, err := term.GetSize(int(tty.Fd()))
		if err != nil || width < 20 || height < 5 {
			return 80, 24
		}
		return width, height
	}
}

// live shows the incidents on a terminal until ctx ends.
func live(ctx context.Context, w io.Writer, size func() (int, int), list func(context.Context) ([]revoker.Incident, error), tick <-chan time.Time) (err error) {
	if _, err := io.WriteString(w, enter); err != nil {
		return err
	}
	last := ""
	defer func() {
		_, werr := io.WriteString(w, leave+last)
		err = cmp.Or(err, werr)
	}()
	for {
		all, err := list(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		lines := page(all, time.Now())
		last = lines[0] + "\n"
		width, height := size()
		if _, err := io.WriteString(w, draw(lines, width, height)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		}
	}
}

// urgency is the order of states on the screen: what a person must do first.
var urgency = []string{revoker.StateFailed, revoker.StateAsking, revoker.StateReported, revoker.StateWaiting, revoker.StateResuming, revoker.StateRevoking, revoker.StateChecking, revoker.StateDead, revoker.StateDismissed}

// page is all that can be shown, a line each; what is done stands last.
func page(all []revoker.Incident, now time.Time) []string {
	list := slices.Clone(all)
	slices.SortStableFunc(list, func(a, b revoker.Incident) int {
		return slices.Index(urgency, a.State) - slices.Index(urgency, b.State)
	})
	number := map[string]int{}
	for _, i := range list {
		number[i.State]++
	}
	var counts []string
	for _, s := range urgency {
		if number[s] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", number[s], s))
		}
	}
	title := "no incidents"
	if len(counts) > 0 {
		title = strings.Join(counts, ", ")
	}
	lines := []string{title, "", fmt.Sprintf("%-18s  %-9s  %-8s  %-16s  %s", "INCIDENT", "STATE", "FOUND", "WHAT", "NOTE")}
	n := show.ShortID(list)
	for _, i := range list {
		lines = append(lines, fmt.Sprintf("%-18s  %-9s  %-8s  %-16s  %s", i.ID[:n], i.State, ago(now.Sub(i.FoundAt)),
			cmp.Or(i.TokenID, i.Provider+" secret"), show.Shown(cmp.Or(i.Note, string(i.Outcome)))))
	}
	return lines
}

// ago is how long ago, in two to four characters.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", max(int(d.Seconds()), 0))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

// draw writes lines over what was shown, as far as they have room.
func draw(lines []string, width, height int) string {
	var b strings.Builder
	b.WriteString(home)
	more := len(lines) - (height - 1)
	for n, line := range lines {
		if more > 0 && n == height-2 {
			line = fmt.Sprintf("and %d more: quench incident list", more+1)
		}
		if r := []rune(line); len(r) > width {
			line = string(r[:width-1]) + "…"
		}
		b.WriteString(line + rest + "\r\n")
		if more > 0 && n == height-2 {
			break
		}
	}
	return b.String() + below
}
