package backup

import (
	"context"
	"os"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// source says which blocks of a segment file must come from today's file because they may
// differ from the parent's. It is asked only about blocks that the parent has. Methods may be called
// from any goroutine; judge before changed, for each target.
type source interface {
	// judge tells, without opening the file, whether nothing may come from the parent
	// (whole), or else how many blocks changed will name or have to look at. No
	// work says: every block is provably the parent's.
	judge(t *target) (whole bool, work pg.BlockNumber)
	// changed adds to set, numbered within the segment file, the blocks of [from, to) that
	// must come from today's file. To cold it adds what it brought into the page cache, which
	// the caller drops when it has copied the blocks.
	changed(ctx context.Context, t *target, f *os.File, from, to pg.BlockNumber,
		set *pagemap.Set, cold *[]pagecache.Span) error
}
