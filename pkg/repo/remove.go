package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Remover removes backups of a cluster, the rest of unfinished ones, and WAL. It holds the lock
// "expire", so that there is one at a time. Nothing is removed that somebody uses, that is pinned, or
// that another backup is built on; see use.go for why that is certain. Not safe for concurrent use.
//
// The commit point of a backup's removal is the deletion of its manifest. Whatever is left after a crash is an
// unfinished backup, which Unfinished removes.
type Remover struct {
	c      *Cluster
	unlock func() error
	known  map[string]*Manifest // manifests never change; nil: there is none, or it cannot be read
}

// NewRemover begins, or fails with ErrLocked.
func (c *Cluster) NewRemover(ctx context.Context) (*Remover, error) {
	unlock, err := c.Lock(ctx, string(LockExpire))
	if err != nil {
		return nil, err
	}
	return &Remover{c: c, unlock: unlock, known: map[string]*Manifest{}}, nil
}

// Close gives the lock up.
func (r *Remover) Close() error { return r.unlock() }

// InUseError: a backup was left alone.
type InUseError struct {
	Backup string
	Reason string
}

func (e *InUseError) Error() string { return fmt.Sprintf("backup %s: %s", e.Backup, e.Reason) }

// Backup removes a backup. *InUseError: it was left alone, with all its data. One that is not there is no error.
func (r *Remover) Backup(ctx context.Context, id string) (err error) {
	return r.backup(ctx, id, func(held []HeldLock) error {
		if err := r.verifyUnused(ctx, id, held); err != nil {
			return err
		}
		delete(r.known, id)
		if err := r.c.st.Delete(ctx, r.c.backupPrefix(id)+manifestObject); err != nil {
			return err
		}
		// Nobody can have begun to use it, unless a lock was lost. Then its data stay for the next run.
		held, err := r.c.Locks(ctx)
		if err != nil {
			return err
		}
		if l := userOf(id, held); l != nil {
			return nil
		}
		return r.c.deleteBackup(ctx, id)
	})
}

// Unfinished removes what lies under a backup's id without a manifest. *InUseError: somebody writes it, or
// it has a manifest.
func (r *Remover) Unfinished(ctx context.Context, id string) error {
	return r.backup(ctx, id, func(held []HeldLock) error {
		if l := userOf(id, held); l != nil {
			return &InUseError{id, l.String()}
		}
		_, err := r.c.st.Stat(ctx, r.c.backupPrefix(id)+manifestObject)
		if err == nil {
			return &InUseError{id, "it has a manifest"}
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		return r.c.deleteBackup(ctx, id)
	})
}

// backup calls remove with the lock of who removes a backup held, and with all locks.
func (r *Remover) backup(ctx context.Context, id string, remove func([]HeldLock) error) error {
	if _, _, err := ParseID(id); err != nil {
		return err
	}
	return r.locked(ctx, id, remove)
}

// locked calls remove with the lock of who removes what held, and with all locks.
func (r *Remover) locked(ctx context.Context, what string, remove func([]HeldLock) error) (err error) {
	unlock, err := r.c.Lock(ctx, string(LockRemoving)+"-"+what)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	held, err := r.c.Locks(ctx)
	if err != nil {
		return err
	}
	return remove(held)
}

// userOf finds who reads or writes a backup itself.
func userOf(id string, held []HeldLock) *HeldLock {
	for i, l := range held {
		if l.Backup == id && (l.Kind == LockUsing || l.Kind == LockTaking) {
			return &held[i]
		}
	}
	return nil
}

// verifyUnused refuses what is used, pinned or built on. The order matters: who holds a lock may be
// about to pin, or to commit a child.
func (r *Remover) verifyUnused(ctx context.Context, id string, held []HeldLock) error {
	if l := userOf(id, held); l != nil {
		return &InUseError{id, l.String()}
	}
	for _, l := range held {
		if l.Kind != LockUsing {
			continue
		}
		needs, err := r.needs(ctx, l.Backup, id)
		if err != nil {
			return err
		}
		if needs {
			return &InUseError{id, l.String()}
		}
	}
	pins, err := r.c.Pins(ctx)
	if err != nil {
		return err
	}
	if _, ok := pins[id]; ok {
		return &InUseError{id, "it is pinned"}
	}
	there, err := r.c.BackupIDs(ctx)
	if err != nil {
		return err
	}
	for _, child := range there {
		m, err := r.manifest(ctx, child)
		if err != nil {
			return err
		}
		if m == nil || m.Parent != id && CompactedID(m.Parent) != id {
			continue
		}
		stands, err := r.stands(ctx, id)
		if err != nil {
			return err
		}
		if !stands {
			return &InUseError{id, "backup " + child + " is built on it"}
		}
	}
	return nil
}

// stands says whether a compacted backup stands for this one, so that what is built on it does not need it.
func (r *Remover) stands(ctx context.Context, id string) (bool, error) {
	twin := CompactedID(id)
	if twin == "" {
		return false, nil
	}
	m, err := r.manifest(ctx, twin)
	return m != nil && m.CompactedFrom == id, err
}

// needs says whether backup user is built on id. A user whose chain is not known may be.
func (r *Remover) needs(ctx context.Context, user, id string) (bool, error) {
	for n := 0; n < maxChain; n++ {
		m, err := r.manifest(ctx, user)
		if err != nil || m == nil || m.Parent == id || m.Parent != "" && CompactedID(m.Parent) == id {
			return true, err
		}
		if m.Parent == "" {
			return false, nil
		}
		user = m.Parent
		if m, err = r.manifest(ctx, user); err != nil {
			return true, err
		}
		if twin := CompactedID(user); m == nil && twin != "" {
			user = twin // it was compacted and removed, or the chain is not whole
		}
	}
	return true, nil
}

// manifest gives a manifest, or nil if there is none or it is damaged. One of a newer format is an error: it may be
// built on anything.
func (r *Remover) manifest(ctx context.Context, id string) (*Manifest, error) {
	if m := r.known[id]; m != nil {
		return m, nil
	}
	m, err := r.c.load(ctx, id)
	switch {
	case errors.Is(err, ErrNewer):
		return nil, err
	case errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt):
		return nil, nil
	case err != nil:
		return nil, err
	}
	r.known[id] = m
	return m, nil
}

// WALRemoval names what goes of archived WAL.
type WALRemoval struct {
	Parts       []Part
	Files, Maps []string
}

// WAL removes archived WAL files, parts and page maps. choose is called with the lock of who removes WAL held
// and with all locks, and gives the names, which are removed in their order.
func (r *Remover) WAL(
	ctx context.Context, choose func(ctx context.Context, held []HeldLock) (WALRemoval, error),
) error {
	return r.locked(ctx, removingWAL, func(held []HeldLock) error {
		remove, err := choose(ctx, held)
		if err != nil {
			return err
		}
		return r.deleteWAL(ctx, remove)
	})
}

// deleteWAL deletes WAL files and page maps in their order.
func (r *Remover) deleteWAL(ctx context.Context, remove WALRemoval) error {
	a := r.c.WAL(Compression{})
	var names []string
	for _, p := range remove.Parts {
		names = append(names, a.partObject(p))
	}
	for _, f := range remove.Files {
		object, err := a.walObject(f)
		if err != nil {
			return err
		}
		names = append(names, object)
	}
	// Maps last: one without its segments is found by the next run as well, a segment that is needed for
	// a map that is missing is not needed any more.
	for _, m := range remove.Maps {
		object, err := a.mapObject(m)
		if err != nil {
			return err
		}
		names = append(names, object)
	}
	for batch := range slices.Chunk(names, deleteBatch) {
		if err := r.c.st.Delete(ctx, batch...); err != nil {
			return err
		}
	}
	return nil
}

// deleteBatch is how many objects are removed at a time, in any order; it is what object stores
// take in one request.
const deleteBatch = 1000

// BackupIDs gives the ids under which there is anything: backups, those that are being taken, and what is left of
// others. One listing.
func (c *Cluster) BackupIDs(ctx context.Context) ([]string, error) {
	dirs, err := c.st.List(ctx, c.prefix+backupsPrefix, false)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, d := range dirs {
		id, isDir := strings.CutSuffix(d.Name, "/")
		if _, _, err := ParseID(id); err == nil && isDir {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// BackupObjects lists the objects under each id, by name. One listing of everything below backups.
func (c *Cluster) BackupObjects(ctx context.Context) (map[string][]ObjectInfo, error) {
	found, err := c.st.List(ctx, c.prefix+backupsPrefix, true)
	if err != nil {
		return nil, err
	}
	byID := map[string][]ObjectInfo{}
	for _, o := range found {
		id, name, _ := strings.Cut(o.Name, "/")
		if _, _, err := ParseID(id); err == nil && name != "" {
			byID[id] = append(byID[id], ObjectInfo{Name: name, Size: o.Size})
		}
	}
	return byID, nil
}
