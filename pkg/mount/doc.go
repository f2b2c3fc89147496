// Package mount shows a backup as a read-only data directory by FUSE: pages are put together
// when they are read, from the frames of the chain, whose checksums are verified. With a
// writable layer above it PostgreSQL starts on it.
//
// What the directory has beside the files of the backup is what a server needs to become consistent by itself:
// backup_label, global/pg_control, and the WAL that the backup needs in pg_wal. archive_mode is
// off. Tablespaces are directories, not links.
//
// Memory: the index of what is shown, some 150 bytes for each frame of the chain and 300 for each
// file; decoded frames up to Options.Cache; a whole WAL segment for each that is open.
//
// Reading order: run.go, mounting and its end; tree.go, names and attributes; content.go, where the bytes of
// a file come from; frames.go, the cache; node.go, what the kernel asks. Linux only.
package mount
