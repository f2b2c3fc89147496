package backup

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
)

const concurrentTables = 4

// changeAll replaces, truncates, rewrites and vacuums tables until stop is closed. Each transaction leaves
// in the table inv what the table it changed holds then.
func changeAll(c *pgtest.Cluster, r *rand.Rand, stop <-chan struct{}, only int) error {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		t := only
		note := fmt.Sprintf(`; UPDATE inv SET n = (SELECT count(*) FROM c%d),
			s = (SELECT coalesce(sum(a), 0) FROM c%d) WHERE k = %d`, t, t, t)
		rows := fmt.Sprintf(`INSERT INTO c%d SELECT g, repeat('x', %d) FROM generate_series(1, %d) g`,
			t, r.IntN(300), 1+r.IntN(4000))
		statements := []string{
			rows + note,
			fmt.Sprintf(`DELETE FROM c%d WHERE a > %d`, t, r.IntN(3000)) + note,
			fmt.Sprintf(`UPDATE c%d SET b = 'u%d' WHERE a %% %d = 0`, t, i, 1+r.IntN(20)),
			fmt.Sprintf(`VACUUM c%d`, t),
			fmt.Sprintf(`VACUUM c%d`, t),
			fmt.Sprintf(`TRUNCATE c%d; `, t) + rows + note,
			fmt.Sprintf(`DROP TABLE c%d; CREATE TABLE c%d (a int, b text); CREATE INDEX ON c%d (a); `, t, t, t) +
				rows + note,
			fmt.Sprintf(`VACUUM FULL c%d`, t),
			fmt.Sprintf(`ALTER TABLE c%d SET TABLESPACE %s`, t, []string{"pg_default", "ts"}[r.IntN(2)]),
			`CHECKPOINT`,
			fmt.Sprintf(`VACUUM FREEZE c%d`, t),
		}
		if err := c.TryExec(statements[r.IntN(len(statements))]); err != nil {
			return err
		}
	}
}

func TestConcurrentChanges(t *testing.T) {
	// A backup taken while relations grow, shrink, vanish and move is consistent where it ends.
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t, pgtest.Setting("wal_keep_size", "8GB"), pgtest.Setting("max_wal_size", "8GB"))
		c.NewTablespace("ts")
		c.Exec(`CREATE TABLE inv (k int, n bigint, s bigint)`)
		for k := range concurrentTables {
			exec(c, fmt.Sprintf(`CREATE TABLE c%d (a int, b text)`, k),
				fmt.Sprintf(`INSERT INTO inv VALUES (%d, 0, 0)`, k))
		}
		w := newWorld(t, c)
		w.opts.RateLimit = 30 << 20 // so that much happens meanwhile
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		stop := make(chan struct{})
		var g errgroup.Group
		for k := range concurrentTables {
			r := rand.New(rand.NewPCG(seed, uint64(k)))
			g.Go(func() error { return changeAll(c, r, stop, k) })
		}
		backups := []*repo.Manifest{w.full()}
		for _, pageMap := range []string{MapWAL, MapLSN, MapCross, MapWAL} {
			m := w.incremental(pageMap)
			if len(m.CrossFindings) > 0 {
				t.Errorf("%v", m.CrossFindings)
			}
			backups = append(backups, m)
		}
		close(stop)
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, m := range backups {
			if len(m.CorruptPages) > 0 {
				t.Errorf("%s: %v", m.ID, m.CorruptPages)
			}
			r := w.restored(m)
			for k := range concurrentTables {
				got := r.Query1(fmt.Sprintf(`SELECT n = (SELECT count(*) FROM c%d) AND
					s = (SELECT coalesce(sum(a), 0) FROM c%d) FROM inv WHERE k = %d`, k, k, k))
				if got != "t" && got != "true" {
					t.Errorf("%s by %s: table c%d does not hold what it did", m.ID, m.PageMap.Source, k)
				}
			}
			r.Amcheck()
			r.Visibility()
			r.Stop(pgtest.Fast)
			install.Checksums(t, r.DataDir)
		}
	})
}
