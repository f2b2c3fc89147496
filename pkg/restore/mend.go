package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// openInPlace opens the file that is there, or makes it. Whatever else has the name goes,
// and so does a file with a second name, under which it must not change.
func (w *work) openInPlace(ctx context.Context) (*os.File, error) {
	if st, err := w.dir.root.Lstat(w.name); err == nil {
		if w.found = asFound(st); w.found != nil {
			return w.openFound(ctx)
		}
		if err := w.dir.root.RemoveAll(w.name); err != nil {
			return nil, err
		}
	}
	return w.dir.root.OpenFile(w.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// asFound gives what is known of a file that can be kept; nil: it cannot.
func asFound(st fs.FileInfo) *found {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || !st.Mode().IsRegular() || sys.Nlink != 1 {
		return nil
	}
	return &found{
		size: st.Size(), mtime: st.ModTime(), mode: st.Mode().Perm(), uid: int(sys.Uid), gid: int(sys.Gid),
	}
}

// openFound opens a file for change, although its mode may be that of a file nobody
// changes, and learns what its pages are to be.
func (w *work) openFound(ctx context.Context) (*os.File, error) {
	if w.file.Kind == repo.KindRelation {
		var err error
		if w.hashes, err = w.cf.PageHashes(ctx, w.c.plan.chain, w.c.plan.backup.Geometry); err != nil {
			return nil, err
		}
	}
	f, err := w.dir.root.OpenFile(w.name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		if err := w.dir.root.Chmod(w.name, 0o600); err != nil {
			return nil, err
		}
		w.found.mode = 0o600
		return w.dir.root.OpenFile(w.name, os.O_RDWR, 0)
	}
	return f, err
}

// mendPiece compares the pages of a piece with what the file holds, by their
// hashes, and reads the frame only if one differs. Only the pages that differ are written.
func (w *work) mendPiece(ctx context.Context, out *os.File, p *repo.Piece, sum *pg.CRC32CSum) error {
	m := w.c.menders.get()
	defer w.c.menders.put(m)
	same, err := w.compare(m, out, p, sum)
	if err != nil || same {
		return err
	}
	from := w.c.plan.chain.Backups[p.Depth]
	if m.frame, err = from.ReadFrame(ctx, p.Frame, m.frame); err != nil {
		return fmt.Errorf("backup %s: %s: %w", from.Manifest.ID, w.extent(p), err)
	}
	w.c.read.Add(int64(p.Frame.Stored))
	size := int64(w.c.plan.backup.Geometry.BlockSize)
	for s, err := range stretches(p, len(m.frame), size) {
		if err != nil {
			return err
		}
		if err := w.mendStretch(m, out, s, size); err != nil {
			return err
		}
		sum.Add(s.to, int64(s.size), pg.CRC32C(m.frame[s.from:s.from+s.size]))
	}
	return nil
}

// compare reads the pages that a piece supplies from the file and notes in m.differs,
// for every page of the frame, whether it is not what the hash says. Only when
// all are the same does it add to sum.
func (w *work) compare(m *mender, out *os.File, p *repo.Piece, sum *pg.CRC32CSum) (same bool, err error) {
	size := int64(w.c.plan.backup.Geometry.BlockSize)
	m.reset(int(int64(p.Frame.Raw)/size), int(p.Frame.Raw))
	mine := pg.NewCRC32CSum(w.file.Size)
	equal := int64(0)
	for s, err := range stretches(p, int(p.Frame.Raw), size) {
		if err != nil {
			return false, err
		}
		b := m.local[s.from : s.from+s.size]
		n, err := out.ReadAt(b, s.to)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		clear(b[n:])
		for at := 0; at < s.size; at += int(size) {
			if repo.PageHash(pg.Page(b[at:at+int(size)])) == w.hashes[(s.to+int64(at))/size] {
				equal += size
				continue
			}
			m.differs[(s.from+at)/int(size)] = true
			m.any = true
		}
		mine.Add(s.to, int64(s.size), pg.CRC32C(b))
	}
	w.c.skip(equal)
	if m.any {
		return false, nil
	}
	sum.Merge(mine)
	return true, nil
}

// mendStretch writes the pages of a stretch that differ, neighbours at once.
func (w *work) mendStretch(m *mender, out *os.File, s stretch, size int64) error {
	for at := 0; at < s.size; {
		from := at
		for at < s.size && m.differs[(s.from+at)/int(size)] {
			at += int(size)
		}
		if at == from {
			at += int(size)
			continue
		}
		if _, err := out.WriteAt(m.frame[s.from+from:s.from+at], s.to+int64(from)); err != nil {
			return err
		}
		w.changed.Store(true)
		w.c.wrote(int64(at - from))
	}
	return nil
}

// clearRuns makes runs of blocks zero where they are not.
func (w *work) clearRuns(ctx context.Context, out *os.File, runs []repo.BlockRun) error {
	m := w.c.menders.get()
	defer w.c.menders.put(m)
	size := int64(w.c.plan.backup.Geometry.BlockSize)
	for _, r := range runs {
		at, end := int64(r.First)*size, (int64(r.First)+int64(r.Count))*size
		for at < end {
			if err := ctx.Err(); err != nil {
				return err
			}
			data, err := unix.Seek(int(out.Fd()), at, unix.SEEK_DATA)
			if errors.Is(err, unix.ENXIO) || err == nil && data >= end {
				break // a hole to the end
			}
			if err == nil {
				at = max(at, data/size*size)
			}
			if at, err = w.clearSome(m, out, at, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// clearSome looks at some bytes from at on, punches a hole if they are not zero, and gives where to go on.
func (w *work) clearSome(m *mender, out *os.File, at, end int64) (next int64, err error) {
	m.reset(0, repo.MaxFrame)
	n, err := out.ReadAt(m.local[:min(int64(len(m.local)), end-at)], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n == 0 {
		return end, nil
	}
	if pg.Page(m.local[:n]).IsZero() {
		return at + int64(n), nil
	}
	w.changed.Store(true)
	err = unix.Fallocate(int(out.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, int64(n))
	if errors.Is(err, unix.EOPNOTSUPP) {
		clear(m.local[:n])
		_, err = out.WriteAt(m.local[:n], at)
		w.c.written.Add(int64(n))
	}
	return at + int64(n), err
}

// sameContent says whether the file is already what a KindFile is to be, and adds it to sum if so.
func (w *work) sameContent(ctx context.Context, out *os.File, sum *pg.CRC32CSum) (bool, error) {
	if w.found == nil || w.found.size != w.file.Size {
		return false, nil
	}
	m := w.c.menders.get()
	defer w.c.menders.put(m)
	m.reset(0, repo.MaxFrame)
	h := xxhash.New()
	mine := pg.NewCRC32CSum(w.file.Size)
	for at := int64(0); at < w.file.Size; {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := out.ReadAt(m.local[:min(int64(len(m.local)), w.file.Size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if n == 0 {
			return false, nil
		}
		h.Write(m.local[:n]) // never fails
		mine.Add(at, int64(n), pg.CRC32C(m.local[:n]))
		at += int64(n)
	}
	if h.Sum64() != w.file.Sum {
		return false, nil
	}
	w.c.skip(w.file.Size)
	sum.Merge(mine)
	return true, nil
}
