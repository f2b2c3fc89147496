package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// crossSource asks a page map and the pages themselves, takes what either names, and reports where the
// scan finds a change that the map should have and lacks.
//
// Not every such difference is a fault. Changes after this backup's start position are in no map;
// pages that were never initialised and pages whose LSN is no position in WAL are
// taken by the scan without having changed. What remains, and is reported: an LSN
// in the map's range, and an all-visible flag that differs from the parent's.
type crossSource struct {
	m            *mapSource
	scan         *scanSource
	since, start pg.LSN
	blockSize    uint32

	mu       sync.Mutex // guards what follows
	findings []repo.CrossFinding
	more     int64 // findings that are not listed
}

func (s *crossSource) judge(t *target) (whole bool, work pg.BlockNumber) {
	whole, _ = s.m.judge(t)
	return whole, t.parentBlocks
}

func (s *crossSource) changed(ctx context.Context, t *target, f *os.File, from, to pg.BlockNumber,
	set *pagemap.Set, cold *[]pagecache.Span,
) error {
	var mapped, scanned pagemap.Set
	if err := s.m.changed(ctx, t, f, from, to, &mapped, cold); err != nil {
		return err
	}
	if err := s.scan.changed(ctx, t, f, from, to, &scanned, cold); err != nil {
		return err
	}
	page := make(pg.Page, s.blockSize)
	for first, n := range scanned.Runs(from, to) {
		for blk := first; blk < first+n; blk++ {
			if mapped.Has(blk) {
				continue
			}
			if err := s.compare(ctx, t, f, blk, page); err != nil {
				return err
			}
		}
	}
	set.Union(&mapped)
	set.Union(&scanned)
	return nil
}

// compare decides whether a block that only the scan names is a finding.
func (s *crossSource) compare(ctx context.Context, t *target, f *os.File, blk pg.BlockNumber,
	page pg.Page,
) error {
	_, err := f.ReadAt(page, int64(blk)*int64(s.blockSize))
	if errors.Is(err, io.EOF) {
		return nil // truncated after the start
	}
	if err != nil {
		return fmt.Errorf("%s: block %d: %w", t.path, blk, err)
	}
	lsn := page.LSN()
	switch {
	case page.IsNew() || lsn > s.start:
		return nil
	case lsn > s.since:
		s.add(t, blk, fmt.Sprintf("changed at %s, which the page map does not have", lsn))
		return nil
	case !s.scan.rules.CheckFlags && !s.scan.rules.HashAll:
		return nil
	}
	hashes, err := t.hashes(ctx)
	if err != nil {
		return err
	}
	if int(blk) < len(hashes) && (hashes[blk]&1 != 0) != page.AllVisible() {
		s.add(t, blk, "the all-visible flag changed, which the page map does not have")
	}
	return nil
}

func (s *crossSource) add(t *target, blk pg.BlockNumber, cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.findings) >= maxListed {
		s.more++
		return
	}
	s.findings = append(s.findings, repo.CrossFinding{
		Path: t.path, Block: s.m.first(t) + blk, Cause: cause,
	})
}

// sorted gives the findings in the order of the index.
func (s *crossSource) sorted() []repo.CrossFinding {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortFunc(s.findings, func(a, b repo.CrossFinding) int {
		if c := pg.ComparePaths(a.Path, b.Path); c != 0 {
			return c
		}
		return compareBlocks(a.Block, b.Block)
	})
	return s.findings
}
