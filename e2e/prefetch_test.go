package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// manySegments makes a site with a full backup, some 40 segments of WAL after it, a restore point named mark in the
// last but one, and gives what the tables held there.
func manySegments(t *testing.T, install pgtest.Install) (s *site, full backup, want map[string]string) {
	t.Helper()
	s = newSite(t, install, pgtest.WALSegmentSize(1))
	s.pg.Exec("CREATE TABLE t (g int, filler text)")
	full = s.full()
	for i := range 40 {
		s.pg.Exec(fmt.Sprintf("INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(%d, %d) g", i*1000, i*1000+999))
		s.pg.SwitchWAL()
	}
	want = s.pg.TableSums()
	s.pg.Exec("SELECT pg_create_restore_point('mark')")
	s.pg.SwitchWAL()
	s.pg.Exec("INSERT INTO t SELECT g, 'late' FROM generate_series(1, 1000) g")
	last := s.pg.SwitchWAL()
	s.pg.Poll("the archive", func() bool {
		return s.pg.Query1("SELECT last_archived_wal >= '"+last+"' FROM pg_stat_archiver") == "t"
	})
	return s, full, want
}

// talking is a restore_command that keeps what archive-get says.
func (s *site) talking(log string, flags ...string) pgtest.Option {
	return pgtest.Setting("restore_command", fmt.Sprintf(`%s archive-get -v -R %s %s %%f "%%p" 2>>%s`,
		pgincr, s.repo, strings.Join(flags, " "), log))
}

func countLines(t *testing.T, log, what string) int {
	t.Helper()
	said, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(said, []byte(what))
}

// A recovering server finds most of its WAL fetched and decompressed already, recovers to the target, and
// leaves nothing behind. At the end of the archive it comes to its end.
func TestPrefetch(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		s, full, want := manySegments(t, install)
		log := filepath.Join(pgtest.TempDir(t), "log")
		got := s.open(s.restore(full.ID, "--target-name", "mark", "--target-action", "promote"), s.talking(log))
		pgtest.CompareTables(t, want, got.TableSums())
		ahead, direct := countLines(t, log, "ahead=true"), countLines(t, log, "ahead=false")
		if ahead+direct < 40 || ahead < direct {
			t.Errorf("%d segments were fetched ahead, %d were not", ahead, direct)
		}
		spoolIsGone(t, got)
		got.Stop(pgtest.Fast)

		// As pgincr restore writes it, to the end of the archive.
		got = s.open(s.restore(full.ID))
		if n := got.Query1("SELECT count(*) FROM t"); n != "41000" {
			t.Errorf("%s rows at the end of WAL", n)
		}
		spoolIsGone(t, got)
	})
}

func spoolIsGone(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	c.Poll("the spool to go", func() bool {
		_, err := os.Stat(filepath.Join(c.DataDir, "pg_wal", "pgincr-spool"))
		return os.IsNotExist(err)
	})
}

// Processes that fill the spool are killed, and what lies in it is damaged, cut and exchanged all the time:
// nothing wrong is replayed.
func TestPrefetchUnderFire(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		s, full, want := manySegments(t, install)
		spool := pgtest.TempDir(t)
		log := filepath.Join(pgtest.TempDir(t), "log")
		stop, done := make(chan struct{}), make(chan [2]int)
		go func() { done <- harass(spool, stop) }()
		dir := s.restore(full.ID, "--target-name", "mark", "--target-action", "promote")
		got := s.open(dir, s.talking(log, "--spool", spool))
		close(stop)
		did := <-done
		t.Logf("%d processes killed, %d files damaged, %d right ones used", did[0], did[1], countLines(t, log, "ahead=true"))
		if did[0] == 0 || did[1] == 0 {
			t.Error("nothing happened")
		}
		pgtest.CompareTables(t, want, got.TableSums())
	})
}

// harass kills who fills a spool and damages what it holds until it is told to stop, and counts both.
func harass(spool string, stop <-chan struct{}) (did [2]int) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return did
		case <-time.After(3 * time.Millisecond):
		}
		if n%8 == 0 {
			if killFiller(spool) {
				did[0]++
			}
		}
		files, _ := filepath.Glob(filepath.Join(spool, "*.spooled"))
		for i, path := range files {
			if damage(path, n+i) == nil {
				did[1]++
			}
		}
	}
}

// killFiller kills the process that fills the spool, if there is one.
func killFiller(spool string) bool {
	holder, _ := os.ReadFile(filepath.Join(spool, "spool.lock"))
	pid, err := strconv.Atoi(string(holder))
	if err != nil {
		return false
	}
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if !bytes.Contains(command, []byte("archive-get")) || !bytes.Contains(command, []byte(spool)) {
		return false // it is gone already
	}
	return syscall.Kill(pid, syscall.SIGKILL) == nil
}

// damage changes a file in one of several ways, or leaves it.
func damage(path string, how int) error {
	switch how % 5 {
	case 0:
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt([]byte("damaged"), 5000)
		return err
	case 1:
		return os.Truncate(path, 1<<19)
	case 2: // another segment under this name
		files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.spooled"))
		if err != nil || len(files) < 2 {
			return os.ErrNotExist
		}
		return os.Rename(files[len(files)-1], path)
	}
	return os.ErrInvalid
}
