package wal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
)

// walSource is a cluster that archives its WAL by cp, and what Build must be told of it.
type walSource struct {
	*pgtest.Cluster
	t       testing.TB
	archive *dirArchive
	request MapRequest // From and To are not set
}

// newSource makes a cluster with WAL segments of 1 MB, which records of 3 MB cross twice.
func newSource(t testing.TB, install pgtest.Install, opts ...pgtest.Option) *walSource {
	t.Helper()
	dir := pgtest.TempDir(t)
	opts = append([]pgtest.Option{
		pgtest.WALSegmentSize(1),
		pgtest.Setting("archive_mode", "on"),
		pgtest.Setting("archive_command", "cp %p "+dir+"/%f"),
		pgtest.Setting("max_wal_size", "2GB"),
		pgtest.Setting("wal_level", walLevelFor(install)),
		pgtest.Setting("wal_keep_size", "2GB"), // for pg_walinspect
	}, opts...)
	s := &walSource{Cluster: install.New(t, opts...), t: t, archive: newDirArchive(dir)}
	s.identify()
	return s
}

// identify fills the request from pg_control.
func (s *walSource) identify() {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.DataDir, "global/pg_control"))
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := pg.ParseControl(b)
	if err != nil {
		s.t.Fatal(err)
	}
	s.request = MapRequest{
		SystemIdentifier: c.SystemIdentifier,
		Geometry:         c.Geometry,
		History:          pg.History{Timeline: c.Timeline},
		FromTimeline:     c.Timeline,
		Archive:          s.archive,
		Dir:              filepath.Join(s.DataDir, "pg_wal"),
		Jobs:             2,
	}
}

// backupStart gives the position that pg_backup_start gives.
func (s *walSource) backupStart() pg.LSN {
	s.t.Helper()
	session := s.Connect("postgres")
	defer session.Close()
	start, stop := "pg_backup_start('x', true)", "pg_backup_stop(false)"
	if s.Install.Major < 15 {
		start, stop = "pg_start_backup('x', true, false)", "pg_stop_backup(false, false)"
	}
	lsn, err := pg.ParseLSN(session.Query1("SELECT " + start))
	if err != nil {
		s.t.Fatal(err)
	}
	session.Exec("SELECT " + stop)
	return lsn
}

func (s *walSource) lsn(sql string) pg.LSN {
	s.t.Helper()
	lsn, err := pg.ParseLSN(s.Query1(sql))
	if err != nil {
		s.t.Fatal(err)
	}
	return lsn
}

// archived switches segments and waits until the one that ended is archived.
func (s *walSource) archived() string {
	s.t.Helper()
	name := s.SwitchWAL()
	s.Poll(name+" to be archived", func() bool {
		return s.Query1("SELECT coalesce(last_archived_wal, '') >= '"+name+"' FROM pg_stat_archiver") == "t"
	})
	return name
}

// walLevelFor avoids on 14 what its judge, the pg_waldump of 13, cannot read: top-level transaction ids.
func walLevelFor(install pgtest.Install) string {
	if install.Major == 14 {
		return "replica"
	}
	return "logical"
}

// mixedWorkload makes WAL of every kind that a server writes without extensions but bloom.
func mixedWorkload(s *walSource) {
	s.t.Helper()
	ex := func(sql ...string) {
		s.t.Helper()
		for _, q := range sql {
			s.Exec(q)
		}
	}
	ex("CREATE EXTENSION bloom",
		`CREATE TABLE t (id int PRIMARY KEY, v text, p point, a int[], r int4range, ts tsvector)`,
		`CREATE INDEX ON t USING hash (v)`, `CREATE INDEX ON t USING gin (a)`, `CREATE INDEX ON t USING gist (p)`,
		`CREATE INDEX ON t USING spgist (r)`, `CREATE INDEX ON t USING brin (id)`, `CREATE INDEX ON t USING bloom (id, v)`,
		`CREATE SEQUENCE s`, `CREATE UNLOGGED TABLE u (i int PRIMARY KEY)`, `CREATE TABLE c (line text)`)
	fill := func(from, to int) string {
		return fmt.Sprintf(`INSERT INTO t SELECT i, md5(i::text), point(i, i), ARRAY[i, i+1], int4range(i, i+5),
			to_tsvector('simple', md5(i::text)) FROM generate_series(%d, %d) i`, from, to)
	}
	for i, method := range compressions(s) {
		ex("SET wal_compression = "+method+"; CHECKPOINT", fill(2000*i+1, 2000*i+2000))
		ex("CHECKPOINT", "SET wal_compression = "+method+"; UPDATE t SET v = v || 'x' WHERE id % 7 = 0")
	}
	ex(`COPY c FROM PROGRAM 'seq 1 40000'`, `SELECT nextval('s') FROM generate_series(1, 100)`,
		`INSERT INTO u SELECT generate_series(1, 1000)`, `ALTER TABLE u SET LOGGED`, `ALTER TABLE u SET UNLOGGED`,
		`SELECT lo_from_bytea(0, decode(repeat('ab', 300000), 'hex'))`,
		`DELETE FROM t WHERE id % 3 = 0`, `VACUUM t`, `DELETE FROM t WHERE id > 3000`, `VACUUM (FREEZE) t`,
		`DELETE FROM c`, `VACUUM c`, `TRUNCATE c`, `INSERT INTO c SELECT 'again' FROM generate_series(1, 500)`,
		`SELECT * FROM t WHERE id < 100 FOR UPDATE`, `CREATE TABLE d (i int)`, `DROP TABLE d`,
		`VACUUM FULL t`, `CLUSTER t USING t_pkey`, `REINDEX TABLE t`,
		`SELECT length(pg_logical_emit_message(false, 'pgincr', repeat('m', 3000000))::text)`,
		`SELECT length(pg_logical_emit_message(true, 'pgincr', repeat('n', 1200000))::text)`)
	twoPhase(s)
	aborted(s)
	benched(s)
	checked(s)
	replicated(s)
	ex("CREATE DATABASE d1", "DROP DATABASE d1")
	if s.Install.Major >= 15 {
		ex("CREATE DATABASE d2 STRATEGY file_copy", "CREATE DATABASE d3 STRATEGY wal_log", "DROP DATABASE d2")
	}
}

// twoPhase drops and creates relations in prepared transactions that end either way.
func twoPhase(s *walSource) {
	s.t.Helper()
	s.Exec("CREATE TABLE p1 AS SELECT generate_series(1, 1000) i")
	s.Exec("CREATE TABLE p2 AS SELECT generate_series(1, 1000) i")
	for i, end := range []string{"COMMIT", "ROLLBACK"} {
		session := s.Connect("postgres")
		session.Exec("BEGIN")
		session.Exec(fmt.Sprintf("DROP TABLE p%d", i+1))
		session.Exec(fmt.Sprintf("CREATE TABLE q%d AS SELECT generate_series(1, 1000) i", i+1))
		session.Exec(fmt.Sprintf("PREPARE TRANSACTION 'x%d'", i))
		session.Close()
		s.Exec("CHECKPOINT")
		s.Exec(fmt.Sprintf("%s PREPARED 'x%d'", end, i))
	}
}

// aborted makes work that is rolled back, in subtransactions and as a whole.
func aborted(s *walSource) {
	s.t.Helper()
	session := s.Connect("postgres")
	defer session.Close()
	for _, q := range []string{
		"BEGIN", "CREATE TABLE a1 AS SELECT generate_series(1, 2000) i", "SAVEPOINT a",
		"CREATE TABLE a2 AS SELECT generate_series(1, 2000) i", "ROLLBACK TO a",
	} {
		session.Exec(q)
	}
	for i := range 70 { // more than 64 are assigned to their transaction in WAL
		session.Exec("SAVEPOINT s" + strconv.Itoa(i))
		session.Exec("INSERT INTO t (id) VALUES (" + strconv.Itoa(1000000+i) + ")")
	}
	session.Exec("ROLLBACK")
}

// compressions gives the values of wal_compression that the server knows, and says which it should know and does not.
func compressions(s *walSource) []string {
	s.t.Helper()
	if s.Install.Major < 15 {
		return []string{"off", "on"}
	}
	list := strings.Split(s.Query1(`SELECT array_to_string(enumvals, ',') FROM pg_settings
		WHERE name = 'wal_compression'`), ",")
	for _, method := range []string{"pglz", "lz4", "zstd"} {
		if !slices.Contains(list, method) {
			pgtest.NotTested(s.t, "with WAL compressed by %s, without which %s was built", method, s.Install)
		}
	}
	return list
}

// benched makes the WAL of pgbench, of its tables and of its transactions.
func benched(s *walSource) {
	s.t.Helper()
	s.Tool("pgbench", "-i", "-s", "1", "-q", "postgres")
	s.Tool("pgbench", "-n", "-c", "2", "-t", "150", "postgres")
}

// checked makes records that carry the page as it is afterwards, for every resource manager that can.
func checked(s *walSource) {
	s.t.Helper()
	for _, q := range []string{
		`UPDATE t SET v = v || 'k', a = ARRAY[id] WHERE id % 11 = 0`, `DELETE FROM t WHERE id % 13 = 0`, `VACUUM t`,
		`SELECT nextval('s')`, `CREATE INDEX checked ON t USING gist (p)`, `DROP INDEX checked`,
	} {
		session := s.Connect("postgres")
		session.Exec("SET wal_consistency_checking = 'all'")
		session.Exec(q)
		session.Close()
	}
}

// replicated makes records of changes that came from another server: they carry their origin.
func replicated(s *walSource) {
	s.t.Helper()
	session := s.Connect("postgres")
	defer session.Close()
	for _, q := range []string{
		"SELECT pg_replication_origin_create('elsewhere')", "SELECT pg_replication_origin_session_setup('elsewhere')",
		"INSERT INTO t (id, v) SELECT i, 'origin' FROM generate_series(2000001, 2000300) i", "BEGIN",
		"SELECT pg_replication_origin_xact_setup('0/1234', now())", "UPDATE t SET v = 'moved' WHERE id % 17 = 0",
		"SAVEPOINT a", "DELETE FROM t WHERE id > 2000290", "COMMIT", "SELECT pg_replication_origin_session_reset()",
	} {
		session.Exec(q)
	}
}
