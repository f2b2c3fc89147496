package pgtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// verdict is a testing.TB that records what a judge says instead of failing.
type verdict struct {
	testing.TB
	said []string
}

func (v *verdict) Helper() {}

func (v *verdict) Errorf(format string, args ...any) {
	v.said = append(v.said, fmt.Sprintf(format, args...))
}

// All judges acquit a sound copy of a cluster, on every major.
func TestJudgesAcquit(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		source := install.New(t)
		source.NewTablespace("elsewhere")
		source.Exec("CREATE DATABASE shop")
		source.ExecIn("shop", `
			CREATE TABLE t (id int PRIMARY KEY, note text);
			INSERT INTO t SELECT g, repeat(g::text, 10) FROM generate_series(1, 5000) g;
			CREATE TABLE far (id int) TABLESPACE elsewhere;
			INSERT INTO far SELECT generate_series(1, 100)`)
		source.ExecIn("shop", "VACUUM FREEZE t")
		source.ExecIn("shop", "DELETE FROM t WHERE id % 100 = 0")

		dir := filepath.Join(pgtest.TempDir(t), "copy")
		source.Tool("pg_basebackup", "-D", dir, "--checkpoint=fast", "--no-sync",
			"--tablespace-mapping="+source.Query1(`SELECT pg_tablespace_location(oid)
				FROM pg_tablespace WHERE spcname = 'elsewhere'`)+
				"="+filepath.Join(filepath.Dir(dir), "elsewhere"))
		install.VerifyBackup(t, dir)
		sums, dump := source.TableSums(), source.Dump()
		if sums["shop.public.t"] == "" || sums["shop.public.far"] == "" {
			t.Fatalf("sums of %d tables: %v", len(sums), sums)
		}

		restored := pgtest.FromDataDir(t, install, dir)
		pgtest.CompareTables(t, sums, restored.TableSums())
		pgtest.CompareDumps(t, dump, restored.Dump())
		restored.IndexOnlyEqualsSeqAll()
		restored.Visibility()
		restored.Amcheck()
		pgtest.CompareDumps(t, dump, restored.Dump()) // judges leave no trace
		restored.Stop(pgtest.Fast)
		install.Checksums(t, dir)
	})
}

// Every judge convicts a cluster with the damage it is there to find.
func TestJudgesConvict(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		c.Exec(`
			CREATE TABLE t (id int PRIMARY KEY);
			INSERT INTO t SELECT generate_series(1, 1000)`)
		c.Exec("VACUUM FREEZE t")
		c.Checkpoint()
		heap := filepath.Join(c.DataDir, c.Query1("SELECT pg_relation_filepath('t')"))
		frozenMap := read(t, heap+"_vm")
		sums, dump := c.TableSums(), c.Dump()
		c.Exec("DELETE FROM t WHERE id = 1")
		c.Stop(pgtest.Fast)
		write(t, heap+"_vm", frozenMap) // what an incremental backup restores that has lost the map's change
		c.Start()

		convicts(t, "Visibility", `"pg_check_frozen" "(0,1)"`, func(v *verdict) { c.In(v).Visibility() })
		convicts(t, "IndexOnlyEqualsSeq", "1000 rows by index-only scan, 999", func(v *verdict) {
			c.In(v).IndexOnlyEqualsSeq("postgres", "t")
		})
		convicts(t, "CompareTables", "postgres.public.t: 999 rows", func(v *verdict) {
			pgtest.CompareTables(v, sums, c.TableSums())
		})
		convicts(t, "CompareDumps", "- 1\n", func(v *verdict) { pgtest.CompareDumps(v, dump, c.Dump()) })

		index := filepath.Join(c.DataDir, c.Query1("SELECT pg_relation_filepath('t_pkey')"))
		c.Exec("INSERT INTO t VALUES (-1)")
		c.Checkpoint()
		older := read(t, index)
		c.Exec("INSERT INTO t VALUES (-2)")
		c.Stop(pgtest.Fast)
		write(t, index, older)
		c.Start()
		convicts(t, "Amcheck", "lacks matching index tuple", func(v *verdict) { c.In(v).Amcheck() })

		c.Stop(pgtest.Fast)
		page := read(t, heap)
		page[8000] ^= 1
		write(t, heap, page)
		convicts(t, "Checksums", "checksum verification failed", func(v *verdict) { install.Checksums(v, c.DataDir) })
		convicts(t, "VerifyBackup", "backup_manifest", func(v *verdict) { install.VerifyBackup(v, c.DataDir) })
	})
}

// convicts fails the test unless the judge says want.
func convicts(t *testing.T, name, want string, judge func(*verdict)) {
	t.Helper()
	v := &verdict{TB: t}
	judge(v)
	if said := strings.Join(v.said, "\n"); !strings.Contains(said, want) {
		t.Errorf("%s said %q, want something with %q", name, said, want)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
