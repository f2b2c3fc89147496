package backup

import (
	"context"
	"os"
	"testing"

	"github.com/pgincr/pgincr/internal/pagecache"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// fixedSource judges all the same.
type fixedSource struct {
	whole bool
	work  pg.BlockNumber
	hook  func() // called by changed
	// blocks are what changed; nil: as many as work from the beginning of each part on.
	blocks []pg.BlockNumber
}

func (s fixedSource) judge(*target) (bool, pg.BlockNumber) { return s.whole, s.work }

func (s fixedSource) changed(_ context.Context, _ *target, _ *os.File, from, to pg.BlockNumber,
	set *pagemap.Set, _ *[]pagecache.Span,
) error {
	if s.hook != nil {
		s.hook()
	}
	for _, blk := range s.blocks {
		if blk >= from && blk < to {
			set.Add(blk)
		}
	}
	if s.blocks == nil {
		set.AddRange(from, min(to, from+s.work))
	}
	return nil
}

func relEntry(path string, blocks int64) *entry {
	e := &entry{path: path, kind: entryFile, size: blocks * int64(testGeometry.BlockSize)}
	e.rel, e.isRel = pg.ParseRelPath(path)
	return e
}

func parentFile(path string, kind repo.FileKind, blocks int64) *repo.ChainFile {
	return &repo.ChainFile{Path: path, Versions: []*repo.File{{
		Path: path, Kind: kind, Whole: true, Size: blocks * int64(testGeometry.BlockSize),
	}}}
}

func TestPlan(t *testing.T) {
	// A block comes from the parent only if the parent has the same file, as blocks, and is long enough.
	short := relEntry("base/5/1", 4)
	short.size--
	main, all := fixedSource{work: 3}, fixedSource{whole: true}
	tests := []struct {
		name       string
		e          *entry
		parent     *repo.ChainFile
		source     source
		kind       repo.FileKind
		fromParent bool
		work       pg.BlockNumber
	}{
		{"new", relEntry("base/5/1", 4), nil, main, repo.KindRelation, false, 4},
		{
			"known", relEntry("base/5/1", 4), parentFile("base/5/1", repo.KindRelation, 4), main,
			repo.KindRelation, true, 3,
		},
		{
			"grown", relEntry("base/5/1", 6), parentFile("base/5/1", repo.KindRelation, 4), main,
			repo.KindRelation, true, 3 + 2,
		},
		{
			"shrunk", relEntry("base/5/1", 2), parentFile("base/5/1", repo.KindRelation, 4), main,
			repo.KindRelation, true, 3,
		},
		{
			"untouched", relEntry("base/5/1", 4), parentFile("base/5/1", repo.KindRelation, 4),
			fixedSource{},
			repo.KindRelation, true, 0,
		},
		{
			"created anew", relEntry("base/5/1", 4), parentFile("base/5/1", repo.KindRelation, 4), all,
			repo.KindRelation, false, 4,
		},
		{
			"was bytes", relEntry("base/5/1", 4), parentFile("base/5/1", repo.KindFile, 4), main,
			repo.KindRelation, false, 4,
		},
		{
			"visibility map", relEntry("base/5/1_vm", 4), parentFile("base/5/1_vm", repo.KindRelation, 4),
			fixedSource{},
			repo.KindRelation, true, 4,
		},
		{
			"free space map", relEntry("base/5/1_fsm", 4),
			parentFile("base/5/1_fsm", repo.KindRelation, 4), all, repo.KindRelation, true, 4,
		},
		{"half a page", short, parentFile("base/5/1", repo.KindRelation, 4), main, repo.KindFile, false, 0},
		{"too long", relEntry("base/5/1", 17), nil, main, repo.KindFile, false, 0},
		{"absurd segment", relEntry("base/5/1.4294967295", 4), nil, main, repo.KindFile, false, 0},
		{
			"no relation", relEntry("base/5/pg_filenode.map", 1),
			parentFile("base/5/pg_filenode.map", repo.KindFile, 1), main, repo.KindFile, true, 0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The compare source looks at every block.
			p := planner{geometry: testGeometry, source: tt.source, compare: fixedSource{work: 4}}
			target := p.plan(tt.e, tt.parent)
			if target.kind != tt.kind {
				t.Fatalf("kind %d, want %d", target.kind, tt.kind)
			}
			if tt.kind == repo.KindRelation {
				if work := p.work(target); work != tt.work {
					t.Errorf("work %d, want %d", work, tt.work)
				}
			}
			if got := target.parent != nil; got != tt.fromParent {
				t.Errorf("from parent %v, want %v", got, tt.fromParent)
			}
		})
	}
}

func TestMapSource(t *testing.T) {
	// Limits and blocks of a fork are cut to its segment files, exactly at their edges.
	rf := pg.RelFork{RelFileLocator: pg.RelFileLocator{Spc: pg.DefaultTablespace, DB: 5, Rel: 1}}
	m := pagemap.New()
	m.AddBlock(rf, 15)
	m.AddBlock(rf, 16)
	m.AddBlock(rf, 40)
	m.AddLimit(rf, 36)
	m.AddDatabase(pg.DefaultTablespace, 6)
	s := &mapSource{m: m, relSegBlocks: pg.BlockNumber(testGeometry.RelSegBlocks)}
	tests := []struct {
		path   string
		blocks int64 // of parent and today
		whole  bool
		want   []repo.BlockRun
	}{
		{"base/5/1", 16, false, []repo.BlockRun{{First: 15, Count: 1}}},
		{"base/5/1.1", 16, false, []repo.BlockRun{{First: 0, Count: 1}}},
		{"base/5/1.2", 16, false, []repo.BlockRun{{First: 4, Count: 12}}},
		{"base/5/1.2", 3, false, nil},
		{"base/5/1.3", 16, true, nil},
		{"base/5/2", 16, false, nil},
		{"base/6/1", 16, true, nil},
		{"global/1", 16, false, nil},
	}
	for _, tt := range tests {
		p := planner{geometry: testGeometry, source: s}
		target := p.plan(relEntry(tt.path, tt.blocks), parentFile(tt.path, repo.KindRelation, tt.blocks))
		whole, work := s.judge(target)
		if whole != tt.whole || (!whole && work != count(tt.want)) {
			t.Errorf("%s: whole %v, work %d", tt.path, whole, work)
		}
		if whole {
			continue
		}
		var set pagemap.Set
		if err := s.changed(t.Context(), target, nil, 0, target.parentBlocks, &set, nil); err != nil {
			t.Fatal(err)
		}
		var got []repo.BlockRun
		for first, n := range set.Runs(0, 100) {
			got = append(got, repo.BlockRun{First: first, Count: n})
		}
		if len(got) != len(tt.want) || (len(got) > 0 && got[0] != tt.want[0]) {
			t.Errorf("%s: %v, want %v", tt.path, got, tt.want)
		}
	}
}
