package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// worker copies parts into packs of its own. Only its own goroutine touches it, and the copier
// after that has ended.
type worker struct {
	*copier
	pack   packWriter
	page   uint32
	buf    []byte // one frame of repo.MaxFrame bytes
	hashes []uint64
	runs   []repo.BlockRun // of the pages in buf[:fill]
	fill   int
	spare  []byte // for pages that are only looked at

	read    int64 // bytes
	corrupt []repo.CorruptPage
	more    int64 // corrupt pages that are not in corrupt
	future  futurePages
}

// packWriter is one worker's end of the backup; *repo.PackWriter is one.
type packWriter interface {
	WriteFrame(ctx context.Context, raw []byte, hashes []uint64) (repo.Frame, error)
	Holds(ctx context.Context, f *repo.File) error
	Close(ctx context.Context) error
}

// do copies one part, and finishes the file after its last one.
func (w *worker) do(ctx context.Context, p part) error {
	f, err := p.open(&w.walker)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.mu.Lock()
		p.gone = true
		p.mu.Unlock()
	case err != nil:
		return err
	case p.kind == repo.KindRelation:
		r, err := w.relationPart(ctx, p, f)
		if err != nil {
			return err
		}
		p.add(r, p.to)
	default:
		file, err := w.plainFile(ctx, p.target, f)
		if err := errors.Join(err, p.close()); err != nil {
			return err
		}
		w.progress.addDone(p.size)
		return w.window.complete(ctx, p.seq, file)
	}
	if p.left.Add(-1) > 0 {
		return nil
	}
	if err := p.close(); err != nil {
		return err
	}
	w.progress.addDone(p.size)
	if p.gone {
		return w.window.complete(ctx, p.seq, nil)
	}
	return w.window.complete(ctx, p.seq, p.relation(w.geometry.BlockSize))
}

// relationPart copies the blocks of one part that must come from today's file, or takes them over.
func (w *worker) relationPart(ctx context.Context, p part, f *os.File) (r partResult, err error) {
	var set, taken pagemap.Set
	var cold []pagecache.Span
	defer func() { pagecache.Drop(f, cold) }()
	if err := w.wanted(ctx, p, f, &set, &cold); err != nil {
		return r, err
	}
	cold = append(cold, w.prefetch(p, f, &set)...)
	found := w.findings()
	if err := w.takeOver(ctx, p, f, &set, &taken, &r); err != nil {
		return r, err
	}
	err = w.copyPart(ctx, p, f, &set, &taken, &r)
	if err == nil && r.end < p.to && len(p.earlier) > 0 {
		// The file was truncated meanwhile. A frame that was taken over may hold pages of both sides of its new end.
		w.forget(found)
		r, taken = partResult{}, pagemap.Set{}
		err = w.copyPart(ctx, p, f, &set, &taken, &r)
	}
	return r, err
}

// copyPart copies the blocks of the part that are in set and not taken over.
func (w *worker) copyPart(ctx context.Context, p part, f *os.File, set, taken *pagemap.Set,
	r *partResult,
) error {
	r.end = p.to
	at := p.from
	for first, n := range set.Runs(p.from, p.to) {
		if w.verifyAll && first > at {
			if err := w.look(ctx, p, f, at, first-at); err != nil {
				return err
			}
		}
		at = first + n
		for first, n := range without(first, n, taken) {
			short, err := w.copyRun(ctx, p, f, first, n, r)
			if err != nil || short {
				return errors.Join(err, w.flush(ctx, p, r))
			}
		}
	}
	if w.verifyAll && at < p.to {
		if err := w.look(ctx, p, f, at, p.to-at); err != nil {
			return err
		}
	}
	return w.flush(ctx, p, r)
}

// prefetch begins to read what is not in the page cache yet, and tells what that is, so that it can be
// dropped again: the server's pages must not make room for a backup's.
func (w *worker) prefetch(p part, f *os.File, set *pagemap.Set) (cold []pagecache.Span) {
	size := int64(w.page)
	if w.verifyAll {
		cold = pagecache.Missing(f, int64(p.from)*size, int64(p.to-p.from)*size, cold)
	} else {
		for first, n := range set.Runs(p.from, p.to) {
			cold = pagecache.Missing(f, int64(first)*size, int64(n)*size, cold)
		}
	}
	if p.parent != nil && len(cold) > 0 {
		pagecache.Random(f) // every run is asked for; what lies between is not wanted
	}
	if p.sparse || w.limit != nil {
		return cold // to fetch a hole makes pages for it; to fetch ahead evades the limit
	}
	for _, s := range cold {
		pagecache.Fetch(f, s)
	}
	return cold
}

// wanted fills set with the blocks of the part that must come from today's file, and cold with what
// finding them out brought into the page cache.
func (w *worker) wanted(ctx context.Context, p part, f *os.File, set *pagemap.Set,
	cold *[]pagecache.Span,
) error {
	if p.parent == nil {
		set.AddRange(p.from, p.to)
		return nil
	}
	if p.parentBlocks < p.to {
		set.AddRange(max(p.from, p.parentBlocks), p.to)
	}
	for _, blk := range p.retake {
		if blk >= p.from && blk < p.to {
			set.Add(blk)
		}
	}
	if to := min(p.to, p.parentBlocks); p.from < to {
		return p.source.changed(ctx, p.target, f, p.from, to, set, cold)
	}
	return nil
}

// copyRun copies count blocks from first on into frames and zero runs. short says that the file
// ended before; r.end then tells where.
func (w *worker) copyRun(ctx context.Context, p part, f *os.File, first, count pg.BlockNumber,
	r *partResult,
) (short bool, err error) {
	for end := first + count; first < end; {
		if p.sparse {
			data, err := nextData(f, first, end, w.page)
			if err != nil {
				return false, fmt.Errorf("%s: %w", p.path, err)
			}
			if data > first {
				r.zero = appendRun(r.zero, repo.BlockRun{First: first, Count: data - first})
				first = data
				continue
			}
		}
		room := pg.BlockNumber((len(w.buf) - w.fill) / int(w.page))
		if room == 0 {
			if err := w.flush(ctx, p, r); err != nil {
				return false, err
			}
			continue
		}
		n := min(end-first, room)
		into := w.buf[w.fill : w.fill+int(n)*int(w.page)]
		got, err := w.readBlocks(ctx, p.target, f, first, into)
		if err != nil {
			return false, err
		}
		for i := range got {
			page := pg.Page(into[int(i)*int(w.page):][:w.page])
			if err := w.keep(ctx, p, f, first+i, page, r); err != nil {
				return false, err
			}
		}
		if got < n {
			r.end = first + got
			return true, nil
		}
		first += n
	}
	return false, nil
}

// keep puts one page behind those in the frame buffer, of which it lies at or behind the end, or
// into the zero runs.
func (w *worker) keep(ctx context.Context, p part, f *os.File, blk pg.BlockNumber, page pg.Page,
	r *partResult,
) error {
	if page.IsZero() {
		r.zero = appendRun(r.zero, repo.BlockRun{First: blk, Count: 1})
		return nil
	}
	if err := w.verify(ctx, p, f, blk, page, true); err != nil {
		return err
	}
	if page.IsZero() { // read again, and zero now
		r.zero = appendRun(r.zero, repo.BlockRun{First: blk, Count: 1})
		return nil
	}
	copy(w.buf[w.fill:], page)
	w.fill += int(w.page)
	w.hashes = append(w.hashes, repo.PageHash(page))
	w.runs = appendRun(w.runs, repo.BlockRun{First: blk, Count: 1})
	return nil
}

// flush writes the pages in the buffer as one frame.
func (w *worker) flush(ctx context.Context, p part, r *partResult) error {
	if w.fill == 0 {
		return nil
	}
	fr, err := w.pack.WriteFrame(ctx, w.buf[:w.fill], w.hashes)
	if err != nil {
		return err
	}
	fr.Runs = append([]repo.BlockRun(nil), w.runs...)
	r.frames = append(r.frames, fr)
	r.stored += int64(w.fill / int(w.page))
	w.fill, w.hashes, w.runs = 0, w.hashes[:0], w.runs[:0]
	return w.pack.Holds(ctx, &repo.File{Path: p.path, Kind: repo.KindRelation, Frames: []repo.Frame{fr}})
}

// look reads blocks only to verify them; the frame buffer may hold pages in front.
func (w *worker) look(ctx context.Context, p part, f *os.File, first, count pg.BlockNumber) error {
	if w.spare == nil {
		w.spare = make([]byte, lookSize)
	}
	for end := first + count; first < end; {
		n := min(end-first, pg.BlockNumber(len(w.spare)/int(w.page)))
		got, err := w.readBlocks(ctx, p.target, f, first, w.spare[:int(n)*int(w.page)])
		if err != nil {
			return err
		}
		for i := range got {
			page := pg.Page(w.spare[int(i)*int(w.page):][:w.page])
			if err := w.verify(ctx, p, f, first+i, page, false); err != nil {
				return err
			}
		}
		if got < n {
			return nil
		}
		first += n
	}
	return nil
}

// readBlocks reads whole blocks from first on and gives how many there were: fewer only at the
// end of the file.
func (w *worker) readBlocks(ctx context.Context, t *target, f *os.File, first pg.BlockNumber,
	into []byte,
) (pg.BlockNumber, error) {
	if err := w.limit.Wait(ctx, len(into)); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, context.Cause(ctx)
	}
	n, err := f.ReadAt(into, int64(first)*int64(w.page))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%s: block %d: %w", t.path, first, err)
	}
	w.read += int64(n)
	return pg.BlockNumber(n / int(w.page)), nil
}

const lookSize = 256 << 10

// rereads is how often a page is read again whose checksum does not match: a read can meet
// a write half-way. The pauses double, from one millisecond.
const (
	rereads     = 5
	rereadPause = time.Millisecond
)
