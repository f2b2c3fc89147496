package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/internal/storagetest"
)

// partResult is the outcome in one of several repositories.
type partResult struct {
	Repo     string  `json:"repo"`
	ExitCode int     `json:"exit_code"`
	Error    string  `json:"error"`
	Result   *backup `json:"result"`
}

// severalBackup is what backup --json prints then.
type severalBackup struct {
	backup

	Repositories []partResult `json:"repositories"`
}

// Two repositories, a directory and a bucket. Each has a chain of its own. While the bucket cannot be
// reached, backups and WAL go on arriving in the directory, and every command says so; what the bucket
// lacked of the WAL it gets afterwards. With either of them lost, damaged or behind, the cluster is restored to its
// end.
func TestTwoRepositories(t *testing.T) {
	server := storagetest.NewS3(t)
	proxy := storagetest.NewProxy(t, server.Addr)
	bucket := remoteRepo{url: storagetest.S3URL(proxy.Addr, server.Bucket(t), "pg") + "&timeout=20s", env: server.Env()}
	bucket.useEnv(t)
	dir := filepath.Join(pgtest.TempDir(t), "dir")
	archive := fmt.Sprintf("%s archive-push -R %s -R \"%s\" %%p", pgincr, dir, strings.ReplaceAll(bucket.url, "%", "%%"))
	s := &site{t: t, repo: dir + "\n" + bucket.url, pg: pgtest.Newest(t).New(t,
		pgtest.Setting("archive_mode", "on"), pgtest.Setting("archive_command", archive))}
	s.ok("init", "-D", s.pg.DataDir)
	take := func(code int, args ...string) severalBackup {
		t.Helper()
		o := s.run(append([]string{"backup", "-D", s.pg.DataDir, "-c", "fast", "--json"}, args...)...)
		if o.code != code {
			t.Fatalf("backup: exit %d, want %d\n%s%s", o.code, code, o.stdout, o.stderr)
		}
		return decode[severalBackup](t, o.stdout)
	}

	s.sql("CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 20000) i")
	full := take(0)
	s.sql("UPDATE t SET x = 'changed' WHERE i % 100 = 0")
	inc := take(0, "--incremental", "--page-map", "wal")
	for i, r := range inc.Repositories {
		if r.Result == nil || r.Result.Parent != full.Repositories[i].Result.ID || r.Result.ID == full.ID {
			t.Errorf("repository %s: %+v does not build on %+v", r.Repo, r.Result, full.Repositories[i].Result)
		}
	}
	s.ok("verify")
	s.ok("check")

	proxy.Cut()
	s.sql("INSERT INTO t SELECT i, 'while one is away' FROM generate_series(1, 1000) i")
	behind := take(5, "--incremental", "--archive-timeout", "100s")
	if r := behind.Repositories; len(r) != 2 || r[0].ExitCode != 0 || r[1].ExitCode != 5 || r[1].Error == "" ||
		behind.ID != r[0].Result.ID {
		t.Errorf("with one away: %+v", behind)
	}
	if o := s.run("list"); o.code != 5 || !strings.Contains(o.stdout, behind.ID) || !strings.Contains(o.stderr, "1 of 2") {
		t.Errorf("list with one away: exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	awayFirst := &site{t: t, repo: bucket.url + "\n" + dir, pg: s.pg}
	restored := awayFirst.restore("latest")
	proxy.Mend()

	// The archiver's next call brings the bucket what it lacks.
	last := s.pg.SwitchWAL()
	want := s.pg.TableSums()
	s.pg.Poll("the archiver to catch up", func() bool {
		return s.pg.Query1("SELECT last_archived_wal >= '"+last+"' FROM pg_stat_archiver") == "t"
	})
	s.ok("check", "--max-backup-age", "1h")
	rehearseBoth(t, s)
	s.pg.Stop(pgtest.Fast)

	// Only the directory had the backup; the WAL comes from whichever has it.
	got := s.open(restored)
	pgtest.CompareTables(t, want, got.TableSums())
	got.Stop(pgtest.Fast)

	// A damaged pack in the first repository is noticed on the way, and the next one serves.
	damagePack(t, dir, full.Repositories[0].Result.ID)
	o := s.run("restore", "-D", filepath.Join(pgtest.TempDir(t), "damaged"))
	if o.code != 0 || !strings.Contains(o.stderr, "trying the next") {
		t.Errorf("restore with a damaged repository: exit %d\n%s", o.code, o.stderr)
	}
	// And with the directory lost, the bucket has everything.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if o := s.run("archive-get", "00000002.history", filepath.Join(pgtest.TempDir(t), "f")); o.code != 200 {
		t.Errorf("archive-get of what a lost repository may have had: exit %d\n%s", o.code, o.stderr)
	}
	segment := filepath.Join(pgtest.TempDir(t), "segment")
	s.ok("archive-get", "000000010000000000000001", segment) // of many parts, from the one that is left
	if info, err := os.Stat(segment); err != nil || info.Size() != 16<<20 {
		t.Errorf("the first segment: %v, %v", info, err)
	}
	left := &site{t: t, repo: bucket.url, pg: s.pg}
	got = s.open(left.restore(inc.Repositories[1].Result.ID))
	pgtest.CompareTables(t, want, got.TableSums())
	got.Stop(pgtest.Fast)
}

// rehearseBoth looks at both repositories as monitoring does, and rehearses a restore from each. Hooks learn the
// results of both.
func rehearseBoth(t *testing.T, s *site) {
	t.Helper()
	o := s.run("check", "--nagios", "--max-backup-age", "1h")
	if o.code > 1 || strings.Count(o.stdout, "\n") != 1 || !strings.Contains(o.stdout, "|") {
		t.Errorf("check --nagios: exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	seen := filepath.Join(pgtest.TempDir(t), "seen")
	_, o = s.drill(0, "--hook-after", "env > "+seen)
	d := decode[struct {
		Result       string `json:"result"`
		Repositories []struct {
			Repo     string       `json:"repo"`
			ExitCode int          `json:"exit_code"`
			Result   *drillResult `json:"result"`
		} `json:"repositories"`
	}](t, o.stdout)
	env, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Repositories) != 2 {
		t.Fatalf("drills in %d repositories\n%s", len(d.Repositories), o.stdout)
	}
	for i, r := range d.Repositories {
		if r.ExitCode != 0 || r.Result == nil || r.Result.Result != "ok" || r.Result.Reached == nil {
			t.Errorf("drill in %s: %+v", r.Repo, r)
			continue
		}
		for _, line := range []string{
			fmt.Sprintf("PGINCR_RESULT_%d_DRILL=ok\n", i+1),
			fmt.Sprintf("PGINCR_RESULT_%d_BACKUP=%s\n", i+1, r.Result.Backup),
			"PGINCR_RESULT_BACKUP=" + d.Repositories[0].Result.Backup + "\n",
		} {
			if !strings.Contains(string(env), line) {
				t.Errorf("the hook does not see %s in\n%s", line, env)
			}
		}
	}
}

// damagePack changes bytes all over the largest object of a backup.
func damagePack(t *testing.T, repo, id string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repo, "main", "backups", id, "*"))
	if err != nil {
		t.Fatal(err)
	}
	largest, size := "", int64(0)
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Size() > size {
			largest, size = f, info.Size()
		}
	}
	b, err := os.ReadFile(largest)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 100 { // of a single byte a restore need not read the frame
		b[len(b)*n/100] ^= 0xFF
	}
	if err := os.WriteFile(largest, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
