package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// moveConfiguration puts the configuration of a stopped cluster where Debian has it, with files that it includes.
func moveConfiguration(t *testing.T, c *pgtest.Cluster) (etc string) {
	t.Helper()
	etc = filepath.Join(pgtest.TempDir(t), "etc/postgresql/main")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(etc, "conf.d"), 0o755))
	for _, name := range []string{"postgresql.conf", "pg_hba.conf", "pg_ident.conf"} {
		b, err := os.ReadFile(filepath.Join(c.DataDir, name))
		must(err)
		switch name {
		case "postgresql.conf":
			b = fmt.Appendf(b, "include_dir 'conf.d'\ndata_directory = '%s'\n", c.DataDir)
		case "pg_hba.conf":
			b = fmt.Appendf(nil, "local all @users trust\nlocal all all reject\n")
		}
		must(os.WriteFile(filepath.Join(etc, name), b, 0o600))
		must(os.Remove(filepath.Join(c.DataDir, name)))
	}
	must(os.WriteFile(filepath.Join(etc, "conf.d/memory.conf"), []byte("work_mem = '7MB'\n"), 0o644))
	must(os.WriteFile(filepath.Join(etc, "users"), []byte("# "+secret+"\npostgres\n"), 0o600))
	pgtest.Chown(t, filepath.Dir(filepath.Dir(etc)))
	return etc
}

// The configuration of a server that has it outside its data directory, as Debian's do, is in each backup and in what
// is compacted from them, in an encrypted cluster as secret as all else, and a server starts from where it is
// restored to.
func TestConfigurationElsewhere(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		dir := pgtest.TempDir(t)
		keyFile, public := newKey(t, filepath.Join(dir, "all.key"))
		key := []string{"--identity", keyFile}
		repo := filepath.Join(dir, "repo")
		archive := fmt.Sprintf("%s archive-push -Z none -R %s --identity %s %%p", pgincr, repo, keyFile)
		source := install.New(t, pgtest.NotStarted())
		etc := moveConfiguration(t, source)
		s := &site{t: t, repo: repo, pg: pgtest.FromDataDir(t, install, source.DataDir,
			pgtest.Setting("config_file", filepath.Join(etc, "postgresql.conf")),
			pgtest.Setting("hba_file", filepath.Join(etc, "pg_hba.conf")),
			pgtest.Setting("ident_file", filepath.Join(etc, "pg_ident.conf")),
			pgtest.Setting("archive_mode", "on"),
			pgtest.Setting("archive_command", archive),
		)}
		s.ok("init", "-D", s.pg.DataDir, "--recipient", public)
		s.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) i")
		s.full("--identity", keyFile, "-Z", "none")
		if err := os.WriteFile(filepath.Join(etc, "conf.d/memory.conf"), []byte("work_mem = '9MB'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.sql("UPDATE t SET i = i + 1 WHERE i > 900")
		last := s.incremental("wal", "--identity", keyFile, "-Z", "none")
		s.pg.SwitchWAL()
		want := s.pg.TableSums()
		if len(last.Warnings) > 0 {
			t.Errorf("warnings %q", last.Warnings)
		}
		notInClear(t, repo)
		shown := s.ok(append(key, "show", last.ID)...).stdout
		for _, name := range []string{"postgresql.conf", "pg_hba.conf", "pg_ident.conf", "conf.d/memory.conf", "users"} {
			if !strings.Contains(shown, filepath.Join(etc, name)+", ") {
				t.Errorf("show does not list %s:\n%s", name, shown)
			}
		}
		s.ok(append(key, "compact", last.ID)...)
		for i, id := range []string{last.ID, strings.TrimSuffix(last.ID, "I") + "F"} {
			to, data := filepath.Join(dir, fmt.Sprint("etc", i)), filepath.Join(dir, fmt.Sprint("new", i))
			s.startsFrom(s.ok(append(key, "restore", id, "-D", data, "--config-to", to)...).stdout, data, to+etc, want)
		}

		o := s.ok(append(key, "restore", last.ID, "-D", filepath.Join(dir, "bare"))...)
		if !strings.Contains(o.stdout, "5 files outside the data directory, not restored; --config-to DIR does") {
			t.Error(o.stdout)
		}
		if err := os.WriteFile(filepath.Join(etc, "conf.d/memory.conf"), []byte("work_mem = '8MB'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.refused(s.run(append(key, "restore", last.ID, "-D", filepath.Join(dir, "bare2"), "--config-to", "/")...), 1,
			filepath.Join(etc, "conf.d/memory.conf")+": is there already, with other content")
	})
}

// startsFrom starts a server with the line that a restore printed, and looks at its settings and its rows.
func (s *site) startsFrom(printed, dir, etc string, want map[string]string) {
	s.t.Helper()
	line := regexp.MustCompile(`(?m)^  postgres -D (\S+)(.*)$`).FindStringSubmatch(printed)
	if line == nil || line[1] != dir {
		s.t.Fatalf("no line that starts the server:\n%s", printed)
	}
	var opts []pgtest.Option
	for _, set := range strings.Split(line[2], " -c ")[1:] {
		name, value, _ := strings.Cut(set, "=")
		opts = append(opts, pgtest.Setting(name, value))
	}
	if len(opts) != 4 {
		s.t.Errorf("settings: %s", line[2])
	}
	got := s.open(dir, opts...)
	pgtest.CompareTables(s.t, want, got.TableSums())
	for name, value := range map[string]string{
		"config_file": filepath.Join(etc, "postgresql.conf"), "hba_file": filepath.Join(etc, "pg_hba.conf"),
		"work_mem": "9MB", "data_directory": dir,
	} {
		if have := got.Query1("SHOW " + name); have != value {
			s.t.Errorf("%s is %s, want %s", name, have, value)
		}
	}
	got.Stop(pgtest.Fast)
}
