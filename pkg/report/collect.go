package report

import (
	"context"
	"fmt"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// Options say how far to look.
type Options struct {
	Made        time.Time
	Incremental int // newest incremental backups whose indexes are read
	Relations   int // most relations to show
}

// maxDrills bounds the drills on a page.
const maxDrills = 30

// Collect reads what a page says about a cluster. It costs a listing, a read for each manifest, and the
// indexes of o.Incremental backups; one that cannot be read is an error, for a page that
// leaves it out would look better than the repository is.
func Collect(ctx context.Context, st repo.Store, c *repo.Cluster, o Options) (*Data, error) {
	d := &Data{Made: o.Made, Repository: st.String(), Cluster: c.Info}
	var err error
	if d.Backups, err = c.Backups(ctx); err != nil {
		return nil, err
	}
	if d.Windows, d.Gaps, err = restore.Windows(ctx, c, d.Backups); err != nil {
		return nil, err
	}
	if d.Drills, err = c.Drills(ctx, maxDrills); err != nil {
		return nil, err
	}
	a := newActivity(c.Info.Geometry)
	for i := len(d.Backups) - 1; i >= 0 && d.Looked < o.Incremental; i-- {
		m := d.Backups[i]
		if m.Status != repo.StatusOK || m.Type != repo.TypeIncremental {
			continue
		}
		if err := a.backup(ctx, c, m); err != nil {
			return nil, fmt.Errorf("backup %s: %w", m.ID, err)
		}
		d.Looked++
	}
	d.Relations = a.most(o.Relations)
	return d, nil
}

// backup adds the files of one backup.
func (a *activity) backup(ctx context.Context, c *repo.Cluster, m *repo.Manifest) error {
	r, err := c.OpenBackup(ctx, m)
	if err != nil {
		return err
	}
	for f, err := range r.Files(ctx) {
		if err != nil {
			return err
		}
		a.add(f)
	}
	return r.Close()
}
