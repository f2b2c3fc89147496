package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// catalogHazards change databases, tablespaces, mapped catalogs and transactions.
func catalogHazards() []hazard {
	return []hazard{
		{
			name:    "L9 L31 unlogged, logged and temporary",
			numbers: []string{"26"},
			prepare: func(h *stage) {
				h.do(`CREATE UNLOGGED TABLE stays (id int)`, `CREATE INDEX ON stays (id)`,
					`INSERT INTO stays SELECT generate_series(1, 1000)`,
					`CREATE UNLOGGED TABLE becomeslogged (id int)`, `INSERT INTO becomeslogged SELECT generate_series(1, 1000)`,
					`CREATE TABLE becomesunlogged (id int)`, `INSERT INTO becomesunlogged SELECT generate_series(1, 1000)`)
			},
			change: func(h *stage) {
				h.do(`ALTER TABLE becomeslogged SET LOGGED`, `ALTER TABLE becomesunlogged SET UNLOGGED`,
					`INSERT INTO stays SELECT generate_series(1, 1000)`,
					`CREATE UNLOGGED TABLE isnew AS SELECT generate_series(1, 1000)`)
				open := h.session(h.pg) // until the test ends: its files are there during the backup
				open.Exec(`CREATE TEMP TABLE fleeting AS SELECT generate_series(1, 1000)`)
			},
			check: func(h *stage, got *pgtest.Cluster) {
				for table, rows := range map[string]string{
					"stays": "0", "becomeslogged": "1000", "becomesunlogged": "0", "isnew": "0",
				} {
					if n := h.ask(got, `SELECT count(*) FROM `+table); n != rows {
						h.t.Errorf("%s.%s has %s rows, want %s", h.schema, table, n, rows)
					}
				}
			},
		},
		{
			name:    "L10 mapped catalogs move",
			numbers: []string{"29"},
			prepare: func(h *stage) {
				h.do(`CREATE TABLE t AS SELECT generate_series(1, 100) id`)
			},
			change: func(h *stage) {
				h.do(`VACUUM FULL pg_class`, `VACUUM FULL pg_database`, `REINDEX TABLE pg_proc`, `VACUUM FULL pg_authid`)
			},
		},
		{
			name:    "L10 many transactions and multixacts",
			numbers: []string{"28"},
			prepare: func(h *stage) {
				h.do(`CREATE TABLE t AS SELECT generate_series(1, 2000) id`)
			},
			change: func(h *stage) {
				h.do(`DO $$ BEGIN FOR i IN 1..40000 LOOP
					BEGIN UPDATE t SET id = id WHERE false; PERFORM pg_current_xact_id();
					EXCEPTION WHEN division_by_zero THEN NULL; END;
					END LOOP; END $$`)
				one, two := h.session(h.pg), h.session(h.pg)
				one.Exec(`BEGIN; SELECT * FROM t FOR KEY SHARE`)
				two.Exec(`BEGIN; SELECT * FROM t FOR SHARE`)
				one.Exec(`COMMIT`)
				two.Exec(`COMMIT`)
			},
		},
		{
			name:    "L12 database made again at its OID by file copy",
			numbers: []string{"7"},
			since:   15,
			prepare: func(h *stage) {
				h.sql(`CREATE DATABASE one`, `CREATE DATABASE two`)
				h.sqlIn("one", `CREATE TABLE a AS SELECT generate_series(1, 1000) id`)
				h.sqlIn("two", `CREATE TABLE b AS SELECT generate_series(1, 1000) id, 'two' v`)
				h.sql(`CREATE DATABASE again OID 100000 TEMPLATE one STRATEGY FILE_COPY`)
			},
			change: func(h *stage) {
				h.sql(`DROP DATABASE again`, `CREATE DATABASE again OID 100000 TEMPLATE two STRATEGY FILE_COPY`)
			},
		},
		{
			name:    "L12 L13 databases copied and dropped",
			prepare: func(h *stage) { h.sql(`CREATE DATABASE goes`) },
			change: func(h *stage) {
				h.sql(`DROP DATABASE goes`, `CREATE DATABASE comes`)
				h.sqlIn("comes", `CREATE TABLE c AS SELECT generate_series(1, 1000) id`)
				if h.pg.Install.Major >= 15 {
					h.sql(`CREATE DATABASE copied TEMPLATE comes STRATEGY FILE_COPY`)
				}
			},
		},
		{
			name:    "L14 moved to another tablespace and back",
			numbers: []string{"8"},
			prepare: func(h *stage) {
				h.pg.NewTablespace("elsewhere")
				h.sql(`CREATE DATABASE moves`)
				h.sqlIn("moves", `CREATE TABLE t AS SELECT i, 'old' v FROM generate_series(1, 5000) i`)
				h.do(`CREATE TABLE m AS SELECT i, 'old' v FROM generate_series(1, 5000) i`,
					`CREATE TABLE away AS SELECT generate_series(1, 500) id`)
			},
			change: func(h *stage) {
				h.sql(`ALTER DATABASE moves SET TABLESPACE elsewhere`)
				h.sqlIn("moves", `UPDATE t SET v = 'new' WHERE i % 7 = 0`)
				h.sql(`ALTER DATABASE moves SET TABLESPACE pg_default`)
				h.do(`ALTER TABLE m SET TABLESPACE elsewhere`, `UPDATE m SET v = 'new' WHERE i % 7 = 0`,
					`ALTER TABLE m SET TABLESPACE pg_default`, `ALTER TABLE away SET TABLESPACE elsewhere`)
			},
		},
		{
			name:    "S31 tablespaces come, go and come back at the same place",
			numbers: []string{"31"},
			here:    true,
			prepare: func(h *stage) {
				h.kept["place"] = h.pg.NewTablespace("gone")
				h.pg.NewTablespace("kept")
				h.do(`CREATE TABLE g TABLESPACE gone AS SELECT generate_series(1, 1000) id`,
					`CREATE TABLE k TABLESPACE kept AS SELECT generate_series(1, 1000) id`)
			},
			change: func(h *stage) {
				h.do(`DROP TABLE g`, `CHECKPOINT`, `DROP TABLESPACE gone`,
					`CREATE TABLESPACE again LOCATION '`+h.kept["place"]+`'`,
					`CREATE TABLE g TABLESPACE again AS SELECT generate_series(1, 700) id`,
					`UPDATE k SET id = -id WHERE id % 5 = 0`)
				if h.pg.Install.Major >= 16 {
					h.do(`CREATE TABLESPACE inplace LOCATION ''`,
						`CREATE TABLE i TABLESPACE inplace AS SELECT generate_series(1, 1000) id`)
				}
			},
		},
		{
			name:    "S26 aborted and failed statements",
			numbers: []string{"26"},
			prepare: func(h *stage) {
				h.do(`CREATE TABLE t AS SELECT i % 100 id FROM generate_series(1, 1000) i`)
			},
			change: func(h *stage) {
				h.do(`BEGIN; CREATE TABLE u AS SELECT * FROM t; INSERT INTO t SELECT * FROM u; ROLLBACK`,
					`BEGIN; TRUNCATE t; INSERT INTO t VALUES (1); ROLLBACK`)
				session := h.session(h.pg)
				defer session.Close()
				if _, err := session.Try(`CREATE UNIQUE INDEX CONCURRENTLY failed ON t (id)`); err == nil {
					h.t.Error("a unique index was built on values that are not")
				}
			},
		},
	}
}

// preparedTransactions hold back every VACUUM as long as they are there.
func preparedTransactions() []hazard {
	return []hazard{
		{
			name:    "S25 prepared transactions",
			numbers: []string{"25"},
			prepare: func(h *stage) {
				h.do(`CREATE TABLE dropped AS SELECT generate_series(1, 1000) id`,
					`BEGIN; DROP TABLE dropped; PREPARE TRANSACTION 'drops'`,
					`BEGIN; CREATE TABLE rolled AS SELECT generate_series(1, 1000) id; PREPARE TRANSACTION 'creates'`,
					`BEGIN; CREATE TABLE stays AS SELECT generate_series(1, 1000) id; PREPARE TRANSACTION 'stays'`)
			},
			change: func(h *stage) {
				h.do(`COMMIT PREPARED 'drops'`, `ROLLBACK PREPARED 'creates'`, `CREATE TABLE t (id int)`,
					`BEGIN; INSERT INTO t SELECT generate_series(1, 1000); PREPARE TRANSACTION 'inserts'`)
			},
			check: func(h *stage, got *pgtest.Cluster) {
				if n := h.ask(got, `SELECT string_agg(gid, ' ' ORDER BY gid) FROM pg_prepared_xacts`); n != "inserts stays" {
					h.t.Errorf("prepared transactions are %q", n)
				}
				h.t.Helper()
				session := h.session(got)
				defer session.Close()
				session.Exec(`COMMIT PREPARED 'inserts'`)
				session.Exec(`COMMIT PREPARED 'stays'`)
				if n := session.Query1(`SELECT count(*) + (SELECT count(*) FROM stays) FROM t`); n != "2000" {
					h.t.Errorf("prepared transactions committed %s rows, want 2000", n)
				}
			},
		},
	}
}

// planted are files that no server makes.
func planted() []string {
	return []string{"extension.conf", "base/orioledb_data", "base/16384_map", "global/16384_new", "extension_data/5/16400"}
}

// fileHazards change files that have no page LSNs.
func fileHazards() []hazard {
	write := func(t testing.TB, dir, content string) {
		t.Helper()
		old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, name := range planted() {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
		pgtest.Chown(t, dir)
	}
	return []hazard{{
		name:    "L10 L29 S30 other files change, size and modification time do not",
		numbers: []string{"30"},
		here:    true,
		prepare: func(h *stage) { write(h.t, h.pg.DataDir, "before\n") },
		change:  func(h *stage) { write(h.t, h.pg.DataDir, "after!\n") },
	}}
}
