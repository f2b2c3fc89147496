package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// killedBackups is how many backups of each kind are ended unless PGINCR_BACKUP_KILLS says otherwise.
const killedBackups = 2

// copyTime is about how long a backup of these tests copies.
const copyTime = 3 * time.Second

// Ended at any moment under load, by SIGKILL or SIGTERM, again and again, with relations cut, grown, rewritten and
// dropped between, a backup is gone on with by the next one, which restores to what the server was at its
// end; what is left meanwhile is no backup, and expire leaves it alone.
func TestKilledBackup(t *testing.T) {
	kills := killedBackups
	if text := os.Getenv("PGINCR_BACKUP_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("PGINCR_BACKUP_KILLS: %v", err)
		}
		kills = n
	}
	forEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		plays(t, install, []string{"wal"}, "37")
		s := newSite(t, install)
		// The first that a backup comes to, which stays as it is between attempts.
		s.sql(`CREATE TABLE still AS SELECT i, repeat(md5(i::text), 6) AS t FROM generate_series(1, 20000) i`)
		s.pg.Tool("pgbench", "-i", "-s", "2", "-q", "postgres")
		s.sql(`CREATE TABLE cut AS SELECT i, md5(i::text) AS t FROM generate_series(1, 20000) i`,
			`CREATE TABLE shrunk AS SELECT i, md5(i::text) AS t FROM generate_series(1, 60000) i`,
			`CREATE INDEX ON shrunk (i)`)
		s.goesOn(t, kills)
		s.goesOn(t, kills, "--incremental")
	})
}

// goesOn ends backups of one kind, lets the last complete what they began, and compares.
func (s *site) goesOn(t *testing.T, kills int, kind ...string) {
	stop := s.load()
	s.sql(`UPDATE still SET i = i + 1`, `UPDATE pgbench_accounts SET filler = 'changed' WHERE aid % 3 = 0`)
	s.betweenAttempts(kills)
	before := s.list()
	id := ""
	for round, killed := 0, 0; killed < kills; round++ {
		if round == 5*kills {
			t.Fatalf("only %d of %d were ended on their way", killed, round)
		}
		signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[(round+len(kind))%2]
		if !s.killBackup(t, signal, id == "", kind...) {
			before, id = s.list(), "" // it was quicker
			continue
		}
		killed++
		if got := s.list(); len(got) != len(before) {
			t.Fatalf("after %v the list is %v", signal, got)
		}
		id = s.leftID(t, id)
		s.betweenAttempts(round)
	}
	stop()
	s.completeBackup(t, id, kind...)
}

// killBackup ends a backup on its way, and says whether it was.
func (s *site) killBackup(t *testing.T, signal syscall.Signal, first bool, kind ...string) bool {
	t.Helper()
	cmd, stderr := s.slowBackup(kind...)
	lists := filepath.Join(s.repo, "main", "backups", "*", "*.files")
	if first {
		s.pg.Poll("a full pack", func() bool {
			found, err := filepath.Glob(lists)
			return err == nil && len(found) > 2
		})
	}
	time.Sleep(rand.N(copyTime))
	_ = cmd.Process.Signal(signal)
	err := cmd.Wait()
	s.pg.Poll("the end of pgincr's sessions", func() bool { return s.sessions() == "0" })
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	told := strings.Contains(stderr.String(), "goes on with what was stored")
	if signal != syscall.SIGKILL && (exit.ExitCode() != 1 || first && !told) {
		t.Errorf("exit %d: %s", exit.ExitCode(), stderr)
	}
	return true
}

// slowBackup begins a backup in packs of a megabyte.
func (s *site) slowBackup(kind ...string) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	args := append([]string{
		"backup", "-D", s.pg.DataDir, "--checkpoint", "fast", "-r", "16M", "-Z", "none", "--pack-size", "1M", "-j", "2",
	}, kind...)
	cmd := pgtest.Command(s.t.Context(), pgincr, args...)
	cmd.Env = append(append(cmd.Env, s.pg.Env()...), "PGINCR_REPO="+s.repo)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd, stderr
}

// leftID gives the id under which an interrupted backup lies, which is the one it had before, and which expire keeps.
func (s *site) leftID(t *testing.T, before string) string {
	t.Helper()
	res := decode[struct {
		Resumable, Unfinished []string
	}](t, s.ok("expire", "--keep-full", "9", "--json").stdout)
	if len(res.Resumable) != 1 || len(res.Unfinished) > 0 || before != "" && res.Resumable[0] != before {
		t.Fatalf("after %q: %+v", before, res)
	}
	return res.Resumable[0]
}

// betweenAttempts does what makes frames of an attempt useless, or the same again.
func (s *site) betweenAttempts(round int) {
	s.t.Helper()
	s.sql(
		`TRUNCATE cut`,
		fmt.Sprintf(`INSERT INTO cut SELECT i, md5((i + %d)::text) FROM generate_series(1, 20000) i`, round),
		fmt.Sprintf(`DELETE FROM shrunk WHERE i > %d`, 10000*(round%5+1)),
		`VACUUM shrunk`,
		fmt.Sprintf(`INSERT INTO shrunk SELECT i, md5((i * %d)::text) FROM generate_series(50001, 60000) i`, round+2),
		`DROP TABLE IF EXISTS gone`,
		`CREATE TABLE gone AS SELECT i FROM generate_series(1, 30000) i`,
		`VACUUM (FREEZE) pgbench_tellers`,
		`CHECKPOINT`,
	)
}

// completeBackup lets a backup go on, while another is refused, and compares what it restores to with what PostgreSQL's
// own full backup does.
func (s *site) completeBackup(t *testing.T, id string, kind ...string) {
	t.Helper()
	cmd, stderr := s.slowBackup(append([]string{"--json"}, kind...)...)
	s.pg.Poll("a backup under way", func() bool {
		return strings.Contains(s.ok("list", "--locks").stdout, "taking")
	})
	if o := s.run("backup", "-D", s.pg.DataDir); o.code != 4 {
		t.Errorf("a second backup: exit %d\n%s", o.code, o.stderr)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	list := s.list()
	i := slices.IndexFunc(list, func(b backup) bool { return b.ID == id })
	if i != len(list)-1 {
		t.Fatalf("%s is not the newest of %v", id, list)
	}
	if o := list[i].TakenOver; o == nil || o.Frames == 0 || o.Bytes < 1<<20 {
		t.Errorf("taken over: %+v", o)
	} else {
		t.Logf("%s: %d frames taken over, %d of %d bytes", id, o.Frames, o.Bytes, list[i].StoredBytes)
	}
	want := s.reference()
	s.ok("verify")
	lists, err := filepath.Glob(filepath.Join(s.repo, "main", "backups", "*", "*.files"))
	if len(lists) > 0 || err != nil {
		t.Errorf("left: %v, %v", lists, err)
	}
	got := s.openAtStop(id)
	want.compare(t, got)
	got.IndexOnlyEqualsSeqAll()
	got.Visibility()
	got.Amcheck()
}
