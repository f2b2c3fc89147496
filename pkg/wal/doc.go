// Package wal reads WAL of servers 13 to 18 for block references, makes one
// joinable map per segment, proves the continuity of ranges, and moves
// segments in and out of an archive.
//
// It never guesses: WAL that could not be read completely has no map.
//
// Reading order: page.go, record.go, reference.go, segmentmap.go, join.go, build.go, archive.go, push.go, get.go.
package wal
