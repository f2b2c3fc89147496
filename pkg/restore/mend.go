package restore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
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

// mend compares the part with what the file holds, by the hashes of its pages, and puts together
// what differs. A frame that supplies nothing that differs is not read.
func (v *view) mend(ctx context.Context, out *outFile) error {
	m := v.w.c.menders.get()
	defer v.w.c.menders.put(m)
	if err := v.w.clearRuns(ctx, m, out, v.part.zero); err != nil {
		return err
	}
	sum := pg.NewCRC32CSum(v.w.file.Size)
	differing, err := v.compare(ctx, m, out, sum)
	if err != nil {
		return err
	}
	v.w.c.skip(int64(v.part.blocks()-differing) * v.size)
	if differing > 0 {
		if err := v.replace(ctx, m, differing, sum); err != nil {
			return err
		}
		v.w.changed.Store(true)
	}
	v.w.merge(sum)
	return nil
}

// compareChunk is how much is read and compared at a time, always into the same memory, so that it
// stays in the processor's cache.
const compareChunk = 256 << 10

// compare reads the part from the file, notes in m.differs which blocks are not what their hashes say,
// adds the chunks without such blocks to sum, and puts the others into their places.
func (v *view) compare(ctx context.Context, m *mender, out *outFile, sum *pg.CRC32CSum) (pg.BlockNumber, error) {
	m.reset(int(v.part.to - v.part.from))
	m.grow(compareChunk)
	from := int64(v.part.from) * v.size
	differing := pg.BlockNumber(0)
	for at := int64(0); at < int64(len(v.bytes)); at += compareChunk {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b := m.local[:min(compareChunk, int64(len(v.bytes))-at)]
		n, err := out.ReadAt(b, from+at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		clear(b[n:])
		same := true
		for i := int64(0); i < int64(len(b)); i += v.size {
			block := (at + i) / v.size
			if repo.PageHash(pg.Page(b[i:i+v.size])) != v.w.hashes[int64(v.part.from)+block] {
				m.differs[block] = true
				differing++
				same = false
			}
		}
		if !same {
			copy(v.bytes[at:], b)
			continue
		}
		sum.Add(from+at, int64(len(b)), pg.CRC32C(b))
	}
	return differing, nil
}

// replace puts the blocks that differ into their places, to be written, and adds the chunks that have some
// to sum.
func (v *view) replace(ctx context.Context, m *mender, differing pg.BlockNumber, sum *pg.CRC32CSum) error {
	placed := pg.BlockNumber(0)
	for i := range v.part.pieces {
		p := v.part.pieces[i]
		if p.Runs = v.differing(m, p.Runs); len(p.Runs) == 0 {
			continue
		}
		n, err := v.scatter(ctx, m, &p)
		if err != nil {
			return err
		}
		placed += n
	}
	if err := v.verify(placed, differing); err != nil {
		return err
	}
	whole := []repo.BlockRun{{First: v.part.from, Count: v.part.to - v.part.from}}
	v.runs = v.differing(m, whole)
	chunk := pg.BlockNumber(compareChunk / v.size)
	for at := v.part.from; at < v.part.to; at += chunk {
		r := repo.BlockRun{First: at, Count: min(chunk, v.part.to-at)}
		if slices.Contains(m.differs[at-v.part.from:][:r.Count], true) {
			v.add(sum, r)
		}
	}
	return nil
}

// differing gives the blocks of runs that differ, as runs.
func (v *view) differing(m *mender, runs []repo.BlockRun) []repo.BlockRun {
	var out []repo.BlockRun
	for _, r := range runs {
		open := false
		for b := r.First; b < r.First+r.Count; b++ {
			if !m.differs[b-v.part.from] {
				open = false
				continue
			}
			if !open {
				out = append(out, repo.BlockRun{First: b})
				open = true
			}
			out[len(out)-1].Count++
		}
	}
	return out
}

// clearRuns makes runs of blocks zero where they are not.
func (w *work) clearRuns(ctx context.Context, m *mender, out *outFile, runs []repo.BlockRun) error {
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
func (w *work) clearSome(m *mender, out *outFile, at, end int64) (next int64, err error) {
	m.grow(repo.MaxFrame)
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
func (w *work) sameContent(ctx context.Context, out *outFile, sum *pg.CRC32CSum) (bool, error) {
	if w.found == nil || w.found.size != w.file.Size {
		return false, nil
	}
	m := w.c.menders.get()
	defer w.c.menders.put(m)
	m.grow(repo.MaxFrame)
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
