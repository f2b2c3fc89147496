package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/repo"
)

// plainFile copies a file that is not handled by blocks, always from its content, never by its
// times: pg_filenode.map for one keeps its size and may change twice within a
// second. What equals the parent's file is stored as a reference to it. Growth after
// the file was opened is ignored; a file that shrinks ends where the reader found its end.
func (w *worker) plainFile(ctx context.Context, t *target, f *os.File) (*repo.File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	cold := pagecache.Missing(f, 0, size, nil)
	defer func() { pagecache.Drop(f, cold) }()
	file := t.file(repo.KindFile)
	if size > int64(len(w.buf)) && (t.parentHad(size) || t.hadSize(size)) {
		// Too long to be kept until its hash is known: it is read once more if it differs.
		n, sum, err := w.readPlain(ctx, t, f, size, nil)
		if err != nil {
			return nil, err
		}
		file.Size, file.Sum = n, sum
		if t.sameAsParent(n, sum) {
			return file, nil
		}
		if file.Frames, err = w.takeFile(ctx, t, n, sum); len(file.Frames) > 0 || err != nil {
			file.Whole = true
			return file, err
		}
	}
	var frames []repo.Frame
	taken := false
	store := func(raw []byte, first bool, n int64, sum uint64) (err error) {
		if first && n == size {
			if t.sameAsParent(n, sum) {
				return nil
			}
			if frames, err = w.takeFile(ctx, t, n, sum); len(frames) > 0 || err != nil {
				taken = true
				return err
			}
		}
		fr, err := w.pack.WriteFrame(ctx, raw, nil)
		frames = append(frames, fr)
		return err
	}
	file.Size, file.Sum, err = w.readPlain(ctx, t, f, size, store)
	if err != nil {
		return nil, err
	}
	file.Frames = frames
	file.Whole = len(frames) > 0 || !t.sameAsParent(file.Size, file.Sum)
	if taken {
		return file, nil
	}
	return file, w.pack.Holds(ctx, file)
}

// parentHad says whether the parent's file has this size.
func (t *target) parentHad(size int64) bool {
	return t.parent != nil && t.parent.Versions[0].Size == size
}

// sameAsParent compares content by size and hash.
func (t *target) sameAsParent(size int64, sum uint64) bool {
	return t.parentHad(size) && t.parent.Versions[0].Sum == sum
}

// readPlain reads at most size bytes in frames, gives each to store (nil: none) with the
// count and hash up to its end, and returns those of all.
func (w *worker) readPlain(ctx context.Context, t *target, f *os.File, size int64,
	store func(raw []byte, first bool, n int64, sum uint64) error,
) (n int64, sum uint64, err error) {
	digest := xxhash.New()
	for n < size {
		into := w.buf[:min(size-n, int64(len(w.buf)))]
		if err := w.limit.Wait(ctx, len(into)); err != nil {
			return n, 0, err
		}
		if ctx.Err() != nil {
			return n, 0, context.Cause(ctx)
		}
		got, err := f.ReadAt(into, n)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, 0, fmt.Errorf("%s: offset %d: %w", t.path, n, err)
		}
		w.read += int64(got)
		first := n == 0
		n += int64(got)
		_, _ = digest.Write(into[:got]) // never fails
		if got > 0 && store != nil {
			if err := store(into[:got], first, n, digest.Sum64()); err != nil {
				return n, 0, err
			}
		}
		if got < len(into) {
			break
		}
	}
	return n, digest.Sum64(), nil
}
