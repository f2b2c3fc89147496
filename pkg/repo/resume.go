package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Resumable gives, of these ids (BackupIDs), the one under which an interrupted backup of this type has left packs that
// the next one may take over, or "". It is that of the newest attempt, and there is no backup that makes it useless: a
// later one of the type, or for an incremental any later one, which is what the next is built on.
func (c *Cluster) Resumable(ctx context.Context, ids []string, backupType string) (string, error) {
	for _, id := range slices.Backward(slices.Sorted(slices.Values(ids))) {
		_, kind, _ := ParseID(id) // BackupIDs gives nothing else
		if kind != backupType && backupType == TypeFull {
			continue
		}
		_, err := c.st.Stat(ctx, c.backupPrefix(id)+manifestObject)
		if err == nil {
			return "", nil
		}
		if !errors.Is(err, ErrNotFound) {
			return "", err
		}
		if kind != backupType {
			continue
		}
		there, err := c.st.List(ctx, c.backupPrefix(id), true)
		if err != nil {
			return "", err
		}
		if len(sortLeft(there).packs) > 0 {
			return id, nil
		}
	}
	return "", nil
}

// leftover is what lies under the id of an interrupted backup.
type leftover struct {
	manifest bool
	packs    map[uint32]*earlierPack // those whose files are listed, by number
	last     uint32                  // the highest number in use
	rest     []string                // objects that nobody can make use of
}

// sortLeft tells packs that can be taken up from the rest.
func sortLeft(there []ObjectInfo) leftover {
	sizes := sizesOf(there)
	l := leftover{packs: map[uint32]*earlierPack{}}
	for _, o := range there {
		l.manifest = l.manifest || o.Name == manifestObject
		n, ok := packNumber(o.Name)
		if !ok {
			l.rest = append(l.rest, o.Name)
			continue
		}
		l.last = max(l.last, n)
		_, pack := sizes[packObject(n)]
		if _, files := sizes[filesObject(n)]; !pack || !files {
			l.rest = append(l.rest, o.Name)
			continue
		}
		if l.packs[n] == nil {
			l.packs[n] = &earlierPack{number: n}
		}
		p := l.packs[n]
		p.hashed = p.hashed || o.Name == hashesObject(n)
		if o.Name != filesObject(n) {
			p.size += o.Size
		}
	}
	return l
}

// packNumber takes the name of a pack, its page hashes or the list of its files apart.
func packNumber(name string) (n uint32, ok bool) {
	if _, err := fmt.Sscanf(name, "%d.", &n); err != nil || n == 0 {
		return 0, false
	}
	return n, name == packObject(n) || name == hashesObject(n) || name == filesObject(n)
}

// ResumeBackup goes on with an interrupted backup of this type, under its id, or gives nil where there is none to go
// on with. What of it cannot be made use of is told to notice, from any goroutine, and is stored anew.
//
// All but the packs whose files are listed is removed at once. Which frames are taken over is for the caller to find
// out: Earlier.
func (c *Cluster) ResumeBackup(
	ctx context.Context, backupType string, z Compression, notice func(error),
) (*BackupWriter, error) {
	ids, err := c.BackupIDs(ctx)
	if err != nil {
		return nil, err
	}
	id, err := c.Resumable(ctx, ids, backupType)
	if err != nil || id == "" {
		return nil, err
	}
	b, err := c.resume(ctx, id, z, notice)
	switch {
	case errors.Is(err, ErrExists):
		notice(err) // somebody was quicker, or removes it
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		notice(fmt.Errorf("what an interrupted attempt left cannot be taken up: %w", err))
		return nil, nil
	}
	return b, err
}

func (c *Cluster) resume(ctx context.Context, id string, z Compression, notice func(error)) (*BackupWriter, error) {
	if err := c.verifyNoTwin(ctx, id); err != nil {
		return nil, err
	}
	unlock, there, err := c.lockTaking(ctx, id)
	if err != nil {
		return nil, err
	}
	l := sortLeft(there)
	var e *Earlier
	switch {
	case l.manifest:
		err = fmt.Errorf("backup %s: %w", id, ErrExists)
	default:
		if err = c.deleteObjects(ctx, id, l.rest); err == nil {
			e, err = c.newEarlier(ctx, id, l, notice)
		}
	}
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	b, err := c.newBackupWriter(ctx, id, z, unlock)
	if err != nil {
		return nil, err
	}
	b.earlier = e
	b.packs.Store(l.last)
	return b, nil
}

// deleteObjects removes objects of a backup.
func (c *Cluster) deleteObjects(ctx context.Context, id string, names []string) error {
	prefix := c.backupPrefix(id)
	for batch := range slices.Chunk(names, deleteBatch) {
		full := make([]string, len(batch))
		for i, name := range batch {
			full[i] = prefix + name
		}
		if err := c.st.Delete(ctx, full...); err != nil {
			return err
		}
	}
	return nil
}

// newEarlier looks into the lists of files, of which those that cannot be read are passed over.
func (c *Cluster) newEarlier(ctx context.Context, id string, l leftover, notice func(error)) (*Earlier, error) {
	begun, _, err := ParseID(id)
	if err != nil {
		return nil, err
	}
	e := &Earlier{
		reader: newBackupReader(c, &Manifest{ID: id, Geometry: c.Info.Geometry}),
		packs:  l.packs, last: l.last, begun: begun, notice: notice,
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(listWorkers)
	for _, p := range l.packs {
		g.Go(func() (err error) {
			cur, err := e.open(gctx, p)
			if cur == nil || err != nil {
				return err
			}
			p.first = cur.file.Path
			return cur.ix.close()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, p := range l.packs {
		if p.first != "" {
			e.order = append(e.order, p)
		}
	}
	slices.SortFunc(e.order, func(a, b *earlierPack) int {
		return cmp.Or(pg.ComparePaths(a.first, b.first), cmp.Compare(a.number, b.number))
	})
	return e, nil
}

// Left is what an interrupted backup leaves for the next attempt.
type Left struct {
	Packs int
	Bytes int64 // of packs and page hashes
}

// Leave ends an attempt that was interrupted: the packs whose files are listed stay, for the next attempt or for
// expire; where there are none, nothing stays. After Commit it does nothing. No worker may be writing any more.
func (b *BackupWriter) Leave(ctx context.Context) (Left, error) { return b.end(ctx, true) }

// leave removes all that is of no use.
func (b *BackupWriter) leave(ctx context.Context) (left Left, err error) {
	if b.publishing { // it may be there although that was not said
		if err := b.c.st.Delete(ctx, b.prefix+manifestObject); err != nil {
			return left, err
		}
	}
	there, err := b.c.st.List(ctx, b.prefix, true)
	if err != nil {
		return left, err
	}
	l := sortLeft(there)
	for _, p := range l.packs {
		left.Packs++
		left.Bytes += p.size
	}
	if left.Packs == 0 {
		return left, b.c.deleteBackup(ctx, b.id) // with the directory, where the store has one
	}
	return left, b.c.deleteObjects(ctx, b.id, l.rest)
}

// Tidy removes, after Commit, what only served to take up the backup had it been interrupted: the lists of files, and
// packs of earlier attempts of which nothing was taken over. What stays after an error harms nothing.
func (b *BackupWriter) Tidy(ctx context.Context) error {
	if !b.done || b.earlier == nil && len(b.finished) == 0 {
		return nil
	}
	names := b.earlier.useless()
	for _, n := range b.finished {
		names = append(names, filesObject(n))
	}
	return errors.Join(b.earlier.close(), b.c.deleteObjects(ctx, b.id, names))
}

// filesOf says which header the list of a pack's files must have, and how it is called in the store.
func (c *Cluster) filesOf(id string, pack uint32) (name string, want objectHeader) {
	return c.backupPrefix(id) + filesObject(pack), c.backupHeader(id, kindFiles, pack)
}

// isUnusable says whether an error is about what is stored, not about reaching it.
func isUnusable(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewer) || errors.Is(err, ErrNotFound)
}

// sortedObjects puts the list of a manifest in order.
func sortedObjects(objects []Object) []Object {
	slices.SortFunc(objects, func(x, y Object) int { return strings.Compare(x.Name, y.Name) })
	return objects
}
