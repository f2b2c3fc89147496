package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// A cluster restored with one of its databases recovers over the others' stand-ins, whatever WAL did to
// them; they take no space and can be dropped, and the one that was asked for is whole.
func TestRestoreDatabase(t *testing.T) {
	t.Parallel()
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		// Without checksums the all-visible flag is set without a page image.
		s := newSite(t, install, pgtest.Checksums(false), pgtest.Setting("autovacuum", "off"))
		s.pg.NewTablespace("space")
		s.sql("CREATE DATABASE wanted", `CREATE DATABASE "other ""one"""`, "CREATE DATABASE moved TABLESPACE space")
		others := []string{`other "one"`, "moved"}
		change := func(sql ...string) {
			t.Helper()
			for _, db := range append([]string{"wanted"}, others...) {
				s.sqlIn(db, sql...)
			}
		}
		change("CREATE TABLE t AS SELECT i, repeat('x', 200) x FROM generate_series(1, 30000) i",
			"CREATE INDEX h ON t USING hash (i)", "CREATE INDEX b ON t (i)", "CREATE TABLE v AS SELECT * FROM t",
			"CREATE UNLOGGED TABLE u AS SELECT 1 i", "CHECKPOINT")
		full := s.full()
		change("UPDATE t SET x = 'y' WHERE i % 100 = 0", "DELETE FROM t WHERE i BETWEEN 2000 AND 20000")
		incr := s.incremental("auto")
		// Replayed over the stand-ins: flags and hash buckets without images, truncation, growth, new relations.
		change("VACUUM v", "VACUUM t", "INSERT INTO t SELECT i, 'z' FROM generate_series(30001, 50000) i",
			"TRUNCATE u", "CREATE TABLE new AS SELECT * FROM t LIMIT 500", "REINDEX INDEX h", "VACUUM FULL v")
		s.sql("CREATE DATABASE later")
		s.sqlIn("later", "CREATE TABLE t AS SELECT generate_series(1, 100) i")
		want := s.pg.TableSums()
		s.pg.SwitchWAL()

		dir := filepath.Join(pgtest.TempDir(t), "data")
		args := []string{"restore", incr.ID, "-D", dir, "--tablespace-root", pgtest.TempDir(t), "--database", "wanted"}
		if o := s.run(append(args[:6:6], "--database", "wamted")...); o.code != 2 ||
			!strings.Contains(o.stderr, `"wamted"`) || !strings.Contains(o.stderr, "moved") {
			t.Errorf("an unknown database: exit %d, %s", o.code, o.stderr)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("something was written")
		}
		r := decode[struct {
			StandIns []struct {
				OID  uint32 `json:"oid"`
				Name string `json:"name"`
			} `json:"stand_ins"`
			DropSQL string `json:"drop_sql"`
		}](t, s.ok(append(args, "--json")...).stdout)
		if len(r.StandIns) != 2 {
			t.Fatalf("%+v", r)
		}
		install.VerifyBackup(t, dir, "-n")
		heap := s.pg.Query1In(others[0], "SELECT pg_relation_filepath('t')")
		if st, err := os.Stat(filepath.Join(dir, heap)); err != nil || st.Size() == 0 ||
			st.Sys().(*syscall.Stat_t).Blocks != 0 {
			t.Errorf("%s takes space, or has no length: %+v, %v", heap, st, err)
		}
		script := filepath.Join(filepath.Dir(dir), "drop.sql")
		if err := os.WriteFile(script, []byte(r.DropSQL+"\nALTER SYSTEM RESET ignore_invalid_pages;\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		got := s.open(dir, pgtest.Setting("autovacuum", "on"), pgtest.Setting("autovacuum_naptime", "1s"))
		for _, db := range others {
			out, err := got.TryTool("psql", "-X", "-c", "SELECT count(*) FROM t", "-d", "dbname='"+db+"'")
			if err == nil || !strings.Contains(out+err.Error(), "is not a valid data directory") {
				t.Errorf("%s: %s, %v", db, out, err)
			}
		}
		got.Poll("autovacuum, which looks into all databases", func() bool {
			return strings.Contains(got.Log(), "autovacuum worker FATAL")
		})
		got.Tool("psql", "-X", "-v", "ON_ERROR_STOP=1", "-f", script, "postgres")
		maps.DeleteFunc(want, func(table, _ string) bool {
			return strings.HasPrefix(table, others[0]) || strings.HasPrefix(table, others[1])
		})
		pgtest.CompareTables(t, want, got.TableSums())
		got.Amcheck()
		got.Restart()
		pgtest.CompareTables(t, want, got.TableSums())
		if log := got.Log(); strings.Contains(log, "PANIC") {
			t.Error(log)
		}
		got.Stop(pgtest.Fast)

		// In place: all databases, then some, then all again.
		s.ok("restore", full.ID, "-D", dir, "--delta")
		files := s.hashes(dir)
		s.ok("restore", full.ID, "-D", dir, "--delta", "--database", "moved")
		install.VerifyBackup(t, dir, "-n")
		if maps.Equal(files, s.hashes(dir)) {
			t.Error("nothing became a stand-in")
		}
		s.ok("restore", full.ID, "-D", dir, "--delta")
		install.VerifyBackup(t, dir, "-n")
		if !maps.Equal(files, s.hashes(dir)) {
			t.Error("other files after all")
		}
	})
}
