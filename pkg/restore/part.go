package restore

import (
	"iter"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// partSize is how much of a relation file one worker puts together in memory before it is
// written: large enough that the disk sees long stretches and few frames lie in two parts, small
// enough that several fit into memory and that the last file keeps all workers busy to the end.
const partSize = 8 << 20

// deltaPartSize is that of an in-place restore, which seldom fills much of a part.
const deltaPartSize = 4 << 20

// part is what one worker does of a file at a time.
type part struct {
	// from and to are the first block and the one behind the last; of a plain file both are 0.
	from, to pg.BlockNumber
	pieces   []repo.Piece    // of relations the oldest first, with the runs that lie in the part
	zero     []repo.BlockRun // ascending
}

// blocks counts those that are not zero.
func (p *part) blocks() pg.BlockNumber {
	n := p.to - p.from
	for _, r := range p.zero {
		n -= r.Count
	}
	return n
}

// data yields the maximal runs of blocks that are not zero.
func (p *part) data() iter.Seq[repo.BlockRun] {
	return func(yield func(repo.BlockRun) bool) {
		at := p.from
		for _, r := range p.zero {
			if r.First > at && !yield(repo.BlockRun{First: at, Count: r.First - at}) {
				return
			}
			at = r.First + r.Count
		}
		if at < p.to {
			yield(repo.BlockRun{First: at, Count: p.to - at})
		}
	}
}

// cut divides what makes a relation of so many blocks into parts of at most limit blocks. A frame
// whose runs lie in several parts is a piece of each. A relation without blocks has one empty part.
func cut(pieces []repo.Piece, zero []repo.BlockRun, blocks, limit pg.BlockNumber) []part {
	parts := make([]part, max(1, (uint64(blocks)+uint64(limit)-1)/uint64(limit)))
	for i := range parts {
		parts[i].from = pg.BlockNumber(i) * limit
		parts[i].to = min(parts[i].from+limit, blocks)
	}
	pieces = slices.Clone(pieces)
	slices.SortStableFunc(pieces, func(a, b repo.Piece) int { return b.Depth - a.Depth })
	for i := range pieces {
		cutPiece(parts, &pieces[i], limit)
	}
	for _, r := range zero {
		for r.Count > 0 {
			p := &parts[r.First/limit]
			n := min(r.Count, p.to-r.First)
			p.zero = append(p.zero, repo.BlockRun{First: r.First, Count: n})
			r.First, r.Count = r.First+n, r.Count-n
		}
	}
	for i := range parts {
		slices.SortFunc(parts[i].zero, func(a, b repo.BlockRun) int { return int(a.First) - int(b.First) })
	}
	return parts
}

// cutPiece gives every part the runs of a piece that lie in it.
func cutPiece(parts []part, piece *repo.Piece, limit pg.BlockNumber) {
	var into *part // the part that was given some last
	for i := 0; i < len(piece.Runs); {
		r := piece.Runs[i]
		p := &parts[r.First/limit]
		whole := i // behind the runs from here on that lie wholly in p
		for whole < len(piece.Runs) && piece.Runs[whole].First >= p.from && end(piece.Runs[whole]) <= uint64(p.to) {
			whole++
		}
		if whole > i {
			into = give(p, into, piece, piece.Runs[i:whole:whole])
			i = whole
			continue
		}
		for r.Count > 0 {
			p = &parts[r.First/limit]
			n := min(r.Count, p.to-r.First)
			into = give(p, into, piece, []repo.BlockRun{{First: r.First, Count: n}})
			r.First, r.Count = r.First+n, r.Count-n
		}
		i++
	}
}

// give adds runs of a piece to p, which has others of it if it is the part that was given some last.
func give(p, last *part, piece *repo.Piece, runs []repo.BlockRun) *part {
	if p == last {
		mine := &p.pieces[len(p.pieces)-1]
		mine.Runs = append(mine.Runs, runs...)
		return p
	}
	mine := *piece
	mine.Runs = runs
	p.pieces = append(p.pieces, mine)
	return p
}

// end is the number behind a run's last block.
func end(r repo.BlockRun) uint64 { return uint64(r.First) + uint64(r.Count) }

// divide cuts the pieces of a plain file into parts of about so many bytes. A file
// without pieces has one empty part.
func divide(pieces []repo.Piece, limit int) []part {
	var parts []part
	from, size := 0, 0
	for i := range pieces {
		size += int(pieces[i].Frame.Raw)
		if size >= limit {
			parts = append(parts, part{pieces: pieces[from : i+1]})
			from, size = i+1, 0
		}
	}
	if from < len(pieces) || len(parts) == 0 {
		parts = append(parts, part{pieces: pieces[from:]})
	}
	return parts
}
