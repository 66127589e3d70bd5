package usage

import "math"

const (
	minute = 60
	hour   = 3600
	day    = 24 * hour
	week   = 7 * day
)

// level is a count that fades: what came within about one fade time of now. Unlike
// a count for each clock hour it has no edges to hide at.
type level struct {
	V  float64
	At int64 // seconds since 1970 of the last addition
}

// add fades the level to now, adds n, and gives it.
func (l *level) add(n float64, now, fade int64) float64 {
	l.V = l.now(now, fade) + n
	l.At = max(l.At, now)
	return l.V
}

func (l *level) now(now, fade int64) float64 {
	if now <= l.At {
		return l.V
	}
	return l.V * math.Exp(-float64(now-l.At)/float64(fade))
}

// buckets of the histogram of minutes: a quarter of an octave each, so that the last
// begins at 2^15.75 uses a minute, and a quantile is told within 19%.
const buckets = 64

// high is the most that a level has reached, known an hour later: a level that is
// rising must not raise what it is held against.
type high struct {
	hour int64
	top  float64 // in this hour
	most float64 // before, fading
}

// see takes a level of an hour; what was an alert, or hold, is not to be learned.
func (x *high) see(level float64, now int64, learn bool) {
	if h := now / hour; h != x.hour {
		x.most = max(x.most, x.top) * math.Exp2(-float64(max(0, h-x.hour))/(24*half))
		x.hour, x.top = h, 0
	}
	if learn {
		x.top = max(x.top, level)
	} else {
		x.top = 0
	}
}

// half is how long it takes until a minute, an hour or a peak counts half, in days:
// long enough for what happens once a month, short enough to follow a service that
// changes.
const half = 28

// rate is how often a token is used: the level of the last minute, the distribution
// of such levels over all minutes, and the count of each hour of a week.
type rate struct {
	now level // faded by a minute

	minute int64   // the minute that top is of, since 1970
	top    float64 // the highest level in it
	hist   [buckets]float64
	total  float64 // minutes, idle ones too
	day    int64   // hist and total have faded up to this day

	hour  int64   // the hour that count is of, since 1970
	count float64 // uses in it
	first int64   // the first hour
	peak  float64 // the most in an hour, fading
	odd   float64 // how many times its expectation, and few more, an hour had at most, fading
	week  [168]uint8

	p999, most float64 // of hist: in a thousand minutes one is higher; the highest. Not stored.
}

func bucket(v float64) int { return max(0, min(buckets-1, int(4*math.Log2(v+1)))) }

// upper is the level at which bucket b ends.
func upper(b int) float64 { return math.Exp2(float64(b+1)/4) - 1 }

// add counts n uses at now, in seconds since 1970 and not before the last, and gives
// the level of the last minute. Nothing is learned of minutes and hours that begin
// before hold.
func (r *rate) add(n float64, now, hold int64) float64 {
	v := r.now.add(n, now, minute)
	if m := now / minute; m != r.minute {
		r.rollMinute(m, r.minute*minute < hold)
	}
	r.top = max(r.top, v)
	if h := now / hour; h != r.hour {
		r.rollHour(h, r.hour*hour < hold)
	}
	r.count += n
	return v
}

func (r *rate) rollMinute(m int64, hold bool) {
	if r.minute == 0 {
		r.minute, r.day = m, m/(day/minute)
		return
	}
	if d := m / (day / minute); d > r.day {
		f := math.Exp2(-float64(d-r.day) / half)
		for i := range r.hist {
			r.hist[i] *= f
		}
		r.total, r.day = r.total*f, d
	}
	r.total += float64(m - r.minute)
	if !hold && r.top > 0 {
		r.hist[bucket(r.top)]++
	}
	r.minute, r.top = m, 0
	r.measure()
}

// measure reads p999 and most off the histogram.
func (r *rate) measure() {
	r.p999, r.most = 0, 0
	above := 0.0
	for b := buckets - 1; b >= 0; b-- {
		above += r.hist[b]
		if r.most == 0 && above >= 0.5 {
			r.most = upper(b)
		}
		if above > r.total/1000 {
			r.p999 = upper(b)
			return
		}
	}
}

// alpha is the weight of the newest week in the expectation of an hour: four weeks
// make three quarters of it.
const alpha = 0.3

// maxGap bounds the idle hours that are learned one by one: after four weeks
// without use a factor of 0.7^4 is left, and the fifth changes little.
const maxGap = 4 * 168

// few uses in an hour are as good as none.
const few = 5

func (r *rate) rollHour(h int64, hold bool) {
	if r.hour == 0 {
		r.first, r.hour = h, h
		return
	}
	if !hold {
		r.peak = max(r.peak, r.count)
		if r.hour-r.first >= 168 {
			r.odd = max(r.odd, r.count/(r.expected(r.hour)+few))
		}
		r.learnHour(r.hour, r.count)
	}
	for i := max(r.hour+1, h-maxGap); i < h; i++ {
		r.learnHour(i, 0)
	}
	f := math.Exp2(-float64(h-r.hour) / (24 * half))
	r.peak, r.odd = r.peak*f, r.odd*f
	r.hour, r.count = h, 0
}

func (r *rate) learnHour(h int64, n float64) {
	w := &r.week[h%168]
	if h-r.first < 168 {
		*w = pack(n)
		return
	}
	was := unpack(*w)
	*w = pack(was + alpha*(n-was))
}

// expected is the count that hour h usually has, or one beside it: jobs drift.
func (r *rate) expected(h int64) float64 {
	return max(unpack(r.week[h%168]), unpack(r.week[(h+1)%168]), unpack(r.week[(h+167)%168]))
}

// pack keeps a count in a byte, within 3%: 255 is 2^21. What was packed stays as it
// is when it is unpacked and packed again.
func pack(v float64) uint8 {
	return uint8(max(0, min(255, math.Round(12*math.Log2(v+1)))))
}

func unpack(b uint8) float64 { return math.Exp2(float64(b)/12) - 1 }

// spread is how many different endpoints a token is used at: those of this hour, by
// linear counting in a bitmap, and the most of an hour so far.
type spread struct {
	hour  int64
	bits  [4]uint64
	ones  int
	peak  float64 // the most in an hour, fading
	fresh level   // endpoints never seen before, faded by an hour
	high  high    // of fresh, after the first days
}

// add counts the endpoint in this hour; fresh is how new it is. It gives how many
// there are in the hour, and the level of new ones.
func (s *spread) add(endpoint string, fresh float64, now, hold int64) (n, level float64) {
	if h := now / hour; h != s.hour {
		if s.hour*hour >= hold {
			s.peak = max(s.peak, s.distinct())
		}
		s.peak *= math.Exp2(-float64(max(0, h-s.hour)) / (24 * half))
		s.hour, s.bits, s.ones = h, [4]uint64{}, 0
	}
	x := hash(endpoint) >> 56
	if w := &s.bits[x/64]; *w>>(x%64)&1 == 0 {
		*w |= 1 << (x % 64)
		s.ones++
	}
	if fresh == 0 {
		return s.distinct(), s.fresh.now(now, hour)
	}
	level = s.fresh.add(fresh, now, hour)
	return s.distinct(), level
}

// distinct estimates the endpoints of this hour: exact to one up to about 20.
func (s *spread) distinct() float64 {
	const m = 256
	if s.ones >= m {
		return m * math.Log(m) // where the bitmap is full; more is not told apart
	}
	return -m * math.Log(float64(m-s.ones)/m)
}
