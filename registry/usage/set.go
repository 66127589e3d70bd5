package usage

import (
	"fmt"
	"math"

	"github.com/axiomhq/hyperloglog"
)

// seen is one thing that a token was used with.
type seen struct {
	Name        string
	N           uint64 // events
	First, Last int64  // hours since 1970
}

// set remembers what a token was used with: the first few things by name, and of
// those beyond only how many there are (HyperLogLog). Its zero value is empty.
type set struct {
	items []seen
	more  *hyperloglog.Sketch // nil until max is reached
	est   float64             // what more estimates
	last  int                 // index of the last hit: uses come in runs
}

// hllPrecision gives 1,024 registers: 3% of error, where the question is whether
// there are ten or a hundred more, for 1 KiB of those few tokens that need it.
const hllPrecision = 10

// maxName bounds a name in bytes. A route of an API has 20 to 60; those that
// differ later are told apart by a hash.
const maxName = 96

// add counts n uses of name, and says how new it is: 1 for a name never seen, 0 for
// a known one; beyond max names, by how much the estimate of the number of further
// names has grown.
func (s *set) add(name string, n uint64, hour int64, max int) (fresh float64) {
	if s.last < len(s.items) && s.items[s.last].Name == name {
		s.items[s.last].hit(n, hour)
		return 0
	}
	for i := range s.items {
		if s.items[i].Name == name {
			s.items[i].hit(n, hour)
			s.last = i
			return 0
		}
	}
	if len(s.items) < max {
		s.items = append(s.items, seen{Name: name, N: n, First: hour, Last: hour})
		s.last = len(s.items) - 1
		return 1
	}
	if s.more == nil {
		s.more, _ = hyperloglog.NewSketch(hllPrecision, false) // a precision it takes
	}
	s.more.InsertHash(hash(name))
	was := s.est
	s.est = float64(s.more.Estimate())
	return math.Max(0, s.est-was)
}

func (e *seen) hit(n uint64, hour int64) {
	e.N += n
	e.First, e.Last = min(e.First, hour), max(e.Last, hour)
}

// size is the number of different things, exactly up to the set's maximum.
func (s *set) size() int { return len(s.items) + int(s.est) }

// hash is FNV-1a with a finisher: its own low bits are good and its high bits, by
// which HyperLogLog chooses a register, are not.
func hash(name string) uint64 {
	x := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		x = (x ^ uint64(name[i])) * 0x100000001b3
	}
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd // of MurmurHash3's fmix64
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// clip bounds a name; one that is cut ends in a hash of what it was.
func clip(name string) string {
	if len(name) <= maxName {
		return name
	}
	return fmt.Sprintf("%s~%08x", name[:maxName-9], uint32(hash(name)))
}
