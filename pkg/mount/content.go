package mount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// content is the bytes of a file. read fills p from off on, up to the end of the file; safe for concurrent use.
type content interface {
	read(ctx context.Context, p []byte, off int64) (int, error)
}

// memory is content that is at hand.
type memory []byte

func (m memory) read(_ context.Context, p []byte, off int64) (int, error) {
	if off >= int64(len(m)) {
		return 0, nil
	}
	return copy(p, m[off:]), nil
}

// span is a stretch of a file that one frame supplies.
type span struct {
	off, n int64 // in the file
	piece  int32
	at     int32 // in the decoded frame
}

// assembled is the content of a file of the backup: what the chain's frames say, and zero between.
type assembled struct {
	cf     *repo.ChainFile
	g      pg.Geometry
	frames *frames

	once   sync.Once
	err    error
	pieces []repo.Piece
	spans  []span // by off
}

// resolve decides which frame supplies what, when the file is read for the first time.
func (a *assembled) resolve() error {
	a.once.Do(func() {
		if a.pieces, _, a.err = a.cf.Resolve(a.g); a.err != nil {
			return
		}
		for i := range a.pieces {
			if a.err = a.addSpans(int32(i)); a.err != nil {
				return
			}
		}
		slices.SortFunc(a.spans, func(x, y span) int { return cmp.Compare(x.off, y.off) })
	})
	return a.err
}

// addSpans adds those of one piece.
func (a *assembled) addSpans(i int32) error {
	p := &a.pieces[i]
	if a.cf.Versions[0].Kind == repo.KindFile {
		a.spans = append(a.spans, span{off: p.Offset, n: int64(p.Frame.Raw), piece: i})
		return nil
	}
	size := int64(a.g.BlockSize)
	for s, err := range p.Stretches() {
		if err != nil {
			return fmt.Errorf("%s: %w", a.cf.Path, err)
		}
		a.spans = append(a.spans, span{
			off: int64(s.First) * size, n: int64(s.Count) * size, piece: i, at: int32(int64(s.Page) * size),
		})
	}
	return nil
}

func (a *assembled) read(ctx context.Context, p []byte, off int64) (int, error) {
	if err := a.resolve(); err != nil {
		return 0, err
	}
	size := a.cf.Versions[0].Size
	if off >= size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), size-off)]
	clear(p)
	end := off + int64(len(p))
	first, _ := slices.BinarySearchFunc(a.spans, off, func(s span, off int64) int {
		if s.off+s.n <= off {
			return -1
		}
		return 1
	})
	for _, s := range a.spans[first:] {
		if s.off >= end {
			break
		}
		piece := &a.pieces[s.piece]
		raw, err := a.frames.get(ctx, piece.Depth, &piece.Frame)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", a.cf.Path, err)
		}
		from := max(off, s.off)
		to := min(end, s.off+s.n)
		at := int64(s.at) + from - s.off
		if at+to-from > int64(len(raw)) {
			return 0, fmt.Errorf("%s: %w: a frame is too short", a.cf.Path, repo.ErrCorrupt)
		}
		copy(p[from-off:to-off], raw[at:])
	}
	return len(p), nil
}

// segment is a WAL segment, read whole when it is wanted and kept while it is used.
type segment struct {
	open func(context.Context) (io.ReadCloser, error)
	size int64

	mu   sync.Mutex
	data []byte // guarded by mu
}

func (s *segment) read(ctx context.Context, p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		data, err := s.load(ctx)
		if err != nil {
			return 0, err
		}
		s.data = data
	}
	return memory(s.data).read(ctx, p, off)
}

// load reads the segment, which must have the size of one.
func (s *segment) load(ctx context.Context) (_ []byte, err error) {
	r, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data, err := io.ReadAll(io.LimitReader(r, s.size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != s.size {
		return nil, fmt.Errorf("%d bytes or more, want %d: %w", len(data), s.size, repo.ErrCorrupt)
	}
	return data, nil
}

// release lets go of the memory; the next read loads again.
func (s *segment) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = nil
}
