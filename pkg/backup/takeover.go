package backup

import (
	"cmp"
	"context"
	"iter"
	"os"
	"slices"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// earlier is what interrupted attempts at this backup have stored; *repo.Earlier is one.
type earlier interface {
	Files(ctx context.Context) iter.Seq2[*repo.EarlierFile, error]
	Hashes(ctx context.Context, frames []repo.Frame) ([][]uint64, error)
	Take(ctx context.Context, f *repo.Frame) (bool, error)
	TakeFile(ctx context.Context, f *repo.File) (bool, error)
}

// takeOver takes frames of earlier attempts into r, and their blocks into taken: those of which all pages are wanted
// and the same as today's, which are read here. Nothing follows from what the file was at the time of the attempt.
func (w *worker) takeOver(ctx context.Context, p part, f *os.File, set, taken *pagemap.Set,
	r *partResult,
) error {
	frames := framesOf(p, set)
	if len(frames) == 0 {
		return nil
	}
	hashes, err := w.earlier.Hashes(ctx, frames)
	if err != nil {
		return err
	}
	for i := range frames {
		if hashes[i] == nil || overlaps(frames[i].Runs, taken) {
			continue
		}
		found := w.findings()
		same, err := w.sameToday(ctx, p, f, frames[i].Runs, hashes[i])
		if err == nil && same {
			same, err = w.earlier.Take(ctx, &frames[i])
		}
		if err != nil {
			return err
		}
		if !same {
			w.forget(found) // the pages are read again
			continue
		}
		r.frames = append(r.frames, frames[i])
		for _, run := range frames[i].Runs {
			taken.AddRange(run.First, run.First+run.Count)
			r.stored += int64(run.Count)
		}
	}
	return nil
}

// framesOf gives the frames that earlier attempts have of the part and of which all blocks are wanted, of those of
// the same blocks the newest first.
func framesOf(p part, set *pagemap.Set) (frames []repo.Frame) {
	for _, v := range slices.Backward(p.earlier) {
		if v.Kind != repo.KindRelation {
			continue
		}
		for _, fr := range v.Frames {
			if len(fr.Runs) > 0 && allWanted(p, fr.Runs, set) {
				frames = append(frames, fr)
			}
		}
	}
	slices.SortStableFunc(frames, func(a, b repo.Frame) int {
		return cmp.Compare(a.Runs[0].First, b.Runs[0].First)
	})
	return frames
}

func allWanted(p part, runs []repo.BlockRun, set *pagemap.Set) bool {
	for _, run := range runs {
		if run.First < p.from || run.Count > p.to-p.from || run.First > p.to-run.Count {
			return false
		}
		n := pg.BlockNumber(0)
		for _, count := range set.Runs(run.First, run.First+run.Count) {
			n += count
		}
		if n != run.Count {
			return false
		}
	}
	return true
}

func overlaps(runs []repo.BlockRun, taken *pagemap.Set) bool {
	for _, run := range runs {
		for range taken.Runs(run.First, run.First+run.Count) {
			return true
		}
	}
	return false
}

// without gives the blocks of [first, first+count) that are not in taken, in runs.
func without(first, count pg.BlockNumber, taken *pagemap.Set) iter.Seq2[pg.BlockNumber, pg.BlockNumber] {
	return func(yield func(pg.BlockNumber, pg.BlockNumber) bool) {
		end := first + count
		for at, n := range taken.Runs(first, end) {
			if at > first && !yield(first, at-first) {
				return
			}
			first = at + n
		}
		if first < end {
			yield(first, end-first)
		}
	}
}

// sameToday reads these blocks, as copyRun does, and compares them with the hashes of the pages in the frame.
func (w *worker) sameToday(ctx context.Context, p part, f *os.File, runs []repo.BlockRun,
	hashes []uint64,
) (bool, error) {
	buf := w.buf
	for _, run := range runs {
		into := buf[:int(run.Count)*int(w.page)]
		buf = buf[len(into):]
		got, err := w.readBlocks(ctx, p.target, f, run.First, into)
		if err != nil || got < run.Count {
			return false, err
		}
		for i := range run.Count {
			page := pg.Page(into[int(i)*int(w.page):][:w.page])
			if err := w.verify(ctx, p, f, run.First+i, page, true); err != nil {
				return false, err
			}
			if repo.PageHash(page) != hashes[i] {
				return false, nil
			}
		}
		hashes = hashes[run.Count:]
	}
	return true, nil
}

// takeFile says whether an earlier attempt has the plain file with this content, and gives its frames.
func (w *worker) takeFile(ctx context.Context, t *target, size int64, sum uint64) ([]repo.Frame, error) {
	for _, v := range slices.Backward(t.earlier) {
		if v.Kind != repo.KindFile || v.Size != size || v.Sum != sum {
			continue
		}
		if ok, err := w.earlier.TakeFile(ctx, v); ok || err != nil {
			return v.Frames, err
		}
	}
	return nil, nil
}

// hadSize says whether an earlier attempt has a plain file of this size.
func (t *target) hadSize(size int64) bool {
	return slices.ContainsFunc(t.earlier, func(v *repo.File) bool { return v.Kind == repo.KindFile && v.Size == size })
}

// findings is what a worker has found so far, so that it can be forgotten what it finds in pages that are read again.
type findings struct {
	corrupt int
	more    int64
	future  futurePages
}

func (w *worker) findings() findings {
	return findings{corrupt: len(w.corrupt), more: w.more, future: slices.Clone(w.future)}
}

func (w *worker) forget(f findings) {
	w.corrupt, w.more, w.future = w.corrupt[:f.corrupt], f.more, f.future
}
