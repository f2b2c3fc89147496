// Package pagescan finds the blocks of a relation segment file that differ
// from the parent backup by looking at the pages themselves. It is the source
// of changes that needs no WAL; it never writes, and it never decides which
// files to scan or what to do with the answer (see backup).
//
// # What is taken
//
// A page header answers most of the time: a page whose LSN is at or after the
// parent's start position was changed since. The LSN says nothing for pages
// that were never initialised, for an LSN that is no WAL position, for blocks
// that the parent did not have, and for PD_ALL_VISIBLE, which VACUUM sets
// without a new LSN when neither checksums nor wal_log_hints are on. Rules has
// one condition for each; where none of them can decide, it compares page
// hashes. The set that comes out may hold pages that did not change, and
// never lacks one that did, but for changes that the WAL from this backup's
// start position brings back.
//
// # What it costs
//
// Pages that are in the page cache are probed through a mapping of the file, 16 MiB at a
// time, without being copied: a header is one cache line. Pages that are not
// are read, in large requests, and dropped again (see internal/pagecache). Holes are not
// read. One Scan holds one mapped window (16 MiB, which counts as resident), 1 MiB of
// buffer where it reads, and for the windows ahead a byte for each page of memory (12 KiB);
// nothing grows with the file except the set.
//
// # Faults
//
// A file that is truncated under its mapping raises SIGBUS. Scan turns that into
// reads of the same blocks, which end at the new end of the file.
//
// Reading order: rules.go, probe.go, scan.go, guard.go, trusted.go.
package pagescan
