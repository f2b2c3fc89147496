package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// maxChain bounds the length of a chain.
const maxChain = 10_000

// Chain gives the manifests from the full backup to m, full first, and proves that they
// fit: each parent is there, same system identifier and geometry, positions in order, one
// line of timelines. Where a parent was compacted, the compacted backup stands for it and all
// before it.
func (c *Cluster) Chain(ctx context.Context, m *Manifest) ([]*Manifest, error) {
	chain := []*Manifest{m}
	links := links{c: c}
	for child := m; child.Type != TypeFull; {
		if child.Status != StatusOK {
			return nil, fmt.Errorf("backup %s: %w: its manifest cannot be read", child.ID, ErrCorrupt)
		}
		if len(chain) >= maxChain {
			return nil, fmt.Errorf("backup %s: %w: more than %d backups in its chain", m.ID, ErrCorrupt, maxChain)
		}
		parent, err := links.parent(ctx, child)
		if errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("backup %s: %w: its parent %s is missing", child.ID, ErrCorrupt, child.Parent)
		}
		if err == nil {
			err = verifyLink(parent, child)
		}
		if err != nil {
			return nil, fmt.Errorf("backup %s: parent: %w", child.ID, err)
		}
		chain = append(chain, parent)
		child = parent
	}
	slices.Reverse(chain)
	return chain, nil
}

// verifyLink refuses a child that cannot have been built on parent.
func verifyLink(parent, child *Manifest) error {
	switch {
	case parent.SystemIdentifier != child.SystemIdentifier:
		return fmt.Errorf("%w: %s is of system identifier %d", ErrCorrupt, parent.ID, parent.SystemIdentifier)
	case parent.Geometry != child.Geometry:
		return fmt.Errorf("%w: %s has geometry %+v", ErrCorrupt, parent.ID, parent.Geometry)
	case parent.PGVersion/10000 != child.PGVersion/10000:
		return fmt.Errorf("%w: %s is of PostgreSQL %d", ErrCorrupt, parent.ID, parent.PGVersion)
	case parent.StartLSN > child.StartLSN:
		return fmt.Errorf("%w: %s starts at %s, after %s", ErrCorrupt, parent.ID, parent.StartLSN, child.StartLSN)
	case parent.StopLSN > child.StopLSN:
		// Pages of the parent may be as new as its stop position: replay must come that far.
		return fmt.Errorf("%w: %s stops at %s, after %s", ErrCorrupt, parent.ID, parent.StopLSN, child.StopLSN)
	}
	history, err := pg.ParseHistory(child.Timeline, []byte(child.History))
	if err != nil {
		return fmt.Errorf("%w: timeline history: %w", ErrCorrupt, err)
	}
	if !history.Contains(parent.Timeline, parent.StopLSN) {
		return fmt.Errorf("%w: %s stops at %s on timeline %d, which timeline %d did not live through",
			ErrCorrupt, parent.ID, parent.StopLSN, parent.Timeline, child.Timeline)
	}
	return nil
}

// Chain reads a full backup and the incrementals on it as one. Safe for concurrent use.
type Chain struct {
	// Backups are newest first; the last one is full.
	Backups []*BackupReader

	use *Use // nil: there is no hold
}

// OpenChain opens every backup of the chain that ends in m, of which nothing is removed until it is
// closed (see Use). ErrNotFound: m was removed meanwhile.
func (c *Cluster) OpenChain(ctx context.Context, m *Manifest) (_ *Chain, err error) {
	if m.Status != StatusOK {
		return nil, fmt.Errorf("backup %s: %w: %s", m.ID, ErrCorrupt, cause(m))
	}
	ch := new(Chain)
	defer func() {
		if err != nil {
			err = errors.Join(err, ch.Close())
		}
	}()
	if ch.use, err = c.Use(ctx, m.ID); err != nil {
		return nil, err
	}
	for _, m := range slices.Backward(ch.use.Chain) {
		r, err := c.OpenBackup(ctx, m)
		if err != nil {
			return nil, err
		}
		ch.Backups = append(ch.Backups, r)
	}
	return ch, nil
}

// Unprotected says why the chain may be removed while it is open, or gives nil.
func (ch *Chain) Unprotected() error {
	if ch.use == nil {
		return nil
	}
	return ch.use.Unprotected
}

// Close closes all of them and lets go of them.
func (ch *Chain) Close() error {
	var err error
	for _, r := range ch.Backups {
		err = errors.Join(err, r.Close())
	}
	if ch.use != nil {
		err = errors.Join(err, ch.use.Release())
	}
	return err
}

// ChainFile is one file of the newest backup with the older versions that it still needs.
type ChainFile struct {
	Path string
	// Versions are newest first; Versions[i] belongs to Chain.Backups[Depth[i]]. The last one
	// supplies all that is left.
	Versions []*File
	Depth    []int
}
