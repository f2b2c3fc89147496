package repo

import (
	"context"
	"io"
)

// WALArchive is the archived WAL of a cluster: segments, history files, and page maps beside them. It
// satisfies wal.Archive.
type WALArchive struct{ _ int }

// WAL gives the cluster's archive. z compresses what is put.
func (c *Cluster) WAL(z Compression) *WALArchive { panic("stub") }

// Put stores a WAL file under its name (segment, .partial, .history, .backup). Identical content stored already: nil.
// Different content: an error that is ErrExists. The commit point is the object's appearance.
func (a *WALArchive) Put(ctx context.Context, name string, r io.Reader) error { panic("stub") }

// Open reads a WAL file, or fails with ErrNotFound. The reader fails at the end if the content is not what was stored.
func (a *WALArchive) Open(ctx context.Context, name string) (io.ReadCloser, error) { panic("stub") }

// Has says whether a WAL file is there.
func (a *WALArchive) Has(ctx context.Context, name string) (bool, error) { panic("stub") }

// List gives the names of the archived WAL files of one timeline (segments, .partial, .backup), sorted; timeline 0: the history files.
func (a *WALArchive) List(ctx context.Context, timeline uint32) ([]string, error) { panic("stub") }

// PutMap stores the page map of a segment or range under a name, replacing nothing: an existing one stays.
func (a *WALArchive) PutMap(ctx context.Context, name string, data []byte) error { panic("stub") }

// GetMap reads a page map, or fails with ErrNotFound.
func (a *WALArchive) GetMap(ctx context.Context, name string) ([]byte, error) { panic("stub") }

// ListMaps gives the names of the stored maps, sorted.
func (a *WALArchive) ListMaps(ctx context.Context) ([]string, error) { panic("stub") }
