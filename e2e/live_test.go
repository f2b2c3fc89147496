package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/restore"
)

// load runs pgbench against a server until it is told to stop, again and again where the server goes away.
func load(t *testing.T, c *pgtest.Cluster, stop <-chan struct{}) {
	pgbench, _ := c.Install.Tool("pgbench")
	for {
		cmd := pgtest.Command(t.Context(), pgbench, "-n", "-c", "4", "-T", "600", "postgres")
		cmd.Env = append(cmd.Env, c.Env()...)
		if err := cmd.Start(); err != nil {
			t.Errorf("pgbench: %v", err)
			return
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }() // the server's end is its, too
		select {
		case <-stop:
			_ = cmd.Process.Kill() // it may have ended
			<-ended
			return
		case <-ended:
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// While pgbench runs, archive_command and a receiver store the WAL of one server in one repository; the server is
// killed, restarted and killed for good, a standby is promoted and gets a receiver of its own. No segment is missing,
// none is there twice, each has its map, and what the new primary holds is restored.
func TestLiveWAL(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install, pgtest.WALSegmentSize(1), pgtest.Setting("wal_keep_size", "1GB"),
			pgtest.Setting("max_wal_size", "16MB"))
		s.pg.Tool("pgbench", "-i", "-q", "-s", "2", "postgres")
		standby := s.pg.NewStandby(t)
		r := s.receive(s.pg)
		awaitReceived(s.pg)
		full := s.full()
		stop := make(chan struct{})
		var running sync.WaitGroup
		running.Go(func() { load(t, s.pg, stop) })
		grow := func(c *pgtest.Cluster) { // until pgbench has written some segments
			from := c.Query1("SELECT pg_current_wal_lsn()")
			c.Poll("WAL of pgbench", func() bool {
				return c.Query1("SELECT pg_current_wal_lsn() - '"+from+"'::pg_lsn > 3000000") == "t"
			})
		}
		for n := range 3 {
			grow(s.pg)
			if n == 1 {
				s.pg.Restart()
			} else {
				s.pg.Kill()
				s.pg.Start()
			}
			r.end(t, syscall.SIGKILL)
			r = s.receive(s.pg)
		}
		grow(s.pg)
		s.pg.Kill()
		close(stop)
		running.Wait()
		if code := r.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("the receiver of the old primary: exit %d\n%s", code, r.stderr)
		}
		standby.Promote()
		r = s.receive(standby)
		stop = make(chan struct{})
		running.Go(func() { load(t, standby, stop) })
		grow(standby)
		close(stop)
		running.Wait()
		awaitReceived(standby)
		want := standby.TableSums()
		awaitReceived(standby)
		last := standby.SwitchWAL()
		standby.Poll(last+" in the archive", func() bool {
			return standby.Query1("SELECT coalesce(last_archived_wal >= '"+last+"', false) FROM pg_stat_archiver") == "t"
		})
		standby.Stop(pgtest.Fast)
		if code := r.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("the receiver of the new primary: exit %d\n%s", code, r.stderr)
		}
		s.noGapAndNothingTwice(full)
		got := s.open(s.restore("latest"))
		pgtest.CompareTables(t, want, got.TableSums())
		sums := got.Query1(`SELECT (SELECT sum(abalance) FROM pgbench_accounts) || ' ' ||
			(SELECT sum(bbalance) FROM pgbench_branches) || ' ' || (SELECT sum(delta) FROM pgbench_history)`)
		if f := strings.Fields(sums); len(f) != 3 || f[0] != f[1] || f[1] != f[2] {
			t.Errorf("pgbench's sums are not equal: %s", sums)
		}
	})
}

// noGapAndNothingTwice judges the archived WAL since a backup.
func (s *site) noGapAndNothingTwice(since backup) {
	s.t.Helper()
	found := decode[struct {
		Windows []restore.Window
		Gaps    []restore.Gap
	}](s.t, s.ok("list", "--windows", "--json").stdout)
	if len(found.Gaps) > 0 {
		s.t.Errorf("gaps: %+v", found.Gaps)
	}
	if n := len(found.Windows); n == 0 || found.Windows[n-1].Backup != since.ID || found.Windows[n-1].Timeline != 2 ||
		found.Windows[n-1].Missing != "" {
		s.t.Errorf("no window from %s to the end of timeline 2: %+v", since.ID, found.Windows)
	}
	if o := s.ok("pagemap", "build", "--json"); !strings.Contains(o.stdout, `"made": 0`) ||
		strings.Contains(o.stdout, `"segments": 0`) {
		s.t.Errorf("maps were lacking: %s", o.stdout)
	}
	// One map from there to the end is proof of every link between.
	s.ok("pagemap", "show", "--from", since.ID, "--json")
	timelines, err := filepath.Glob(filepath.Join(s.repo, "main", "wal", "????????"))
	if err != nil || len(timelines) != 2 {
		s.t.Fatalf("timelines %v, %v", timelines, err)
	}
	seen := map[string]bool{}
	for _, dir := range timelines {
		entries, err := os.ReadDir(dir)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range entries {
			if len(e.Name()) == 24 { // else it is a .partial or .backup file
				seen[e.Name()] = true
			}
		}
	}
	parts, err := filepath.Glob(filepath.Join(s.repo, "main", "parts", "*", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, part := range parts {
		if name, _, _ := strings.Cut(filepath.Base(part), "."); seen[name] {
			s.t.Errorf("%s is there twice: as %s, too", name, part)
		}
	}
	if len(seen) < 12 {
		s.t.Errorf("only %d segments", len(seen))
	}
}

// A receiver is a synchronous standby: a commit returns when it is in the repository, not before, and then
// survives the loss of the server and of the receiver in the same moment.
func TestReceiverSynchronous(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		s := newLonelySite(t, install, pgtest.WALSegmentSize(1))
		s.pg.Exec("CREATE TABLE t (n int)")
		r := s.receive(s.pg)
		awaitReceived(s.pg)
		s.full()
		s.pg.Exec("ALTER SYSTEM SET synchronous_standby_names = 'pgincr'")
		s.pg.Reload()
		s.pg.Poll("the receiver to be synchronous", func() bool {
			return s.pg.Query1("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"
		})
		for n := range 5 {
			s.pg.Exec(fmt.Sprintf("INSERT INTO t VALUES (%d)", n)) // fails when nobody confirms it
		}
		said := s.pg.Rows("SELECT flush_lsn <= sent_lsn, sent_lsn, write_lsn, flush_lsn, replay_lsn FROM pg_stat_replication")
		if len(said) != 1 || said[0][0] != "t" {
			t.Errorf("what the receiver confirms: %v", said)
		}
		r.end(t, syscall.SIGKILL)
		committed := make(chan error, 1)
		go func() { committed <- s.pg.TryExec("INSERT INTO t VALUES (5)") }()
		s.pg.Poll("the commit to wait", func() bool {
			return s.pg.Query1("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1"
		})
		select {
		case err := <-committed:
			t.Errorf("committed without a receiver: %v", err)
		default:
		}
		r = s.receive(s.pg)
		if err := <-committed; err != nil {
			t.Error(err)
		}
		s.pg.Kill()
		r.end(t, syscall.SIGKILL)
		got := s.open(s.restore("latest"), pgtest.Setting("synchronous_standby_names", ""))
		if rows := got.Query1("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t"); rows != "0 1 2 3 4 5" {
			t.Errorf("restored %s", rows)
		}
	})
}
