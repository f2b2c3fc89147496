package backup

import (
	"context"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pagescan"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// scanSource answers by looking at the pages (package pagescan).
type scanSource struct {
	rules pagescan.Rules
	// parentStarted and now bound which recorded times may be trusted; trust off: every file is opened.
	trust              bool
	now, parentStarted time.Time
	limit              *pace.Limiter // may be nil

	mu    sync.Mutex // guards stats
	stats pagescan.Stats
}

func (s *scanSource) judge(t *target) (whole bool, work pg.BlockNumber) {
	if s.trust && !s.rules.HashAll && t.rel.Fork == pg.MainFork {
		recorded := t.parent.Versions[0]
		if pagescan.Trusted(s.now, s.parentStarted,
			pagescan.Written{Identity: recorded.Identity, Size: recorded.Size},
			pagescan.Written{Identity: t.identity, Size: t.size}) {
			return false, 0
		}
	}
	return false, t.parentBlocks
}

func (s *scanSource) changed(ctx context.Context, t *target, f *os.File, from, to pg.BlockNumber,
	set *pagemap.Set, cold *[]pagecache.Span,
) error {
	rules := s.rules
	rules.Keep = cold
	var doubtful pagemap.Set
	recorded := t.parent.Versions[0].Identity
	if !pagescan.Continued(recorded, t.identity) {
		// Another file under the same name may hold pages whose LSNs were written
		// elsewhere: CREATE DATABASE by file copy keeps those of the template, a
		// relation number may come again, an older copy may have been put back. Only the content tells.
		rules.HashAll = true
	}
	parent := pagescan.Parent{Blocks: t.parentBlocks}
	if rules.HashAll || rules.CheckFlags {
		var err error
		if parent.Hashes, err = t.hashes(ctx); err != nil {
			return err
		}
	}
	if !rules.HashAll {
		rules.Doubtful = &doubtful
	}
	first := from
	step := to - from
	if s.limit != nil {
		step = limitedScan / pg.BlockNumber(rules.BlockSize)
	}
	for ; from < to; from += min(step, to-from) {
		stats, err := rules.Scan(ctx, f, from, from+min(step, to-from), parent, set)
		s.count(stats)
		if err != nil {
			return err
		}
		// What was read counts, not holes, nor what a truncated file does not have any more.
		if err := s.limit.Wait(ctx, int(stats.Looked)*int(rules.BlockSize)); err != nil {
			return err
		}
	}
	return s.settle(ctx, t, f, rules, doubtful.Runs(first, to), set)
}

// settle compares the pages whose LSN says nothing by their hashes.
func (s *scanSource) settle(ctx context.Context, t *target, f *os.File, rules pagescan.Rules,
	doubtful iter.Seq2[pg.BlockNumber, pg.BlockNumber], set *pagemap.Set,
) error {
	rules.HashAll, rules.Doubtful = true, nil
	for first, n := range doubtful {
		hashes, err := t.hashes(ctx)
		if err != nil {
			return err
		}
		stats, err := rules.Scan(ctx, f, first, first+n, pagescan.Parent{Blocks: t.parentBlocks, Hashes: hashes}, set)
		s.count(stats)
		if err != nil {
			return err
		}
		if err := s.limit.Wait(ctx, int(stats.Looked)*int(rules.BlockSize)); err != nil {
			return err
		}
	}
	return nil
}

// limitedScan is how many bytes are scanned at a time under a rate limit.
const limitedScan = 1 << 20

func (s *scanSource) count(stats pagescan.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Add(stats)
}

// onceHashes makes the page hashes of a parent's file available to all parts, loaded by the first
// that asks.
func onceHashes(load func(context.Context, *repo.ChainFile) ([]uint64, error),
	parent *repo.ChainFile,
) func(context.Context) ([]uint64, error) {
	if parent == nil {
		return nil
	}
	var once sync.Once
	var hashes []uint64
	var err error
	return func(ctx context.Context) ([]uint64, error) {
		once.Do(func() { hashes, err = load(ctx, parent) })
		return hashes, err
	}
}

// bytesRead gives how much of the files the scans looked at.
func (out *chosen) bytesRead() (n int64) {
	for _, s := range []*scanSource{out.scan, out.compare} {
		if s != nil {
			s.mu.Lock()
			n += int64(s.stats.Looked) * int64(s.rules.BlockSize)
			s.mu.Unlock()
		}
	}
	return n
}
