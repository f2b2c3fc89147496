package pagescan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// windowSize is how many bytes of a file are looked at in one piece: mapped,
// checked for being in the page cache, read ahead, probed, dropped. Smaller ones pay
// for more mmap calls, larger ones for more resident memory.
const windowSize = 16 << 20

// bufferSize is how much is read at once where mapping does not work.
const bufferSize = 256 << 10

// Scan puts into the set those blocks of [from, to) of f that must be taken.
// Blocks are numbered within the file. Where the file ends before block to, the scan ends
// there: Stats.End says where. The file may grow, shrink and be written meanwhile; blocks
// that it loses may be in the set. Bytes behind the last whole block are ignored.
//
// Several scans of one file may run at the same time, each with a set of its own. The
// file's offset is not kept: read with ReadAt. When Scan fails the set holds a part of the answer.
func (r Rules) Scan(ctx context.Context, f *os.File, from, to pg.BlockNumber, parent Parent, into *pagemap.Set) (Stats, error) {
	if err := r.verify(); err != nil {
		return Stats{}, fmt.Errorf("page scan: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return Stats{}, fmt.Errorf("page scan: %w", err)
	}
	blocks := pg.BlockNumber(min(st.Size()/int64(r.BlockSize), int64(pg.MaxBlock)))
	end := max(from, min(to, blocks))
	known := max(from, min(end, r.known(parent)))
	s := scanner{
		prober: prober{Rules: r, hashes: parent.Hashes, into: into},
		f:      f,
		end:    end,
	}
	err = s.extents(ctx, from, known)
	if known < s.end {
		s.stats.Unknown += uint64(s.end - known)
		s.take(known, s.end-known)
	}
	s.flush()
	s.stats.End = s.end
	if err != nil {
		return s.stats, fmt.Errorf("page scan of %s: %w", f.Name(), err)
	}
	return s.stats, nil
}

// A scanner is one Scan.
type scanner struct {
	prober
	f   *os.File
	end pg.BlockNumber // where the scan will stop; lowered when the file gets shorter
	buf []byte         // for reading, made when needed
}

// extents scans the blocks [from, to), of which holes are not read.
func (s *scanner) extents(ctx context.Context, from, to pg.BlockNumber) error {
	to = min(to, s.end)
	for e, err := range extents(s.f, from, to, s.BlockSize) {
		if err != nil {
			return err
		}
		if e.Hole {
			s.hole(e.From, e.To)
			continue
		}
		if err := s.windows(ctx, e.From, e.To); err != nil {
			return err
		}
		if s.end < to {
			return nil
		}
	}
	return nil
}

// windows looks at every page of [from, to), one window ahead of itself.
func (s *scanner) windows(ctx context.Context, from, to pg.BlockNumber) error {
	next := s.open(from, to)
	defer func() { next.close() }()
	for next.from < to && next.to <= s.end {
		if err := ctx.Err(); err != nil {
			return err
		}
		w := next
		next = s.open(w.to, to)
		err := s.look(w)
		s.stats.Cold += w.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// open prepares the window that begins at block from: it is mapped, and being
// read ahead where it is not in the page cache. Windows end at multiples of their size, so that no
// two of them share a piece of the page cache.
func (s *scanner) open(from, to pg.BlockNumber) *window {
	per := pg.BlockNumber(windowSize / s.BlockSize)
	w := &window{f: s.f, from: from, to: min(to, from-from%per+per)}
	if from < to {
		w.open(int64(from)*int64(s.BlockSize), int64(w.to-from)*int64(s.BlockSize))
	}
	return w
}

// look looks at the pages of one window.
func (s *scanner) look(w *window) error {
	from := w.from
	if w.data != nil {
		n, ok := w.guard(func() { s.window(w.data, from) })
		blocks := pg.BlockNumber(n / int(s.BlockSize))
		s.stats.Looked += uint64(blocks)
		if ok {
			return nil
		}
		// The mapping has no page there: the file was truncated, or the
		// device cannot read it. Reading tells which.
		from += blocks
	}
	return s.read(from, w.to)
}

// read looks at the pages [from, to) by reading them. It lowers s.end where the
// file ends before.
func (s *scanner) read(from, to pg.BlockNumber) error {
	if s.buf == nil {
		s.buf = make([]byte, bufferSize)
	}
	size := int64(s.BlockSize)
	for from < to {
		want := min(int64(to-from)*size, bufferSize)
		n, err := s.f.ReadAt(s.buf[:want], int64(from)*size)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		whole := int64(n) / size
		s.window(s.buf[:whole*size], from)
		s.stats.Looked += uint64(whole)
		from += pg.BlockNumber(whole)
		if err != nil && from < to {
			s.end = min(s.end, from)
			return nil
		}
	}
	return nil
}
