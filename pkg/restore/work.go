package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// work is one file that is being written, by one worker or by several.
type work struct {
	c     *copier
	cf    *repo.ChainFile
	file  *repo.File // the newest version
	dir   *dir       // held
	name  string
	parts int
	holes bool  // it has blocks that are not written
	line  int64 // reserved in backup_manifest, or -1

	pending atomic.Int32 // parts that are not finished
	failed  atomic.Bool

	changed atomic.Bool // something was written

	mu  sync.Mutex
	out *outFile // guarded by mu; nil until the first part begins
	// Set before out, and not changed afterwards, when the file was there:
	found  *found
	hashes []uint64      // that its pages are to have
	sum    *pg.CRC32CSum // guarded by mu
}

// found is what an in-place restore knows of a file that it keeps.
type found struct {
	size     int64
	mtime    time.Time
	mode     fs.FileMode
	uid, gid int
}

// newWork registers a file that will be written in so many parts.
func newWork(ctx context.Context, c *copier, cf *repo.ChainFile, d *dir, name string, parts int) (*work, error) {
	f := cf.Versions[0]
	w := &work{c: c, cf: cf, file: f, name: name, parts: parts, line: -1, sum: pg.NewCRC32CSum(f.Size)}
	if listed(f.Path) {
		var err error
		if w.line, err = c.ledger.reserve(ctx); err != nil {
			return nil, err
		}
	}
	w.dir = d.hold()
	w.pending.Store(int32(parts))
	return w, nil
}

// run writes one part of the file, or hands it to a writer when it is complete in memory.
func (w *work) run(ctx context.Context, p part) error {
	out, err := w.open(ctx)
	switch {
	case err != nil:
	case w.file.Kind == repo.KindRelation:
		return w.relation(ctx, out, p)
	default:
		err = w.plain(ctx, out, p)
	}
	return w.ended(err)
}

// ended finishes one part, which failed with err or did not.
func (w *work) ended(err error) error {
	if err != nil {
		w.failed.Store(true)
	}
	if err = errors.Join(err, w.finish(1)); err != nil {
		err = fmt.Errorf("%s: %w", w.file.Path, err)
	}
	return err
}

// merge adds the checksum of a part.
func (w *work) merge(sum *pg.CRC32CSum) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sum.Merge(sum)
}

// open makes the file, or takes the one that is there, when its first part
// begins, and gives it its length where writing alone does not.
func (w *work) open(ctx context.Context) (*outFile, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out != nil {
		return w.out, nil
	}
	var f *os.File
	var err error
	if w.c.tree.inPlace {
		f, err = w.openInPlace(ctx)
	} else {
		f, err = w.dir.root.OpenFile(w.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	w.out = &outFile{File: f}
	relation := w.file.Kind == repo.KindRelation
	switch {
	case w.found == nil:
		w.changed.Store(true)
		if relation {
			w.out.goDirect(w.file.Size, int64(w.c.plan.backup.Geometry.BlockSize))
		}
		if !w.holes && w.parts == 1 && !w.out.direct.Load() {
			return w.out, nil
		}
	case !relation || w.found.size == w.file.Size:
		return w.out, nil
	default:
		w.changed.Store(true)
	}
	return w.out, w.out.Truncate(w.file.Size)
}

func (c *copier) wrote(n int64) {
	c.written.Add(n)
	c.progress.done.Add(n)
}

// skip counts bytes that were right already.
func (c *copier) skip(n int64) {
	c.skipped.Add(n)
	c.progress.done.Add(n)
}

// abandon gives back parts that nobody will write.
func (w *work) abandon(parts int) error {
	w.failed.Store(true)
	return w.finish(parts)
}

// finish ends parts; the last one completes the file, or only closes it after a failure.
func (w *work) finish(parts int) error {
	if w.pending.Add(-int32(parts)) > 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if w.out != nil {
		if !w.failed.Load() {
			err = w.complete()
		}
		err = errors.Join(err, w.out.Close())
	}
	return errors.Join(err, w.dir.release())
}

// complete gives the file its owner, mode and time and its line in backup_manifest.
func (w *work) complete() error {
	f, have := w.file, w.found
	if have == nil {
		have = &found{mode: 0o600, uid: os.Geteuid(), gid: os.Getegid()}
	}
	if w.c.tree.chown && (have.uid != int(f.UID) || have.gid != int(f.GID)) {
		if err := w.out.Chown(int(f.UID), int(f.GID)); err != nil {
			return err
		}
	}
	if mode := fs.FileMode(f.Mode) & fs.ModePerm; mode != have.mode {
		if err := w.out.Chmod(mode); err != nil {
			return err
		}
	}
	if w.changed.Load() {
		w.c.files.Add(1)
	}
	if w.changed.Load() || !have.mtime.Equal(f.ModTime) {
		if err := w.dir.root.Chtimes(w.name, f.ModTime, f.ModTime); err != nil {
			return err
		}
		if err := w.c.disk.settle(w.out.File); err != nil {
			return err
		}
	}
	if w.line < 0 {
		return nil
	}
	return w.c.ledger.add(w.line, line{f.Path, f.Size, f.ModTime.Truncate(time.Second), w.sum.Sum()})
}
