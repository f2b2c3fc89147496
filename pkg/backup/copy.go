package backup

import (
	"context"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// copier moves the content of one data directory into one backup: one goroutine walks, joins
// the walk with the parent's index and plans; jobs workers copy parts; the window
// puts the entries into the index in order.
type copier struct {
	walker
	planner
	start     pg.LSN // of this backup
	since     pg.LSN // parent's start
	checksums bool   // verify those of pages that are copied
	verifyAll bool   // and read all others to verify theirs
	jobs      int
	packs     func() packWriter
	window    *window
	limit     *pace.Limiter
	progress  *Progress
	// parents are the files of the parent's chain, in order; nil in a full backup.
	parents func(context.Context) iter.Seq2[*repo.ChainFile, error]
	// hashes gives the page hashes of a parent's file.
	hashes func(context.Context, *repo.ChainFile) ([]uint64, error)
	mapped *mapSource // proved wrong where it can be; nil: no page map
	// earlier is what interrupted attempts have stored; nil: nothing.
	earlier earlier
}

// partBlocks is how much of a file one worker takes at a time: 64 MiB of 8 kB pages.
const partBlocks = 8192

// waitingParts is how many parts wait for a worker: enough that walk and workers need not wake each other for
// every small file.
const waitingParts = 64

// copied is the outcome of a copy.
type copied struct {
	tally
	read    int64
	corrupt []repo.CorruptPage
	more    int64 // corrupt pages that are not listed
	future  futurePages
	skipped []string // warnings of the walk
}

// run copies everything except global/pg_control.
func (c *copier) run(ctx context.Context) (copied, error) {
	parts, walked := make(chan part, waitingParts), make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(parts)
		defer close(walked)
		return c.dispatch(ctx, parts)
	})
	g.Go(func() error { return c.measure(ctx, walked) })
	workers := make([]*worker, c.jobs)
	for i := range workers {
		w := &worker{
			copier: c, pack: c.packs(), page: c.geometry.BlockSize,
			buf: make([]byte, repo.MaxFrame),
		}
		workers[i] = w
		g.Go(func() error {
			for p := range parts {
				if err := w.do(ctx, p); err != nil {
					return err
				}
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return w.pack.Close(ctx)
		})
	}
	err := g.Wait()
	return c.collect(workers), err
}

// collect joins what the workers found.
func (c *copier) collect(workers []*worker) copied {
	out := copied{tally: c.window.tally, skipped: c.skipped.all()}
	for _, w := range workers {
		out.read += w.read
		out.corrupt = append(out.corrupt, w.corrupt...)
		out.more += w.more
		out.future = append(out.future, w.future...)
	}
	sortCorrupt(out.corrupt)
	if n := len(out.corrupt); n > maxCorrupt {
		out.more += int64(n - maxCorrupt)
		out.corrupt = out.corrupt[:maxCorrupt]
	}
	return out
}

func sortCorrupt(pages []repo.CorruptPage) {
	slices.SortFunc(pages, func(a, b repo.CorruptPage) int {
		if c := pg.ComparePaths(a.Path, b.Path); c != 0 {
			return c
		}
		return compareBlocks(a.Block, b.Block)
	})
}

// dispatch walks the data directory and hands out parts. What needs no reading goes straight into
// the index.
func (c *copier) dispatch(ctx context.Context, parts chan<- part) error {
	parents := newJoin(ctx, c.parents, func(f *repo.ChainFile) string { return f.Path })
	defer parents.stop()
	var left func(context.Context) iter.Seq2[*repo.EarlierFile, error]
	if c.earlier != nil {
		left = c.earlier.Files
	}
	earlier := newJoin(ctx, left, func(f *repo.EarlierFile) string { return f.Path })
	defer earlier.stop()
	seq := uint64(0)
	for e, err := range c.walk(ctx) {
		if err != nil {
			return err
		}
		if err := c.one(ctx, seq, e, parents, earlier, parts); err != nil {
			return err
		}
		seq++
	}
	return nil
}

func (c *copier) one(ctx context.Context, seq uint64, e *entry, parents *join[repo.ChainFile],
	earlier *join[repo.EarlierFile], parts chan<- part,
) error {
	c.progress.addSeen(e.size)
	if e.kind != entryFile {
		if err := c.window.begin(ctx, seq, 0); err != nil {
			return err
		}
		kind := repo.KindDir
		if e.kind == entryLink {
			kind = repo.KindLink
		}
		return c.window.complete(ctx, seq, e.file(kind))
	}
	parent, err := parents.find(e.path)
	if err != nil {
		return err
	}
	left, err := earlier.find(e.path)
	if err != nil {
		return err
	}
	t := c.plan(e, parent)
	t.seq = seq
	if left != nil {
		t.earlier = left.Versions
	}
	if err := c.window.begin(ctx, seq, t.blocks); err != nil {
		return err
	}
	if t.kind != repo.KindRelation {
		return send(ctx, parts, part{target: t})
	}
	work := c.work(t)
	if c.verifyAll && c.checksums {
		work = max(work, t.blocks)
	}
	if work == 0 {
		c.progress.addDone(e.size)
		return c.window.complete(ctx, seq, t.relation(c.geometry.BlockSize))
	}
	return c.split(ctx, t, work, parts)
}

// split hands out a relation in parts of about the same work, in order.
func (c *copier) split(ctx context.Context, t *target, work pg.BlockNumber, parts chan<- part) error {
	t.hashes = onceHashes(c.hashes, t.parent)
	n := min((work+partBlocks-1)/partBlocks, t.blocks)
	n = max(n, 1)
	t.left.Store(int32(n))
	for i := range n {
		from := pg.BlockNumber(uint64(t.blocks) * uint64(i) / uint64(n))
		to := pg.BlockNumber(uint64(t.blocks) * uint64(i+1) / uint64(n))
		if err := send(ctx, parts, part{target: t, from: from, to: to}); err != nil {
			return err
		}
	}
	return nil
}

func send(ctx context.Context, parts chan<- part, p part) error {
	select {
	case parts <- p:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
