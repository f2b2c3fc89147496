package pgtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// A cluster of every major starts, keeps what was committed over a kill, and
// has an identity of its own.
func TestCluster(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		c.Exec("CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g")
		c.Kill()
		c.Start()
		if got := c.Query1("SELECT count(*) FROM t"); got != "1000" {
			t.Errorf("%s rows after a crash, want 1000", got)
		}
		other := install.New(t, pgtest.Checksums(false), pgtest.WALSegmentSize(1))
		const identify = "SELECT system_identifier FROM pg_control_system()"
		if c.Query1(identify) == other.Query1(identify) {
			t.Error("two clusters with the same system identifier")
		}
		if got := other.Query1("SHOW data_checksums") + other.Query1("SHOW wal_segment_size"); got != "off1MB" {
			t.Errorf("options gave %s", got)
		}
		standby := c.NewStandby(t)
		c.Exec("INSERT INTO t VALUES (0)")
		standby.WaitReplayed(c)
		standby.Promote()
		if got := standby.Query1("SELECT count(*) FROM t"); got != "1001" {
			t.Errorf("%s rows on the standby, want 1001", got)
		}
		for _, mode := range []pgtest.StopMode{pgtest.Smart, pgtest.Fast, pgtest.Immediate} {
			c.Stop(mode)
			c.Start()
		}
	})
}

// A server that refuses to start says why, and can be started once the reason is
// gone.
func TestTryStart(t *testing.T) {
	c := pgtest.Newest(t).New(t, pgtest.NotStarted(), pgtest.Conf("shared_buffers = 'much'"))
	err := c.TryStart()
	if err == nil || !strings.Contains(err.Error(), `"shared_buffers": "much"`) {
		t.Fatalf("start with a wrong setting: %v", err)
	}
	if c.Running() {
		t.Error("running after a failed start")
	}
	c.AppendConf("shared_buffers = '16MB'")
	c.Start()
	if got := c.Query1("SHOW shared_buffers"); got != "16MB" {
		t.Errorf("shared_buffers %s, want 16MB", got)
	}
	c.AppendConf("work_mem = '3MB'")
	c.Reload()
	if got := c.Query1("SHOW work_mem"); got != "3MB" {
		t.Errorf("work_mem %s after a reload, want 3MB", got)
	}
}

// An adopted directory recovers to its target and does not archive over the
// original, while its configuration stays as restored.
func TestFromDataDir(t *testing.T) {
	install := pgtest.Newest(t)
	archive := pgtest.TempDir(t)
	source := install.New(t, pgtest.Setting("archive_mode", "on"),
		pgtest.Setting("archive_command", "cp %p "+archive+"/%f"))
	dir := filepath.Join(pgtest.TempDir(t), "copy")
	source.Tool("pg_basebackup", "-D", dir, "--checkpoint=fast", "--no-sync", "--wal-method=none")
	source.Exec("CREATE TABLE t AS SELECT generate_series(1, 10)")
	want := source.TableSums()
	segment := source.SwitchWAL()
	source.Poll("the archive", func() bool {
		_, err := os.Stat(filepath.Join(archive, segment))
		return err == nil
	})
	source.Stop(pgtest.Fast)

	write(t, filepath.Join(dir, "recovery.signal"), nil)
	pgtest.Chown(t, dir)
	restored := pgtest.FromDataDir(t, install, dir,
		pgtest.Setting("restore_command", "cp "+archive+"/%f %p"))
	restored.WaitRecovered()
	pgtest.CompareTables(t, want, restored.TableSums())
	if got := restored.Query1("SHOW archive_mode"); got != "off" {
		t.Errorf("archive_mode %s, want off", got)
	}
}

// The program under test runs as the owner of the clusters, finds the one it is
// to talk to, and can write where TempDir says.
func TestCommand(t *testing.T) {
	c := pgtest.Newest(t).New(t)
	psql, _ := c.Install.Tool("psql")
	cmd := pgtest.Command(t.Context(), psql, "-XAtc", "SELECT 6 * 7", "-o", filepath.Join(pgtest.TempDir(t), "out"))
	cmd.Env = append(cmd.Env, c.Env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := read(t, cmd.Args[len(cmd.Args)-1]); string(got) != "42\n" {
		t.Errorf("%q, want 42", got)
	}
}
