package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/remote/s3"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// benchRange builds the map of a long range from the maps of its segments, and
// again when those of runs are stored too.
func benchRange(ctx context.Context, args []string) (err error) {
	f := flag.NewFlagSet("range", flag.ContinueOnError)
	segments := f.Int("segments", 10_000, "length of the range")
	scratch := f.String("dir", os.TempDir(), "where to write")
	url := f.String("repo", "", "an empty s3:// repository to write to instead")
	rounds := f.Int("rounds", 7, "how often")
	jobs := f.Int("jobs", 2, "workers")
	if err := f.Parse(args); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(*scratch, "bench-wal-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	st, err := openStore(ctx, *url, tmp+"/repo")
	if err != nil {
		return err
	}
	g := pg.DefaultGeometry()
	c, _, err := repo.Init(ctx, st, repo.ClusterInfo{Name: "main", SystemIdentifier: 1, PGVersion: 170000, Geometry: g})
	if err != nil {
		return err
	}
	a := &counted{Archive: c.WAL(repo.Compression{}), used: func() remote.Usage { return remote.Usage{} }}
	if st, ok := st.(*remote.Store); ok {
		a.used = st.Usage
	}
	if err := storeMaps(ctx, a, g, *segments, *jobs); err != nil {
		return err
	}
	a.reset()
	first := firstSegment
	req := wal.MapRequest{
		SystemIdentifier: 1, Geometry: g, History: pg.History{Timeline: 1}, FromTimeline: 1,
		From: g.SegmentStart(first) + 40, To: g.SegmentStart(first + pg.SegNo(*segments)), Archive: a, Jobs: *jobs,
	}
	var single, runs []float64
	for range *rounds {
		if single, err = timeBuild(ctx, req, single); err != nil {
			return err
		}
	}
	fmt.Printf("%d segments by their own maps: %s s, %s\n", *segments, spread(single), a.perRound(*rounds))
	a.reset()
	begin := time.Now()
	built, err := wal.BuildMaps(ctx, wal.MapsRequest{SystemIdentifier: 1, Geometry: g, Archive: a, Jobs: *jobs})
	if err != nil {
		return err
	}
	fmt.Printf("%d maps of runs made in %.1f s, %s\n", built.Runs, time.Since(begin).Seconds(), a.perRound(1))
	a.reset()
	for range *rounds {
		if runs, err = timeBuild(ctx, req, runs); err != nil {
			return err
		}
	}
	fmt.Printf("by the maps of runs: %s s, %s\n", spread(runs), a.perRound(*rounds))
	return nil
}

// openStore opens an S3 repository, or a directory where there is none.
func openStore(ctx context.Context, url, dir string) (repo.Store, error) {
	if url == "" {
		return repo.OpenStore(ctx, dir)
	}
	return s3.Open(ctx, url, os.Getenv)
}

// firstSegment is not aligned to runs, as ranges are not.
const firstSegment = pg.SegNo(4099)

// storeMaps stores maps as of segments that change 1500 blocks of 50 relations each, jobs at a time.
func storeMaps(ctx context.Context, a wal.Archive, g pg.Geometry, n, jobs int) error {
	puts, ctx := errgroup.WithContext(ctx)
	puts.SetLimit(jobs)
	rng := rand.New(rand.NewPCG(1, 2))
	prev := pg.LSN(8)
	for i := range n {
		start := g.SegmentStart(firstSegment + pg.SegNo(i))
		m := &wal.SegmentMap{Pages: pagemap.New(), Stretch: wal.Stretch{
			SystemIdentifier: 1, Magic: 0xD116, SegmentSize: g.WALSegmentSize, BlockSize: g.WALBlockSize,
			Start: start, End: start + pg.LSN(g.WALSegmentSize),
			Timelines: []wal.TimelineStart{{Timeline: 1, LSN: start}},
			First:     start + 40, FirstPrev: prev, Last: start + 0xFF_FF00,
		}}
		if i == 0 {
			m.Redos = []pg.LSN{start + 40}
		}
		prev = m.Last
		for range 1500 {
			rf := pg.RelFork{RelFileLocator: pg.RelFileLocator{
				Spc: pg.DefaultTablespace, DB: 5, Rel: pg.RelFileNumber(16384 + rng.IntN(50)),
			}}
			m.Pages.AddBlock(rf, pg.BlockNumber(rng.IntN(1_000_000)))
		}
		data, err := m.AppendBinary(nil)
		if err != nil {
			return errors.Join(err, puts.Wait())
		}
		puts.Go(func() error {
			return a.PutMap(ctx, wal.MapName(g, 1, firstSegment+pg.SegNo(i), firstSegment+pg.SegNo(i)), data)
		})
	}
	return puts.Wait()
}

// timeBuild adds the seconds that one Build takes.
func timeBuild(ctx context.Context, req wal.MapRequest, list []float64) ([]float64, error) {
	begin := time.Now()
	if _, err := wal.Build(ctx, req); err != nil {
		return nil, err
	}
	return append(list, time.Since(begin).Seconds()), nil
}

// counted counts the maps that are read, and what was asked of an object storage.
type counted struct {
	wal.Archive
	gets   atomic.Int64
	used   func() remote.Usage // zero where there is none
	before remote.Usage        // at the last reset
}

func (c *counted) GetMap(ctx context.Context, name string) ([]byte, error) {
	c.gets.Add(1)
	return c.Archive.GetMap(ctx, name)
}

func (c *counted) reset() {
	c.gets.Store(0)
	c.before = c.used()
}

// perRound tells what one of n rounds since the last reset took.
func (c *counted) perRound(n int) string {
	now, b := c.used(), c.before
	text := fmt.Sprintf("%d maps read", c.gets.Load()/int64(n))
	if now.Requests() > 0 {
		text += fmt.Sprintf(", requests: %d (%d reads, %d looks, %d lists, %d writes)",
			(now.Requests()-b.Requests())/int64(n), (now.Gets-b.Gets)/int64(n), (now.Stats-b.Stats)/int64(n),
			(now.Lists-b.Lists)/int64(n), (now.Puts-b.Puts)/int64(n))
	}
	return text
}
