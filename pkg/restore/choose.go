package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Choose gives the backup to restore for a recovery target: of those from which the
// target can be reached along its timeline, the one with the least WAL to
// replay. Without a target it is the newest backup.
func Choose(ctx context.Context, c *repo.Cluster, t TargetOptions) (*repo.Manifest, error) {
	if err := t.verifyForm(); err != nil {
		return nil, err
	}
	all, err := c.Backups(ctx)
	if err != nil {
		return nil, err
	}
	backups := slices.DeleteFunc(all, func(m *repo.Manifest) bool { return m.Status != repo.StatusOK })
	if len(backups) == 0 {
		return nil, fmt.Errorf("cluster %s has no backup: %w", c.Info.Name, repo.ErrNotFound)
	}
	slices.SortStableFunc(backups, func(a, b *repo.Manifest) int {
		return cmp.Or(cmp.Compare(a.Timeline, b.Timeline), cmp.Compare(a.StopLSN, b.StopLSN))
	})
	ch := chooser{t: &t, c: c, view: newWALView(c.WAL(repo.Compression{}))}
	for _, m := range slices.Backward(backups) {
		ok, err := ch.fits(ctx, m)
		if ok || err != nil {
			return m, err
		}
	}
	if ch.refusal == nil {
		first := backups[0]
		ch.refusal = &ReachError{
			Target: t.String(), Backup: first.ID, From: first.StopLSN,
			Reason: fmt.Sprintf("it is before the oldest backup became consistent, at %s and %s",
				first.StopLSN, first.FinishedAt.UTC().Format(time.RFC3339)),
		}
	}
	return nil, ch.refusal
}

// chooser goes through the backups from the newest to the oldest.
type chooser struct {
	t       *TargetOptions
	c       *repo.Cluster
	view    *walView
	limit   pg.LSN // where the newer backups have been looked behind
	refusal error  // why one that is old enough does not fit
}

// fits says whether the target can be reached from a backup.
func (ch *chooser) fits(ctx context.Context, m *repo.Manifest) (bool, error) {
	t := *ch.t
	var reach *ReachError
	if err := t.verify(m); err != nil {
		if errors.As(err, &reach) {
			return false, nil // too new
		}
		return false, err
	}
	view, _, err := ch.view.of(ctx, ch.c, m)
	if err != nil {
		return false, err
	}
	h, err := view.targetHistory(ctx, m, t.Timeline)
	if errors.As(err, &reach) {
		ch.refuse(err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if t.XID == "" && t.Name == "" {
		return true, nil
	}
	r, err := view.reach(ctx, m, h)
	if err != nil {
		return false, err
	}
	g := goal{t: &t, m: m, reach: r, target: t.String()}
	open := func(ctx context.Context, name string) (io.ReadCloser, error) { return ch.openWAL(ctx, view, m, name) }
	g.open = r.opener(open, view.archive, m.Geometry)
	found, err := g.find(ctx, ch.limit)
	if !found && err == nil {
		ch.limit = m.StopLSN
		ch.refuse(g.unreached("it comes behind no backup. " + r.gap()))
	}
	return found, err
}

// refuse keeps the first reason, which is that of the newest backup.
func (ch *chooser) refuse(err error) {
	if ch.refusal == nil {
		ch.refusal = err
	}
}

// openWAL reads a segment of the archive, or one that the backup carries.
func (ch *chooser) openWAL(ctx context.Context, view *walView, m *repo.Manifest, name string) (io.ReadCloser, error) {
	if in, err := view.open(ctx, m, name); in != nil || err != nil {
		return in, err
	}
	b, err := ch.c.OpenBackup(ctx, m)
	if err != nil {
		return nil, err
	}
	in, err := b.OpenWAL(ctx, name)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &ownedReader{in, b}, nil
}

// open opens the archived segment of a name, or gives nil where the one that the backup carries is to be read. The
// archived one goes first: the last one that a backup of a standby carries is as it was when the backup ended, and
// what is looked for may be behind that.
func (v *walView) open(ctx context.Context, m *repo.Manifest, name string) (io.ReadCloser, error) {
	carried := m.WAL.Mode == repo.WALCarried && slices.Contains(m.WAL.Segments, name)
	if v.archive == nil && carried {
		return nil, nil
	}
	if v.archive == nil {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	in, err := v.archive.Open(ctx, name)
	if carried && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return in, err
}

// ownedReader closes what it reads from along with itself.
type ownedReader struct {
	io.ReadCloser
	owner io.Closer
}

func (r *ownedReader) Close() error { return errors.Join(r.ReadCloser.Close(), r.owner.Close()) }
