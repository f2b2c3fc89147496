package repo

import (
	"context"
	"io"
	"iter"
)

// BackupReader reads one backup's content. Safe for concurrent use.
type BackupReader struct {
	Manifest *Manifest
}

// OpenBackup opens a backup; every object that the manifest lists is checked to be
// there with its size, and a missing one is named.
func (c *Cluster) OpenBackup(ctx context.Context, m *Manifest) (*BackupReader, error) { panic("stub") }

// Files yields the index in order, verifying its checksums on the way. Each
// File is new memory. Memory in use is bounded by the largest entry plus one index block.
func (r *BackupReader) Files(ctx context.Context) iter.Seq2[*File, error] { panic("stub") }

// ReadFrame gives the uncompressed bytes of a frame, appended to dst[:0], after
// verifying everything that covers it. Errors are ErrCorrupt with pack and offset.
func (r *BackupReader) ReadFrame(ctx context.Context, f Frame, dst []byte) ([]byte, error) {
	panic("stub")
}

// PageHashes gives the hashes of a frame's pages, appended to dst[:0].
func (r *BackupReader) PageHashes(ctx context.Context, f Frame, dst []uint64) ([]uint64, error) {
	panic("stub")
}

// Control gives the stored global/pg_control.
func (r *BackupReader) Control(ctx context.Context) ([]byte, error) { panic("stub") }

// OpenWAL reads a carried WAL file; the reader fails at the end if the content is not what was stored.
func (r *BackupReader) OpenWAL(ctx context.Context, name string) (io.ReadCloser, error) {
	panic("stub")
}

// Close releases open objects.
func (r *BackupReader) Close() error { panic("stub") }
