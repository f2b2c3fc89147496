package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/restore"
)

// A cluster with tablespaces goes where its administrator wants it: one tablespace to a directory of its own, the rest
// below another, pg_wal to a third, and one that lies in the data directory stays there. A dry run says all of that and
// does nothing, a restore does it, in place it stays so, and a server runs on it.
func TestRestoreShape(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install)
		old := s.pg.NewTablespace("one")
		s.pg.NewTablespace("two")
		session := s.pg.Connect("postgres")
		session.Exec("SET allow_in_place_tablespaces = on")
		session.Exec("CREATE TABLESPACE here LOCATION ''")
		session.Close()
		for _, space := range []string{"one", "two", "here"} {
			s.sql("CREATE TABLE t_" + space + " TABLESPACE " + space + " AS SELECT generate_series(1, 5000) i")
		}
		s.full()
		s.sql("UPDATE t_one SET i = i + 1 WHERE i < 100", "CREATE TABLE more TABLESPACE here AS SELECT 1 i")
		b := s.incremental("wal")
		s.pg.SwitchWAL()
		want := s.pg.TableSums()
		oid := func(space string) string {
			return s.pg.Query1("SELECT oid FROM pg_tablespace WHERE spcname = '" + space + "'")
		}
		top := pgtest.TempDir(t)
		at := func(name string) string { return filepath.Join(top, name) }
		args := []string{
			"restore", "-D", at("data"), "-T", old + "=" + at("first"),
			"--tablespace-root", at("spaces"), "--waldir", at("wal"),
		}

		r := decode[restore.Result](t, s.ok(append(args, "--dry-run", "--json")...).stdout)
		if p := r.Plan; p == nil || len(r.Chain) != 2 || p.Files < 500 || p.BytesToRead < 1<<20 ||
			p.BytesToWrite < 10<<20 || len(p.WALFiles) == 0 || p.WALReach <= p.WALStop || len(p.Tablespaces) != 2 ||
			len(p.Space) == 0 || p.Space[0].NeedBytes < 10<<20 || p.Space[0].HaveBytes < p.Space[0].NeedBytes {
			t.Errorf("plan %+v", p)
		}
		if left, err := os.ReadDir(top); err != nil || len(left) > 0 {
			t.Errorf("a dry run made %v, %v", left, err)
		}
		text := s.ok(append(args, "--dry-run")...).stdout
		for _, w := range []string{
			b.ID, " to read, ", " needed of ", at("first"), at("spaces") + "/" + oid("two"), "restore_command",
		} {
			if !strings.Contains(text, w) {
				t.Errorf("the plan does not tell %q:\n%s", w, text)
			}
		}

		for _, in := range [][]string{nil, {"--delta", "--discard-wal"}} {
			o := s.ok(append(append(args, "-P", "--json"), in...)...)
			r := decode[restore.Result](t, o.stdout)
			if r.BytesRead+r.BytesSkipped == 0 || len(r.Phases) < 5 || r.Plan != nil {
				t.Errorf("result %+v", r)
			}
			for link, to := range map[string]string{
				"pg_wal":                  at("wal"),
				"pg_tblspc/" + oid("one"): at("first"),
				"pg_tblspc/" + oid("two"): at("spaces") + "/" + oid("two"),
			} {
				if have, err := os.Readlink(filepath.Join(at("data"), link)); have != to {
					t.Errorf("%s leads to %q, want %s (%v)", link, have, to, err)
				}
			}
			if st, err := os.Lstat(filepath.Join(at("data"), "pg_tblspc", oid("here"))); err != nil || !st.IsDir() {
				t.Errorf("the tablespace in the data directory: %v, %v", st, err)
			}
			install.VerifyBackup(t, at("data"), "-n")
			got := s.open(at("data"), pgtest.Setting("allow_in_place_tablespaces", "on")) // else recovery refuses it
			pgtest.CompareTables(t, want, got.TableSums())
			got.Stop(pgtest.Fast)
		}
	})
}
