package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CompactedID gives the id of the full backup that compacting an incremental one makes: of the same
// time, because it holds the same state. So it is found from the id that children name. "" for what is
// not the id of an incremental backup.
func CompactedID(id string) string {
	if _, kind, err := ParseID(id); err != nil || kind != TypeIncremental {
		return ""
	}
	return strings.TrimSuffix(id, idSuffix(TypeIncremental)) + idSuffix(TypeFull)
}

// verifyCompacted refuses a compacted backup that is not one.
func (m *Manifest) verifyCompacted() error {
	switch {
	case m.CompactedFrom == "" && m.CompactedAt.IsZero():
		return nil
	case CompactedID(m.CompactedFrom) != m.ID || m.CompactedAt.IsZero():
		return fmt.Errorf("compacted from %q", m.CompactedFrom)
	}
	return nil
}

// Compacted gives the backup that was compacted from the incremental one with this id, or ErrNotFound.
func (c *Cluster) Compacted(ctx context.Context, id string) (*Manifest, error) {
	twin := CompactedID(id)
	if twin == "" {
		return nil, fmt.Errorf("backup %s: not incremental: %w", id, ErrNotFound)
	}
	m, err := c.load(ctx, twin)
	if err == nil && m.CompactedFrom != id {
		return nil, fmt.Errorf("backup %s: not compacted from %s: %w", twin, id, ErrNotFound)
	}
	return m, err
}

// CreateCompacted begins the full backup that holds the state of the incremental one called from, after
// removing what an interrupted compaction left of it. ErrExists: that is there already. ErrLocked: it is being made.
func (c *Cluster) CreateCompacted(ctx context.Context, from string, z Compression) (*BackupWriter, error) {
	id := CompactedID(from)
	if id == "" {
		return nil, fmt.Errorf("backup %s: not incremental", from)
	}
	there, err := c.st.List(ctx, c.backupPrefix(id), true)
	if err == nil && len(there) > 0 {
		err = c.removeUnfinished(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	return c.createBackup(ctx, id, z)
}

// removeUnfinished removes what lies under an id without a manifest.
func (c *Cluster) removeUnfinished(ctx context.Context, id string) (err error) {
	_, err = c.st.Stat(ctx, c.backupPrefix(id)+manifestObject)
	if err == nil {
		return fmt.Errorf("backup %s: %w", id, ErrExists)
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	r, err := c.NewRemover(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	err = r.Unfinished(ctx, id)
	var inUse *InUseError
	if errors.As(err, &inUse) {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return err
}

// links finds what backups are built on.
type links struct {
	c   *Cluster
	ids []string // that there is something under; nil: not listed yet
}

// parent gives what child is built on: the backup that was compacted from its parent or, where there is
// none that can be read, the parent.
func (l *links) parent(ctx context.Context, child *Manifest) (*Manifest, error) {
	if l.ids == nil {
		var err error
		if l.ids, err = l.c.BackupIDs(ctx); err != nil {
			return nil, err
		}
	}
	listed := slices.Contains(l.ids, CompactedID(child.Parent))
	if listed {
		m, err := l.c.Compacted(ctx, child.Parent)
		if err == nil || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
			return m, err
		}
	}
	m, err := l.c.load(ctx, child.Parent)
	if errors.Is(err, ErrNotFound) && CompactedID(child.Parent) != "" {
		// Compacted and removed since the listing, or the compacted one is damaged, which then is said.
		if m, compactedErr := l.c.Compacted(ctx, child.Parent); !errors.Is(compactedErr, ErrNotFound) {
			return m, compactedErr
		}
	}
	return m, err
}

// BuiltOn gives what m is built on among all: what Cluster.Chain takes, nil of a full one or where that is missing.
func BuiltOn(all map[string]*Manifest, m *Manifest) *Manifest {
	if m.Parent == "" {
		return nil
	}
	if twin := all[CompactedID(m.Parent)]; twin != nil && twin.Status == StatusOK && twin.CompactedFrom == m.Parent {
		return twin
	}
	return all[m.Parent]
}

// before gives the backup that a list has before m where both begin at one position.
func before(all map[string]*Manifest, m *Manifest) *Manifest {
	if m.CompactedFrom != "" {
		return all[m.CompactedFrom]
	}
	return BuiltOn(all, m)
}
