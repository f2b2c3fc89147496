package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pgincr/pgincr/pkg/pg"
)

// reader is one worker's way to the maps and the segments of an archive and
// of a pg_wal directory. Not safe for concurrent use.
//
// Memory: the scanner's, and one buffer of readSize.
type reader struct {
	archive Archive // nil: none
	dir     string  // "": none
	scanner *scanner
	buf     []byte
}

// readSize is how much of a segment is read at once, in bytes: little enough to be still in
// the cache when it is scanned.
const readSize = 256 << 10

func newReader(archive Archive, dir string) *reader {
	return &reader{archive: archive, dir: dir, scanner: newScanner(), buf: make([]byte, readSize)}
}

// stored reads a stored map.
func (r *reader) stored(ctx context.Context, name string) (*SegmentMap, error) {
	if r.archive == nil {
		return nil, os.ErrNotExist
	}
	b, err := r.archive.GetMap(ctx, name)
	if err != nil {
		return nil, err
	}
	return DecodeSegmentMap(b)
}

// scanArchived scans a file of the archive; see scan.
func (r *reader) scanArchived(ctx context.Context, name string, o scanOrder) (m *SegmentMap, err error) {
	if r.archive == nil {
		return nil, os.ErrNotExist
	}
	f, err := r.archive.Open(ctx, name)
	if err != nil {
		return nil, unread(err)
	}
	defer func() { err = errors.Join(err, unread(f.Close())) }()
	return r.scan(f, o)
}

// unreadError is one of a file that cannot be read, not of the WAL in it.
type unreadError struct{ error }

func (e *unreadError) Unwrap() error { return e.error }

// unread marks err, if it is one.
func unread(err error) error {
	if err == nil {
		return nil
	}
	return &unreadError{err}
}

// scanFile scans a file of the pg_wal directory; see scan.
func (r *reader) scanFile(name string, o scanOrder) (m *SegmentMap, err error) {
	if r.dir == "" {
		return nil, os.ErrNotExist
	}
	f, err := os.Open(filepath.Join(r.dir, name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return r.scan(f, o)
}

// scanOrder says which part of a segment is to be read.
type scanOrder struct {
	start pg.LSN   // of the segment
	stop  pg.LSN   // where to end; 0: the end of the segment
	marks []pg.LSN // ascending: where a record is to start
}

// scan reads a segment. Which of the marks are the start of a record is in r.scanner.found.
func (r *reader) scan(src io.Reader, o scanOrder) (*SegmentMap, error) {
	r.scanner.reset(o.stop, o.marks...)
	if o.stop != 0 {
		src = io.LimitReader(src, int64(o.stop-o.start))
	}
	for {
		n, err := src.Read(r.buf)
		if _, werr := r.scanner.Write(r.buf[:n]); werr != nil {
			return nil, werr
		}
		if r.scanner.err != nil {
			return nil, r.scanner.err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, unread(err)
		}
	}
	m, err := r.scanner.finish()
	if err == nil && m.Start != o.start {
		err = fmt.Errorf("holds WAL from %s, not from %s", m.Start, o.start)
	}
	return m, err
}
