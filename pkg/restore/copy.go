package restore

import (
	"context"
	"errors"
	"math"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// copier is the second phase: it streams the indexes and fills the tree.
type copier struct {
	plan     *plan
	tree     *tree
	ledger   *ledger
	disk     *disk
	progress *Progress
	menders  menders
	canvases *canvases
	partSize int
	writers  *errgroup.Group // of parts that are complete in memory

	files, read, written, skipped atomic.Int64
}

func newCopier(p *plan, t *tree, l *ledger, d *disk, o *Options) *copier {
	partBytes := max(o.partSize, int(p.backup.Geometry.BlockSize))
	lent := 2 * o.Jobs // one is written while the next is filled
	if p.old != nil {
		lent = o.Jobs
	}
	return &copier{
		plan: p, tree: t, ledger: l, disk: d, progress: o.Progress, partSize: o.partSize,
		menders: newMenders(o.Jobs), canvases: newCanvases(lent, partBytes),
	}
}

// run writes every file of the newest backup. The first failure stops it.
func (c *copier) run(ctx context.Context, jobs int) (err error) {
	defer func() { err = errors.Join(err, c.canvases.close()) }()
	writers, wctx := errgroup.WithContext(ctx)
	writers.SetLimit(jobs)
	c.writers = writers
	g, gctx := errgroup.WithContext(wctx)
	g.SetLimit(jobs)
	err = c.produce(gctx, g)
	gerr := g.Wait()
	// In this order: a failure makes those before it stop.
	if werr := writers.Wait(); werr != nil {
		return werr
	}
	if gerr != nil {
		return gerr
	}
	return errors.Join(err, ctx.Err())
}

// produce makes directories and links as they come and hands the files to the workers.
func (c *copier) produce(ctx context.Context, g *errgroup.Group) error {
	for cf, err := range c.plan.standIns.files(ctx, c.plan.chain) {
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
	parts := c.divide(cf.Versions[0], pieces, zero)
	w, err := newWork(ctx, c, cf, d, name, len(parts))
	if err != nil {
		return err
	}
	w.holes = len(zero) > 0
	for i, part := range parts {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, w.abandon(len(parts)-i))
		}
		g.Go(func() error { return w.run(ctx, part) })
	}
	return nil
}

// divide cuts a file into parts.
func (c *copier) divide(f *repo.File, pieces []repo.Piece, zero []repo.BlockRun) []part {
	g := c.plan.backup.Geometry
	switch {
	case f.Kind == repo.KindRelation:
		return cut(pieces, zero, f.Blocks(g), c.partBlocks())
	case c.tree.inPlace:
		return divide(pieces, math.MaxInt) // compared by the hash of the whole
	default:
		return divide(pieces, c.partSize)
	}
}

// partBlocks is the length of a part of a relation, at least one block.
func (c *copier) partBlocks() pg.BlockNumber {
	return max(1, pg.BlockNumber(c.partSize)/pg.BlockNumber(c.plan.backup.Geometry.BlockSize))
}
