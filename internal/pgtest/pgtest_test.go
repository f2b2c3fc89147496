package pgtest_test

import (
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
