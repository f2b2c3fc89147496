package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// drillResult is the JSON of a drill as docs/cli.md promises it.
type drillResult struct {
	ID              string `json:"id"`
	Backup          string `json:"backup"`
	Chain           []string
	Target          string  `json:"target"`
	Result          string  `json:"result"`
	Error           string  `json:"error"`
	RecoverySeconds float64 `json:"recovery_seconds"`
	Phases          []struct {
		Name    string  `json:"name"`
		Seconds float64 `json:"seconds"`
	} `json:"phases"`
	Reached *struct {
		LSN      string    `json:"lsn"`
		Timeline int       `json:"timeline"`
		Time     time.Time `json:"time"`
	} `json:"reached"`
	Checks []struct {
		Name   string `json:"name"`
		Result string `json:"result"`
		Detail string `json:"detail"`
	} `json:"checks"`
}

// drill runs one and wants this exit code.
func (s *site) drill(code int, args ...string) (drillResult, outcome) {
	s.t.Helper()
	o := s.run(append([]string{"drill", "--json", "--bindir", s.pg.Install.BinDir}, args...)...)
	if o.code != code {
		s.t.Fatalf("pgincr drill %v: exit %d, want %d\n%s%s", args, o.code, code, o.stdout, o.stderr)
	}
	if o.stdout == "" {
		return drillResult{}, o
	}
	return decode[drillResult](s.t, o.stdout), o
}

// verdict gives the result of a check.
func (r drillResult) verdict(name string) string {
	for _, c := range r.Checks {
		if c.Name == name {
			return c.Result
		}
	}
	return "missing"
}

// archive ends the WAL segment and waits until it is in the repository.
func (s *site) archive() {
	s.t.Helper()
	ended := s.pg.SwitchWAL()
	s.pg.Poll("segment "+ended+" in the archive", func() bool {
		return s.pg.Query1("SELECT coalesce(last_archived_wal >= '"+ended+"', false) FROM pg_stat_archiver") == "t"
	})
}

// recorded lists the drills in the repository.
func (s *site) recorded() []string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.repo, "main", "drills", "*.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// harmless fails where the drill's server could do what it must not.
const harmless = `DO $$ BEGIN
	IF current_setting('archive_mode') || current_setting('listen_addresses') ||
		current_setting('max_logical_replication_workers') || current_setting('shared_preload_libraries') <> 'off0' THEN
		RAISE EXCEPTION 'not harmless';
	END IF;
	IF (SELECT count(*) FROM t) <> 3000 THEN RAISE EXCEPTION 'rows are missing'; END IF;
	IF pg_is_in_recovery() THEN RAISE EXCEPTION 'still recovers'; END IF;
END $$`

// A drill recovers what the source held, under a configuration that is not the source's, and leaves its
// result and nothing else.
func TestDrill(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install)
		s.sql(`CREATE TABLE t AS SELECT generate_series(1, 1000) i`, `CREATE INDEX ON t(i)`,
			`ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'`, `ALTER SYSTEM SET listen_addresses = '*'`,
			`CREATE DATABASE app`, `ALTER DATABASE app SET session_preload_libraries = 'no_such_library'`)
		s.full()
		s.sql(`INSERT INTO t SELECT generate_series(1001, 2000)`)
		inc := s.incremental("auto")
		s.sql(`INSERT INTO t SELECT generate_series(2001, 3000)`)
		s.archive()
		scratch := filepath.Join(pgtest.TempDir(t), "scratch")
		r, _ := s.drill(0, "--scratch", scratch, "--sql-command", harmless)
		amcheck := "ok"
		if install.Major == 13 {
			amcheck = "skipped"
		}
		if r.Result != "ok" || r.Backup != inc.ID || len(r.Chain) != 2 || r.verdict("amcheck") != amcheck ||
			r.verdict("sql") != "ok" || r.RecoverySeconds <= 0 || r.Target != "end of WAL" || len(r.Phases) != 6 {
			t.Errorf("%+v", r)
		}
		if r.Reached == nil || r.Reached.Timeline != 1 || time.Since(r.Reached.Time) > time.Hour {
			t.Fatalf("reached %+v", r.Reached)
		}
		if s.pg.Query1("SELECT pg_wal_lsn_diff('"+r.Reached.LSN+"', '"+inc.StopLSN+"') > 0") != "t" {
			t.Errorf("reached %s, the backup ended at %s", r.Reached.LSN, inc.StopLSN)
		}
		if found := s.recorded(); len(found) != 1 || filepath.Base(found[0]) != r.ID+".json" {
			t.Errorf("recorded %v of drill %s", found, r.ID)
		}
		if _, err := os.Stat(scratch); err == nil {
			t.Errorf("%s is still there", scratch)
		}
	})
}

// What goes wrong in a drill is told, recorded where it says something about the backups, and leaves nothing behind.
func TestDrillFails(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Newest(t), pgtest.Checksums(false))
	s.sql(`CREATE TABLE t AS SELECT generate_series(1, 3000) i`, `CREATE INDEX spoiled ON t(i)`)
	first := s.full()
	s.sql(`INSERT INTO t VALUES (0)`, `SELECT pg_create_restore_point('here')`, `DROP TABLE t`)
	s.archive()
	dir := pgtest.TempDir(t)
	scratch := filepath.Join(dir, "scratch")

	r, _ := s.drill(0, "--target-name", "here", "--sql-command", "SELECT 1 / (count(*) = 3001)::int FROM t")
	if r.Result != "ok" || !strings.Contains(r.Target, "here") {
		t.Errorf("%+v", r)
	}
	r, o := s.drill(3, "--amcheck", "off", "--sql-command", "SELECT count(*) FROM t")
	if r.Result != "findings" || r.verdict("sql") != "findings" || !strings.Contains(o.stderr, `"t" does not exist`) {
		t.Errorf("%+v\n%s", r, o.stderr)
	}
	if r, _ := s.drill(0, "--target", "immediate", "--no-record"); r.Result != "ok" || r.ID != "" {
		t.Errorf("%+v", r)
	}
	recorded := len(s.recorded())
	if recorded != 2 {
		t.Errorf("%d drills recorded", recorded)
	}
	if _, o := s.drill(1, "--scratch", dir, "--set", "nonsense=1"); !strings.Contains(o.stderr, "nonsense") {
		t.Errorf("no word of the setting: %s", o.stderr)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, o := s.drill(1, "--scratch", dir); !strings.Contains(o.stderr, "mine is there") {
		t.Error(o.stderr)
	}
	if len(s.recorded()) != recorded+1 {
		t.Errorf("%d drills recorded", len(s.recorded()))
	}
	for args, words := range map[string]string{"--timeout=1ms": "not done after 1ms", "--role=nobody": "with --role"} {
		if r, o := s.drill(1, "--no-record", "--scratch", scratch, args); r.Result != "failed" || r.Error == "" ||
			!strings.Contains(o.stderr, words) {
			t.Errorf("%s: %+v\n%s", args, r, o.stderr)
		}
		if _, err := os.Stat(scratch); err == nil {
			t.Errorf("%s: %s is still there", args, scratch)
		}
	}
	s.interruptDrill(scratch)

	wal, err := filepath.Glob(filepath.Join(s.repo, "main", "wal", "00000001", "0*"))
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, wal[len(wal)-1], 300)
	r, o = s.drill(1, first.ID)
	if r.Result != "failed" || !strings.Contains(r.Error, "data is corrupt") || !strings.Contains(o.stderr, "hint") {
		t.Errorf("%+v\n%s", r, o.stderr)
	}
	found := s.recorded()
	if len(found) != recorded+2 {
		t.Errorf("%d drills recorded", len(found))
	}
	spoil(t, found[len(found)-1], 100)
	page := filepath.Join(dir, "page.html")
	s.ok("report", "-o", page)
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), filepath.Base(found[len(found)-1])) {
		t.Errorf("the page does not tell of a drill that cannot be read: %v", err)
	}
}

// spoil flips bytes of a file.
func spoil(t *testing.T, path string, offset int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 16)
	if _, err := f.ReadAt(b, offset); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0x55
	}
	if _, err := f.WriteAt(b, offset); err != nil {
		t.Fatal(err)
	}
}

// interruptDrill interrupts drills in a check and in recovery.
func (s *site) interruptDrill(scratch string) {
	s.t.Helper()
	recorded := len(s.recorded())
	for file, sql := range map[string]string{
		"in-check":   "COPY (SELECT 1) TO '" + scratch + "/in-check'; SELECT pg_sleep(600)",
		"server.log": "SELECT pg_sleep(600)",
	} {
		cmd := pgtest.Command(s.t.Context(), pgincr, "drill", "--bindir", s.pg.Install.BinDir,
			"--target", "immediate", "--scratch", scratch, "--amcheck", "off", "--sql-command", sql)
		cmd.Env = append(cmd.Env, "PGINCR_REPO="+s.repo)
		if err := cmd.Start(); err != nil {
			s.t.Fatal(err)
		}
		s.pg.Poll(file, func() bool {
			_, err := os.Stat(filepath.Join(scratch, file))
			return err == nil
		})
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			s.t.Fatal(err)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
			s.t.Errorf("interrupted with %s: %v", file, err)
		}
		if _, err := os.Stat(scratch); err == nil {
			s.t.Errorf("interrupted with %s: %s is still there", file, scratch)
		}
	}
	if len(s.recorded()) != recorded {
		s.t.Error("an interrupted drill was recorded")
	}
}

// What a killed drill leaves, its server, too, is removed by the next one: where it is named again, and among the
// temporary files.
func TestDrillKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Newest(t))
	s.full()
	tmp := pgtest.TempDir(t)
	scratch := filepath.Join(pgtest.TempDir(t), "scratch")
	run := func(args ...string) *exec.Cmd {
		cmd := pgtest.Command(t.Context(), pgincr, append([]string{
			"drill", "--bindir", s.pg.Install.BinDir, "--target", "immediate", "--amcheck", "off",
		}, args...)...)
		cmd.Env = append(cmd.Env, "PGINCR_REPO="+s.repo, "TMPDIR="+tmp)
		return cmd
	}
	for _, args := range [][]string{{}, {"--scratch", scratch}} {
		cmd := run(append(args, "--sql-command", "SELECT pg_sleep(600)")...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var files []string
		s.pg.Poll("the script's session", func() bool {
			files = nil
			for _, dir := range []string{filepath.Join(tmp, "*"), scratch} {
				found, _ := filepath.Glob(filepath.Join(dir, "data", "postmaster.pid"))
				files = append(files, found...)
			}
			if len(files) != 1 {
				return false
			}
			b, err := os.ReadFile(files[0])
			return err == nil && strings.Contains(string(b), "ready")
		})
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		b, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(b), "\n")
		server, err := strconv.Atoi(first)
		if err != nil {
			t.Fatal(err)
		}
		// Of a process that has ended and that nobody waits for there is no directory.
		at := fmt.Sprintf("/proc/%d/cwd", server)
		if _, err := os.Readlink(at); err != nil {
			t.Fatalf("the server has ended with the drill: %v", err)
		}
		if out, err := run(args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "killed drill") {
			t.Errorf("the next drill with %v: %v\n%s", args, err, out)
		}
		if _, err := os.Readlink(at); err == nil {
			t.Errorf("%v: process %d of the killed drill still runs", args, server)
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("%v: left %v, %v", args, left, err)
		}
		if _, err := os.Stat(scratch); err == nil {
			t.Errorf("%v: %s is still there", args, scratch)
		}
	}
}

// A damaged page that no checksum tells of is found.
func TestDrillFindsCorruption(t *testing.T) {
	t.Parallel()
	s := newLonelySite(t, pgtest.Newest(t), pgtest.Checksums(false))
	s.sql(`CREATE TABLE t AS SELECT generate_series(1, 3000) i`, `CREATE INDEX spoiled ON t(i)`)
	// An index that lacks rows is in order by itself.
	s.sql(`CREATE TABLE u AS SELECT generate_series(1, 100) i`, `CREATE INDEX hollow ON u(i)`,
		`UPDATE pg_index SET indisready = false WHERE indexrelid = 'hollow'::regclass`,
		`INSERT INTO u VALUES (101)`, `UPDATE pg_index SET indisready = true WHERE indexrelid = 'hollow'::regclass`)
	s.full()
	s.drill(0)
	if r, o := s.drill(3, "--heapallindexed"); r.verdict("amcheck") != "findings" ||
		!strings.Contains(o.stderr, "hollow") {
		t.Errorf("%+v\n%s", r, o.stderr)
	}
	path := filepath.Join(s.pg.DataDir, s.pg.Query1("SELECT pg_relation_filepath('spoiled')"))
	s.pg.Stop(pgtest.Fast)
	spoil(t, path, 2*8192-512) // in keys of the first leaf
	s.pg.Start()
	s.full()
	r, o := s.drill(3)
	if r.Result != "findings" || r.verdict("amcheck") != "findings" || !strings.Contains(o.stderr, "spoiled") {
		t.Errorf("%+v\n%s", r, o.stderr)
	}
}

// Encrypted clusters are drilled, and what drills say is encrypted.
func TestDrillEncrypted(t *testing.T) {
	// Not parallel: the passphrase is in the environment.
	t.Setenv("PGINCR_PASSPHRASE", "correct horse battery")
	cl := pgtest.Newest(t).New(t)
	s := &site{t: t, pg: cl, repo: pgtest.TempDir(t)}
	s.ok("init", "-D", cl.DataDir, "--encrypt-passphrase")
	s.full()
	s.drill(0, "--target", "immediate") // recovery opens the archive, with the passphrase
	for _, path := range s.recorded() {
		if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), "recovery_seconds") {
			t.Errorf("%v in clear: %s", err, b)
		}
	}
	target := filepath.Join(pgtest.TempDir(t), "data")
	if o := s.ok("restore", "-D", target); !strings.Contains(o.stderr, "its environment has PGINCR_PASSPHRASE") {
		t.Errorf("nobody says that the server needs the passphrase: %s", o.stderr)
	}
}

// Root becomes another user for a drill, with the passphrase that recovery needs.
func TestDrillAsRoot(t *testing.T) {
	// Not parallel: the passphrase is in the environment.
	pgtest.AsRoot(t, "it alone becomes another user")
	t.Setenv("PGINCR_PASSPHRASE", "correct horse battery")
	cl := pgtest.Newest(t).New(t)
	s := &site{t: t, pg: cl, repo: pgtest.TempDir(t)}
	s.ok("init", "-D", cl.DataDir, "--encrypt-passphrase")
	s.full()
	scratch := filepath.Join(pgtest.TempDir(t), "scratch")
	cmd := exec.CommandContext(t.Context(), pgincr, "drill", "-R", s.repo, "--bindir", cl.Install.BinDir,
		"--scratch", scratch, "--keep")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if st, err := os.Stat(filepath.Join(scratch, "data", "PG_VERSION")); err != nil {
		t.Error(err)
	} else if sys, ok := st.Sys().(*syscall.Stat_t); !ok || sys.Uid == 0 {
		t.Errorf("what was restored belongs to root")
	}
	if n := len(s.recorded()); n != 1 {
		t.Errorf("%d drills recorded", n)
	}
}
