package backup

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// What may be under way or wait for an earlier file at a time.
const (
	windowWeight   = 4096
	blocksByWeight = 2048 // a full segment file of 8 kB pages weighs 65
)

// window puts the entries that workers finish in any order into the index in the order in which
// they were begun. Begin blocks while too much is under way. mu guards what follows it.
type window struct {
	appendFile func(context.Context, *repo.File) error
	geometry   pg.Geometry
	free       *semaphore.Weighted

	mu      sync.Mutex
	next    uint64                // first entry that is not in the index
	done    map[uint64]*repo.File // finished ones behind it; nil: dropped
	weights map[uint64]int64      // of those begun
	err     error                 // sticky
	orphans orphans
	tally   tally
}

// tally is what the index holds.
type tally struct {
	files, size, blocks, stored int64
	orphans                     []string // dropped, the first few
	tablespaces                 []pg.TablespaceLink
}

func newWindow(g pg.Geometry, appendFile func(context.Context, *repo.File) error) *window {
	return &window{
		appendFile: appendFile, geometry: g, free: semaphore.NewWeighted(windowWeight),
		done: map[uint64]*repo.File{}, weights: map[uint64]int64{},
	}
}

// begin makes room for entry seq, which is that of a file of nblocks blocks.
func (w *window) begin(ctx context.Context, seq uint64, nblocks pg.BlockNumber) error {
	weight := min(1+int64(nblocks)/blocksByWeight, windowWeight)
	if err := w.free.Acquire(ctx, weight); err != nil {
		return context.Cause(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.weights[seq] = weight
	return nil
}

// complete hands over entry seq; nil drops it. It goes into the index when all before it have.
func (w *window) complete(ctx context.Context, seq uint64, f *repo.File) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[seq] = f
	for w.err == nil {
		f, ok := w.done[w.next]
		if !ok {
			break
		}
		delete(w.done, w.next)
		w.free.Release(w.weights[w.next])
		delete(w.weights, w.next)
		w.next++
		if f != nil {
			w.err = w.put(ctx, f)
		}
	}
	return w.err
}

func (w *window) put(ctx context.Context, f *repo.File) error {
	if w.orphans.is(f, w.geometry) {
		if len(w.tally.orphans) < maxListed {
			w.tally.orphans = append(w.tally.orphans, f.Path)
		}
		return nil
	}
	t := &w.tally
	switch f.Kind {
	case repo.KindRelation:
		t.blocks += int64(f.Blocks(w.geometry))
		for _, fr := range f.Frames {
			t.stored += int64(count(fr.Runs))
		}
		fallthrough
	case repo.KindFile:
		t.files++
		t.size += f.Size
	case repo.KindLink:
		if l, ok := tablespaceLink(f); ok {
			t.tablespaces = append(t.tablespaces, l)
		}
	case repo.KindDir:
	}
	return w.appendFile(ctx, f)
}

// orphans recognises segment files that lie behind a short or missing one of their fork. The server
// never looks at them (mdnblocks stops at the first short segment), until the relation grows
// over them: then their old content would come back. They come about when a relation
// is truncated while it is copied, or were left by an old crash. To drop them is
// right: the shortness was seen after the start position, so the WAL that recovery
// replays holds the truncation, and whatever was written behind it later. Empty ones are
// kept, since the server leaves such files on purpose (mdtruncate).
type orphans struct {
	fork pg.RelFork
	dir  bool // fork is set
	next uint32
	cut  bool // a short segment was seen
}

func (o *orphans) is(f *repo.File, g pg.Geometry) bool {
	s, ok := pg.ParseRelPath(f.Path)
	if !ok || f.Kind == repo.KindDir {
		return false
	}
	if !o.dir || s.RelFork != o.fork {
		*o = orphans{fork: s.RelFork, dir: true}
	}
	if o.cut || s.Segno != o.next {
		o.cut = true
		return f.Size > 0
	}
	o.next++
	o.cut = f.Size < int64(g.BlockSize)*int64(g.RelSegBlocks)
	return false
}

// tablespaceLink reads the entry of a link pg_tblspc/<oid>.
func tablespaceLink(f *repo.File) (pg.TablespaceLink, bool) {
	name, ok := strings.CutPrefix(f.Path, "pg_tblspc/")
	oid, err := strconv.ParseUint(name, 10, 32)
	return pg.TablespaceLink{OID: pg.OID(oid), Path: f.Link}, ok && err == nil
}
