package wal

import (
	"context"
	"fmt"
	"io"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/pg"
)

// PartialArchive has segments that are not complete yet, as a receiver stores them.
type PartialArchive interface {
	// CopyPartial writes what there is of a segment and zeros up to size, or fails with fs.ErrNotExist.
	// end is how far what there is reaches, in bytes.
	CopyPartial(ctx context.Context, segment string, size int64, w io.Writer) (end int64, err error)
}

// GetPartial writes a segment that is not complete to dest as Get does: as far as it was received, and zeros behind,
// which a recovering server takes for the end of WAL.
func GetPartial(ctx context.Context, a PartialArchive, g pg.Geometry, name, dest string) (end int64, err error) {
	var missing, other error
	err = durable.WriteFile(dest, 0o600, func(w io.Writer) error {
		end, missing = a.CopyPartial(ctx, name, int64(g.WALSegmentSize), w)
		return missing
	})
	if err != nil && missing == nil {
		other = hideNotExist(err) // of the directory of dest
	}
	switch {
	case other != nil:
		return 0, fmt.Errorf("%s: %w", name, other)
	case missing != nil:
		return 0, missing
	}
	return end, nil
}
