package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// expired is the JSON of expire as docs/cli.md promises it.
type expired struct {
	Backups []struct {
		ID      string   `json:"id"`
		Action  string   `json:"action"`
		Reasons []string `json:"reasons"`
	} `json:"backups"`
	WALFiles int `json:"wal_files_removed"`
}

// After expire every backup that is kept restores: those of the rule to any later point, a pinned one to its own
// end, although the WAL between them is gone; and nobody is told otherwise.
func TestExpire(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install, pgtest.WALSegmentSize(1))
		s.sql("CREATE TABLE log (n int, at timestamptz DEFAULT clock_timestamp())")
		n := 0
		step := func() {
			n++
			s.sql(fmt.Sprintf("INSERT INTO log (n) SELECT %d FROM generate_series(1, 3000)", n), "SELECT pg_switch_wal()")
		}
		chain := func() (full, incr backup) {
			step()
			full = s.full("--wal", "archive") // also the first, when nothing was archived yet
			step()
			incr = s.incremental("auto", "--wal", "archive")
			step()
			return full, incr
		}
		pinnedFull, pinned := chain()
		lost, lostIncr := chain()
		full, incr := chain()
		s.ok("pin", pinned.ID, "--note", "audit")
		plan := decode[expired](t, s.ok("expire", "--keep-full", "1", "--dry-run", "--json").stdout)
		got := decode[expired](t, s.ok("expire", "--keep-full", "1", "--json").stdout)
		if fmt.Sprint(got) != fmt.Sprint(plan) {
			t.Errorf("done %v, planned %v", got, plan)
		}
		want := map[string]string{
			pinnedFull.ID: "keep", pinned.ID: "keep", lost.ID: "remove", lostIncr.ID: "remove", full.ID: "keep", incr.ID: "keep",
		}
		for _, b := range plan.Backups {
			if b.Action != want[b.ID] {
				t.Errorf("%s: %s (%v), want %s", b.ID, b.Action, b.Reasons, want[b.ID])
			}
		}
		if plan.WALFiles == 0 {
			t.Error("no WAL was removed")
		}
		s.ok("verify")
		next := s.incremental("wal") // its page map needs the WAL from its parent on
		step()
		s.pg.Stop(pgtest.Fast)
		for _, tt := range []struct {
			id   string
			rows int
			args []string
		}{
			{pinned.ID, 2, []string{"--target", "immediate", "--target-action", "promote"}},
			{full.ID, n, nil},
			{incr.ID, n, nil},
			{next.ID, n, nil},
		} {
			t.Run(tt.id, func(t *testing.T) {
				s := s.in(t)
				got := s.open(s.restore(tt.id, tt.args...))
				if steps := got.Query1("SELECT count(DISTINCT n) FROM log"); steps != fmt.Sprint(tt.rows) {
					t.Errorf("%s steps, want %d", steps, tt.rows)
				}
				got.Amcheck()
				got.Stop(pgtest.Fast)
			})
		}
		o := s.run("restore", lost.ID, "-D", pgtest.TempDir(t)+"/x")
		if o.code != 1 || !strings.Contains(o.stderr, "no backup") {
			t.Errorf("restore of what is gone: %d %s", o.code, o.stderr)
		}
		// The gap is one that expire made, and no loss.
		if o := s.run("list", "--windows"); o.code != 0 || !strings.Contains(o.stdout, pinned.ID) ||
			!strings.Contains(o.stdout, "expired: ") {
			t.Errorf("windows: %d %s", o.code, o.stdout)
		}
	})
}

// Backups, restores, verifications and expire, all at the same time and expire killed at any moment: whatever a
// backup or a restore was promised is there, and in the end nothing is left but what is kept.
func TestExpireUnderWay(t *testing.T) {
	s := newSite(t, pgtest.Newest(t))
	s.pg.Tool("pgbench", "-i", "-s", "2", "-q", "postgres")
	done := make(chan struct{})
	worker := make(chan error, 2)
	go func() { // who expires, and is killed
		for i := 0; ; i++ {
			select {
			case <-done:
				worker <- nil
				return
			default:
			}
			cmd := pgtest.Command(t.Context(), pgincr, "expire", "--keep-full", "1", "-q", "-R", s.repo)
			if err := cmd.Start(); err != nil {
				worker <- err
				return
			}
			kill := time.AfterFunc(time.Duration(i%40)*4*time.Millisecond, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait() // killed, or refused because a killed one still holds the lock
			if !kill.Stop() {
				continue
			}
			if code := cmd.ProcessState.ExitCode(); code != 0 {
				worker <- fmt.Errorf("expire: exit %d", code)
				return
			}
		}
	}()
	for range 4 {
		s.full()
		for range 2 {
			s.pg.Tool("pgbench", "-n", "-t", "100", "postgres")
			b := s.backup(0, "--incremental")
			if b.Type != "incremental" {
				t.Errorf("%s: %s", b.ID, b.FullReason)
			}
			s.ok("verify", b.ID)
			s.restore(b.ID)
		}
	}
	close(done)
	if err := <-worker; err != nil {
		t.Error(err)
	}
	s.ok("expire", "--keep-full", "1")
	var left []backup
	if err := json.Unmarshal([]byte(s.ok("list", "--json").stdout), &left); err != nil || len(left) != 3 {
		t.Errorf("left: %d, %v", len(left), err)
	}
	if dirs, err := os.ReadDir(filepath.Join(s.repo, "main/backups")); err != nil || len(dirs) != 3 {
		t.Errorf("%v, %v", dirs, err)
	}
	s.ok("verify")
	last := left[len(left)-1]
	got := s.open(s.restore(last.ID))
	got.Amcheck()
	got.Stop(pgtest.Fast)
}
