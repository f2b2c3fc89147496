package restore

import (
	"context"
	"errors"
	"math"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/repo"
)

// partSize is how much of a file one worker writes before another may take the
// next part: large enough that the disk sees long stretches, small enough that
// the last file keeps all workers busy to the end.
const partSize = 32 << 20

// copier is the second phase: it streams the indexes and fills the tree.
type copier struct {
	plan     *plan
	tree     *tree
	ledger   *ledger
	disk     *disk
	progress *Progress
	menders  menders
	partSize int

	files, read, written, skipped atomic.Int64
}

func newCopier(p *plan, t *tree, l *ledger, d *disk, o *Options) *copier {
	return &copier{
		plan: p, tree: t, ledger: l, disk: d, progress: o.Progress, menders: newMenders(o.Jobs), partSize: o.partSize,
	}
}

// run writes every file of the newest backup. The first failure stops it.
func (c *copier) run(ctx context.Context, jobs int) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	err := c.produce(gctx, g)
	if werr := g.Wait(); werr != nil {
		return werr // what made the producer stop
	}
	return errors.Join(err, ctx.Err())
}

// produce makes directories and links as they come and hands the files to the workers.
func (c *copier) produce(ctx context.Context, g *errgroup.Group) error {
	for cf, err := range c.plan.chain.Files(ctx) {
		if err != nil {
			return err
		}
		f := cf.Versions[0]
		if left(f) {
			continue
		}
		switch f.Kind {
		case repo.KindDir:
			err = c.tree.makeDir(f)
		case repo.KindLink:
			err = c.tree.makeLink(f)
		case repo.KindFile, repo.KindRelation:
			err = c.start(ctx, g, cf)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// start divides a file into parts and hands them out.
func (c *copier) start(ctx context.Context, g *errgroup.Group, cf *repo.ChainFile) error {
	pieces, zero, err := resolve(cf, c.plan.backup.Geometry)
	if err != nil {
		return err
	}
	d, name, err := c.tree.above(cf.Path)
	if err != nil {
		return err
	}
	if err := c.tree.pass(d, name); err != nil {
		return err
	}
	size := c.partSize
	if c.tree.inPlace && cf.Versions[0].Kind == repo.KindFile {
		size = math.MaxInt // compared by the hash of the whole
	}
	parts := divide(pieces, size)
	parts[0].zero = zero
	w, err := newWork(ctx, c, cf, d, name, len(parts))
	if err != nil {
		return err
	}
	for i, part := range parts {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, w.abandon(len(parts)-i))
		}
		g.Go(func() error { return w.run(ctx, part) })
	}
	return nil
}

// divide cuts the pieces of a file into parts of about so many bytes. A file
// without pieces has one empty part.
func divide(pieces []repo.Piece, limit int) []part {
	var parts []part
	from, size := 0, 0
	for i := range pieces {
		size += int(pieces[i].Frame.Raw)
		if size >= limit {
			parts = append(parts, part{pieces: pieces[from : i+1]})
			from, size = i+1, 0
		}
	}
	if from < len(pieces) || len(parts) == 0 {
		parts = append(parts, part{pieces: pieces[from:]})
	}
	return parts
}
