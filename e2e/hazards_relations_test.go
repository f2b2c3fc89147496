package e2e

import "github.com/pgincr/pgincr/internal/pgtest"

// hundredPages makes a table t of 100 pages, seven rows on each, vacuumed and frozen.
func hundredPages(h *stage) {
	h.do(`CREATE TABLE t (id int, pad text)`,
		`ALTER TABLE t ALTER pad SET STORAGE PLAIN`,
		`INSERT INTO t SELECT i, repeat('x', 1100) FROM generate_series(1, 700) i`,
		`CREATE INDEX t_id ON t (id)`,
		`VACUUM FREEZE t`)
}

// truncate makes VACUUM cut a table of a hundred pages down to forty.
func truncate(h *stage) {
	h.do(`DELETE FROM t WHERE id > 280`, `VACUUM t`, `CHECKPOINT`)
	if n := h.ask(h.pg, `SELECT pg_relation_size('t') / 8192`); n != "40" {
		h.t.Fatalf("the table has %s pages, want 40", n)
	}
}

// bulkCopy puts 47 rows, each on a page of its own, into a table. Since 16 the
// server extends the table by more and more pages at a time meanwhile, of which the last ones stay
// zero (RelationAddBlocks, hio.c).
const bulkCopy = `COPY t FROM PROGRAM 'for i in $(seq 2001 2047); do printf "%d\t%05000d\n" $i 0; done'`

// relationHazards change pages of tables and indexes.
func relationHazards() []hazard {
	return []hazard{
		{
			name:    "L1 truncated, then extended by zero pages",
			numbers: []string{"3"},
			prepare: hundredPages,
			change: func(h *stage) {
				truncate(h)
				h.do(bulkCopy, `CHECKPOINT`)
				if n := h.zeroPages("t"); n == 0 && h.pg.Install.Major >= 16 {
					h.t.Error("the bulk extension left no zero pages")
				}
			},
		},
		{
			name:    "L1 truncated, then written again, checkpoints between",
			numbers: []string{"1"},
			prepare: hundredPages,
			change: func(h *stage) {
				truncate(h)
				h.do(`INSERT INTO t SELECT i, repeat('y', 1100) FROM generate_series(1001, 1280) i`, `CHECKPOINT`)
			},
		},
		{
			name:    "L2 L18 hash index grows by holes",
			numbers: []string{"42"},
			prepare: func(h *stage) {
				h.do(`CREATE TABLE t (id int)`, `INSERT INTO t SELECT generate_series(1, 1000)`,
					`CREATE INDEX ON t USING hash (id)`)
			},
			change: func(h *stage) {
				h.do(`INSERT INTO t SELECT generate_series(1001, 40000)`, `CREATE TABLE u AS SELECT * FROM t`,
					`CREATE INDEX ON u USING hash (id)`, `DELETE FROM t WHERE id % 3 = 0`, `VACUUM t`)
			},
			check: hashIndexAnswers,
		},
		{
			name:    "L3 L19 indexes of all kinds are built and changed",
			numbers: []string{"24", "42"},
			prepare: func(h *stage) {
				h.do(`CREATE EXTENSION bloom SCHEMA public`,
					`CREATE TABLE t (id int, p point, a int[], v text)`,
					`INSERT INTO t SELECT i, point(i, i % 97), ARRAY[i, i % 13], 'v' || i FROM generate_series(1, 5000) i`,
					`CREATE INDEX t_gist ON t USING gist (p)`, `CREATE INDEX t_spgist ON t USING spgist (p)`,
					`CREATE INDEX t_gin ON t USING gin (a) WITH (fastupdate = on)`,
					`CREATE INDEX t_brin ON t USING brin (id) WITH (pages_per_range = 4)`,
					`CREATE INDEX t_bloom ON t USING bloom (id, v)`, `CREATE INDEX t_btree ON t (v)`)
			},
			change: func(h *stage) {
				h.do(`INSERT INTO t SELECT i, point(i, i % 89), ARRAY[i, i % 17], 'w' || i FROM generate_series(5001, 9000) i`,
					`DELETE FROM t WHERE id BETWEEN 1000 AND 3000`, `VACUUM t`,
					`UPDATE t SET p = point(-id, 3) WHERE id % 11 = 0`,
					`SELECT gin_clean_pending_list('t_gin')`, `SELECT brin_summarize_new_values('t_brin')`,
					`SELECT brin_desummarize_range('t_brin', 0)`,
					`CREATE TABLE u AS SELECT * FROM t`, `CREATE INDEX ON u USING gist (p)`,
					`CREATE INDEX ON u USING spgist (p)`, `CREATE INDEX ON u USING gin (a)`)
			},
			check: func(h *stage, got *pgtest.Cluster) {
				for _, condition := range []string{
					`p <@ box '(0,0),(5000,50)'`, `p ~= point(5005, 21)`, `a @> ARRAY[7]`, `id BETWEEN 100 AND 4000`,
					`id = 4711`, `v = 'w7000'`,
				} {
					h.sameByIndex(got, "t", condition)
				}
			},
		},
		{
			name:    "L4 bits cleared in the visibility map",
			numbers: []string{"5"},
			prepare: hundredPages,
			change: func(h *stage) {
				h.do(`DELETE FROM t WHERE id IN (5, 350, 699)`, `UPDATE t SET pad = 'short' WHERE id IN (10, 400)`,
					`SELECT * FROM t WHERE id = 77 FOR UPDATE`, `INSERT INTO t SELECT 9000 + i, 'new' FROM generate_series(1, 5) i`)
			},
		},
		{
			name:    "L5 all-visible set without an LSN",
			numbers: []string{"6"},
			prepare: func(h *stage) {
				h.do(`CREATE TABLE t (id int, pad text)`,
					`INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 700) i`,
					`CREATE INDEX t_id ON t (id)`, `SELECT count(*) FROM t`)
			},
			change: func(h *stage) { h.do(`VACUUM t`) },
			check: func(h *stage, got *pgtest.Cluster) {
				session := h.session(got)
				defer session.Close()
				session.Exec(`DELETE FROM t WHERE id % 100 = 0`)
				got.IndexOnlyEqualsSeq("postgres", h.schema+".t")
			},
		},
		{
			name: "L6 L7 hint bits set by reading",
			prepare: func(h *stage) {
				h.do(`CREATE TABLE t (id int)`, `CREATE INDEX ON t (id)`,
					`INSERT INTO t SELECT generate_series(1, 5000)`, `DELETE FROM t WHERE id % 10 = 0`)
			},
			change: func(h *stage) {
				h.do(`SELECT count(*) FROM t`, `SET enable_seqscan = off`, `SELECT count(*) FROM t WHERE id < 1000`)
			},
		},
		{
			name:    "L8 free space map",
			numbers: []string{"T5"},
			prepare: func(h *stage) {
				h.do(`CREATE TABLE t (id int, pad text)`,
					`INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 3000) i`, `VACUUM t`)
			},
			change: func(h *stage) {
				h.do(`DELETE FROM t WHERE id % 2 = 0`, `VACUUM t`,
					`INSERT INTO t SELECT i, repeat('y', 400) FROM generate_series(1, 700) i`)
			},
		},
		{
			name:    "L16 shrunk, emptied, rewritten, dropped",
			numbers: []string{"10", "T1"},
			prepare: func(h *stage) { manyTables(h) },
			change: func(h *stage) {
				h.do(`DELETE FROM shrink WHERE id > 100`, `VACUUM shrink`, `TRUNCATE truncated`, `DROP TABLE dropped`,
					`VACUUM FULL rewritten`, `CLUSTER clustered USING clustered_id`, `REINDEX TABLE reindexed`,
					`DELETE FROM emptied`, `VACUUM emptied`, `TRUNCATE refilled`, `INSERT INTO refilled VALUES (1, 'one')`,
					`ALTER TABLE retyped ALTER id TYPE bigint`, `CREATE TABLE created AS SELECT generate_series(1, 500) id`)
			},
		},
		{
			name:    "L17 sequences",
			numbers: []string{"27"},
			prepare: func(h *stage) {
				h.do(`CREATE SEQUENCE q`, `SELECT nextval('q') FROM generate_series(1, 20)`)
			},
			change: func(h *stage) {
				h.do(`SELECT nextval('q') FROM generate_series(1, 20)`, `CHECKPOINT`)
				h.kept["last"] = h.ask(h.pg, `SELECT max(v) FROM (SELECT nextval('q') v FROM generate_series(1, 5)) s`)
			},
			check: func(h *stage, got *pgtest.Cluster) {
				if h.ask(got, `SELECT nextval('q') > `+h.kept["last"]) != "t" {
					h.t.Error("a sequence gave a value twice")
				}
			},
		},
		{
			name:    "S36 empty and missing forks",
			numbers: []string{"36"},
			prepare: func(h *stage) {
				h.do(`CREATE EXTENSION pg_visibility SCHEMA public`, `CREATE TABLE empty (id int)`,
					`CREATE TABLE vm (id int)`, `INSERT INTO vm SELECT generate_series(1, 1000)`, `VACUUM vm`,
					`CREATE TABLE novm (id int)`, `INSERT INTO novm SELECT generate_series(1, 1000)`)
			},
			change: func(h *stage) {
				h.do(`SELECT pg_truncate_visibility_map('vm')`, `VACUUM novm`, `CREATE TABLE alsoempty (id int)`,
					`CREATE TABLE wasempty AS SELECT * FROM novm`)
			},
		},
	}
}

// manyTables makes tables for everything that replaces or shortens files.
func manyTables(h *stage) {
	for _, table := range []string{
		"shrink", "truncated", "dropped", "rewritten", "clustered", "reindexed", "emptied", "refilled", "retyped",
	} {
		h.do(`CREATE TABLE `+table+` (id int, pad text)`,
			`INSERT INTO `+table+` SELECT i, repeat('x', 300) FROM generate_series(1, 1000) i`,
			`CREATE INDEX `+table+`_id ON `+table+` (id)`, `VACUUM `+table)
	}
}

// hashIndexAnswers compares what a hash index finds with what is there.
func hashIndexAnswers(h *stage, got *pgtest.Cluster) {
	for _, table := range []string{"t", "u"} {
		h.sameByIndex(got, table, `id = 12345`)
		h.sameByIndex(got, table, `id = 39999`)
		session := h.session(got)
		session.Exec(`SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`)
		missing := session.Query1(`SELECT count(*) FROM generate_series(1, 40000, 7) i
			WHERE i % 3 <> 0 AND NOT EXISTS (SELECT FROM ` + table + ` WHERE id = i)`)
		session.Close()
		if missing != "0" {
			h.t.Errorf("%s.%s: %s values are not found by the hash index", h.schema, table, missing)
		}
	}
}

// sameByIndex compares the rows that meet a condition by index and by sequential scan.
func (h *stage) sameByIndex(got *pgtest.Cluster, table, condition string) {
	h.t.Helper()
	session := h.session(got)
	defer session.Close()
	query := `SELECT count(*) || ' ' || coalesce(sum(hashtext(x::text)), 0) FROM ` + table + ` x WHERE ` + condition
	session.Exec(`SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off`)
	seq := session.Query1(query)
	session.Exec(`RESET enable_indexscan; RESET enable_bitmapscan; RESET enable_indexonlyscan; SET enable_seqscan = off`)
	if index := session.Query1(query); index != seq {
		h.t.Errorf("%s.%s where %s: %s by index, %s by sequential scan", h.schema, table, condition, index, seq)
	}
}
