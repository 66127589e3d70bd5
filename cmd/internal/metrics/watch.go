package metrics

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// maxFiles bounds the series of lag: those files that are farthest behind are told by
// name. A hundred are more than anybody looks at, and 10,000 would be 10,000 series in
// every scrape; how far all of them are behind is one more series.
const maxFiles = 100

// Watch counts what is done with followed logs. All methods may be called on nil,
// which counts nothing, and from any goroutine.
type Watch struct {
	checkpoints         prometheus.Counter
	bytes, lines        *prometheus.CounterVec
	findings, incidents *prometheus.CounterVec
	unread              *prometheus.CounterVec
	kill                prometheus.Histogram
	saved               atomic.Int64 // Unix nanoseconds of the last checkpoint
	blocked             atomic.Int64 // since when the database does not answer, 0 when it does

	mu    sync.Mutex
	files map[string]*atomic.Int64 // how far each was read
}

// NewWatch makes the counters of followed logs and adds them to s.
func NewWatch(s *Set) *Watch {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	w := &Watch{
		files:       map[string]*atomic.Int64{},
		bytes:       vec("quench_watch_read_bytes_total", "Bytes of logs that were read, by where they came from.", "input"),
		lines:       vec("quench_watch_read_lines_total", "Lines of logs that were read, by where they came from.", "input"),
		checkpoints: counter("quench_watch_checkpoints_total", "Times that positions were written down durably."),
		findings:    vec("quench_watch_findings_total", "Findings that were reported.", "rule", "confidence"),
		incidents:   vec("quench_watch_incidents_total", "Leaks that were contained, by what was done.", "action"),
		unread:      vec("quench_watch_unread_total", "Troubles with what should have been read, by reason.", "reason"),
		kill: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "quench_watch_kill_seconds", Buckets: KillBuckets,
			Help: "Time from a token of this registry being read in a log to its being refused."}),
	}
	w.Read(Files, 0, 0) // so that there is a number before anything came
	s.Register(w.bytes, w.lines, w.checkpoints, w.findings, w.incidents, w.unread, w.kill, lag{w},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "quench_watch_files", Help: "Files that are followed."}, w.followed),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "quench_watch_checkpoint_timestamp_seconds", Help: "When positions were last written down durably, Unix time; 0 for not yet."}, func() float64 {
			return float64(w.saved.Load()) / 1e9
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "quench_watch_blocked_seconds", Help: "For how long reading has waited for findings to be stored; 0 when it does not."}, func() float64 {
			if t := w.blocked.Load(); t != 0 {
				return time.Since(time.Unix(0, t)).Seconds()
			}
			return 0
		}))
	return w
}

// At says how far a file has been read: it is followed from then on.
func (w *Watch) At(path string, offset int64) {
	if w == nil {
		return
	}
	w.mu.Lock()
	x := w.files[path]
	if x == nil {
		x = new(atomic.Int64)
		w.files[path] = x
	}
	w.mu.Unlock()
	x.Store(offset)
}

// Gone says that a file is followed no more.
func (w *Watch) Gone(path string) {
	if w == nil {
		return
	}
	w.mu.Lock()
	delete(w.files, path)
	w.mu.Unlock()
}

// Read counts what was read. input is Files or the kind of another input, of which there
// are few; it is never made of scanned text.
func (w *Watch) Read(input string, bytes, lines int) {
	if w != nil {
		w.bytes.WithLabelValues(input).Add(float64(bytes))
		w.lines.WithLabelValues(input).Add(float64(lines))
	}
}

// Files is the input of files that are followed.
const Files = "files"

// Finding counts a finding. rule is the id of a rule, of which there are as many as the
// user has; it is never made of scanned text.
func (w *Watch) Finding(rule, confidence string) {
	if w != nil {
		w.findings.WithLabelValues(rule, confidence).Inc()
	}
}

// Incident counts a containment. action is what was done, such as revoked.
func (w *Watch) Incident(action string) {
	if w != nil {
		w.incidents.WithLabelValues(action).Inc()
	}
}

// Killed tells how long it took from a token being read to its being refused.
func (w *Watch) Killed(d time.Duration) {
	if w != nil {
		w.kill.Observe(d.Seconds())
	}
}

// Unread counts what could not be read, by the reason that coverage has for it.
func (w *Watch) Unread(reason string) {
	if w != nil {
		w.unread.WithLabelValues(reason).Inc()
	}
}

// Dropped counts messages that the system dropped before they could be read.
func (w *Watch) Dropped(n uint32) {
	if w != nil {
		w.unread.WithLabelValues("dropped").Add(float64(n))
	}
}

// Saved says that positions were written down.
func (w *Watch) Saved(now time.Time) {
	if w != nil {
		w.checkpoints.Inc()
		w.saved.Store(now.UnixNano())
	}
}

// Blocked says since when reading waits for findings to be stored; the zero time for
// not any more.
func (w *Watch) Blocked(since time.Time) {
	if w == nil {
		return
	}
	if since.IsZero() {
		w.blocked.Store(0)
		return
	}
	w.blocked.Store(since.UnixNano())
}

func (w *Watch) followed() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return float64(len(w.files))
}

// behind is how far a file is behind what is on disk.
type behind struct {
	path  string
	bytes int64
}

// lag collects how far files are behind. Sizes are asked for when somebody wants to
// know, so that nothing is done for it otherwise.
type lag struct{ w *Watch }

var (
	lagDesc   = prometheus.NewDesc("quench_watch_lag_bytes", "What is on disk of a followed file and not yet read; the files that are farthest behind alone.", []string{"file"}, nil)
	totalDesc = prometheus.NewDesc("quench_watch_lag_all_bytes", "What is on disk of all followed files and not yet read.", nil, nil)
)

func (l lag) Describe(ch chan<- *prometheus.Desc) { ch <- lagDesc; ch <- totalDesc }

func (l lag) Collect(ch chan<- prometheus.Metric) {
	l.w.mu.Lock()
	list := make([]behind, 0, len(l.w.files))
	for path, at := range l.w.files {
		list = append(list, behind{path, at.Load()})
	}
	l.w.mu.Unlock()
	total := int64(0)
	for i := range list {
		read := list[i].bytes
		list[i].bytes = 0
		if st, err := os.Stat(list[i].path); err == nil {
			list[i].bytes = st.Size()
			// Smaller than what was read is another file of the name, all of it unread.
			if st.Size() >= read {
				list[i].bytes -= read
			}
		}
		total += list[i].bytes
	}
	slices.SortFunc(list, func(a, b behind) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.path, b.path))
	})
	for _, b := range list[:min(len(list), maxFiles)] {
		ch <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, float64(b.bytes), label(b.path))
	}
	ch <- prometheus.MustNewConstMetric(totalDesc, prometheus.GaugeValue, float64(total))
}

// label makes a label of a file's name, which is UTF-8 or else written so that no two
// names become one.
func label(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	return strconv.QuoteToASCII(path)
}
