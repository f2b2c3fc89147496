package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// checked is the JSON of a check as docs/cli.md promises it.
type checked struct {
	Status string `json:"status"`
	Checks []struct {
		Name    string `json:"name"`
		Status  string `json:"status"`
		Message string `json:"message"`
		Remedy  string `json:"remedy"`
	} `json:"checks"`
}

// check runs one, wants this exit code, and gives what is not ok.
func (s *site) check(code int, args ...string) (notOK map[string]string) {
	s.t.Helper()
	o := s.run(append([]string{"check", "--json"}, args...)...)
	if o.code != code {
		s.t.Fatalf("pgincr check %v: exit %d, want %d\n%s%s", args, o.code, code, o.stdout, o.stderr)
	}
	notOK = map[string]string{}
	seen := map[string]bool{}
	for _, c := range decode[checked](s.t, o.stdout).Checks {
		if seen[c.Name] || c.Message == "" || c.Status == "warning" && c.Remedy == "" {
			s.t.Errorf("%+v", c)
		}
		seen[c.Name] = true
		if c.Status != "ok" {
			notOK[c.Name] = c.Status + ": " + c.Message
		}
	}
	return notOK
}

// wantNotOK wants exactly these checks not to be ok, each with these words.
func wantNotOK(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, words := range want {
		if !strings.Contains(got[name], words) {
			t.Errorf("%s: %q, want %q", name, got[name], words)
		}
	}
	for name, text := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A cluster that is set up as the documents say is in order, and the WAL that is asked for arrives.
func TestCheckInOrder(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install)
		s.full()
		wantNotOK(t, s.check(0, "--switch-wal"), map[string]string{"drill": "skipped: no restore was rehearsed yet"})
		s.drill(0, "--amcheck", "off")
		wantNotOK(t, s.check(0, "--max-drill-age", "1h"), nil)
		o := s.run("check", "--nagios")
		if o.code != 0 || !strings.HasPrefix(o.stdout, "PGINCR OK - main: ") ||
			!strings.Contains(o.stdout, " chain=1;;60 ") || strings.Count(o.stdout, "|") != 1 ||
			strings.Count(o.stdout, "\n") != 1 || o.stderr != "" {
			t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
		}
	})
}

// What would keep a restore or the next backup from working is found, with exit codes for cron and for monitoring.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Newest(t))
	none := map[string]string{
		"backups": "critical: there is none", "backup-age": "skipped", "chain": "skipped", "corrupt-pages": "skipped",
		"restorable": "skipped", "drill": "critical: no restore was ever rehearsed",
		"archiving": "warning: nothing was archived", "archive-arrives": "skipped",
	}
	wantNotOK(t, s.check(3, "--max-drill-age", "1h"), none)
	first := s.full()
	s.sql(`CREATE TABLE t AS SELECT generate_series(1, 1000) i`)
	s.incremental("auto")
	s.archive()
	s.archive()
	drill := map[string]string{"drill": "skipped"}
	also := func(more map[string]string) map[string]string {
		for k, v := range drill {
			more[k] = v
		}
		return more
	}
	wantNotOK(t, s.check(0), drill)
	wantNotOK(t, s.check(0, "--max-chain", "1"), also(map[string]string{"chain": "warning: 2 backups"}))
	if o := s.run("check", "--nagios", "--max-chain", "1"); o.code != 1 || !strings.Contains(o.stdout, "chain=2;1 ") {
		t.Errorf("exit %d: %s", o.code, o.stdout)
	}
	wantNotOK(t, s.check(3, "--max-backup-age", "1ms"), also(map[string]string{"backup-age": "critical"}))

	s.pg.Exec("ALTER SYSTEM SET archive_command = 'true'")
	s.pg.Reload()
	s.archive()
	wantNotOK(t, s.check(3), also(map[string]string{
		"archive-command": "warning: is not pgincr", "archive-arrives": "critical",
	}))
	wantNotOK(t, s.check(3, "--switch-wal", "--switch-timeout", "1s"), also(map[string]string{
		"archive-command": "warning", "archive-arrives": "critical",
	}))
	s.pg.Exec("ALTER SYSTEM SET archive_command = 'false'")
	s.pg.Reload()
	s.pg.SwitchWAL()
	s.pg.Poll("a failure of the archiver", func() bool {
		return s.pg.Query1("SELECT failed_count > 0 FROM pg_stat_archiver") == "t"
	})
	o := s.run("check", "--nagios")
	if o.code != 2 || !strings.HasPrefix(o.stdout, "PGINCR CRITICAL - main: archiving: fails: ") {
		t.Errorf("exit %d: %s", o.code, o.stdout)
	}
	s.pg.Exec("ALTER SYSTEM RESET archive_command")
	s.pg.Reload()
	// What arrives shows a gap in front of it: "true" has archived nothing.
	if got := s.check(3, "--switch-wal")["wal-gaps"]; !strings.Contains(got, "critical: recovery cannot pass") {
		t.Errorf("wal-gaps: %q", got)
	}
	s.full()
	s.archive()
	wantNotOK(t, s.check(0), also(map[string]string{"wal-gaps": "warning"}))

	manifest := filepath.Join(s.repo, "main", "backups", first.ID, "manifest.json")
	spoil(t, manifest, 100)
	wantNotOK(t, s.check(3, "--repository-only"), map[string]string{
		"backups": "critical: 1 of 3 cannot be read", "wal-gaps": "warning", "drill": "skipped",
		"connection": "skipped", "identity": "skipped", "archive-mode": "skipped", "archive-command": "skipped",
		"archiving": "skipped", "archive-arrives": "skipped", "full-page-writes": "skipped", "hint-bits": "skipped",
		"wal-space": "skipped", "clock": "skipped",
	})
	s.pg.Stop(pgtest.Fast)
	if got := s.check(3)["connection"]; !strings.HasPrefix(got, "critical") {
		t.Errorf("connection: %s", got)
	}
	if err := os.Rename(s.repo, s.repo+"-away"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.repo + "-away") })
	if got := s.check(5, "--repository-only")["repository"]; !strings.HasPrefix(got, "critical") {
		t.Errorf("repository: %s", got)
	}
	if o := s.run("check", "--nagios", "--repository-only"); o.code != 2 {
		t.Errorf("exit %d: %s", o.code, o.stdout)
	}
}

// A host that may take backups but read none is in order, as far as it can tell; without a key nothing can be told.
func TestCheckEncrypted(t *testing.T) {
	t.Parallel()
	cl := pgtest.Newest(t).New(t)
	s := &site{t: t, pg: cl, repo: pgtest.TempDir(t)}
	dir := pgtest.TempDir(t)
	all, host := filepath.Join(dir, "all"), filepath.Join(dir, "host")
	s.ok("init", "-D", cl.DataDir, "--recipient", strings.TrimSpace(s.ok("key", "generate", "-o", all).stdout),
		"--backup-recipient", strings.TrimSpace(s.ok("key", "generate", "-o", host).stdout))
	s.full("--identity", host)
	off := map[string]string{
		"archive-mode": "warning: off", "archive-command": "skipped", "archiving": "skipped", "archive-arrives": "skipped",
		"drill": "skipped",
	}
	wantNotOK(t, s.check(0, "--identity", all), off)
	wantNotOK(t, s.check(0, "--identity", host), off)
	if got := s.check(2)["repository"]; !strings.Contains(got, "critical") {
		t.Errorf("without a key: %s", got)
	}
}
