package e2e

import (
	"slices"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// Where nobody archives WAL, every backup carries what it needs and restores by
// itself, also when the server recycles WAL as fast as it can meanwhile, and
// when the source is gone.
func TestCarriedWAL(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		s := newLonelySite(t, install, pgtest.WALSegmentSize(1),
			pgtest.Setting("min_wal_size", "2MB"), pgtest.Setting("max_wal_size", "4MB"))
		s.pg.Tool("pgbench", "-i", "-s", "5", "-q", "postgres")
		stop := s.load()
		// Slow enough for many segments and checkpoints to pass.
		chain := []backup{s.full("-r", "40M")}
		for range 2 {
			chain = append(chain, s.incremental("lsn", "-r", "40M"))
		}
		stop()
		s.pg.Stop(pgtest.Immediate)
		for _, b := range chain {
			if b.WAL.Mode != "stream" || len(b.WAL.Segments) == 0 {
				t.Errorf("%s: WAL is %+v, want it carried", b.ID, b.WAL)
			}
			if !slices.IsSorted(b.WAL.Segments) {
				t.Errorf("%s: segments out of order: %v", b.ID, b.WAL.Segments)
			}
			t.Run(b.ID, func(t *testing.T) {
				s := s.in(t)
				dir := s.restore(b.ID)
				install.VerifyBackup(t, dir)
				got := s.open(dir)
				checkPgbench(t, got)
				got.Amcheck()
				got.Stop(pgtest.Fast)
				install.Checksums(t, dir)
			})
		}
	})
}
