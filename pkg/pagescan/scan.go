package pagescan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// windowSize is how many bytes of a file are looked at in one piece: found in the page cache or
// not, mapped or read, dropped. Smaller ones pay for more system calls, larger
// ones for more resident memory.
const windowSize = 16 << 20

// aheadWindows is how many windows ahead of its reader the kernel may read: twice its read-ahead
// setting, which is 128 KiB unless someone set it.
const aheadWindows = 2

// smallRange is how many bytes are read rather than mapped: to map and to unmap costs as much as to copy so many.
const smallRange = 128 << 10

// bufferSize is how much is read at once. A large request makes the kernel read ahead as much as the
// device takes at once, whatever its read-ahead setting is (page_cache_sync_ra, mm/readahead.c).
const bufferSize = 1 << 20

// Scan puts into the set those blocks of [from, to) of f that must be taken.
// Blocks are numbered within the file. Where the file ends before block to, the scan ends
// there: Stats.End says where. The file may grow, shrink and be written meanwhile; blocks
// that it loses may be in the set. Bytes behind the last whole block are ignored.
//
// Several scans of one file may run at the same time, each with a set of its own. The
// file's offset is not kept: read with ReadAt. When Scan fails the set holds a part of the answer.
func (r Rules) Scan(ctx context.Context, f *os.File, from, to pg.BlockNumber, parent Parent, into *pagemap.Set,
) (Stats, error) {
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
		f:      f, blocks: blocks, end: end,
	}
	defer s.pages.close()
	if sparse(st) {
		err = s.extents(ctx, from, known)
	} else {
		err = s.windows(ctx, from, min(known, s.end))
	}
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
	f      *os.File
	blocks pg.BlockNumber // length of the file when the scan began
	end    pg.BlockNumber // where the scan will stop; lowered when the file gets shorter
	buf    []byte         // for reading, made when needed
	pages  populator
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

// windows looks at every page of [from, to). Windows end at multiples of their size, so that no
// two of them share a piece of the page cache.
func (s *scanner) windows(ctx context.Context, from, to pg.BlockNumber) error {
	// What the page cache lacks of the window that begins at from, and of those after it as far as asked.
	var cold [][]pagecache.Span
	defer func() {
		for _, c := range cold {
			s.drop(c)
		}
	}()
	for from < to && to <= s.end {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(cold) == 0 {
			cold = append(cold, s.missing(from, to))
		}
		if len(cold[0]) > 0 {
			// Reading makes the kernel read ahead, also beyond the range.
			if to < s.windowEnd(from, 1) {
				cold[0] = s.missing(from, s.blocks)
			}
			for len(cold) <= aheadWindows {
				cold = append(cold, s.missing(s.windowEnd(from, len(cold)), s.blocks))
			}
		}
		end := min(to, s.windowEnd(from, 1))
		err := s.window(from, end, cold[0])
		s.drop(cold[0])
		if err != nil {
			return err
		}
		from, cold = end, cold[1:]
	}
	return nil
}

// windowEnd gives the end of the nth window from that of block blk on, which is the first.
func (s *scanner) windowEnd(blk pg.BlockNumber, n int) pg.BlockNumber {
	per := uint64(windowSize / s.BlockSize)
	return pg.BlockNumber(min((uint64(blk)/per+uint64(n))*per, uint64(pg.MaxBlock)))
}

// missing asks what the page cache lacks of the window that begins at block from, up to block to.
func (s *scanner) missing(from, to pg.BlockNumber) []pagecache.Span {
	size := int64(s.BlockSize)
	to = min(to, s.windowEnd(from, 1))
	return pagecache.Missing(s.f, int64(from)*size, (int64(to)-int64(from))*size, nil)
}

// drop drops what was not in the page cache, or notes it to be dropped.
func (s *scanner) drop(cold []pagecache.Span) {
	if s.Keep != nil {
		*s.Keep = append(*s.Keep, cold...)
		return
	}
	pagecache.Drop(s.f, cold)
}

// window looks at the pages of one window: mapped when all of it is in the page cache and it is worth it, else
// by reading, which reads ahead better than faults do.
func (s *scanner) window(from, to pg.BlockNumber, cold []pagecache.Span) error {
	if len(cold) == 0 && int64(to-from)*int64(s.BlockSize) > smallRange {
		from += s.mapped(from, to)
		return s.read(from, to)
	}
	for _, c := range cold {
		s.stats.Cold += c.Len
	}
	return s.read(from, to)
}

// mapped looks at pages through a mapping and gives how many there were: none where
// the file cannot be mapped, fewer than wanted where a page is not to be had. Reading tells
// then whether the file was truncated, or its device fails.
func (s *scanner) mapped(from, to pg.BlockNumber) pg.BlockNumber {
	size := int64(s.BlockSize)
	m, ok := mapFile(s.f, int64(from)*size, int64(to-from)*size)
	if !ok {
		return 0
	}
	defer m.close()
	s.pages.populate(m.pages)
	n := guard(m.data, func() { s.look(m.data, from) })
	blocks := pg.BlockNumber(n / int(s.BlockSize))
	s.stats.Looked += uint64(blocks)
	return blocks
}

// read looks at the pages [from, to) by reading them. It lowers s.end where the
// file ends before.
func (s *scanner) read(from, to pg.BlockNumber) error {
	size := int64(s.BlockSize)
	if want := min(int64(to-from)*size, bufferSize); int64(len(s.buf)) < want {
		s.buf = make([]byte, want) // most files are small, and clearing 1 MiB costs more than reading them
	}
	for from < to {
		want := min(int64(to-from)*size, bufferSize)
		n, err := s.f.ReadAt(s.buf[:want], int64(from)*size)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		whole := int64(n) / size
		s.look(s.buf[:whole*size], from)
		s.stats.Looked += uint64(whole)
		from += pg.BlockNumber(whole)
		if err != nil && from < to {
			s.end = min(s.end, from)
			return nil
		}
	}
	return nil
}
