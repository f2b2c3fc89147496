package wal

import (
	"context"
	"io"
)

// Archive is where WAL files and page maps are kept. Names are those of
// PostgreSQL: segments, .partial, .history, .backup. Package repo has one on a Store.
type Archive interface {
	// Put stores a file, durable when it returns. Identical content that is there
	// already is no error; other content under the same name is fs.ErrExist.
	Put(ctx context.Context, name string, r io.Reader) error
	// Has says whether a file is there.
	Has(ctx context.Context, name string) (bool, error)
	// Open reads a file, or fails with fs.ErrNotExist.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Same says whether the content of a stored file is that of r, or fails with fs.ErrNotExist.
	// It takes no right to read the file.
	Same(ctx context.Context, name string, r io.Reader) (bool, error)
	// Lacking gives those of names that are not there, in their order. It may be wrong about a file: it is for who
	// puts these next.
	Lacking(ctx context.Context, names []string) ([]string, error)
	// List gives the names of the files of one timeline (segments, .partial,
	// .backup) that are greater than after, sorted.
	List(ctx context.Context, timeline uint32, after string) ([]string, error)
	// Timelines gives the timelines that have such files.
	Timelines(ctx context.Context) ([]uint32, error)
	// PutMap stores an encoded map beside the segments; an existing one stays.
	PutMap(ctx context.Context, name string, data []byte) error
	// GetMap reads one, or fails with fs.ErrNotExist.
	GetMap(ctx context.Context, name string) ([]byte, error)
	// ListMaps gives the names of the stored maps that are greater than after, sorted.
	ListMaps(ctx context.Context, after string) ([]string, error)
}
