// Package limits reads the limits of a scan from flags: how far archives are
// unpacked, how much memory is taken. And it sets one that holds always: no core file.
//
// It tells a limit that was asked for from a default, and knows nothing of what is
// limited. Start reading at Archives and Memory.
package limits

import (
	"fmt"
	"math"
	"runtime/debug"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"github.com/quench-dev/quench/sources"
)

// leastMemory is what the rules, a worker's buffers and a small repository take.
const leastMemory = 32 << 20

// Memory tells the garbage collector to work harder as the memory taken comes near to
// what --memory says, and gives that in bytes; 0 for no limit. Without one, a scan that
// needs little is kept to little.
func Memory(memory string) (int64, error) {
	if memory == "" {
		keepSmall()
		return 0, nil
	}
	n, err := humanize.ParseBytes(memory)
	if err != nil || n < leastMemory || n > math.MaxInt64 {
		return 0, fmt.Errorf("--memory %q: want a size of %s or more, such as 256MB", memory, humanize.IBytes(leastMemory))
	}
	debug.SetMemoryLimit(int64(n))
	return int64(n), nil
}

// Archives say how far archives are unpacked.
type Archives struct {
	depth   int
	maxSize string
}

// maxArchiveDepth bounds --archive-depth: each level holds a decoder's memory, and
// nobody packs this deep but to break scanners.
const maxArchiveDepth = 20

// Add adds them to a set of flags.
func (f *Archives) Add(fl *pflag.FlagSet) {
	fl.IntVar(&f.depth, "archive-depth", sources.DefaultArchiveDepth, "how many archives in one another to unpack: zip, tar, gz and more; 0 for none")
	fl.StringVar(&f.maxSize, "archive-max-size", humanize.IBytes(sources.DefaultArchiveSize), "most that is unpacked of one file")
}

// Options tells a limit that was asked for from the default, which is hit with
// another exit code.
func (f *Archives) Options(fl *pflag.FlagSet) (o sources.ArchiveOptions, err error) {
	if f.depth < 0 || f.depth > maxArchiveDepth {
		return o, fmt.Errorf("--archive-depth %d: want 0 to %d", f.depth, maxArchiveDepth)
	}
	if fl.Changed("archive-depth") {
		o.Depth = f.depth
		if f.depth == 0 {
			o.Depth = -1
		}
	}
	if fl.Changed("archive-max-size") {
		n, err := humanize.ParseBytes(f.maxSize)
		if err != nil || n == 0 || n > math.MaxInt64 {
			return o, fmt.Errorf("--archive-max-size %q: want a size, such as 500MB or 4GiB", f.maxSize)
		}
		o.MaxSize = int64(n)
	}
	return o, nil
}
