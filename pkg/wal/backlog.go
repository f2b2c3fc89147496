package wal

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
)

// readySuffix ends the names in archive_status of what the server wants archived.
const readySuffix = ".ready"

// Backlog pushes what waits for the archiver behind a file that was pushed already, so that the
// archive has it when the server asks. The server's marks (archive_status) are only read.
//
// Memory: Jobs × that of a Push.
type Backlog struct {
	Archive  Archive
	Jobs     int           // at least 1
	Max      int           // files, counted from the oldest that waits
	Patience time.Duration // no push is begun after it; one that runs is given as long again
	Verify   func(path string) error

	// Far is for a server that may ask for one file for long, because another archive does not take it: where the
	// first Max files are stored, those that follow them are looked at.
	Far bool
}

// BacklogResult tells what became of a backlog.
type BacklogResult struct {
	Waiting  int // files that waited, without the one that was asked for
	Pushed   int // of these, stored now
	Unmapped int // of those stored, segments without a page map
	Failed   int
	Err      error // of the first that failed
}

// Push stores, oldest first, the first Max files that the server marked as ready beside the file at path and that
// the archive lacks. When fewer than half of them are lacking and more wait behind them, it leaves them for a later
// call, which then has work for all its workers.
//
// It does nothing unless path itself is marked: then it is not the archiver that asks. What fails is for the server
// to ask for again; that a file is gone meanwhile is no failure. A cancelled ctx ends it early.
func (b *Backlog) Push(ctx context.Context, path string) BacklogResult {
	dir := filepath.Dir(path)
	names, err := readyFiles(dir, filepath.Base(path))
	if err != nil || len(names) == 0 {
		return BacklogResult{Err: err}
	}
	res := BacklogResult{Waiting: len(names)}
	ahead := names[:min(len(names), b.Max)]
	ctx, cancel := context.WithTimeout(ctx, 2*b.Patience)
	defer cancel()
	few := func(lacking []string) bool { return 2*len(lacking) < len(ahead) && len(ahead) < len(names) }
	lacking, err := b.Archive.Lacking(ctx, ahead)
	if err == nil && b.Far && few(lacking) {
		lacking, err = b.furtherLacking(ctx, names, lacking)
	}
	if err != nil || few(lacking) {
		res.Err = err
		return res
	}
	b.pushAll(ctx, dir, lacking, &res)
	return res
}

// furtherLacking gives those that the archive lacks of the Max files which begin with the first that it lacks. lacking
// are those among the first Max files. Behind these, what it has lies before what it lacks, as a rule, so that
// a few requests find where that begins.
func (b *Backlog) furtherLacking(ctx context.Context, names, lacking []string) ([]string, error) {
	if len(lacking) > 0 {
		names = names[slices.Index(names, lacking[0]):]
	} else {
		var failed error
		names = names[b.Max:]
		names = names[sort.Search(len(names), func(i int) bool {
			has, err := b.Archive.Has(ctx, names[i])
			failed = cmp.Or(failed, err)
			return !has
		}):]
		if failed != nil {
			return nil, failed
		}
	}
	return b.Archive.Lacking(ctx, names[:min(len(names), b.Max)])
}

// pushAll pushes files with all workers until patience ends.
func (b *Backlog) pushAll(ctx context.Context, dir string, names []string, res *BacklogResult) {
	begin, cancel := context.WithTimeout(ctx, b.Patience)
	defer cancel()
	var mu sync.Mutex // guards *res
	var g errgroup.Group
	g.SetLimit(b.Jobs)
	for _, name := range names {
		g.Go(func() error {
			if begin.Err() != nil {
				return nil
			}
			r, err := b.pushOne(ctx, filepath.Join(dir, name))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				res.Pushed++
				if pg.IsWALFileName(name) && !r.Mapped {
					res.Unmapped++
				}
			case ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist):
				res.Failed++
				res.Err = cmp.Or(res.Err, err)
			}
			return nil
		})
	}
	_ = g.Wait() // what failed is counted
}

func (b *Backlog) pushOne(ctx context.Context, path string) (PushResult, error) {
	if err := b.Verify(path); err != nil {
		return PushResult{}, err
	}
	return Push(ctx, b.Archive, path)
}

// readyFiles gives the files of pg_wal that wait for the archiver, in its order: history files first, then the
// oldest segments. None, unless asked is among them, which is left out.
func readyFiles(dir, asked string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "archive_status"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	isAsked := false
	for _, e := range entries {
		name, ready := strings.CutSuffix(e.Name(), readySuffix)
		switch {
		case !ready || !isArchivable(name):
		case name == asked:
			isAsked = true
		default:
			names = append(names, name)
		}
	}
	if !isAsked {
		return nil, err
	}
	// ReadDir sorts by name; a stable sort keeps that.
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(archiveRank(x), archiveRank(y)) })
	return names, err
}

func archiveRank(name string) int {
	if _, ok := pg.ParseHistoryFileName(name); ok {
		return 0
	}
	return 1
}

// isArchivable says whether a name is one that the server archives.
func isArchivable(name string) bool {
	_, isHistory := pg.ParseHistoryFileName(name)
	return isHistory || pg.IsWALFileName(name) || pg.IsPartialWALFileName(name) || pg.IsBackupHistoryFileName(name)
}
