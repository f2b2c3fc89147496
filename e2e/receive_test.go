package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// receiver is a running pgincr receive-wal.
type receiver struct {
	cmd    *exec.Cmd
	stderr *said
}

// said keeps what a process says, to be read while it runs, too.
type said struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// receive starts receiving from a server into the site's repository.
func (s *site) receive(from *pgtest.Cluster, args ...string) *receiver {
	s.t.Helper()
	r := &receiver{stderr: new(said)}
	args = append([]string{"receive-wal", "-v", "--create-slot", "--flush-interval", "100ms"}, args...)
	r.cmd = pgtest.Command(s.t.Context(), pgincr, args...)
	r.cmd.Env = append(append(r.cmd.Env, from.Env()...), "PGINCR_REPO="+s.repo)
	r.cmd.Stderr = r.stderr
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("the receiver said:\n%s", r.stderr)
		}
	})
	return r
}

// end ends it with a signal and gives its exit code.
func (r *receiver) end(t testing.TB, signal syscall.Signal) int {
	t.Helper()
	if err := r.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("%v\n%s", err, r.stderr)
	}
	_ = r.cmd.Wait() // its exit code tells
	return r.cmd.ProcessState.ExitCode()
}

// awaitReceived waits until a receiver has confirmed all that the server has written.
func awaitReceived(c *pgtest.Cluster) {
	lsn := c.Query1("SELECT pg_current_wal_flush_lsn()")
	c.Poll("a receiver to confirm "+lsn, func() bool {
		return c.Query1("SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pgincr' AND flush_lsn >= '"+
			lsn+"'") != "0"
	})
}

// write inserts rows until it is told to stop; a server that is away is waited for.
func (s *site) write(stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		sql := fmt.Sprintf("INSERT INTO t SELECT %d, g, repeat('x', 300) FROM generate_series(1, 300) g", n)
		psql, _ := s.pg.Install.Tool("psql")
		cmd := pgtest.Command(s.t.Context(), psql, "-XAtqc", sql, "postgres")
		cmd.Env = append(cmd.Env, s.pg.Env()...)
		if cmd.Run() != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// While a server writes, its receiver is killed again and again, and the server, too. Nothing is lost: all
// segments arrive with their maps, and what was committed a moment before the server is lost is restored.
func TestReceiverKilled(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		s := newLonelySite(t, install, pgtest.WALSegmentSize(1), pgtest.Setting("fsync", "on"))
		s.pg.Exec("CREATE TABLE t (n int, g int, filler text)")
		r := s.receive(s.pg)
		awaitReceived(s.pg)
		first := s.pg.Query1("SELECT pg_walfile_name(pg_current_wal_flush_lsn())")
		if o := s.run("receive-wal"); o.code != 4 || !strings.Contains(o.stderr, "locked by") {
			t.Errorf("a second receiver: exit %d\n%s", o.code, o.stderr)
		}
		s.full()
		stop := make(chan struct{})
		var writer sync.WaitGroup
		writer.Go(func() { s.write(stop) })
		for n := range 12 {
			time.Sleep(time.Duration(50+40*(n%4)) * time.Millisecond)
			if n == 6 {
				s.pg.Kill()
				s.pg.Start()
			}
			r.end(t, syscall.SIGKILL)
			r = s.receive(s.pg)
		}
		close(stop)
		writer.Wait()
		awaitReceived(s.pg)
		inside := s.pg.Query1("SELECT pg_current_wal_flush_lsn()")
		inXID := s.pg.Query1("SELECT pg_current_xact_id()::text")
		s.pg.Exec("SELECT pg_create_restore_point('inside')")
		inTime := s.pg.Query1("SELECT clock_timestamp()::text")
		s.pg.Exec("INSERT INTO t VALUES (-1, -1, 'a moment before')")
		awaitReceived(s.pg)
		want := s.pg.TableSums()
		awaitReceived(s.pg)
		last := s.pg.Query1("SELECT pg_walfile_name(pg_current_wal_flush_lsn())")
		s.pg.Kill()
		if code := r.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("ended by SIGTERM: exit %d\n%s", code, r.stderr)
		}
		if o := s.ok("pagemap", "build", "--json"); !strings.Contains(o.stdout, `"made": 0`) {
			t.Errorf("maps were lacking: %s", o.stdout)
		}
		noGap(t, s, first, last)
		for _, target := range [][2]string{
			{"--target-lsn", inside}, {"--target-xid", inXID}, {"--target-name", "inside"}, {"--target-time", inTime},
		} {
			got := s.open(s.restore("latest", target[0], target[1], "--target-action", "promote"))
			if n := got.Query1("SELECT count(*) FROM t WHERE n = -1"); n != "0" {
				t.Errorf("%s: the row behind the target is there %s times", target[0], n)
			}
			got.Stop(pgtest.Immediate)
		}
		s.refused(s.run("restore", "-D", pgtest.TempDir(t)+"/refused", "--target-name", "outside"), 1,
			"outside", "WAL is there up to")
		got := s.open(s.restore("latest"))
		pgtest.CompareTables(t, want, got.TableSums())
		if n := got.Query1("SELECT count(*) FROM t WHERE n = -1"); n != "1" {
			t.Errorf("the last row is there %s times", n)
		}
	})
}

// Who ends a receiver whose server has just died gets no error.
func TestReceiverEndsAsServerDies(t *testing.T) {
	t.Parallel()
	s := newLonelySite(t, pgtest.Newest(t), pgtest.WALSegmentSize(1))
	s.pg.Exec("CREATE TABLE t (n int)")
	for n := range 10 {
		r := s.receive(s.pg)
		awaitReceived(s.pg)
		s.pg.Exec("INSERT INTO t SELECT generate_series(1, 1000)")
		var killing sync.WaitGroup
		killing.Go(s.pg.Kill)
		time.Sleep(time.Duration(n) * time.Millisecond)
		if code := r.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("exit %d\n%s", code, r.stderr)
		}
		killing.Wait()
		s.pg.Start()
	}
}

// noGap checks that each segment from first on, up to that before last, can be fetched.
func noGap(t *testing.T, s *site, first, last string) {
	t.Helper()
	n := 0
	for name := first; name < last; name = nextSegment(t, name) {
		dest := fmt.Sprintf("%s/%s", pgtest.TempDir(t), name)
		s.ok("archive-get", name, dest)
		if info, err := os.Stat(dest); err != nil || info.Size() != 1<<20 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		n++
	}
	if n < 2 {
		t.Errorf("only %d segments were written", n)
	}
}

// nextSegment gives the name of the segment of 1 MB that follows.
func nextSegment(t *testing.T, name string) string {
	t.Helper()
	var tli, log, seg uint32
	if _, err := fmt.Sscanf(name, "%08X%08X%08X", &tli, &log, &seg); err != nil {
		t.Fatal(err)
	}
	if seg++; seg == 4096 {
		log, seg = log+1, 0
	}
	return fmt.Sprintf("%08X%08X%08X", tli, log, seg)
}

// A receiver of a standby follows its promotion: the repository has the history file and the WAL of both
// timelines, and a restore shows what was written a moment before the end, on the new timeline. The repository is
// encrypted, and the receiver's key can back up and not read.
func TestReceiverFollowsPromotion(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		dir := pgtest.TempDir(t)
		allKey, all := newKey(t, filepath.Join(dir, "all.key"))
		hostKey, host := newKey(t, filepath.Join(dir, "host.key"))
		s := &site{t: t, repo: filepath.Join(dir, "repo"), pg: install.New(t,
			pgtest.WALSegmentSize(1), pgtest.Setting("wal_keep_size", "1GB"))}
		s.ok("init", "-D", s.pg.DataDir, "--recipient", all, "--backup-recipient", host)
		s.pg.Exec("CREATE TABLE t (n int, g int, filler text)")
		standby := s.pg.NewStandby(t)
		r := s.receive(standby, "--identity", hostKey, "-Z", "none")
		standby.Poll("the receiver", func() bool {
			return standby.Query1("SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pgincr'") == "1"
		})
		s.full("--identity", hostKey)
		for n := range 5 {
			s.pg.Exec(fmt.Sprintf("INSERT INTO t SELECT %d, g, repeat('x', 300) FROM generate_series(1, 2000) g", n))
		}
		standby.WaitReplayed(s.pg)
		s.pg.Kill()
		standby.Promote()
		for n := range 5 {
			standby.Exec(fmt.Sprintf("INSERT INTO t SELECT %d, g, repeat('x', 300) FROM generate_series(1, 2000) g", n+5))
		}
		standby.Exec("INSERT INTO t VALUES (-1, -1, '" + secret + "')")
		awaitReceived(standby)
		want := standby.TableSums()
		awaitReceived(standby)
		standby.Kill()
		if code := r.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("ended by SIGTERM: exit %d\n%s", code, r.stderr)
		}
		if !strings.Contains(r.stderr.String(), "the timeline ended") {
			t.Errorf("it did not see the promotion\n%s", r.stderr)
		}
		notInClear(t, s.repo)
		got := s.open(s.restore("latest", "--identity", allKey))
		pgtest.CompareTables(t, want, got.TableSums())
		got.Stop(pgtest.Fast)
	})
}
