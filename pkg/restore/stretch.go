package restore

import (
	"fmt"
	"iter"

	"github.com/pgincr/pgincr/pkg/repo"
)

// stretch is a contiguous part of a frame and its place in the file.
type stretch struct {
	from int   // first byte in the frame
	size int   // bytes
	to   int64 // first byte in the file
}

// stretches cuts what a piece supplies into the fewest contiguous writes. size
// is the length of the frame's bytes. Runs that the frame does not hold are
// repo.ErrCorrupt.
func stretches(p *repo.Piece, size int, blockSize int64) iter.Seq2[stretch, error] {
	return func(yield func(stretch, error) bool) {
		if size != int(p.Frame.Raw) {
			yield(stretch{}, fmt.Errorf("frame of %d bytes, expected %d: %w", size, p.Frame.Raw, repo.ErrCorrupt))
			return
		}
		if len(p.Runs) == 0 {
			yield(stretch{size: size, to: p.Offset}, nil)
			return
		}
		var cur stretch
		held, base := 0, int64(0) // the frame's run that is looked at, and its first byte in the frame
		for _, r := range p.Runs {
			for held < len(p.Frame.Runs) && !contains(p.Frame.Runs[held], r) {
				base += int64(p.Frame.Runs[held].Count) * blockSize
				held++
			}
			if held == len(p.Frame.Runs) {
				yield(stretch{}, fmt.Errorf("block %d is not in the frame: %w", r.First, repo.ErrCorrupt))
				return
			}
			next := stretch{
				from: int(base + int64(r.First-p.Frame.Runs[held].First)*blockSize),
				size: int(int64(r.Count) * blockSize),
				to:   int64(r.First) * blockSize,
			}
			if next.from+next.size > size {
				yield(stretch{}, fmt.Errorf("block %d is behind the frame's end: %w", r.First, repo.ErrCorrupt))
				return
			}
			if cur.size > 0 && cur.from+cur.size == next.from && cur.to+int64(cur.size) == next.to {
				cur.size += next.size
				continue
			}
			if cur.size > 0 && !yield(cur, nil) {
				return
			}
			cur = next
		}
		yield(cur, nil)
	}
}

// contains says whether run r lies in run held.
func contains(held, r repo.BlockRun) bool {
	return r.First >= held.First &&
		uint64(r.First)+uint64(r.Count) <= uint64(held.First)+uint64(held.Count)
}
