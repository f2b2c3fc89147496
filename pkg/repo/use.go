package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
)

// Who reads a backup and who removes one agree by two locks and the manifest:
//
//	reader                            remover of X
//	a  take using-B                   c  take removing-X
//	b  look at the locks              d  look at the locks, pins and manifests
//	   read the chain's manifests        nobody uses X or what is built on it?
//	   wait while one is removed      e  delete the manifest, durably
//	   read what is stored               look at the locks again, delete the rest
//	   give using-B up                   give removing-X up
//
// Let X be in B's chain. If the remover came to e, then d did not show using-B (the manifests of B's
// chain are all there at d, so that it would have been known to use X). So a came after d, or the reader
// was done before. Then b, which is later than a, d and c, shows removing-X, and the reader waits; or the
// remover has given it up, and the manifest is gone: the reader is told that there is no such
// backup. If d did show using-B, the remover leaves X alone. Either way nothing that is read is removed,
// and nobody waits for who waits for him: only readers wait.
//
// Whoever dies loses his lock. A remover that dies before e has removed nothing, after e
// no backup; what it leaves is removed by the next. A lock that ended although its holder lives
// (a lease on an object store) breaks the argument; then the reader finds objects missing, which
// is an error and never other content, a remover looks again before it deletes more than the
// manifest, and a backup is not committed without its parent.

// Waiting for a remover.
const (
	removalPause    = 100 * time.Millisecond
	removalPatience = 2 * time.Minute
)

// Use is a hold on a backup and all that it is built on: as long as it lasts, nothing of them
// is removed, nor WAL from the backup's start on.
type Use struct {
	// Chain is what is held, full backup first, read after the hold was taken.
	Chain []*Manifest
	// Unprotected says why there is no hold: the repository cannot be written to. A restore has to
	// go on nevertheless.
	Unprotected error

	unlock func() error
}

// Backup is the newest of the chain.
func (u *Use) Backup() *Manifest { return u.Chain[len(u.Chain)-1] }

// Release ends it. Releasing again does nothing.
func (u *Use) Release() error { return u.unlock() }

// Use takes a hold on the backup with this id and on its chain, or fails with ErrNotFound when
// the backup is gone and ErrCorrupt when its chain is not whole. While the backup is being
// removed it waits, so that it knows.
func (c *Cluster) Use(ctx context.Context, id string) (*Use, error) {
	if _, _, err := ParseID(id); err != nil {
		return nil, err
	}
	u := &Use{unlock: func() error { return nil }}
	name := fmt.Sprintf("%s-%s-%016x", LockUsing, id, rand.Uint64()) //nolint:gosec // only so that two names differ
	unlock, err := c.Lock(ctx, name)
	switch {
	case err == nil:
		u.unlock = unlock
	case cannotWrite(err):
		u.Unprotected = err
	default:
		return nil, err
	}
	if u.Chain, err = c.usedChain(ctx, id, u.Unprotected == nil); err != nil {
		return nil, errors.Join(err, u.unlock())
	}
	return u, nil
}

// cannotWrite says that a lock cannot be taken because nothing can be stored.
func cannotWrite(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// usedChain reads a chain, for the last time when nothing of it is being removed.
func (c *Cluster) usedChain(ctx context.Context, id string, look bool) ([]*Manifest, error) {
	for waited := time.Duration(0); ; waited += removalPause {
		var held []HeldLock
		if look {
			var err error
			if held, err = c.removals(ctx); err != nil {
				return nil, err
			}
		}
		m, err := c.load(ctx, id)
		if err != nil {
			return nil, err
		}
		chain, err := c.Chain(ctx, m)
		remover := removerOf(chain, id, held)
		if remover == nil {
			return chain, err
		}
		if waited >= removalPatience {
			return nil, fmt.Errorf("backup %s: %w: %s", id, ErrLocked, remover)
		}
		if err := pace.Sleep(ctx, removalPause); err != nil {
			return nil, err
		}
	}
}

// removerOf finds who removes a backup of a chain; of one that is not whole only the last is known.
func removerOf(chain []*Manifest, id string, held []HeldLock) *HeldLock {
	for i, l := range held {
		if l.Kind == LockRemoving && l.Backup != "" &&
			(l.Backup == id || slices.ContainsFunc(chain, func(m *Manifest) bool { return m.ID == l.Backup })) {
			return &held[i]
		}
	}
	return nil
}

// AwaitWALRemoval waits until nobody removes WAL. Who calls it has taken a lock that keeps the next
// remover from removing what he needs.
func (c *Cluster) AwaitWALRemoval(ctx context.Context) error {
	for {
		held, err := c.removals(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(held, func(l HeldLock) bool { return l.Kind == LockRemoving && l.Backup == "" }) {
			return nil
		}
		if err := pace.Sleep(ctx, removalPause); err != nil {
			return err
		}
	}
}
