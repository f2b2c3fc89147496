package restore

import (
	"context"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// plain makes one part of a plain file what it is to be, frame by frame.
func (w *work) plain(ctx context.Context, out *outFile, p part) error {
	sum := pg.NewCRC32CSum(w.file.Size)
	if w.found != nil {
		same, err := w.sameContent(ctx, out, sum)
		if err != nil {
			return err
		}
		if same {
			w.merge(sum)
			return nil
		}
		if err := out.Truncate(0); err != nil {
			return err
		}
		w.changed.Store(true)
	}
	flush := w.c.disk.flusher(out.File)
	for i := range p.pieces {
		piece := &p.pieces[i]
		if err := w.plainPiece(ctx, out, piece, sum); err != nil {
			return err
		}
		next := piece.Offset + int64(piece.Frame.Raw)
		if err := flush.upTo(piece.Offset, next, i+1 == len(p.pieces)); err != nil {
			return err
		}
	}
	w.merge(sum)
	return nil
}

// plainPiece reads a frame and writes it at its place.
func (w *work) plainPiece(ctx context.Context, out *outFile, p *repo.Piece, sum *pg.CRC32CSum) error {
	m := w.c.menders.get()
	defer w.c.menders.put(m)
	b, err := w.frame(ctx, p, m.frame)
	if err != nil {
		return err
	}
	m.frame = b
	if len(p.Runs) > 0 || len(b) != int(p.Frame.Raw) {
		return w.wrong(p, fmt.Errorf("frame of %d bytes, expected %d of a plain file: %w",
			len(b), p.Frame.Raw, repo.ErrCorrupt))
	}
	if _, err := out.WriteAt(b, p.Offset); err != nil {
		return err
	}
	sum.Add(p.Offset, int64(len(b)), pg.CRC32C(b))
	w.c.wrote(int64(len(b)))
	return nil
}

// frame reads a piece's frame into dst[:0], of a relation at least the blocks that the piece supplies.
func (w *work) frame(ctx context.Context, p *repo.Piece, dst []byte) ([]byte, error) {
	b, err := w.c.plan.chain.ReadPiece(ctx, p, dst)
	if err != nil {
		return nil, w.wrong(p, err)
	}
	w.c.read.Add(int64(p.Frame.Stored))
	return b, nil
}

// wrong says of which backup and blocks an error is.
func (w *work) wrong(p *repo.Piece, err error) error {
	return fmt.Errorf("backup %s: %s: %w", w.c.plan.chain.Backups[p.Depth].Manifest.ID, w.extent(p), err)
}

// extent names what a piece supplies, for messages.
func (w *work) extent(p *repo.Piece) string {
	if len(p.Runs) == 0 {
		return fmt.Sprintf("bytes %d to %d", p.Offset, p.Offset+int64(p.Frame.Raw))
	}
	last := p.Runs[len(p.Runs)-1]
	return fmt.Sprintf("blocks %d to %d", p.Runs[0].First, last.First+last.Count-1)
}
