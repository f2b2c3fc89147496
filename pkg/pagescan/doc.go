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
// Headers are probed through a mapping of the file, 16 MiB at a time, so that
// pages in the page cache are not copied; what is not in the page cache is
// read ahead one window and dropped again when it was looked at. Holes are not
// read. One Scan maps at most two windows, of which one is resident, and
// allocates at most 256 KiB of buffer (only where mapping does not work) and 8 KiB
// of residency; nothing grows with the file except the set.
//
// # Faults
//
// A file that is truncated under its mapping raises SIGBUS. Scan turns that into
// reads of the same blocks, which end at the new end of the file.
//
// Reading order: rules.go, probe.go, scan.go, window_linux.go, trusted.go.
package pagescan
