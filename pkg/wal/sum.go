package wal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Opener opens a WAL file by its name, or fails with fs.ErrNotExist.
type Opener func(ctx context.Context, name string) (io.ReadCloser, error)

// InDir opens the files of a pg_wal directory.
func InDir(dir string) Opener {
	return func(_ context.Context, name string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(dir, name))
	}
}

// Sum gives the xxhash64 of the WAL [from, to), as history h has it: page headers and records, byte for
// byte. from is the begin of a segment. A segment that open does not have is fs.ErrNotExist. Nothing but the
// address of each segment is verified: sums are there to be compared.
func Sum(ctx context.Context, g pg.Geometry, h pg.History, from, to pg.LSN, open Opener) (uint64, error) {
	b := builder{MapRequest: MapRequest{Geometry: g, History: h}}
	return sum(ctx, g, from, to, func(n pg.SegNo, end pg.LSN) (string, io.ReadCloser, error) {
		return b.openFirst(ctx, n, end, open)
	})
}

// SumFiles is Sum of WAL whose files are known by name, those of the segments from that of from on.
func SumFiles(ctx context.Context, g pg.Geometry, names []string, from, to pg.LSN, open Opener) (uint64, error) {
	return sum(ctx, g, from, to, func(pg.SegNo, pg.LSN) (string, io.ReadCloser, error) {
		if len(names) == 0 {
			return "", nil, fmt.Errorf("WAL from %s to %s: not all of its segments are named", from, to)
		}
		name := names[0]
		names = names[1:]
		f, err := open(ctx, name)
		return name, f, err
	})
}

func sum(ctx context.Context, g pg.Geometry, from, to pg.LSN,
	open func(n pg.SegNo, end pg.LSN) (name string, f io.ReadCloser, err error),
) (uint64, error) {
	if from >= to || from != g.SegmentStart(g.SegmentOf(from)) {
		return 0, fmt.Errorf("WAL from %s to %s: does not begin with a segment", from, to)
	}
	all := xxhash.New()
	for n := g.SegmentOf(from); n <= g.SegmentOf(to-1); n++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		end := min(g.SegmentStart(n+1), to)
		name, f, err := open(n, end)
		if err != nil {
			return 0, err
		}
		err = sumSegment(all, f, g.SegmentStart(n), end)
		if err = errors.Join(err, f.Close()); err != nil {
			return 0, fmt.Errorf("WAL segment %s: %w", name, err)
		}
	}
	return all.Sum64(), nil
}

// openFirst opens the first file there is of those that hold segment n up to end.
func (b *builder) openFirst(ctx context.Context, n pg.SegNo, end pg.LSN, open Opener) (
	name string, f io.ReadCloser, err error,
) {
	for _, tli := range b.candidates(n, end) {
		name = b.Geometry.WALFileName(tli, n)
		if f, err = open(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("WAL segment %s: %w", name, err)
	}
	return name, f, err
}

// sumSegment adds the WAL of one segment up to end. A recycled file still has the address of what it
// held before.
func sumSegment(sum io.Writer, f io.Reader, start, end pg.LSN) error {
	var header [16]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return err
	}
	if at := pg.LSN(binary.LittleEndian.Uint64(header[8:])); at != start {
		return fmt.Errorf("holds WAL from %s, not from %s", at, start)
	}
	size := int64(end - start)
	if size <= int64(len(header)) {
		_, err := sum.Write(header[:size])
		return err
	}
	if _, err := sum.Write(header[:]); err != nil {
		return err
	}
	_, err := io.CopyN(sum, f, size-int64(len(header)))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
