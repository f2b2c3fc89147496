package e2e

import (
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// taken is what a backup stores of one page of a main fork.
type taken struct {
	zero bool   // recorded as zero, not stored
	lsn  pg.LSN // of the page that is stored
}

// block is a page of a main fork, numbered within its segment file.
type block struct {
	path  string
	blkno pg.BlockNumber
}

// mainForkBlocks reads from the repository which pages of main forks a backup
// does not take from its parent.
func (s *site) mainForkBlocks(id string) map[block]taken {
	s.t.Helper()
	ctx := s.t.Context()
	store, err := repo.OpenStore(ctx, s.repo)
	if err != nil {
		s.t.Fatal(err)
	}
	cluster, err := repo.OpenCluster(ctx, store, "main")
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := cluster.Backup(ctx, id)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := cluster.OpenBackup(ctx, m)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	blocks := map[block]taken{}
	size := int(m.Geometry.BlockSize)
	for f, err := range r.Files(ctx) {
		if err != nil {
			s.t.Fatal(err)
		}
		if rel, ok := pg.ParseRelPath(f.Path); !ok || rel.Fork != pg.MainFork || f.Kind != repo.KindRelation {
			continue
		}
		for _, run := range f.Zero {
			for i := range run.Count {
				blocks[block{f.Path, run.First + i}] = taken{zero: true}
			}
		}
		for _, frame := range f.Frames {
			pages, err := r.ReadFrame(ctx, frame, nil)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, run := range frame.Runs {
				for i := range run.Count {
					blocks[block{f.Path, run.First + i}] = taken{lsn: pg.Page(pages[:size]).LSN()}
					pages = pages[size:]
				}
			}
		}
	}
	return blocks
}

// The pages that a backup by WAL page map and one by page LSN take of the same
// change are the same, but for those that one of them cannot know: a zero page
// is in no WAL record, and a record may name a page without moving its LSN (the
// page was registered, not changed; or the flag was set that needs no LSN).
func TestSourcesTakeTheSame(t *testing.T) {
	t.Parallel()
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		s := newSite(t, install)
		s.pg.Tool("pgbench", "-i", "-s", "2", "-q", "postgres")
		s.sql(`CREATE TABLE doc (id int PRIMARY KEY, words text[], at point, v text)`,
			`INSERT INTO doc SELECT i, ARRAY[md5(i::text)], point(i, i), repeat('v', 200) FROM generate_series(1, 5000) i`,
			`CREATE INDEX ON doc USING gin (words)`, `CREATE INDEX ON doc USING gist (at)`,
			`CREATE INDEX ON doc USING hash (v)`, `CREATE INDEX ON doc USING brin (id)`, `CHECKPOINT`)
		full := s.full()
		s.pg.Tool("pgbench", "-n", "-t", "300", "postgres")
		s.sql(`UPDATE doc SET v = 'w' WHERE id % 50 = 0`, `DELETE FROM doc WHERE id > 4000`, `VACUUM doc`,
			`COPY doc (id, v) FROM PROGRAM 'for i in $(seq 9001 9040); do printf "%d\t%0300d\n" $i 0; done'`,
			`CREATE TABLE late AS SELECT generate_series(1, 3000) i`, `TRUNCATE pgbench_history`, `CHECKPOINT`)
		byWAL := s.mainForkBlocks(s.incremental("wal", "--parent", full.ID).ID)
		byLSN := s.mainForkBlocks(s.incremental("lsn", "--parent", full.ID).ID)
		since, err := pg.ParseLSN(full.StartLSN)
		if err != nil {
			t.Fatal(err)
		}
		both := 0
		for b, page := range byLSN {
			if _, ok := byWAL[b]; ok {
				both++
			} else if !page.zero {
				t.Errorf("%s block %d, LSN %s: only lsn takes it", b.path, b.blkno, page.lsn)
			}
		}
		for b, page := range byWAL {
			if _, ok := byLSN[b]; !ok && (page.zero || page.lsn >= since) {
				t.Errorf("%s block %d, LSN %s: only wal takes it", b.path, b.blkno, page.lsn)
			}
		}
		if both < 50 {
			t.Errorf("%d pages in common: the history does not test much", both)
		}
		t.Logf("%d pages by wal, %d by lsn, %d by both", len(byWAL), len(byLSN), both)
	})
}
