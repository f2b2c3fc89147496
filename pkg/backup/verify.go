package backup

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// What a manifest lists at most: corrupt pages, and each other kind of finding or warning.
const (
	maxCorrupt = 10_000
	maxListed  = 1000
)

// verify checks a page that was read from block blk of the segment file. A page that fails
// is read again, into the same memory; one that fails to the end is
// recorded and stays as it was read. stored says whether it goes into the backup.
func (w *worker) verify(ctx context.Context, p part, f *os.File, blk pg.BlockNumber, page pg.Page,
	stored bool,
) error {
	if page.IsNew() {
		return nil
	}
	if w.checksums {
		cause, err := w.checksum(ctx, p, f, blk, page)
		if err != nil {
			return err
		}
		if cause != "" {
			if !stored {
				cause += "; the backup has the parent's page"
			}
			w.addCorrupt(p.target, blk, cause)
			return nil
		}
	}
	lsn := page.LSN()
	if lsn > w.start {
		w.future.add(lsn, p.target, blk)
	}
	return w.selfCheck(p, blk, lsn)
}

// checksum compares a page's checksum, as the server does for its base backups: not
// those of pages that were written after the backup began (their LSN is behind the start
// position), which may be torn and which WAL brings back whole.
func (w *worker) checksum(ctx context.Context, p part, f *os.File, blk pg.BlockNumber, page pg.Page,
) (cause string, err error) {
	number := w.planner.firstBlock(p.rel) + blk
	wait := rereadPause
	for attempt := 0; ; attempt++ {
		if page.IsNew() || page.LSN() >= w.start {
			return "", nil
		}
		have, want := page.StoredChecksum(), page.Checksum(number)
		if have == want {
			return "", nil
		}
		if attempt == rereads {
			return fmt.Sprintf("checksum %04X, want %04X", have, want), nil
		}
		if err := pace.Sleep(ctx, wait); err != nil {
			return "", err
		}
		wait *= 2
		got, err := w.readBlocks(ctx, p.target, f, blk, page)
		if err != nil {
			return "", err
		}
		if got == 0 { // truncated meanwhile: what was read first is as good as anything
			return "", nil
		}
	}
}

// selfCheck proves the page map wrong where it can be: a page whose last change lies between the
// parent's start and this backup's start must be in it. LSNs are those of the ends of
// records, so the parent's start position itself is not in the range and this one is.
func (w *worker) selfCheck(p part, blk pg.BlockNumber, lsn pg.LSN) error {
	if w.mapped == nil || p.parent == nil || p.rel.Fork != pg.MainFork ||
		lsn <= w.since || lsn > w.start || w.mapped.has(p.target, blk) {
		return nil
	}
	return &MapError{Path: p.path, Block: w.planner.firstBlock(p.rel) + blk, LSN: lsn}
}

// MapError: a page map that was believed complete lacks a block that changed in its range.
type MapError struct {
	Path  string
	Block pg.BlockNumber // within the fork
	LSN   pg.LSN         // of the page
}

func (e *MapError) Error() string {
	return fmt.Sprintf("%s: block %d: changed at %s, which the page map does not have",
		e.Path, e.Block, e.LSN)
}

func (w *worker) addCorrupt(t *target, blk pg.BlockNumber, cause string) {
	if len(w.corrupt) >= maxCorrupt {
		w.more++
		return
	}
	w.corrupt = append(w.corrupt, repo.CorruptPage{
		Path: t.path, Block: w.planner.firstBlock(t.rel) + blk, Cause: cause,
	})
}

// futurePages keeps the pages with the highest LSNs. No page reaches the disk before the WAL of its last
// change (WAL before data), so after the backup those behind the stop position are known to be damaged, or
// the server's WAL to have been reset.
type futurePages []futurePage

type futurePage struct {
	lsn   pg.LSN
	path  string
	block pg.BlockNumber // within the fork
}

const maxFuture = 64

func (fp *futurePages) add(lsn pg.LSN, t *target, blk pg.BlockNumber) {
	s := *fp
	if len(s) == maxFuture && lsn <= s[0].lsn {
		return
	}
	i, _ := slices.BinarySearchFunc(s, lsn, func(p futurePage, l pg.LSN) int {
		if p.lsn < l {
			return -1
		}
		return 1
	})
	s = slices.Insert(s, i, futurePage{lsn: lsn, path: t.path, block: blk})
	if len(s) > maxFuture {
		s = slices.Delete(s, 0, 1)
	}
	*fp = s
}
