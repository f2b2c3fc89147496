package wal

import (
	"context"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// MapRequest asks for the map of the WAL [From, To) of one history.
type MapRequest struct {
	SystemIdentifier uint64
	Geometry         pg.Geometry
	History          pg.History    // of the server now
	FromTimeline     pg.TimelineID // From lies on it
	From, To         pg.LSN        // both are starts of records
	// Archive holds maps and segments; nil: none.
	Archive Archive
	// Dir is a pg_wal directory to look into for what the archive lacks; "": none.
	Dir  string
	Jobs int
}

// Built is a complete map and how it came about.
type Built struct {
	Map      *pagemap.Map
	Segments int // in the range
	Mapped   int // whose stored map was used
	Scanned  int // that were read
}

// IncompleteError: the range has no map. Reason says why in a few words, for the
// result of the backup ("segment 00000001000000000000000A is neither in the archive nor in pg_wal").
type IncompleteError struct {
	Segment string
	Reason  string
}

func (e *IncompleteError) Error() string { panic("stub") }

// Build proves that the WAL of the range is complete and gives its map, or an
// *IncompleteError. Segments are scanned by req.Jobs workers, in any order.
func Build(ctx context.Context, req MapRequest) (*Built, error) { panic("stub") }
