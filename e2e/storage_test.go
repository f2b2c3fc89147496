package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/internal/storagetest"
)

// remoteRepo is a repository on a server of the test's own.
type remoteRepo struct {
	url  string
	env  []string // the credentials
	init []string // how it is made
}

// useEnv makes them known to what the test starts, the server and its archive_command above all.
func (r remoteRepo) useEnv(t *testing.T) {
	for _, kv := range r.env {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
}

// remoteSite makes a cluster that archives into such a repository.
func remoteSite(t *testing.T, r remoteRepo, install pgtest.Install) *site {
	t.Helper()
	r.useEnv(t)
	archive := fmt.Sprintf("%s archive-push -R \"%s\" %%p", pgincr, strings.ReplaceAll(r.url, "%", "%%"))
	s := &site{t: t, repo: r.url, pg: install.New(t,
		pgtest.Setting("archive_mode", "on"), pgtest.Setting("archive_command", archive))}
	s.ok(append([]string{"init", "-D", s.pg.DataDir}, r.init...)...)
	return s
}

// wholeJob is what an operator does with a repository, from init to a server that recovers from it.
func wholeJob(t *testing.T, r remoteRepo) *site {
	s := remoteSite(t, r, pgtest.Newest(t))
	s.sql("CREATE TABLE t AS SELECT i, md5(i::text) || repeat('x', 200) AS x FROM generate_series(1, 60000) i",
		"CREATE INDEX ON t (i)")
	full := s.full("-Z", "none") // more than one part
	s.sql("UPDATE t SET x = 'changed' WHERE i % 100 = 0")
	inc := s.incremental("wal")
	s.sql("INSERT INTO t SELECT i, 'after the backup' FROM generate_series(1, 1000) i")
	s.pg.SwitchWAL()
	want := s.pg.TableSums()
	if out := s.ok("list").stdout; !strings.Contains(out, full.ID) || !strings.Contains(out, inc.ID) {
		t.Errorf("list:\n%s", out)
	}
	s.ok("verify")
	got := s.open(s.restore(inc.ID))
	pgtest.CompareTables(t, want, got.TableSums())
	got.Stop(pgtest.Fast)
	got = s.open(s.restore(s.goneOnWith(t)))
	pgtest.CompareTables(t, want, got.TableSums())
	got.Stop(pgtest.Fast)
	o := s.run("archive-get", "00000001000000000000FFFF", filepath.Join(pgtest.TempDir(t), "f"))
	if o.code != 1 {
		t.Errorf("archive-get of what is certainly not there: exit %d\n%s", o.code, o.stderr)
	}
	return s
}

// goneOnWith gives a full backup that went on with one which a signal had ended.
func (s *site) goneOnWith(t *testing.T) (id string) {
	t.Helper()
	for wait := time.Second; ; wait += time.Second / 2 {
		cmd, stderr := s.slowBackup()
		time.Sleep(wait)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err == nil {
			t.Fatalf("a backup was quicker than %v", wait)
		}
		if strings.Contains(stderr.String(), "goes on with what was stored") {
			break // else no pack was full yet
		}
	}
	m := s.full("-Z", "none")
	if m.TakenOver == nil || m.TakenOver.Frames == 0 || m.TakenOver.Bytes < 1<<20 {
		t.Errorf("taken over: %+v", m.TakenOver)
	}
	s.ok("verify", m.ID)
	return m.ID
}

// A backup sends no faster than it may, whatever is read, and with the lowest I/O priority it is as good as any.
func TestSendRate(t *testing.T) {
	t.Parallel()
	s := newLonelySite(t, pgtest.Newest(t))
	begun := time.Now()
	m := s.full("-Z", "zstd", "--send-rate", "2M", "--io-priority", "idle", "-r", "500M")
	if took, least := time.Since(begun), time.Duration(m.StoredBytes-(1<<20))*time.Second/(2<<20); took < least {
		t.Errorf("%d bytes in %v, want %v or more", m.StoredBytes, took, least)
	}
	s.ok("verify")
}

// The whole job on an S3 server that people run in production.
func TestS3(t *testing.T) {
	server := storagetest.NewS3(t)
	bucket := server.Bucket(t)
	r := remoteRepo{url: server.URL(bucket, "pg/backups"), env: server.Env()}
	wholeJob(t, r)

	for _, test := range []struct {
		url, secret string
		words       string
	}{
		{server.URL("no-such-bucket", "x"), storagetest.SecretKey, "does not exist"},
		{r.url, "wrong", "credentials are refused"},
		{storagetest.S3URL("127.0.0.1:1", bucket, "x") + "&timeout=5s", storagetest.SecretKey, "cannot be reached"},
	} {
		t.Setenv("AWS_SECRET_ACCESS_KEY", test.secret)
		for command, code := range map[string]int{"list": 5, "archive-get f /tmp/none": 200} {
			cmd := pgtest.Command(t.Context(), pgincr, append(strings.Fields(command), "-R", test.url)...)
			out, _ := cmd.CombinedOutput() // the exit code says it
			if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), test.words) ||
				strings.Count(string(out), "\n") > 2 {
				t.Errorf("%s with %s: exit %d, want %d and %q\n%s", command, test.url, got, code, test.words, out)
			}
		}
	}
}

// The whole job on OpenSSH's server.
func TestSFTP(t *testing.T) {
	server := storagetest.NewSFTP(t)
	wholeJob(t, remoteRepo{url: server.URL(filepath.Join(t.TempDir(), "repo"))})
}

// The whole job on a stand-in for Google Cloud Storage, encrypted.
func TestGCS(t *testing.T) {
	server := storagetest.NewGCS(t)
	key := filepath.Join(pgtest.TempDir(t), "key")
	recipient, err := pgtest.Command(t.Context(), pgincr, "key", "generate", "-o", key).Output()
	if err != nil {
		t.Fatal(err)
	}
	wholeJob(t, remoteRepo{
		url: "gs://" + server.Bucket(t) + "/pg", env: append(server.Env(), "PGINCR_IDENTITY="+key),
		init: []string{"--recipient", strings.TrimSpace(string(recipient))},
	})
}

// The whole job while the network cuts connections at random places. When it is down altogether, the
// repository is unreachable, and the end of the archive is never concluded from it.
func TestS3OverBadNetwork(t *testing.T) {
	server := storagetest.NewS3(t)
	proxy := storagetest.NewProxy(t, server.Addr)
	proxy.Toxic("latency", "downstream", 1, map[string]int{"latency": 2, "jitter": 2})
	proxy.Toxic("limit_data", "upstream", 0.3, map[string]int{"bytes": 3_000_000})
	proxy.Toxic("limit_data", "downstream", 0.3, map[string]int{"bytes": 100_000})
	bucket := server.Bucket(t)
	r := remoteRepo{url: storagetest.S3URL(proxy.Addr, bucket, "pg") + "&timeout=20s", env: server.Env()}
	s := wholeJob(t, r)
	sound := server.URL(bucket, "pg")
	otherJobs(t, s, sound)
	mountOver(t, s, sound, proxy)
	cutOff(t, s, sound, proxy)
	proxy.Cut()
	for command, code := range map[string]int{"list": 5, "archive-get 000000010000000000000001 /tmp/none": 200} {
		cmd := pgtest.Command(t.Context(), pgincr, append(strings.Fields(command), "-R", r.url)...)
		out, _ := cmd.CombinedOutput() // the exit code says it
		if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), "cannot be reached") {
			t.Errorf("%s: exit %d, want %d\n%s", command, got, code, out)
		}
	}
}
