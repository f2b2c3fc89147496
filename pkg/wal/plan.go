package wal

import (
	"context"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// fewSegments is the length of a range, in segments, for which it is not worth
// listing the maps of runs.
const fewSegments = 32

// plan cuts the range into pieces: runs of segments whose map is stored, else single segments.
func (b *builder) plan(ctx context.Context) ([]*piece, error) {
	first, last := b.Geometry.SegmentOf(b.from), b.Geometry.SegmentOf(b.to-1)
	var stored []string // sorted
	if b.Archive != nil && last-first >= fewSegments {
		var err error
		// Nothing that begins before the range is of use.
		end := min(b.Geometry.SegmentStart(first+1), b.to)
		after := before(b.Geometry, b.History.TimelineAt(end-1), first)
		if stored, err = b.Archive.ListMaps(ctx, after); err != nil {
			return nil, &IncompleteError{Reason: "page maps cannot be listed: " + err.Error(), Err: err}
		}
		slices.Sort(stored)
	}
	whole := last // segments before are wanted to their end
	if b.Geometry.SegmentStart(last+1) == b.to {
		whole++
	}
	var pieces []*piece
	for n := first; n <= last; {
		p := b.longest(n, whole, stored)
		pieces = append(pieces, p)
		n = p.last + 1
	}
	return pieces, nil
}

// longest gives the longest piece from segment n on that ends before whole and has a stored map, or
// the segment alone.
func (b *builder) longest(n, whole pg.SegNo, stored []string) *piece {
	end := min(b.Geometry.SegmentStart(n+1), b.to)
	p := &piece{tli: b.History.TimelineAt(end - 1), first: n, last: n}
	for _, size := range slices.Backward(runSizes[:]) {
		last := n + size - 1
		if n%size != 0 || last >= whole ||
			b.History.TimelineAt(b.Geometry.SegmentStart(last+1)-1) != p.tli {
			continue
		}
		if _, ok := slices.BinarySearch(stored, MapName(b.Geometry, p.tli, n, last)); ok {
			p.last = last
			return p
		}
	}
	return p
}

// before is less than the name of a segment and those of the maps that begin with it, and greater than the names of all
// but the few segments before it that differ in the last digit.
func before(g pg.Geometry, tli pg.TimelineID, n pg.SegNo) string {
	name := g.WALFileName(tli, n)
	return name[:len(name)-1]
}
