package pipeline

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// ErrDiffers says that the scan by differences and the full scan of a source did
// not find the same. It is a defect of Quench.
var ErrDiffers = errors.New("the scan by differences and the full scan differ; please report")

// maxDiffers bounds the items named.
const maxDiffers = 20

// compareFull scans a source that stores items as differences twice, by them and
// in full, and compares the hits on each item and what was read.
func compareFull(ctx context.Context, e *scanner.Engine, src sources.Source, workers int) error {
	if _, ok := src.(sources.Visitor); !ok {
		return nil
	}
	// Secrets are compared by a MAC whose key nobody keeps.
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("making a key to compare with: %w", err)
	}
	var hits [2]tally
	var cov [2]scanner.Coverage
	for i := range hits {
		hits[i] = tally{key: key[:], sums: map[string]sum{}}
		var err error
		if cov[i], err = e.Run(ctx, src, scanner.RunOptions{Workers: workers, Full: i == 1, Hit: hits[i].add}); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // both ended somewhere; the coverage tells it
	}
	if err := compareCoverage(cov[0], cov[1]); err != nil {
		return err
	}
	return compareTallies(hits[0].sums, hits[1].sums)
}

func compareCoverage(a, b scanner.Coverage) error {
	if a.Items != b.Items || a.Blobs != b.Blobs || a.Bytes != b.Bytes || !maps.Equal(a.Skipped, b.Skipped) {
		return fmt.Errorf("%w: read were %d items of %d bytes, and %d of %d", ErrDiffers, a.Items, a.Bytes, b.Items, b.Bytes)
	}
	return nil
}

func compareTallies(a, b map[string]sum) error {
	differ := map[string]bool{}
	for k, v := range a {
		if b[k] != v {
			differ[k] = true
		}
	}
	for k, v := range b {
		if a[k] != v {
			differ[k] = true
		}
	}
	var errs []error
	for _, k := range slices.Sorted(maps.Keys(differ)) {
		if len(errs) == maxDiffers {
			errs = append(errs, fmt.Errorf("%w: in %d more", ErrDiffers, len(differ)-maxDiffers))
			break
		}
		errs = append(errs, fmt.Errorf("%w: %s: %d hits by differences, %d in full", ErrDiffers, k, a[k].n, b[k].n))
	}
	return errors.Join(errs...)
}

// tally sums the hits on each item up, in any order, in a few bytes.
type tally struct {
	key  []byte
	mu   sync.Mutex
	sums map[string]sum
}

type sum struct {
	n    int
	bits [2]uint64
}

// add takes in all of a hit that a report tells, but what depends on when it was
// decided: Masked, which hides what else was known by then, and UTF-16 columns,
// which a stream cannot tell where it has dropped the start of a long line.
func (t *tally) add(h scanner.Hit) {
	mac := h.Secret.MAC(t.key)
	token := ""
	if h.Token != nil {
		token = h.Token.ID
	}
	d := sha256.Sum256(fmt.Appendf(nil, "%x %d %d %d %d %d %d %q %q %q %q %q %q %q", mac, h.Start, h.End, h.Line, h.Column, h.EndLine, h.EndColumn,
		h.Rule.ID, h.DecodedVia, h.Key, h.Context, token, h.Why, h.Confidence))
	k := h.Origin.Path + " (" + h.Origin.Blob + ")"
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sums[k]
	s.n++
	s.bits[0] += binary.LittleEndian.Uint64(d[:])
	s.bits[1] += binary.LittleEndian.Uint64(d[8:])
	t.sums[k] = s
}
