package compact

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/repo"
)

// ahead is how many files may be done before one that comes earlier in the index is.
const ahead = 256

// task is one file on its way.
type task struct {
	in   *repo.ChainFile
	done chan *repo.File // its entry; has room for it
}

// copyFiles copies every file and writes the index. One goroutine joins the old indexes, workers copy, one
// writes entries in their order.
func (r *run) copyFiles(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	work, order := make(chan task), make(chan task, ahead)
	g.Go(func() error {
		defer close(work)
		defer close(order)
		for cf, err := range r.chain.Files(gctx) {
			if err != nil {
				return err
			}
			t := task{cf, make(chan *repo.File, 1)}
			for _, to := range []chan task{order, work} {
				select {
				case to <- t:
				case <-gctx.Done():
					return context.Cause(gctx)
				}
			}
		}
		return nil
	})
	for range max(1, r.o.Jobs) {
		g.Go(func() error {
			w := &worker{run: r, out: r.out.NewPackWriter()}
			for t := range work {
				f, err := w.file(gctx, t.in)
				if err != nil {
					return err
				}
				t.done <- f
			}
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			return w.out.Close(gctx)
		})
	}
	g.Go(func() error { return r.writeIndex(gctx, order) })
	return g.Wait()
}

// writeIndex waits for each file in order.
func (r *run) writeIndex(ctx context.Context, order <-chan task) error {
	for t := range order {
		select {
		case f := <-t.done:
			if err := r.out.AppendFile(ctx, f); err != nil {
				return err
			}
			for i := range f.Frames {
				r.stored += int64(f.Frames[i].Pages())
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
