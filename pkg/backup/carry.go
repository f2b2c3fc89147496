package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
)

// carrier copies the WAL that a backup needs from pg_wal into the backup, most of it while the backup runs, so
// that nothing is recycled meanwhile.
type carrier struct {
	dir      string // pg_wal
	geometry pg.Geometry
	timeline pg.TimelineID // of the start
	start    pg.LSN
	session  Session
	put      func(ctx context.Context, name string, r io.Reader) error
	// archived opens a WAL file in the repository's archive, for what pg_wal lacks.
	archived func(ctx context.Context, name string) (io.ReadCloser, error)

	done map[string]bool // carried
}

// How often a carrier asks for the server's progress.
const carryPause = 500 * time.Millisecond

// follow copies finished segments until stop is closed. It ends early, without an error, where the rest
// is better left to finish: when a segment is not in pg_wal, or a newer timeline turns up
// (on a standby), which decides anew where WAL lies.
func (c *carrier) follow(ctx context.Context, stop <-chan struct{}) error {
	next := c.geometry.SegmentOf(c.start)
	tick := time.NewTicker(carryPause)
	defer tick.Stop()
	for {
		flushed, err := c.session.FlushLSN(ctx)
		if err != nil {
			return err
		}
		if newer, err := newerTimeline(c.dir, c.timeline); newer || err != nil {
			return err
		}
		for ; c.geometry.SegmentStart(next+1) <= flushed; next++ {
			name := c.geometry.WALFileName(c.timeline, next)
			err := c.segment(ctx, name, next, c.geometry.SegmentStart(next+1))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		if more, err := pause(ctx, stop, tick.C); !more {
			return err
		}
	}
}

// pause waits for a tick; more is false when stop is closed or ctx ends before, which is the error.
func pause(ctx context.Context, stop <-chan struct{}, tick <-chan time.Time) (more bool, err error) {
	select {
	case <-stop:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-tick:
		return true, nil
	}
}

// finish copies what is still missing of the segments, up to position flushed in the last one.
func (c *carrier) finish(ctx context.Context, segments []string, flushed pg.LSN) error {
	for _, name := range segments {
		if c.done[name] {
			continue
		}
		_, seg, err := c.geometry.ParseWALFileName(name)
		if err != nil {
			return err
		}
		err = c.segment(ctx, name, seg, flushed)
		if errors.Is(err, fs.ErrNotExist) {
			err = c.fromArchive(ctx, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *carrier) fromArchive(ctx context.Context, name string) error {
	r, err := c.archived(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("WAL file %s: needed by this backup, and neither in %s nor in the archive",
			name, c.dir)
	}
	if err != nil {
		return err
	}
	return errors.Join(c.carry(ctx, name, r), r.Close())
}

func (c *carrier) carry(ctx context.Context, name string, r io.Reader) error {
	if err := c.put(ctx, name, r); err != nil {
		return err
	}
	c.done[name] = true
	return nil
}

// segment copies one segment of pg_wal; what lies at or behind flushed becomes zeros: the file is
// an old one, renamed, and still has that one's content there.
func (c *carrier) segment(ctx context.Context, name string, seg pg.SegNo, flushed pg.LSN) (err error) {
	f, err := os.Open(filepath.Join(c.dir, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	start := c.geometry.SegmentStart(seg)
	if err := c.verifySegment(f, start); err != nil {
		return fmt.Errorf("WAL segment %s: %w", name, err)
	}
	size := int64(c.geometry.WALSegmentSize)
	valid := min(max(int64(flushed)-int64(start), 0), size)
	return c.carry(ctx, name, io.MultiReader(
		io.NewSectionReader(f, 0, valid), io.LimitReader(zeros{}, size-valid)))
}

// verifySegment checks that the file is whole and holds the segment that its name says: a recycled one
// keeps the position of what it held before in its page headers (XLogPageHeaderData).
func (c *carrier) verifySegment(f *os.File, start pg.LSN) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != int64(c.geometry.WALSegmentSize) {
		return fmt.Errorf("%d bytes, want %d", info.Size(), c.geometry.WALSegmentSize)
	}
	var header [16]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return err
	}
	if at := pg.LSN(binary.LittleEndian.Uint64(header[8:])); at != start {
		return fmt.Errorf("holds WAL from %s, want %s", at, start)
	}
	return nil
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
