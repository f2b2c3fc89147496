package backup

import (
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// target is one regular file on its way into the backup. What plan decided is read by all
// workers; what they found meets under mu.
type target struct {
	*entry
	seq    uint64 // place in the index
	kind   repo.FileKind
	blocks pg.BlockNumber // KindRelation: length at the time of the walk; growth is left to WAL
	// parent has the same path and kind; nil: nothing comes from the parent.
	parent       *repo.ChainFile
	parentBlocks pg.BlockNumber // KindRelation: of parent, at most blocks
	source       source         // says what changed below parentBlocks; nil when parent is
	retake       []pg.BlockNumber
	hashes       func(context.Context) ([]uint64, error) // of the parent's pages, loaded once
	earlier      []*repo.File                            // what interrupted attempts have of it, the newest last

	opened sync.Once
	f      *os.File
	err    error
	left   atomic.Int32 // parts that are not done

	mu     sync.Mutex // guards what follows
	gone   bool       // vanished before it was opened
	end    pg.BlockNumber
	frames []repo.Frame
	zero   []repo.BlockRun
	stored int64 // blocks in frames
}

// part is a stretch of a target that one worker handles.
type part struct {
	*target
	from, to pg.BlockNumber
}

// open opens the file at the first call.
func (t *target) open(dir *walker) (*os.File, error) {
	t.opened.Do(func() { t.f, t.err = os.Open(dir.disk(t.path)) })
	return t.f, t.err
}

// close ends the last worker's use.
func (t *target) close() error {
	if t.f == nil {
		return nil
	}
	return t.f.Close()
}

// partResult is what one worker found in one part.
type partResult struct {
	end    pg.BlockNumber // first block that could not be read any more; part.to when all could
	frames []repo.Frame
	zero   []repo.BlockRun
	stored int64
}

// add takes over a part's result.
func (t *target) add(r partResult, to pg.BlockNumber) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.end < to {
		t.end = min(t.end, r.end)
	}
	t.frames = append(t.frames, r.frames...)
	t.zero = append(t.zero, r.zero...)
	t.stored += r.stored
}

// relation makes the index entry of a KindRelation after its last part. A file that
// was truncated while it was read ends where the first reader found its end; what later parts
// still got from behind that is dropped. Frames never straddle the end: a
// part reads in order, and parts do not overlap.
func (t *target) relation(blockSize uint32) *repo.File {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.file(repo.KindRelation)
	blocks := min(t.blocks, t.end)
	f.Size = int64(blocks) * int64(blockSize)
	covered := pg.BlockNumber(0)
	for _, fr := range t.frames {
		if fr.Runs[0].First < blocks {
			f.Frames = append(f.Frames, fr)
			covered += count(fr.Runs)
		}
	}
	slices.SortFunc(f.Frames, func(a, b repo.Frame) int {
		return compareBlocks(a.Runs[0].First, b.Runs[0].First)
	})
	slices.SortFunc(t.zero, func(a, b repo.BlockRun) int { return compareBlocks(a.First, b.First) })
	for _, z := range t.zero {
		if z.First >= blocks {
			continue
		}
		z.Count = min(z.Count, blocks-z.First)
		covered += z.Count
		f.Zero = appendRun(f.Zero, z)
	}
	// What names every block needs no parent, whatever plan intended.
	f.Whole = t.parent == nil || covered == blocks
	return f
}

// appendRun adds a run that lies behind all others, joined to the last one where they touch.
func appendRun(runs []repo.BlockRun, r repo.BlockRun) []repo.BlockRun {
	if n := len(runs); n > 0 && runs[n-1].First+runs[n-1].Count == r.First {
		runs[n-1].Count += r.Count
		return runs
	}
	return append(runs, r)
}

func count(runs []repo.BlockRun) (n pg.BlockNumber) {
	for _, r := range runs {
		n += r.Count
	}
	return n
}

func compareBlocks(a, b pg.BlockNumber) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
