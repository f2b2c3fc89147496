package backup

import (
	"context"
	"os"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// mapSource answers from a page map, made from WAL or from the server's summaries. It reads no files.
type mapSource struct {
	m            *pagemap.Map
	relSegBlocks pg.BlockNumber
}

func (s *mapSource) first(t *target) pg.BlockNumber {
	return pg.BlockNumber(t.rel.Segno) * s.relSegBlocks
}

func (s *mapSource) judge(t *target) (whole bool, work pg.BlockNumber) {
	ch := s.m.Changes(t.rel.RelFork)
	first := s.first(t)
	if ch.Whole || ch.Limit <= first {
		return true, 0
	}
	for _, n := range ch.Runs(first, first+t.parentBlocks) {
		work += n
	}
	return false, work
}

func (s *mapSource) changed(_ context.Context, t *target, _ *os.File, from, to pg.BlockNumber,
	set *pagemap.Set, _ *[]pagecache.Span,
) error {
	first := s.first(t)
	for blk, n := range s.m.Changes(t.rel.RelFork).Runs(first+from, first+to) {
		set.AddRange(blk-first, blk-first+n)
	}
	return nil
}

// has says whether the map names a block of the segment file.
func (s *mapSource) has(t *target, blk pg.BlockNumber) bool {
	return s.m.Changes(t.rel.RelFork).Has(s.first(t) + blk)
}
