package restore

import (
	"context"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// relation puts one part of a relation together in memory and writes it, in another goroutine
// if it goes to the disk directly: the worker need not wait for that.
func (w *work) relation(ctx context.Context, out *outFile, p part) error {
	if p.from == p.to {
		return w.ended(nil)
	}
	size := int64(w.c.plan.backup.Geometry.BlockSize)
	room, err := w.c.canvases.get(ctx)
	if err != nil {
		return w.ended(err)
	}
	v := &view{w: w, part: &p, size: size, bytes: room[:int64(p.to-p.from)*size]}
	if w.found == nil {
		err = v.paint(ctx)
	} else {
		err = v.mend(ctx, out)
	}
	write := func() error {
		if err == nil {
			err = v.write(out)
		}
		w.c.canvases.put(room)
		return w.ended(err)
	}
	if err != nil || !out.direct.Load() {
		return write()
	}
	w.c.writers.Go(write)
	return nil
}

// view is one part of a relation in memory.
type view struct {
	w     *work
	part  *part
	size  int64           // of a block
	bytes []byte          // the part's
	runs  []repo.BlockRun // to be written
}

// at gives the bytes of a run of the part.
func (v *view) at(r repo.BlockRun) []byte {
	from := int64(r.First-v.part.from) * v.size
	return v.bytes[from : from+int64(r.Count)*v.size]
}

// paint puts everything but the zero blocks together.
func (v *view) paint(ctx context.Context) error {
	m := v.w.c.menders.get()
	defer v.w.c.menders.put(m)
	placed := pg.BlockNumber(0)
	for i := range v.part.pieces {
		p := &v.part.pieces[i]
		n, err := v.place(ctx, m, p)
		if err != nil {
			return err
		}
		placed += n
	}
	if err := v.verify(placed, v.part.blocks()); err != nil {
		return err
	}
	sum := pg.NewCRC32CSum(v.w.file.Size)
	for r := range v.part.data() {
		v.runs = append(v.runs, r)
		v.add(sum, r)
	}
	v.w.merge(sum)
	return nil
}

// add adds a run to a checksum.
func (v *view) add(sum *pg.CRC32CSum, r repo.BlockRun) {
	b := v.at(r)
	sum.Add(int64(r.First)*v.size, int64(len(b)), pg.CRC32C(b))
}

// verify proves that every block was placed, once: what is left of another part of another file
// must not be written.
func (v *view) verify(placed, want pg.BlockNumber) error {
	if placed == want {
		return nil
	}
	return fmt.Errorf("blocks %d to %d: %d of %d supplied: %w",
		v.part.from, v.part.to-1, placed, want, repo.ErrCorrupt)
}

// place reads the frame of a piece and puts the blocks that it supplies into their places.
// Pieces come oldest first, and a frame of consecutive blocks is decompressed
// right where they belong: what is not its own to supply is covered by what comes later.
func (v *view) place(ctx context.Context, m *mender, p *repo.Piece) (pg.BlockNumber, error) {
	if !v.straight(p) {
		return v.scatter(ctx, m, p)
	}
	b := v.at(p.Frame.Runs[0])
	if _, err := v.frame(ctx, p, b[:0:len(b)]); err != nil {
		return 0, err
	}
	return pg.BlockNumber(p.Blocks()), nil
}

// frame reads the frame of a piece, in which each of its blocks has its place.
func (v *view) frame(ctx context.Context, p *repo.Piece, dst []byte) ([]byte, error) {
	b, err := v.w.frame(ctx, p, dst)
	if err == nil && int64(len(b)) != int64(p.Frame.Pages())*v.size {
		err = v.w.wrong(p, fmt.Errorf("frame of %d bytes for %d blocks: %w", len(b), p.Frame.Pages(), repo.ErrCorrupt))
	}
	return b, err
}

// straight says whether the blocks of a frame follow on each other and lie in the part.
func (v *view) straight(p *repo.Piece) bool {
	if len(p.Frame.Runs) != 1 {
		return false
	}
	held := p.Frame.Runs[0]
	return held.First >= v.part.from && end(held) <= uint64(v.part.to) &&
		int64(held.Count)*v.size == int64(p.Frame.Raw)
}

// scatter reads the frame of a piece and copies the blocks that it supplies.
func (v *view) scatter(ctx context.Context, m *mender, p *repo.Piece) (pg.BlockNumber, error) {
	var err error
	if m.frame, err = v.frame(ctx, p, m.frame); err != nil {
		return 0, err
	}
	placed := pg.BlockNumber(0)
	for s, err := range p.Stretches() {
		if err != nil {
			return 0, v.w.wrong(p, err)
		}
		placed += pg.BlockNumber(copy(v.at(s.BlockRun), m.frame[int64(s.Page)*v.size:]) / int(v.size))
	}
	return placed, nil
}

// write writes the runs that are to be written.
func (v *view) write(out *outFile) error {
	for _, r := range v.runs {
		b := v.at(r)
		if _, err := out.WriteAt(b, int64(r.First)*v.size); err != nil {
			return err
		}
		v.w.c.wrote(int64(len(b)))
	}
	if out.direct.Load() || len(v.runs) == 0 {
		return nil
	}
	flush := v.w.c.disk.flusher(out.File)
	return flush.upTo(int64(v.part.from)*v.size, int64(v.part.to)*v.size, true)
}
