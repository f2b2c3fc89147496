package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// secret stands in a table of an encrypted cluster and must be found nowhere in the repository.
const secret = "4556-7375-8689-9855 belongs to nobody"

// A database host whose key can take backups but not read them archives WAL, takes full and
// incremental backups by every source, and can neither restore nor verify them. With the key that stayed
// elsewhere they are verified and restored, and the server fetches WAL with it.
func TestEncryptedByHostKey(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		dir := pgtest.TempDir(t)
		allKey, all := newKey(t, filepath.Join(dir, "all.key"))
		hostKey, host := newKey(t, filepath.Join(dir, "host.key"))
		repo := filepath.Join(dir, "repo")
		archive := fmt.Sprintf("%s archive-push -Z none -R %s --identity %s %%p", pgincr, repo, hostKey)
		s := &site{t: t, repo: repo, pg: install.New(t,
			pgtest.Setting("archive_mode", "on"), pgtest.Setting("archive_command", archive))}
		s.ok("init", "-D", s.pg.DataDir, "--recipient", all, "--backup-recipient", host)
		s.sql("CREATE TABLE secrets AS SELECT i, '"+secret+"'::text t FROM generate_series(1, 20000) i",
			"CREATE INDEX ON secrets (i)", "CREATE TABLE other AS SELECT generate_series(1, 5000) i")
		asHost := []string{"--identity", hostKey, "-Z", "none"}
		s.full(asHost...)
		sources := []string{"wal", "lsn", "hash"}
		if install.Major >= 17 {
			s.sql("ALTER SYSTEM SET summarize_wal = on", "SELECT pg_reload_conf()")
		}
		var last backup
		for i, source := range sources {
			s.sql(fmt.Sprintf("UPDATE secrets SET t = t || 'x' WHERE i %% 7 = %d", i))
			last = s.incremental(source, asHost...)
		}
		s.sql("UPDATE other SET i = i + 1")
		s.pg.SwitchWAL()
		want := s.pg.TableSums()
		notInClear(t, repo)

		for _, args := range [][]string{{"restore", "-D", filepath.Join(dir, "refused")}, {"verify"}} {
			o := s.run(append(args, "--identity", hostKey)...)
			if o.code != 2 || !strings.Contains(o.stderr, "cannot read data") {
				t.Errorf("%v: exit %d\n%s", args, o.code, o.stderr)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "refused")); err == nil {
			t.Error("a refused restore left something")
		}
		s.ok("key", "rotate", "--identity", allKey)
		s.ok("verify", "--identity", allKey)
		got := s.open(s.restore(last.ID, "--identity", allKey))
		pgtest.CompareTables(t, want, got.TableSums())
		got.Stop(pgtest.Fast)
		carried := s.incremental("wal", append(asHost, "--wal", "stream")...)
		got = s.open(s.restore(carried.ID, "--identity", allKey, "--target", "immediate", "--target-action", "promote"))
		pgtest.CompareTables(t, want, got.TableSums())
		got.Stop(pgtest.Fast)
	})
}

// newKey makes a key in a file and gives what is public of it.
func newKey(t testing.TB, file string) (_, public string) {
	t.Helper()
	out, err := pgtest.Command(t.Context(), pgincr, "key", "generate", "-o", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimSpace(string(out))
}

// notInClear looks for the secret in every file of the repository.
func notInClear(t *testing.T, repo string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(repo, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(secret[:19])) {
			t.Errorf("%s holds the secret in clear", path)
		}
		files++
		return err
	})
	if err != nil || files < 20 {
		t.Errorf("%d files, %v", files, err)
	}
}
