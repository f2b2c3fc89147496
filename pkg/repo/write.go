package repo

import (
	"context"
	"io"
)

// Compression chooses codec and level: "zstd", "zstd:1" to "zstd:19", "lz4", "none".
type Compression struct {
	Codec Codec
	Level int // 0: the default
}

// ParseCompression reads the -Z argument.
func ParseCompression(s string) (Compression, error) { panic("stub") }

// BackupWriter fills one new backup. The commit point is Commit: the manifest appears. Everything earlier is garbage.
type BackupWriter struct{ _ int }

// CreateBackup begins a backup under an id that is not taken.
func (c *Cluster) CreateBackup(ctx context.Context, id string, z Compression) (*BackupWriter, error) {
	panic("stub")
}

// PackWriter is one worker's end of the backup: it owns the current pack and starts a new
// one when that is full. Not safe for concurrent use.
type PackWriter struct{ _ int }

// NewPackWriter gives a worker its own writer. May be called from any goroutine.
func (b *BackupWriter) NewPackWriter() *PackWriter { panic("stub") }

// WriteFrame compresses raw (at most MaxFrame bytes) and appends it. hashes has one PageHash for each page of a relation
// frame and is nil otherwise. The caller fills Runs. Incompressible data is stored as it is.
func (p *PackWriter) WriteFrame(ctx context.Context, raw []byte, hashes []uint64) (Frame, error) {
	panic("stub")
}

// Close finishes the worker's pack: durable, listed for the manifest.
func (p *PackWriter) Close(ctx context.Context) error { panic("stub") }

// AppendFile adds an entry to the index; entries come in pg.ComparePaths order. One goroutine at a time.
func (b *BackupWriter) AppendFile(ctx context.Context, f *File) error { panic("stub") }

// PutControl stores the content of global/pg_control, which is copied last.
func (b *BackupWriter) PutControl(ctx context.Context, data []byte) error { panic("stub") }

// PutWAL stores a WAL segment or history file that the backup carries.
func (b *BackupWriter) PutWAL(ctx context.Context, name string, r io.Reader) error { panic("stub") }

// Commit finishes the index, fills m.Objects and m.StoredBytes, and publishes
// the manifest. All PackWriters must be closed.
func (b *BackupWriter) Commit(ctx context.Context, m *Manifest) error { panic("stub") }

// Abort removes what was written. After Commit it does nothing.
func (b *BackupWriter) Abort(ctx context.Context) error { panic("stub") }
