package e2e

import (
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// The histories that tools in use today restore wrongly, without an error.

// filled makes the table t.
func filled(s *site) { s.fill("t") }

// fill makes a table of 100 pages, seven rows on each, vacuumed and frozen.
func (s *site) fill(table string) {
	s.t.Helper()
	s.sql(
		`CREATE TABLE `+table+` (id int, pad text)`,
		`ALTER TABLE `+table+` ALTER pad SET STORAGE PLAIN`,
		`INSERT INTO `+table+` SELECT i, repeat('x', 1100) FROM generate_series(1, 700) i`,
		`CREATE INDEX `+table+`_id ON `+table+` (id)`,
		`VACUUM FREEZE `+table,
		`CHECKPOINT`)
}

// Blocks written after a truncation are kept although the truncation and the
// writes lie in different stretches of WAL (merging maps must not be order-dependent).
func TestTruncateThenRegrow(t *testing.T) {
	runScenario(t, scenario{
		numbers: []string{"1"},
		prepare: filled,
		change: func(s *site) {
			s.sql(`DELETE FROM t WHERE id > 280`, `VACUUM t`, `CHECKPOINT`)
			s.pg.SwitchWAL()
			s.sql(`INSERT INTO t SELECT i, repeat('y', 1100) FROM generate_series(1001, 1280) i`, `CHECKPOINT`)
		},
	})
}

// Zero pages that a bulk extension leaves behind a truncation stay zero: no WAL
// names them and their LSN is 0.
func TestZeroPagesAfterTruncation(t *testing.T) {
	runScenario(t, scenario{
		numbers: []string{"3"},
		prepare: filled,
		change: func(s *site) {
			s.sql(`DELETE FROM t WHERE id > 280`, `VACUUM t`, `CHECKPOINT`, bulkCopy, `CHECKPOINT`)
		},
	})
}

// So do pages that a crash leaves zero after the file was extended.
func TestZeroPagesAfterCrash(t *testing.T) {
	runScenario(t, scenario{
		numbers: []string{"4"},
		prepare: filled,
		change: func(s *site) {
			s.sql(`DELETE FROM t WHERE id > 280`, `VACUUM t`, `CHECKPOINT`)
			open := s.pg.Connect("postgres")
			open.Exec(`BEGIN`)
			open.Exec(`INSERT INTO t SELECT i, repeat('z', 1100) FROM generate_series(3001, 3200) i`)
			s.pg.Stop(pgtest.Immediate)
			s.pg.Start()
		},
	})
}

// Bits that DML clears in the visibility map are cleared in the copy: no
// version before 17.11 and 18.5 names the map's page in WAL. Each kind of DML has a table,
// and so a map, of its own.
func TestVisibilityMapBits(t *testing.T) {
	changes := map[string]string{
		"deleted":  `DELETE FROM deleted WHERE id IN (5, 350, 699)`,
		"inserted": `INSERT INTO inserted SELECT 9000 + i, 'new' FROM generate_series(1, 5) i`,
		"updated":  `UPDATE updated SET pad = 'short' WHERE id IN (10, 400)`,
		"locked":   `SELECT * FROM locked WHERE id = 77 FOR UPDATE`,
	}
	runScenario(t, scenario{
		numbers: []string{"5"},
		prepare: func(s *site) {
			for table := range changes {
				s.fill(table)
			}
		},
		change: func(s *site) {
			for _, statement := range changes {
				s.sql(statement)
			}
			s.pg.Checkpoint()
		},
	})
}

// The all-visible flag that VACUUM sets without an LSN, where there are neither
// checksums nor wal_log_hints, is in the copy if the visibility map's bit is:
// else a later DELETE on the restored server would not clear the bit.
func TestAllVisibleFlagWithoutLSN(t *testing.T) {
	runScenario(t, scenario{
		numbers: []string{"6"},
		opts:    []pgtest.Option{pgtest.Checksums(false), pgtest.Setting("wal_log_hints", "off")},
		prepare: func(s *site) {
			s.sql(`CREATE TABLE t (id int, pad text)`,
				`INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 700) i`,
				`CREATE INDEX t_id ON t (id)`, `SELECT count(*) FROM t`, `CHECKPOINT`)
		},
		change: func(s *site) { s.sql(`VACUUM t`, `CHECKPOINT`) },
		check: func(_ *testing.T, got *pgtest.Cluster) {
			got.Exec(`DELETE FROM t WHERE id % 100 = 0`)
			got.IndexOnlyEqualsSeq("postgres", "t")
		},
	})
}

// A database that is dropped and created again under the same OID by copying
// files is the new one, although its pages carry older LSNs.
func TestDatabaseRecreatedByFileCopy(t *testing.T) {
	runScenario(t, scenario{
		numbers: []string{"7"},
		since:   15,
		prepare: func(s *site) {
			s.sql(`CREATE DATABASE x OID 100000 STRATEGY FILE_COPY`)
			s.sqlIn("x", `CREATE TABLE t1 AS SELECT generate_series(1, 1000) i`, `CHECKPOINT`)
		},
		change: func(s *site) {
			s.sql(`DROP DATABASE x`, `CREATE DATABASE x TEMPLATE template0 OID 100000 STRATEGY FILE_COPY`)
		},
		check: func(t *testing.T, got *pgtest.Cluster) {
			if n := got.Query1In("x", `SELECT count(*) FROM pg_class WHERE relname = 't1'`); n != "0" {
				t.Error("the table of the dropped database is there")
			}
		},
	})
}

// A database that moves to another tablespace and back, its tables untouched
// afterwards, loses nothing that changed meanwhile.
func TestDatabaseMovedAndBack(t *testing.T) {
	runScenario(t, scenario{
		numbers: []string{"8"},
		prepare: func(s *site) {
			s.pg.NewTablespace("elsewhere")
			s.sql(`CREATE DATABASE x`)
			s.sqlIn("x", `CREATE TABLE t AS SELECT i, 'old' v FROM generate_series(1, 5000) i`, `CHECKPOINT`)
		},
		change: func(s *site) {
			s.sql(`ALTER DATABASE x SET TABLESPACE elsewhere`)
			s.sqlIn("x", `UPDATE t SET v = 'new' WHERE i % 7 = 0`)
			s.sql(`ALTER DATABASE x SET TABLESPACE pg_default`)
		},
	})
}
