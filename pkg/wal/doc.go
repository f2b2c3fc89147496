// Package wal reads WAL of servers 13 to 18 for block references, makes one
// joinable map per segment, proves the continuity of ranges, and moves
// segments in and out of an archive.
//
// It never guesses: WAL that could not be read completely has no map. A map
// may hold more than what changed, never less.
//
// What is proved of a range: every record has its checksum, names the one
// before it as its predecessor, and where a record crosses from one segment to the next its two
// ends fit; pages are of the timelines that the server's history says; the range
// begins and ends between records; no record changes relations in a way not
// known here; WAL was never written with wal_level=minimal or
// full_page_writes=off. The latter loses no reference, but it is no state in
// which to trust a copy of a running server to be repaired by its WAL.
//
// Memory: Jobs × (a scanner, 256 KiB to read into, the map of a segment) + the map of the
// range + for each segment the record that crosses into the next one.
//
// Reading order: version.go, page.go, record.go, reference.go, special.go,
// collector.go, scanner.go, stretch.go, segmentmap.go, join.go, encode.go,
// then build.go, plan.go, segment.go, end.go, buildmaps.go, and archive.go, push.go, backlog.go, get.go,
// summary.go, and landmark.go, which is for restores.
package wal
