package pg

import (
	"io"
	"time"
)

// ManifestWriter writes a backup_manifest (backup/backup_manifest.c) that
// pg_verifybackup of the same major version accepts. Not to be confused with
// pgincr's own manifest in package repo.
type ManifestWriter struct{ _ int }

// NewManifestWriter starts a manifest on w: version 1 for servers 13 to 16,
// version 2, which carries the system identifier, from 17 on.
func NewManifestWriter(w io.Writer, major int, systemID uint64) *ManifestWriter { panic("stub") }

// AddFile lists one file; crc32c is the checksum of its content.
func (m *ManifestWriter) AddFile(path string, size int64, mtime time.Time, crc32c uint32) error {
	panic("stub")
}

// Close writes the WAL ranges (newest timeline first) and the manifest's checksum. It does not close w.
func (m *ManifestWriter) Close(ranges []WALRange) error { panic("stub") }
