package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// breakage is one way in which a check is not ok.
type breakage struct {
	check   string
	status  string // that it then has
	message string // a part of it
	remedy  string // likewise
	args    []string
	do      func() (undo func()) // what breaks it; nil: args alone do
}

// Each check is broken by what it is for, and by that alone; it then says so, with a remedy, to people, programs and
// monitoring. A key that does not fit is TestCheckEncrypted's, a clock that goes wrong TestClock's of pkg/check.
func TestEachCheckBroken(t *testing.T) {
	pgtest.AsRoot(t, "it alone makes small file systems")
	t.Parallel()
	s := newCrampedSite(t)
	s.sql(`CREATE TABLE t AS SELECT generate_series(1, 1000) i`, `CREATE ROLE weak LOGIN`)
	full := s.full()
	s.sql(`INSERT INTO t VALUES (1)`)
	inc := s.incremental("wal", "--wal", "archive")
	s.archive()
	s.drill(0, "--amcheck", "off")
	s.archive()
	in := func(elements ...string) string {
		return filepath.Join(append([]string{s.repo, "main"}, elements...)...)
	}
	away := func(path string) func() {
		rename(t, path, path+".away")
		return func() { rename(t, path+".away", path) }
	}
	setting := func(name, value string, restart bool) func() {
		apply := func(statement string) {
			s.pg.Exec(statement)
			if restart {
				s.pg.Stop(pgtest.Fast)
				s.pg.Start()
			} else {
				s.pg.Reload()
			}
		}
		apply("ALTER SYSTEM SET " + name + " = " + value)
		return func() { apply("ALTER SYSTEM RESET " + name) }
	}
	segment := in("wal", inc.WAL.Segments[0][:8], inc.WAL.Segments[0])
	for _, b := range []breakage{
		{"repository", "critical", "cannot be written to", "let the user that takes backups", nil, func() func() {
			return readOnly(t, in("locks"))
		}},
		{"backups", "critical", "1 of 2 cannot be read", "take a full backup", nil, func() func() {
			spoil(t, in("backups", inc.ID, "manifest.json"), 100)
			return func() { spoil(t, in("backups", inc.ID, "manifest.json"), 100) }
		}},
		{"backup-age", "critical", "allowed are", "find out why its timer did not", []string{"--max-backup-age", "1ms"}, nil},
		{"chain", "warning", "2 backups, wanted are at most 1", "pgincr compact", []string{"--max-chain", "1"}, nil},
		{"chain", "critical", full.ID, "take a full backup", nil, func() func() { return away(in("backups", full.ID)) }},
		{"wal-gaps", "critical", "recovery cannot pass", "archive-push", nil, func() func() { return away(segment) }},
		{"restorable", "critical", inc.ID + " cannot become consistent", "archive-push", nil, func() func() {
			return away(segment)
		}},
		{"drill", "critical", "allowed are", "from a timer", []string{"--max-drill-age", "1ms"}, nil},
		{"drill", "critical", "cannot be read", "run pgincr drill again", nil, func() func() {
			spoil(t, s.recorded()[0], 100)
			return func() { spoil(t, s.recorded()[0], 100) }
		}},
		{"drill", "critical", "recovered, but sql", "repair the cluster or the script", nil, func() func() {
			before := s.recorded()
			s.drill(3, "--amcheck", "off", "--sql-command", "SELECT 1/0")
			return func() {
				for _, path := range s.recorded() {
					if !slices.Contains(before, path) {
						remove(t, path)
					}
				}
			}
		}},
		{"repository-space", "warning", "the last full backup stored", "make room", nil, func() func() {
			return fill(t, s.repo, full.StoredBytes-(64<<10))
		}},
		{"repository-space", "critical", "the last backup stored", "make room", nil, func() func() {
			return fill(t, s.repo, inc.StoredBytes/2)
		}},
		{"connection", "critical", "/nowhere", "is the server running?", []string{"-h", "/nowhere"}, nil},
		{"connection", "critical", "lacks EXECUTE", "GRANT EXECUTE", []string{"-U", "weak"}, nil},
		{
			"identity", "critical", "the entry in the repository is of", "name the right server",
			[]string{"--cluster", "other"},
			func() func() {
				other := filepath.Join(pgtest.TempDir(t), "data")
				cmd := pgtest.Command(t.Context(), filepath.Join(s.pg.Install.BinDir, "initdb"), "--no-sync", "-D", other)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				s.ok("init", "--cluster", "other", "-D", other)
				return func() {}
			},
		},
		{"archive-mode", "critical", "relies on archived WAL", "with a restart", nil, func() func() {
			return setting("archive_mode", "off", true)
		}},
		{"archive-command", "critical", "empty: WAL piles up", "archive-push --repo " + s.repo, nil, func() func() {
			return setting("archive_command", "''", false)
		}},
		{
			"archive-command", "warning", "is not pgincr archive-push: true", "archive-push --repo " + s.repo, nil,
			func() func() { return setting("archive_command", "'true'", false) },
		},
		{"archive-command", "warning", "archive_library is", "leave archive_library empty", nil, func() func() {
			command := setting("archive_command", "''", false)
			library := setting("archive_library", "'basic_archive'", false)
			return func() { library(); command() }
		}},
		{"archiving", "critical", "fails: ", "run it by hand", nil, func() func() {
			undo := setting("archive_command", "'false'", false)
			s.pg.SwitchWAL()
			s.pg.Poll("a failure of the archiver", func() bool {
				return s.pg.Query1("SELECT last_failed_time > last_archived_time FROM pg_stat_archiver") == "t"
			})
			return func() { undo(); s.archive() }
		}},
		{"full-page-writes", "warning", "a crash can tear pages", "with a reload", nil, func() func() {
			return setting("full_page_writes", "off", false)
		}},
		{"wal-space", "warning", "free, ", "make room", nil, func() func() { return fill(t, s.wal(), s.walSize()/12) }},
		{"wal-space", "critical", "free, ", "make room", nil, func() func() { return fill(t, s.wal(), s.walSize()/50) }},
		// The last two cannot be undone: WAL that is lost, and a page that is broken.
		{
			"archive-arrives", "critical", "although the server says", "make archive_command name this repository", nil,
			func() func() {
				undo := setting("archive_command", "'true'", false)
				s.archive()
				return undo
			},
		},
		{"corrupt-pages", "critical", "1 pages of the cluster were corrupt", "pgincr show", nil, func() func() {
			path := filepath.Join(s.pg.DataDir, s.pg.Query1("SELECT pg_relation_filepath('t')"))
			s.pg.Exec("CHECKPOINT")
			spoil(t, path, 4000)
			s.backup(3)
			return func() {}
		}},
	} {
		t.Run(b.check, func(t *testing.T) { s.in(t).broken(b) })
	}
}

// broken breaks a check and wants to be told.
func (s *site) broken(b breakage) {
	s.t.Helper()
	if b.do != nil {
		defer b.do()()
	}
	o := s.run(append([]string{"check", "--json"}, b.args...)...)
	d := decode[checked](s.t, o.stdout)
	if want := map[string]int{"warning": 0, "critical": 3}[d.Status]; o.code != want {
		s.t.Errorf("%s: exit %d, want %d\n%s", d.Status, o.code, want, o.stderr)
	}
	var line string
	for _, c := range d.Checks {
		if c.Name != b.check {
			continue
		}
		line = c.Name + ": " + c.Message
		if c.Status != b.status || !strings.Contains(c.Message, b.message) || !strings.Contains(c.Remedy, b.remedy) {
			s.t.Errorf("%s: %s: %s → %s", c.Name, c.Status, c.Message, c.Remedy)
		}
	}
	if line == "" {
		s.t.Fatalf("no check %s in %s", b.check, o.stdout)
	}
	if b.check == "chain" { // people are told in the same words
		text := s.run(append([]string{"check", "--quiet"}, b.args...)...)
		if text.code != o.code || !strings.Contains(text.stdout, b.message) || !strings.Contains(text.stdout, "→ ") {
			s.t.Errorf("exit %d for people:\n%s", text.code, text.stdout)
		}
	}
	n := s.run(append([]string{"check", "--nagios"}, b.args...)...)
	if want := map[string]int{"warning": 1, "critical": 2}[d.Status]; n.code != want ||
		!strings.HasPrefix(n.stdout, "PGINCR "+strings.ToUpper(d.Status)+" - ") ||
		!strings.Contains(n.stdout, b.check+": ") || !strings.Contains(n.stdout, b.message) {
		s.t.Errorf("exit %d for monitoring:\n%s", n.code, n.stdout)
	}
}

// newCrampedSite makes a site whose repository and pg_wal have small file systems of their own.
func newCrampedSite(t *testing.T) *site {
	t.Helper()
	wal, repo := sizedFileSystem(t, "320m"), filepath.Join(sizedFileSystem(t, "64m"), "repo")
	cl := pgtest.Newest(t).New(t, pgtest.Setting("archive_mode", "on"),
		pgtest.Setting("archive_command", pgincr+" archive-push -R "+repo+" %p"))
	cl.Stop(pgtest.Fast)
	path := filepath.Join(cl.DataDir, "pg_wal")
	if out, err := pgtest.Command(t.Context(), "cp", "-a", path, wal).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(wal, "pg_wal"), path); err != nil {
		t.Fatal(err)
	}
	cl.Start()
	return siteOf(t, cl, repo)
}

// wal is where the server writes WAL.
func (s *site) wal() string { return filepath.Join(s.pg.DataDir, "pg_wal") }

// walSize is the size of its file system.
func (s *site) walSize() int64 {
	s.t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.wal(), &fs); err != nil {
		s.t.Fatal(err)
	}
	return int64(fs.Blocks) * fs.Bsize
}

// fill leaves so many bytes free.
func fill(t *testing.T, dir string, leave int64) (undo func()) {
	t.Helper()
	ballast := filepath.Join(dir, "..", "ballast") // of the same file system, in nobody's way
	if filepath.Base(dir) == "pg_wal" {
		ballast = filepath.Join(dir, "archive_status", "ballast")
	}
	write(t, ballast, string(make([]byte, room(t, dir)-leave)))
	return func() { remove(t, ballast) }
}

// readOnly lets nobody but root write to a directory.
func readOnly(t *testing.T, dir string) (undo func()) {
	t.Helper()
	mode := func(m os.FileMode) {
		if err := os.Chmod(dir, m); err != nil {
			t.Fatal(err)
		}
	}
	mode(0o500)
	return func() { mode(0o700) }
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
