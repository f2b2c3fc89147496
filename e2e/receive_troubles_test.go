package e2e

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// A receiver waits for a server that is away, and says what is wrong when waiting does not help: no slot, WAL
// that is gone, another cluster. It goes on after a gap when it is told to.
func TestReceiverTroubles(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		s := newLonelySite(t, install, pgtest.WALSegmentSize(1), pgtest.Setting("wal_keep_size", "0"),
			pgtest.Setting("min_wal_size", "2MB"), pgtest.Setting("max_wal_size", "4MB"))
		s.pg.Exec("CREATE TABLE t (n int, g int, filler text)")
		s.notReceived("no replication slot", "--create-slot")
		s.pg.Stop(pgtest.Fast)
		r := s.receive(s.pg)
		time.Sleep(300 * time.Millisecond) // it finds nobody there
		s.pg.Start()
		awaitReceived(s.pg)
		// It holds up no shutdown.
		s.pg.Stop(pgtest.Fast)
		if code := r.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("ended while the server is away: exit %d\n%s", code, r.stderr)
		}
		s.pg.Start()
		s.pg.Exec("SELECT pg_drop_replication_slot('pgincr')")
		current := s.pg.Query1("SELECT pg_walfile_name(pg_current_wal_flush_lsn())")
		s.pg.Poll("the server to remove "+current, func() bool {
			s.pg.Exec("INSERT INTO t SELECT 0, g, repeat('x', 300) FROM generate_series(1, 3000) g")
			s.pg.Checkpoint()
			return s.pg.Query1("SELECT count(*) FROM pg_ls_waldir() WHERE name <= '"+current+"'") == "0"
		})
		s.notReceived("already been removed", "--after-gap", "--create-slot")
		s.pg.Poll("the refused receiver to go", func() bool { // it made the slot
			return s.pg.Query1("SELECT count(*) FROM pg_replication_slots WHERE active") == "0"
		})
		s.pg.Exec("SELECT pg_drop_replication_slot('pgincr')")
		stop := s.receive(s.pg, "--after-gap")
		awaitReceived(s.pg)
		stop.end(t, syscall.SIGTERM)
		if !strings.Contains(stop.stderr.String(), "WAL is missing") {
			t.Errorf("it does not say what is missing\n%s", stop.stderr)
		}
		other := newLonelySite(t, install)
		other.repo = s.repo
		other.notReceived("system identifier", "--cluster", "--create-slot")
	})
}

// notReceived runs a receiver, which must fail with these words and this hint.
func (s *site) notReceived(words, hint string, args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	cmd := pgtest.Command(ctx, pgincr, append([]string{"receive-wal"}, args...)...)
	cmd.Env = append(append(cmd.Env, s.pg.Env()...), "PGINCR_REPO="+s.repo)
	out, _ := cmd.CombinedOutput() // its exit code tells
	code := cmd.ProcessState.ExitCode()
	if code != 1 || !bytes.Contains(out, []byte(words)) || !bytes.Contains(out, []byte(hint)) {
		s.t.Fatalf("exit %d, want 1 with %q and %q\n%s", code, words, hint, out)
	}
}
