package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// A restore in place makes the backup of whatever there is of the same cluster: the same state, an older and a newer
// one, one on which a server ran and went another way, damage of every kind, and half a restore. The directory is then
// the same, file by file, as a new one, pg_verifybackup accepts it, and of a state that is right already next to
// nothing is written.
func TestInPlaceOverAnything(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSite(t, install)
		s.pg.NewTablespace("elsewhere")
		s.sql("CREATE TABLE t AS SELECT i, repeat('x', 200) x FROM generate_series(1, 20000) i",
			"CREATE INDEX ON t (i)", "CREATE TABLE u TABLESPACE elsewhere AS SELECT generate_series(1, 5000) i")
		chain := []backup{s.full()}
		for n := range 2 {
			s.sql(fmt.Sprintf("UPDATE t SET x = 'y' WHERE i %% 100 = %d", n), fmt.Sprintf("CREATE TABLE n%d (i int)", n))
			chain = append(chain, s.incremental("wal"))
		}
		s.pg.SwitchWAL()
		older, wanted, newer := chain[0], chain[1], chain[2]
		top := pgtest.TempDir(t)
		spaces := []string{"--tablespace-root", filepath.Join(top, "spaces")}
		promoted := []string{"--target", "immediate", "--target-action", "promote"}
		data := filepath.Join(top, "data")
		over := func(b backup, args ...string) (written int64) {
			t.Helper()
			args = append(append([]string{"restore", b.ID, "-D", data, "--delta", "--json"}, promoted...), args...)
			return decode[struct {
				Written int64 `json:"bytes_written"`
			}](t, s.ok(args...).stdout).Written
		}
		s.ok(append(append([]string{"restore", wanted.ID, "-D", data}, promoted...), spaces...)...)
		install.VerifyBackup(t, data, "-n")
		want := s.hashes(data)
		for _, c := range []struct {
			name string
			make func()
		}{
			{"equal", func() {}},
			{"older", func() { over(older) }},
			{"newer", func() { over(newer) }},
			{"diverged", func() {
				got := s.open(data)
				got.Exec("UPDATE t SET x = 'z' WHERE i % 50 = 7")
				got.Exec("DROP TABLE u")
				got.Exec("CREATE TABLE other AS SELECT generate_series(1, 10000) i")
				got.Exec("CREATE DATABASE more")
				got.Stop(pgtest.Immediate)
			}},
			{"damaged", func() { s.ruin(data) }},
			{"half restored", func() {
				s.ruin(data)
				noErrors(t, os.Remove(filepath.Join(data, "global/pg_control")), os.Remove(filepath.Join(data, "backup_label")),
					os.RemoveAll(filepath.Join(data, "base")))
			}},
		} {
			t.Run(c.name, func(t *testing.T) {
				c.make()
				written := over(wanted, "--discard-wal")
				install.VerifyBackup(t, data, "-n")
				got := s.in(t).hashes(data)
				if !maps.Equal(want, got) {
					for path, hash := range got {
						if want[path] != hash {
							t.Errorf("%s: another file than in a new restore", path)
						}
					}
					t.Errorf("%d files, want %d", len(got), len(want))
				}
				if c.name == "equal" && written > wanted.SizeBytes/10 {
					t.Errorf("%d bytes written of %d that are right", written, wanted.SizeBytes)
				}
			})
		}
		got := s.open(data)
		got.Amcheck()
		got.Visibility()
		got.Stop(pgtest.Fast)
		install.Checksums(t, data)
	})
}

// ruin damages a stopped cluster: bytes in the middle of pages, lengths, files that go and come, and kinds of files.
func (s *site) ruin(dir string) {
	s.t.Helper()
	n := 0
	noErrors(s.t, filepath.WalkDir(filepath.Join(dir, "base"), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		n++
		info, err := e.Info()
		if err != nil || info.Size() < 8192 {
			return err
		}
		switch n % 10 {
		case 0:
			return os.Truncate(p, info.Size()/2+100)
		case 1:
			return os.Remove(p)
		case 2:
			return errors.Join(os.Remove(p), os.Mkdir(p, 0o700))
		case 3:
			return errors.Join(os.Remove(p), os.Symlink("/etc/hostname", p))
		case 4:
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte(strings.Repeat("damage", 100)), info.Size()/3)
			return errors.Join(err, f.Close(), os.Truncate(p, info.Size()+8192))
		}
		return nil
	}))
	noErrors(s.t, os.WriteFile(filepath.Join(dir, "base/99999"), []byte("a file"), 0o600),
		os.WriteFile(filepath.Join(dir, "stray"), nil, 0o644), os.RemoveAll(filepath.Join(dir, "pg_xact")),
		os.WriteFile(filepath.Join(dir, "global/pg_control"), []byte("torn"), 0o600))
	if n < 100 {
		s.t.Fatalf("only %d files", n)
	}
}

// noErrors fails the test for the first error.
func noErrors(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
