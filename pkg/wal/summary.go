package wal

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// Summaries reads the server's own WAL summaries (17+) below dir
// (pg_wal/summaries) for the range of req and merges them by this project's rules, or fails with
// *IncompleteError (backup/walsummary.c, common/blkreftable.c). It does not wait
// for the server to write more of them.
//
// What summaries say of visibility maps is in the result but not to be relied on: servers
// up to 17.10 and 18.4 do not log every change of them.
//
// Memory: the largest summary file and the result.
func Summaries(ctx context.Context, dir string, req MapRequest) (*pagemap.Map, error) {
	ranges, err := req.History.Ranges(req.FromTimeline, req.From, req.To)
	if err != nil {
		return nil, &IncompleteError{Reason: err.Error(), Err: err}
	}
	m := pagemap.New()
	if len(ranges) == 0 {
		return m, nil
	}
	files, err := listSummaries(dir)
	if err != nil {
		return nil, &IncompleteError{Reason: "WAL summaries cannot be listed: " + err.Error(), Err: err}
	}
	for _, r := range ranges {
		needed, err := coverRange(files, r)
		if err != nil {
			return nil, err
		}
		for _, f := range needed {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			b, err := os.ReadFile(filepath.Join(dir, f.name))
			if err == nil {
				err = parseSummary(b, m)
			}
			if err != nil {
				return nil, &IncompleteError{Reason: fmt.Sprintf("WAL summary %s: %v", f.name, err), Err: err}
			}
		}
	}
	return m, nil
}

// summaryFile is one file in pg_wal/summaries.
type summaryFile struct {
	pg.WALRange
	name string
}

// listSummaries lists the summaries in a directory, by where they start. Other names are skipped: a
// summary has its name when it is whole.
func listSummaries(dir string) ([]summaryFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []summaryFile
	for _, e := range entries {
		if f, ok := parseSummaryName(e.Name()); ok {
			files = append(files, f)
		}
	}
	slices.SortStableFunc(files, func(a, b summaryFile) int { return cmp.Compare(a.Start, b.Start) })
	return files, nil
}

// parseSummaryName reads timeline, start and end from a name of 40 upper-case
// digits and ".summary".
func parseSummaryName(name string) (summaryFile, bool) {
	const digits = 40
	if len(name) != digits+len(".summary") || name[digits:] != ".summary" {
		return summaryFile{}, false
	}
	var v [5]uint64
	for i := range v {
		part := name[8*i : 8*i+8]
		n, err := strconv.ParseUint(part, 16, 32)
		if err != nil || part != fmt.Sprintf("%08X", n) {
			return summaryFile{}, false
		}
		v[i] = n
	}
	f := summaryFile{name: name, WALRange: pg.WALRange{
		Timeline: pg.TimelineID(v[0]), Start: pg.LSN(v[1]<<32 | v[2]), End: pg.LSN(v[3]<<32 | v[4]),
	}}
	return f, f.Timeline != 0 && f.Start < f.End
}

// coverRange chooses the files of a range's timeline that overlap it and proves that they
// leave no gap in it (WalSummariesAreComplete).
func coverRange(files []summaryFile, r pg.WALRange) ([]summaryFile, error) {
	var needed []summaryFile
	at := r.Start
	for _, f := range files {
		if f.Timeline != r.Timeline || f.End <= r.Start || f.Start >= r.End {
			continue
		}
		if f.Start > at {
			break
		}
		needed = append(needed, f)
		at = max(at, f.End)
	}
	if at < r.End {
		return nil, &IncompleteError{Reason: fmt.Sprintf(
			"the server has no WAL summary of timeline %d from %s on, up to %s is needed", r.Timeline, at, r.End)}
	}
	return needed, nil
}
