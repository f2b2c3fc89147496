package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// begin starts a backup that takes its time and returns when it copies files.
func (s *site) begin(args ...string) *exec.Cmd {
	s.t.Helper()
	args = append([]string{"backup", "-D", s.pg.DataDir, "--checkpoint", "fast", "-r", "4M"}, args...)
	cmd := pgtest.Command(s.t.Context(), pgincr, args...)
	cmd.Env = append(append(cmd.Env, s.pg.Env()...), "PGINCR_REPO="+s.repo)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.pg.Poll("a pack in the repository", func() bool {
		packs, err := filepath.Glob(filepath.Join(s.repo, "main", "backups", "*", "*"))
		return err == nil && len(packs) > len(s.objects())
	})
	return cmd
}

// objects lists what lies in committed backups.
func (s *site) objects() []string {
	s.t.Helper()
	var all []string
	for _, b := range s.list() {
		found, err := filepath.Glob(filepath.Join(s.repo, "main", "backups", b.ID, "*"))
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// list gives the backups there are.
func (s *site) list() []backup {
	s.t.Helper()
	return decode[[]backup](s.t, s.ok("list", "--json").stdout)
}

// sessions counts pgincr's sessions on the server: backup mode ends with them.
func (s *site) sessions() string {
	return s.pg.Query1("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgincr%'")
}

// However a backup is ended, the server is out of backup mode, no half backup
// is listed, and the next backup, list, verify and restore do not trip over
// what is left.
func TestInterruptedBackup(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		plays(t, install, []string{"hash"}, "37")
		s := newSite(t, install)
		s.pg.Tool("pgbench", "-i", "-s", "3", "-q", "postgres")
		full := s.full()
		s.pg.Tool("pgbench", "-n", "-t", "200", "postgres")
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			for _, kind := range [][]string{nil, {"--incremental", "--page-map", "hash"}} {
				if err := s.end(s.begin(kind...), signal); err != nil {
					t.Errorf("%v: %v", signal, err)
				}
				if got := s.list(); len(got) != 1 || got[0].ID != full.ID {
					t.Errorf("after %v the list is %v", signal, got)
				}
			}
		}
		inc := s.incremental("wal")
		s.ok("verify")
		checkRows(t, s.openAtStop(inc.ID), "pgbench_accounts", 300000)
	})
}

// A server that crashes, is restarted, or ends the session in the middle of a backup: exit code 1 and one line, no
// backup, and the next one is right.
func TestServerGoesUnderBackup(t *testing.T) {
	forEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		sources := []string{"lsn"}
		if wide() {
			sources = widely(install.Major)
		}
		plays(t, install, sources, "37")
		var opts []pgtest.Option
		if install.Major >= 17 {
			opts = append(opts, pgtest.Setting("summarize_wal", "on"))
		}
		s := newSite(t, install, opts...)
		s.pg.Tool("pgbench", "-i", "-s", "1", "-q", "postgres")
		kinds := [][]string{nil}
		for _, source := range sources {
			kinds = append(kinds, []string{"--incremental", "--page-map", source})
		}
		full := s.full()
		for what, happen := range map[string]func(){
			"crash":   func() { s.pg.Stop(pgtest.Immediate); s.pg.Start() },
			"restart": func() { s.pg.Stop(pgtest.Fast); s.pg.Start() },
			"session": func() {
				s.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgincr%'`)
			},
		} {
			for _, kind := range kinds {
				s.pg.Tool("pgbench", "-i", "-s", "2", "-q", "postgres") // so that there is something to copy by a page map
				cmd := s.begin(kind...)
				happen()
				var exit *exec.ExitError
				if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
					t.Errorf("%s under a backup %v: it ended with %v, want exit 1", what, kind, err)
				}
				if got := s.list(); len(got) != 1 || got[0].ID != full.ID {
					t.Errorf("%s: the list is %v", what, got)
				}
				if n := s.sessions(); n != "0" {
					t.Errorf("%s: %s sessions are left", what, n)
				}
			}
		}
		s.pg.Checkpoint()
		var taken []backup
		for _, source := range sources {
			taken = append(taken, s.backup(0, "--incremental", "--page-map", source, "--parent", full.ID))
		}
		s.ok("verify")
		want := s.reference()
		for _, b := range taken {
			s.restoresTo(b.ID, want)
		}
	})
}

// end sends a signal and waits for what must follow.
func (s *site) end(cmd *exec.Cmd, signal syscall.Signal) error {
	s.t.Helper()
	if err := cmd.Process.Signal(signal); err != nil {
		return err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("it ended with %w", err)
	}
	if signal != syscall.SIGKILL && exit.ExitCode() != 1 {
		return fmt.Errorf("exit code %d, want 1", exit.ExitCode())
	}
	s.pg.Poll("the end of pgincr's sessions", func() bool { return s.sessions() == "0" })
	if signal == syscall.SIGKILL {
		return nil
	}
	left, err := filepath.Glob(filepath.Join(s.repo, "main", "backups", "*"))
	if err == nil && len(left) != len(s.list()) {
		err = fmt.Errorf("left behind: %v", left)
	}
	return err
}

func checkRows(t *testing.T, cl *pgtest.Cluster, table string, want int) {
	t.Helper()
	if got := cl.Query1("SELECT count(*) FROM " + table); got != fmt.Sprint(want) {
		t.Errorf("%s has %s rows, want %d", table, got, want)
	}
}

// Bad input gets one line with the object and the cause, the exit code of
// docs/cli.md, and nothing is lost.
func TestBadInput(t *testing.T) {
	t.Parallel()
	install := pgtest.Newest(t)
	s := newSite(t, install)
	s.sql(`CREATE TABLE t AS SELECT generate_series(1, 10000) i`)
	full := s.full()
	other := install.New(t)
	occupied := pgtest.TempDir(t)
	write(t, filepath.Join(occupied, "precious"), "x")

	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"another cluster's directory": {
			[]string{"init", "-D", other.DataDir},
			1,
			[]string{"system identifier", "main"},
		},
		"another server's directory": {
			[]string{"backup", "-D", other.DataDir},
			1,
			[]string{other.DataDir},
		},
		"no such directory": {
			[]string{"backup", "-D", "/nowhere"},
			1,
			[]string{"/nowhere"},
		},
		"no such parent": {
			[]string{"backup", "-D", s.pg.DataDir, "--incremental", "--parent", "20000101T000000Z-F"},
			1,
			[]string{"20000101T000000Z-F"},
		},
		"parent of a full backup": {
			[]string{"backup", "-D", s.pg.DataDir, "--parent", full.ID},
			2,
			[]string{"--parent", "--incremental"},
		},
		"no such page map source": {
			[]string{"backup", "-D", s.pg.DataDir, "--incremental", "--page-map", "magic"},
			2,
			[]string{"magic"},
		},
		"no such backup": {
			[]string{"restore", "20000101T000000Z-F", "-D", filepath.Join(occupied, "new")},
			1,
			[]string{"20000101T000000Z-F"},
		},
		"occupied target": {
			[]string{"restore", "-D", occupied},
			1,
			[]string{occupied, "precious"},
		},
		"a server on the target": {
			[]string{"restore", "-D", s.pg.DataDir},
			1,
			[]string{s.pg.DataDir},
		},
		"no such cluster": {
			[]string{"list", "--cluster", "nobody"},
			1,
			[]string{"nobody"},
		},
		"no such command": {
			[]string{"bakcup"},
			2,
			[]string{"bakcup"},
		},
		"no such repository": {
			[]string{"list", "-R", "/nowhere/repo"},
			5,
			[]string{"/nowhere/repo"},
		},
		"an unknown scheme": {
			[]string{"list", "-R", "ftp://host/x"},
			2,
			[]string{"ftp"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.refused(s.run(c.args...), c.code, c.want...)
		})
	}
	if got := s.list(); len(got) != 1 {
		t.Errorf("the list is %v", got)
	}
	s.ok("verify")
}

// refused checks the exit code and that the first line names the object.
func (s *site) refused(o outcome, code int, want ...string) {
	s.t.Helper()
	if o.code != code {
		s.t.Errorf("exit %d, want %d", o.code, code)
	}
	line := ""
	for l := range strings.Lines(o.stderr) {
		if strings.HasPrefix(l, "pgincr: error: ") {
			line = l
			break
		}
	}
	for _, w := range want {
		if !strings.Contains(line, w) {
			s.t.Errorf("the error does not name %q", w)
		}
	}
	if o.stdout != "" {
		s.t.Errorf("stdout: %s", o.stdout)
	}
	if s.t.Failed() {
		s.t.Logf("stderr:\n%s", o.stderr)
	}
}

// A repository object that is damaged, missing or of a newer format is named by
// verify and by restore, and a restore that fails leaves nothing that starts.
func TestDamagedRepository(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Newest(t))
	s.sql(`CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i`)
	full := s.full()
	s.sql(`UPDATE t SET md5 = 'new' WHERE i % 10 = 0`)
	inc := s.incremental("lsn")
	packs, err := filepath.Glob(filepath.Join(s.repo, "main", "backups", full.ID, "*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("no packs: %v", err)
	}
	pack := filepath.Base(packs[0])
	content, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(){
		"flipped": func() {
			bad := append([]byte(nil), content...)
			for i := len(bad) % 1000; i < len(bad); i += 1000 { // a single one may hit a frame that is not needed
				bad[i] ^= 1
			}
			write(t, packs[0], string(bad))
		},
		"cut short": func() { write(t, packs[0], string(content[:len(content)/2])) },
		"missing":   func() { remove(t, packs[0]) },
	} {
		t.Run("pack "+name, func(t *testing.T) {
			s := s.in(t)
			damage()
			dir := filepath.Join(pgtest.TempDir(t), "data")
			s.refused(s.run("restore", inc.ID, "-D", dir), 1, pack, full.ID)
			if _, err := os.Stat(filepath.Join(dir, "global", "pg_control")); err == nil {
				t.Error("the failed restore left a directory that starts")
			}
			if o := s.run("verify", inc.ID); o.code == 0 || !strings.Contains(o.stdout+o.stderr, pack) {
				t.Errorf("verify: exit %d\n%s%s", o.code, o.stdout, o.stderr)
			}
			write(t, packs[0], string(content))
		})
	}
	s.ok("verify")
	t.Run("newer format", func(t *testing.T) {
		s := s.in(t)
		path := filepath.Join(s.repo, "main", "cluster.json")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		write(t, path, strings.Replace(string(text), `"format": 1`, `"format": 99`, 1))
		s.refused(s.run("list"), 1, "newer pgincr")
		write(t, path, string(text))
	})
}

// write replaces a file's content, keeping its owner.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	pgtest.Chown(t, path)
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
