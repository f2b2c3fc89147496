package wal

import (
	"github.com/pgincr/pgincr/pkg/pg"
)

// runSizes are the numbers of segments that one map of a run covers, ascending. Runs are
// aligned: the number of their first segment is a multiple of the size.
//
//nolint:gochecknoglobals // a table
var runSizes = [...]pg.SegNo{16, 256, 4096}

// MapName names the stored map of the segments first to last of a timeline: the
// name of the segment, or those of both ends with a hyphen between.
func MapName(g pg.Geometry, tli pg.TimelineID, first, last pg.SegNo) string {
	name := g.WALFileName(tli, first)
	if first != last {
		name += "-" + g.WALFileName(tli, last)
	}
	return name
}

// ParseMapName is the inverse of MapName.
func ParseMapName(g pg.Geometry, name string) (tli pg.TimelineID, first, last pg.SegNo, ok bool) {
	const size = 24
	if len(name) != size && (len(name) != 2*size+1 || name[size] != '-') {
		return 0, 0, 0, false
	}
	tli, first, err := g.ParseWALFileName(name[:size])
	if err != nil {
		return 0, 0, 0, false
	}
	if len(name) == size {
		return tli, first, first, true
	}
	tli2, last, err := g.ParseWALFileName(name[size+1:])
	if err != nil || tli2 != tli || last <= first {
		return 0, 0, 0, false
	}
	return tli, first, last, true
}
