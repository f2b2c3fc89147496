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
	line  int64 // reserved in backup_manifest, or -1

	pending atomic.Int32 // parts that are not finished
	failed  atomic.Bool

	changed atomic.Bool // something was written

	mu  sync.Mutex
	out *os.File // guarded by mu; nil until the first part begins
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

// part is what one worker does of a file at a time.
type part struct {
	pieces []repo.Piece
	zero   []repo.BlockRun
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

// run writes one part of the file.
func (w *work) run(ctx context.Context, p part) (err error) {
	defer func() {
		if err != nil {
			w.failed.Store(true)
		}
		if err = errors.Join(err, w.finish(1)); err != nil {
			err = fmt.Errorf("%s: %w", w.file.Path, err)
		}
	}()
	out, err := w.open(ctx)
	if err != nil {
		return err
	}
	sum := pg.NewCRC32CSum(w.file.Size)
	if err := w.fill(ctx, out, p, sum); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sum.Merge(sum)
	return nil
}

// fill makes one part of the file what it is to be, and adds it to sum.
func (w *work) fill(ctx context.Context, out *os.File, p part, sum *pg.CRC32CSum) error {
	write := w.writePiece
	switch {
	case w.found == nil:
	case w.file.Kind == repo.KindRelation:
		write = w.mendPiece
		if err := w.clearRuns(ctx, out, p.zero); err != nil {
			return err
		}
	default:
		if same, err := w.sameContent(ctx, out, sum); same || err != nil {
			return err
		}
		if err := out.Truncate(0); err != nil {
			return err
		}
		w.changed.Store(true)
	}
	flush := w.c.disk.flusher(out)
	for i := range p.pieces {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := write(ctx, out, &p.pieces[i], sum); err != nil {
			return err
		}
		next := w.file.Size
		if i+1 < len(p.pieces) {
			next = w.c.offset(&p.pieces[i+1])
		}
		if err := flush.upTo(w.c.offset(&p.pieces[i]), next, i+1 == len(p.pieces)); err != nil {
			return err
		}
	}
	return nil
}

// offset gives the first byte that a piece supplies.
func (c *copier) offset(p *repo.Piece) int64 {
	if len(p.Runs) == 0 {
		return p.Offset
	}
	return int64(p.Runs[0].First) * int64(c.plan.backup.Geometry.BlockSize)
}

// open makes the file, or takes the one that is there, when its first part
// begins, and gives it its length where writing alone does not.
func (w *work) open(ctx context.Context) (_ *os.File, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out != nil {
		return w.out, nil
	}
	if w.c.tree.inPlace {
		w.out, err = w.openInPlace(ctx)
	} else {
		w.out, err = w.dir.root.OpenFile(w.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	relation := w.file.Kind == repo.KindRelation
	switch {
	case w.found == nil:
		w.changed.Store(true)
		if !relation && w.parts == 1 || w.file.Size == 0 {
			return w.out, nil
		}
	case !relation || w.found.size == w.file.Size:
		return w.out, nil
	default:
		w.changed.Store(true)
	}
	return w.out, w.out.Truncate(w.file.Size)
}

// writePiece reads a frame and writes what it supplies.
func (w *work) writePiece(ctx context.Context, out *os.File, p *repo.Piece, sum *pg.CRC32CSum) error {
	m := w.c.menders.get()
	defer w.c.menders.put(m)
	from := w.c.plan.chain.Backups[p.Depth]
	data, err := from.ReadFrame(ctx, p.Frame, m.frame)
	if err != nil {
		return fmt.Errorf("backup %s: %s: %w", from.Manifest.ID, w.extent(p), err)
	}
	m.frame = data
	w.c.read.Add(int64(p.Frame.Stored))
	for s, err := range stretches(p, len(data), int64(w.c.plan.backup.Geometry.BlockSize)) {
		if err != nil {
			return fmt.Errorf("backup %s: %s: %w", from.Manifest.ID, w.extent(p), err)
		}
		b := data[s.from : s.from+s.size]
		if _, err := out.WriteAt(b, s.to); err != nil {
			return err
		}
		sum.Add(s.to, int64(len(b)), pg.CRC32C(b))
		w.c.wrote(int64(len(b)))
	}
	return nil
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

// extent names what a piece supplies, for messages.
func (w *work) extent(p *repo.Piece) string {
	if len(p.Runs) == 0 {
		return fmt.Sprintf("bytes %d to %d", p.Offset, p.Offset+int64(p.Frame.Raw))
	}
	last := p.Runs[len(p.Runs)-1]
	return fmt.Sprintf("blocks %d to %d", p.Runs[0].First, last.First+last.Count-1)
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
		if err := w.c.disk.settle(w.out); err != nil {
			return err
		}
	}
	if w.line < 0 {
		return nil
	}
	return w.c.ledger.add(w.line, line{f.Path, f.Size, f.ModTime.Truncate(time.Second), w.sum.Sum()})
}
