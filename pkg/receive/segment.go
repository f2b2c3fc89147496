package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// maxParts is how many parts of a segment are stored before they are replaced by one.
const maxParts = 64

// segment is the one that is being received.
type segment struct {
	r        *receiver
	timeline pg.TimelineID
	name     string
	start    pg.LSN
	file     *os.File // without a name
	pos      uint32   // bytes received
	flushed  uint32   // bytes that are durable
	stored   []repo.Part
	// earlier is how far the parts reach that an earlier session stored. They stay until as much was received again.
	earlier uint32
}

// open begins the segment at a position, and removes the parts of those before it that are complete.
func (r *receiver) open(ctx context.Context, pos position) (_ *segment, err error) {
	s := &segment{
		r: r, timeline: pos.timeline, start: pos.at,
		name: r.g.WALFileName(pos.timeline, r.g.SegmentOf(pos.at)),
	}
	parts, err := r.archive.Parts(ctx, uint32(pos.timeline))
	if err != nil {
		return nil, err
	}
	var done []repo.Part
	complete := map[string]bool{}
	for _, p := range parts {
		if p.Segment == s.name {
			s.stored = append(s.stored, p)
			s.earlier = max(s.earlier, p.End)
			continue
		}
		if _, known := complete[p.Segment]; !known {
			if complete[p.Segment], err = r.archive.Has(ctx, p.Segment); err != nil {
				return nil, err
			}
		}
		if complete[p.Segment] {
			done = append(done, p)
		}
	}
	if err := r.archive.RemoveParts(ctx, done...); err != nil {
		return nil, err
	}
	if s.file, err = unnamedFile(); err != nil {
		return nil, err
	}
	return s, nil
}

// unnamedFile makes a file that goes when it is closed.
func unnamedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "pgincr-receive-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s *segment) close() error { return s.file.Close() }

// received and durable are the positions up to which the segment is.
func (s *segment) received() pg.LSN { return s.start + pg.LSN(s.pos) }

func (s *segment) durable() pg.LSN { return s.start + pg.LSN(s.flushed) }

func (s *segment) complete() bool { return s.pos == s.r.g.WALSegmentSize }

// write takes WAL as far as it belongs to the segment and gives the rest.
func (s *segment) write(data []byte) (rest []byte, err error) {
	n := min(len(data), int(s.r.g.WALSegmentSize-s.pos))
	if _, err := s.file.WriteAt(data[:n], int64(s.pos)); err != nil {
		return nil, err
	}
	s.pos += uint32(n)
	return data[n:], nil
}

// flush makes what was received durable: as a part of a segment that is not complete, or as the segment.
func (s *segment) flush(ctx context.Context) error {
	switch {
	case s.complete():
		return s.push(ctx)
	case s.pos == s.flushed:
		return nil
	case s.pos <= s.earlier: // as it is stored already
	case s.earlier > 0 || len(s.stored) >= maxParts:
		if err := s.merge(ctx); err != nil {
			return err
		}
	default:
		p := repo.Part{Segment: s.name, Begin: s.flushed, End: s.pos}
		if err := s.put(ctx, p); err != nil {
			return err
		}
		s.stored = append(s.stored, p)
	}
	s.flushed = s.pos
	return nil
}

// put stores a part.
func (s *segment) put(ctx context.Context, p repo.Part) error {
	return s.r.archive.PutPart(ctx, p, io.NewSectionReader(s.file, int64(p.Begin), int64(p.End-p.Begin)))
}

// merge replaces all parts by one.
func (s *segment) merge(ctx context.Context) error {
	whole := repo.Part{Segment: s.name, End: s.pos}
	if err := s.put(ctx, whole); err != nil {
		return err
	}
	old := s.stored
	s.stored, s.earlier = []repo.Part{whole}, 0
	return s.r.archive.RemoveParts(ctx, old...)
}

// push stores the complete segment and its page map. The parts go when it is there.
func (s *segment) push(ctx context.Context) error {
	if s.flushed == s.pos {
		return nil
	}
	res, err := wal.PushFrom(ctx, s.r.archive, s.name, io.NewSectionReader(s.file, 0, int64(s.pos)))
	if err != nil {
		return err
	}
	s.flushed = s.pos
	if res.Mapped {
		s.r.Log.Debug("archived", "file", s.name, "mapped", true)
	} else {
		s.r.Log.Warn("archived without a page map", "file", s.name, "reason", res.MapReason)
	}
	old := s.stored
	s.stored = nil
	return s.r.archive.RemoveParts(ctx, old...)
}

// next begins the segment that follows.
func (s *segment) next(ctx context.Context) (*segment, error) {
	if err := s.close(); err != nil {
		return nil, err
	}
	return s.r.open(ctx, position{timeline: s.timeline, at: s.start + pg.LSN(s.r.g.WALSegmentSize)})
}

// put stores a small file.
func (r *receiver) put(ctx context.Context, name string, data []byte) error {
	if err := r.archive.Put(ctx, name, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
