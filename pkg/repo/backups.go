package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Names that Backup resolves.
const (
	Latest     = "latest"
	LatestFull = "latest-full"
)

// listWorkers bounds the manifests that are read at a time.
const listWorkers = 8

// Backups lists the committed backups, oldest first by start position (not by time),
// parents before what is built on them; a younger timeline comes after an older one. A
// manifest that is damaged or of a newer format is an entry with Status "broken" and the
// cause in Warnings, before all others.
//
// It costs one listing and one small read for each backup.
func (c *Cluster) Backups(ctx context.Context) ([]*Manifest, error) {
	dirs, err := c.st.List(ctx, c.prefix+backupsPrefix, false)
	if err != nil {
		return nil, err
	}
	found := make([]*Manifest, len(dirs))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(listWorkers)
	for i, dir := range dirs {
		id, isDir := strings.CutSuffix(dir.Name, "/")
		if _, _, err := ParseID(id); err != nil || !isDir {
			continue
		}
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			m, err := c.load(gctx, id)
			switch {
			case errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewer):
				m = c.broken(id, err)
			case errors.Is(err, ErrNotFound):
				return nil // not a backup: being taken, or the rest of one that was interrupted
			case err != nil:
				return err
			}
			found[i] = m
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(m *Manifest) bool { return m == nil })
	sortBackups(found)
	return found, nil
}

// sortBackups puts broken ones first, then orders by timeline and position, then children
// behind parents and compacted ones behind what they were compacted from.
func sortBackups(ms []*Manifest) {
	byID := make(map[string]*Manifest, len(ms))
	for _, m := range ms {
		byID[m.ID] = m
	}
	depth := make(map[string]int, len(ms))
	for _, m := range ms {
		n := 0
		for p := before(byID, m); p != nil && n <= len(ms); p = before(byID, p) {
			n++
		}
		depth[m.ID] = n
	}
	slices.SortFunc(ms, func(a, b *Manifest) int {
		if ba, bb := a.Status == StatusBroken, b.Status == StatusBroken; ba != bb {
			if ba {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Timeline, b.Timeline), cmp.Compare(a.StartLSN, b.StartLSN),
			cmp.Compare(a.StopLSN, b.StopLSN), cmp.Compare(depth[a.ID], depth[b.ID]), strings.Compare(a.ID, b.ID))
	})
}

// broken stands in a list for a backup whose manifest cannot be read.
func (c *Cluster) broken(id string, cause error) *Manifest {
	begun, kind, _ := ParseID(id) // the caller has parsed it
	return &Manifest{
		Format: FormatVersion, ID: id, Cluster: c.Info.Name, Type: kind, Status: StatusBroken,
		StartedAt: begun, SystemIdentifier: c.Info.SystemIdentifier,
		CorruptPages: []CorruptPage{}, Annotations: map[string]string{}, Warnings: []string{cause.Error()},
		Tablespaces: []pg.TablespaceLink{}, Objects: []Object{}, WAL: WALNeed{Segments: []string{}},
	}
}

// load reads one manifest.
func (c *Cluster) load(ctx context.Context, id string) (*Manifest, error) {
	name := c.backupPrefix(id) + manifestObject
	data, err := readObject(ctx, c.st, name)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("backup %s: %w", id, ErrNotFound)
	}
	if err == nil {
		data, err = c.vault.reveal(name, data)
	}
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(data, id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if m.Cluster != c.Info.Name || m.SystemIdentifier != c.Info.SystemIdentifier {
		return nil, fmt.Errorf("%s: %w: it is of cluster %s, system identifier %d",
			name, ErrCorrupt, m.Cluster, m.SystemIdentifier)
	}
	if m.Geometry != c.Info.Geometry {
		return nil, fmt.Errorf("%s: %w: geometry %+v in cluster of %+v", name, ErrCorrupt, m.Geometry, c.Info.Geometry)
	}
	return m, nil
}

// Backup loads one manifest: by id, "latest", or "latest-full". The latest is the last of
// Backups that is not broken; when a broken one was begun after it, that is ErrCorrupt and
// not silently passed over.
func (c *Cluster) Backup(ctx context.Context, id string) (*Manifest, error) {
	if id != Latest && id != LatestFull {
		if _, _, err := ParseID(id); err != nil {
			return nil, fmt.Errorf("backup %q: not an id, %s or %s: %w", id, Latest, LatestFull, ErrNotFound)
		}
		return c.load(ctx, id)
	}
	all, err := c.Backups(ctx)
	if err != nil {
		return nil, err
	}
	return latest(all, id == LatestFull, c.Info.Name)
}

// latest picks the last usable backup of a sorted list.
func latest(all []*Manifest, onlyFull bool, cluster string) (*Manifest, error) {
	var last, broken *Manifest
	for _, m := range all {
		switch {
		case onlyFull && m.Type != TypeFull:
		case m.Status == StatusOK:
			last = m
		case broken == nil || m.StartedAt.After(broken.StartedAt):
			broken = m
		}
	}
	if broken != nil && (last == nil || broken.StartedAt.After(begun(last))) {
		return nil, fmt.Errorf("%w: the newest backup, %s, is broken (%s): name the one to use",
			ErrCorrupt, broken.ID, cause(broken))
	}
	if last == nil {
		return nil, fmt.Errorf("cluster %s has no such backup yet: %w", cluster, ErrNotFound)
	}
	return last, nil
}

// begun gives the time at which a backup began. Its id says earlier where it went on with an interrupted one, and
// later where the second was taken.
func begun(m *Manifest) time.Time {
	t, _, _ := ParseID(m.ID) // manifests with other ids are never loaded
	if m.StartedAt.After(t) {
		return m.StartedAt
	}
	return t
}

// deleteBackup removes a backup: first the manifest, durably, so that it is no backup any
// more, then the rest.
func (c *Cluster) deleteBackup(ctx context.Context, id string) error {
	prefix := c.backupPrefix(id)
	if err := c.st.Delete(ctx, prefix+manifestObject); err != nil {
		return err
	}
	left, err := c.st.List(ctx, prefix, true)
	if err != nil {
		return err
	}
	names := make([]string, len(left))
	for i, o := range left {
		names[i] = prefix + o.Name
	}
	return c.st.Delete(ctx, names...)
}
