package e2e

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// killedRestores is how many restores of each kind are killed unless PGINCR_RESTORE_KILLS says otherwise.
const killedRestores = 6

// states are the backups of a chain and the hashes of what each restores to.
type states struct {
	*site
	ids    []string
	states []map[string]uint64
}

// Killed at any moment, a restore leaves a directory without pg_control, the one it found or the
// one it was to make, and the same restore, in place, completes it.
func TestKilledRestore(t *testing.T) {
	kills := killedRestores
	if text := os.Getenv("PGINCR_RESTORE_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("PGINCR_RESTORE_KILLS: %v", err)
		}
		kills = n
	}
	s := &states{site: newSite(t, pgtest.Newest(t))}
	s.pg.Tool("pgbench", "-i", "-s", "5", "-q", "postgres")
	s.add(s.full())
	for range 2 {
		s.pg.Tool("pgbench", "-n", "-t", "300", "postgres")
		s.add(s.incremental("auto"))
	}
	t.Run("new", func(t *testing.T) { s.killNew(t, kills) })
	t.Run("in place", func(t *testing.T) { s.killInPlace(t, kills) })
}

// add restores a backup undisturbed.
func (s *states) add(b backup) {
	s.t.Helper()
	s.ids, s.states = append(s.ids, b.ID), append(s.states, s.hashes(s.restore(b.ID)))
}

// killNew kills restores of the newest state into directories that are new.
func (s *states) killNew(t *testing.T, kills int) {
	last := len(s.ids) - 1
	dir := filepath.Join(pgtest.TempDir(t), "data")
	whole := s.complete(t, last, dir)
	for round, killed := 0, 0; killed < kills; round++ {
		if round == 10*kills {
			t.Fatalf("only %d of %d were killed on their way", killed, round)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if s.kill(t, last, dir, whole) {
			killed++
		}
		if _, err := os.Stat(filepath.Join(dir, "global/pg_control")); err == nil {
			s.check(t, dir, last)
		}
		s.complete(t, last, dir)
	}
	s.finish(t, dir)
}

// killInPlace kills restores that go to and fro between the states. Every second one has
// to do with what the one before it left.
func (s *states) killInPlace(t *testing.T, kills int) {
	dir := filepath.Join(pgtest.TempDir(t), "data")
	s.complete(t, 0, dir)
	whole := s.complete(t, 1, dir)
	found := 1 // the state that the directory had last
	for round, killed := 0, 0; killed < kills; round++ {
		if round == 10*kills {
			t.Fatalf("only %d of %d were killed on their way", killed, round)
		}
		i := round % len(s.ids)
		if s.kill(t, i, dir, whole) {
			killed++
		}
		if _, err := os.Stat(filepath.Join(dir, "global/pg_control")); err == nil {
			found = s.checkKilled(t, dir, found, i)
		}
		if round%2 == 0 {
			s.complete(t, i, dir)
			found = i
		}
	}
	s.complete(t, len(s.ids)-1, dir)
	s.finish(t, dir)
}

// kill starts a restore, kills it after less than so long, and says whether it was on its way.
func (s *states) kill(t *testing.T, i int, dir string, whole time.Duration) bool {
	t.Helper()
	cmd := pgtest.Command(t.Context(), pgincr, "restore", s.ids[i], "-D", dir, "--delta", "-q")
	cmd.Env = append(append(cmd.Env, s.pg.Env()...), "PGINCR_REPO="+s.repo)
	return killed(t, cmd, whole)
}

// killed runs a command, kills it after less than so long, and says whether it was on its way.
func killed(t testing.TB, cmd *exec.Cmd, whole time.Duration) bool {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(rand.N(whole), func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return true
	}
	t.Fatalf("%v, which was to be killed: %v", cmd.Args, err)
	return false
}

// complete restores over what is there, proves the result, and says how long the restore took.
func (s *states) complete(t *testing.T, i int, dir string) time.Duration {
	t.Helper()
	begin := time.Now()
	s.in(t).ok("restore", s.ids[i], "-D", dir, "--delta", "-q")
	took := time.Since(begin)
	s.check(t, dir, i)
	return took
}

// check fails unless the directory is in a state.
func (s *states) check(t *testing.T, dir string, i int) {
	t.Helper()
	s.compare(t, s.in(t).hashes(dir), i)
}

// checkKilled fails unless a directory with pg_control is as it was found, or as it was to be, and says which. The
// marker comes before anything else changes, and goes before pg_control comes.
func (s *states) checkKilled(t *testing.T, dir string, found, wanted int) int {
	t.Helper()
	got := s.in(t).hashes(dir)
	if _, marked := got["pgincr_restore.json"]; marked {
		delete(got, "pgincr_restore.json")
		wanted = found
	}
	return s.compare(t, got, found, wanted)
}

// compare fails unless a directory of these hashes is in one of the states, and says in which.
func (s *states) compare(t *testing.T, got map[string]uint64, allowed ...int) int {
	t.Helper()
	for _, i := range allowed {
		if maps.Equal(got, s.states[i]) {
			return i
		}
	}
	for path, hash := range s.states[allowed[0]] {
		if got[path] != hash {
			t.Errorf("%s: not as in backup %s", path, s.ids[allowed[0]])
		}
	}
	for path := range got {
		if _, ok := s.states[allowed[0]][path]; !ok {
			t.Errorf("%s: not in backup %s", path, s.ids[allowed[0]])
		}
	}
	t.Fatalf("pg_control stands in a directory that is in none of the states %v", allowed)
	return 0
}

// finish lets PostgreSQL judge the last restore.
func (s *states) finish(t *testing.T, dir string) {
	t.Helper()
	s.pg.Install.VerifyBackup(t, dir, "-n")
	checkRows(t, s.in(t).open(dir), "pgbench_accounts", 500000)
}
