package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/internal/storagetest"
)

// otherJobs is what wholeJob leaves out: it is done over whatever connection the site has, and judged over a sound
// one, at which the repository is reached by another URL.
func otherJobs(t *testing.T, s *site, sound string) {
	t.Helper()
	judge := *s
	judge.repo = sound
	r := s.receive(s.pg)
	awaitReceived(s.pg)
	s.sql("INSERT INTO t SELECT i, 'received' FROM generate_series(1, 1000) i")
	s.pg.SwitchWAL()
	awaitReceived(s.pg)
	if code := r.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the receiver ended with %d\n%s", code, r.stderr)
	}
	s.pg.Exec("SELECT pg_drop_replication_slot('pgincr')")
	if got, _ := s.drill(0); got.Result != "ok" {
		t.Errorf("drill: %+v", got)
	}
	inc := s.incremental("auto").ID
	want := judge.hashes(judge.restore(inc))
	s.ok("compact", inc)
	full := strings.TrimSuffix(inc, "I") + "F"
	if !maps.Equal(want, judge.hashes(judge.restore(full))) {
		t.Error("what was compacted restores to other files")
	}
	judge.ok("verify")
	s.ok("verify", "--quick")
}

// cutOff cuts the network off while commands run. Each ends in good time, as one whose repository cannot be reached,
// and nothing that it leaves is wrong.
func cutOff(t *testing.T, s *site, sound string, proxy *storagetest.Proxy) {
	t.Helper()
	const patience = 2 * time.Second // of a request, in the URL
	judge, cut := *s, *s
	judge.repo = sound
	cut.repo = strings.ReplaceAll(s.repo, "timeout=20s", "timeout="+patience.String())
	s.sql("UPDATE t SET x = 'cut off' WHERE i % 50 = 0")
	inc := judge.incremental("auto").ID
	// So that nothing is done before the network goes.
	proxy.Toxic("bandwidth", "downstream", 1, map[string]int{"rate": 1000})
	scratch := pgtest.TempDir(t)
	type run struct {
		cmd  *exec.Cmd
		said *said
	}
	var runs []run
	for _, args := range [][]string{
		{"verify"},
		{"compact", inc},
		{"drill", "--bindir", s.pg.Install.BinDir, "--scratch", filepath.Join(scratch, "drill"), inc},
		{"restore", "-D", filepath.Join(scratch, "data"), inc},
	} {
		r := run{pgtest.Command(t.Context(), pgincr, append(args, "-q")...), new(said)}
		r.cmd.Env = append(append(r.cmd.Env, s.pg.Env()...), "PGINCR_REPO="+cut.repo)
		r.cmd.Stderr = r.said
		if err := r.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	time.Sleep(time.Second) // they are on their way
	proxy.Cut()
	begun := time.Now()
	for _, r := range runs {
		_ = r.cmd.Wait() // its exit code tells
		text, code, took := r.said.String(), r.cmd.ProcessState.ExitCode(), time.Since(begun)
		if code != 5 || took > 10*patience || !strings.Contains(text, "cannot be reached") {
			t.Errorf("%v, cut off: exit %d after %v\n%s", r.cmd.Args[1:], code, took, text)
		}
	}
	proxy.Mend()
	// A receiver waits for the repository, and confirms nothing meanwhile.
	r := cut.receive(s.pg)
	awaitReceived(s.pg)
	proxy.Cut()
	s.sql("INSERT INTO t SELECT i, 'received late' FROM generate_series(1, 1000) i")
	lsn := s.pg.Query1("SELECT pg_current_wal_flush_lsn()")
	s.pg.Poll("the receiver to notice", func() bool { return strings.Contains(r.stderr.String(), "no WAL is received") })
	if s.pg.Query1("SELECT count(*) FROM pg_replication_slots WHERE restart_lsn >= '"+lsn+"'") != "0" {
		t.Error("WAL is confirmed that is nowhere")
	}
	proxy.Mend()
	awaitReceived(s.pg)
	if code := r.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the receiver ended with %d\n%s", code, r.stderr)
	}
	s.pg.Exec("SELECT pg_drop_replication_slot('pgincr')")

	judge.ok("verify")
	if len(judge.list()) != len(s.list()) {
		t.Error("a backup is seen by one and not by the other")
	}
}

// mountOver mounts a backup over a network that cuts connections. While it is away, what is read fails in good time,
// and is right when it is back.
func mountOver(t *testing.T, s *site, sound string, proxy *storagetest.Proxy) {
	t.Helper()
	needFUSE(t)
	judge, cut := *s, *s
	judge.repo = sound
	cut.repo = strings.ReplaceAll(s.repo, "timeout=20s", "timeout=2s")
	data := judge.restore("latest")
	largest := func(root string) string { return filepath.Join(root, largestFile(t, data)) }
	dir, unmount := cut.mount("latest")
	defer unmount()
	want, err := os.ReadFile(largest(data))
	if err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	begun := time.Now()
	if _, err := os.ReadFile(largest(dir)); err == nil || time.Since(begun) > 30*time.Second {
		t.Errorf("read while the repository is away: %v after %v", err, time.Since(begun))
	}
	proxy.Mend()
	got, err := os.ReadFile(largest(dir))
	if err != nil || string(got) != string(want) {
		t.Errorf("read when it is back: %d bytes, %v; want %d", len(got), err, len(want))
	}
}

// largestFile gives the largest file below base of a data directory, relative to that.
func largestFile(t *testing.T, data string) (largest string) {
	t.Helper()
	size := int64(-1)
	files, err := filepath.Glob(filepath.Join(data, "base/*/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Size() > size {
			largest, size = strings.TrimPrefix(f, data), info.Size()
		}
	}
	return largest
}
