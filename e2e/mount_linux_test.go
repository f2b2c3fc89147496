package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// needFUSE skips a test where nothing can be mounted: without /dev/fuse, or without root and fusermount3.
func needFUSE(t *testing.T) {
	t.Helper()
	var err error
	if os.Geteuid() == 0 {
		var f *os.File
		if f, err = os.OpenFile("/dev/fuse", os.O_RDWR, 0); err == nil {
			err = f.Close()
		}
	} else {
		_, err = exec.LookPath("fusermount3")
		_, statErr := os.Stat("/dev/fuse")
		err = errors.Join(err, statErr)
	}
	if err != nil {
		noFUSE(t, err.Error())
	}
}

// noFUSE leaves a test out, and says so even where nobody asked for a verbose run.
func noFUSE(t testing.TB, why string) {
	t.Helper()
	notice := fmt.Sprintf("%s: NOT TESTED, because there is no FUSE here: %s", t.Name(), why)
	fmt.Fprintln(os.Stderr, notice)
	t.Skip(notice)
}

// mount shows a backup until the test ends, or unmount is called.
func (s *site) mount(id string, args ...string) (dir string, unmount func()) {
	s.t.Helper()
	dir = pgtest.TempDir(s.t)
	cmd := exec.Command(pgincr, append([]string{"mount", id, dir, "-R", s.repo}, args...)...)
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = w.Close()
	up := make(chan bool, 2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf, told := make([]byte, 4096), false
		for {
			n, err := r.Read(buf)
			log.Write(buf[:n])
			if strings.Contains(log.String(), "mounted") && !told {
				told = true
				up <- true
			}
			if err != nil {
				up <- false
				return
			}
		}
	}()
	if !<-up {
		<-done
		_ = cmd.Wait()
		if strings.Contains(log.String(), "not permitted") {
			noFUSE(s.t, log.String())
		}
		s.t.Fatalf("mount: %s", log.String())
	}
	ended := false
	unmount = func() {
		if ended {
			return
		}
		ended = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err := cmd.Wait()
		<-done
		if err != nil {
			s.t.Errorf("mount ended: %v: %s", err, log.String())
		}
		if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
			s.t.Errorf("still mounted: %v", err)
		}
	}
	s.t.Cleanup(unmount)
	return dir, unmount
}

// A mounted backup holds what a restored one holds, however it is read, and cannot be written to; with a writable
// layer above, or as a copy, a server starts on it and has all rows.
func TestMount(t *testing.T) {
	needFUSE(t)
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		s := newSite(t, install)
		s.pg.Tool("pgbench", "-i", "-s", "2", "-q", "postgres")
		space := pgtest.TempDir(t)
		pgtest.Chown(t, space)
		s.sql(fmt.Sprintf("CREATE TABLESPACE far LOCATION '%s'", space), "CREATE TABLE away (n int) TABLESPACE far",
			"INSERT INTO away SELECT generate_series(1, 10000)")
		s.full()
		s.pg.Tool("pgbench", "-n", "-t", "200", "postgres")
		s.sql("UPDATE away SET n = n + 1 WHERE n % 100 = 0")
		b := s.incremental("auto")
		want := s.pg.Query1("SELECT sum(abalance) FROM pgbench_accounts")
		s.pg.Stop(pgtest.Immediate)

		restored := s.restore(b.ID, "--tablespace-root", pgtest.TempDir(t))
		dir, unmount := s.mount("latest", "--cache", "1")
		sameFiles(t, restored, dir)
		if err := os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("99\n"), 0o600); !errors.Is(err, syscall.EROFS) {
			t.Errorf("written to: %v", err)
		}
		// Root holds it now, which the owner of the repository must see.
		if o := s.ok("list", "--locks"); !strings.Contains(o.stdout, "using-"+b.ID) {
			t.Errorf("nobody holds the backup: %s", o.stdout)
		}
		if o := s.run("mount", b.ID, dir); o.code != 1 || !strings.Contains(o.stderr, "not empty") {
			t.Errorf("mounted over: %d %s", o.code, o.stderr)
		}

		wal := filepath.Join(s.repo, "main", "wal")
		if err := os.Rename(wal, wal+"-gone"); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(pgincr, "mount", b.ID, pgtest.TempDir(t), "-R", s.repo).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "archive-push") {
			t.Errorf("mounted without the WAL: %v %s", err, out)
		}
		if err := os.Rename(wal+"-gone", wal); err != nil {
			t.Fatal(err)
		}

		top := pgtest.TempDir(t)
		held, err := os.Open(filepath.Join(dir, "PG_VERSION")) // which does not keep the directory from being unmounted
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = held.Close() }()
		defer unmount()
		data, free := writable(t, dir, top)
		defer free()
		got := s.open(data)
		if sum := got.Query1("SELECT sum(abalance) FROM pgbench_accounts"); sum != want {
			t.Errorf("sum %s, want %s", sum, want)
		}
		if n := got.Query1("SELECT count(*) || ' ' || max(n) FROM away"); n != "10000 10001" {
			t.Errorf("in the tablespace: %s", n)
		}
		got.Query1("SELECT count(*) FROM (SELECT pg_switch_wal()) x")
		got.Amcheck()
		got.Stop(pgtest.Fast)
	})
}

// writable gives a data directory with the content of a mounted one, in top: a layer above it or, where there are no
// overlays (for who is not root, and in some containers), a copy. free ends it.
func writable(t *testing.T, dir, top string) (data string, free func()) {
	t.Helper()
	data = filepath.Join(top, "data")
	for _, d := range []string{"upper", "work", "data"} {
		if err := os.Mkdir(filepath.Join(top, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	err := syscall.Mount("overlay", data, "overlay", 0,
		fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", dir, top, top))
	if err == nil {
		return data, func() {
			if err := syscall.Unmount(data, 0); err != nil {
				t.Errorf("unmount: %v", err)
			}
		}
	}
	t.Logf("there is no overlay here (%v): a copy takes its place", err)
	if out, err := exec.Command("cp", "-a", dir+"/.", data).CombinedOutput(); err != nil {
		t.Fatalf("copy of the mounted directory: %v: %s", err, out)
	}
	return data, func() {}
}

// sameFiles reads every file of a restored directory but those that the restore writes itself in the mounted one,
// whole and in pieces.
func sameFiles(t *testing.T, restored, mounted string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(restored, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(restored, path)
		other := filepath.Join(mounted, rel)
		switch {
		case rel == "postgresql.auto.conf", rel == "backup_manifest", strings.HasSuffix(rel, ".signal"),
			strings.HasPrefix(rel, "pg_wal/"):
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			target, err := filepath.EvalSymlinks(path)
			if err == nil {
				sameFiles(t, target, other)
			}
			return err
		case d.IsDir():
			_, err := os.Stat(other)
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(other)
		if err != nil {
			return err
		}
		if !bytes.Equal(want, got) {
			t.Errorf("%s differs", rel)
		}
		seen++
		return samePieces(other, want)
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d files: %v", seen, err)
	}
}

// samePieces reads at random places.
func samePieces(path string, want []byte) (err error) {
	if len(want) == 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for range 5 {
		at := rand.IntN(len(want))
		buf := make([]byte, min(1+rand.IntN(20000), len(want)-at))
		if _, err := f.ReadAt(buf, int64(at)); err != nil {
			return err
		}
		if !bytes.Equal(buf, want[at:at+len(buf)]) {
			return fmt.Errorf("%s: differs at %d", path, at)
		}
	}
	return nil
}
