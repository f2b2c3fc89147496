package e2e

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// smallFileSystem gives a directory on a file system of a few megabytes, which
// only root can make.
func smallFileSystem(t *testing.T) string {
	t.Helper()
	return sizedFileSystem(t, "12m")
}

func sizedFileSystem(t *testing.T, size string) string {
	t.Helper()
	dir := pgtest.TempDir(t)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A full disk under the repository or under the target ends the command with
// one line that says so, leaves what was there, and the same command works once
// there is room.
func TestFullDisk(t *testing.T) {
	pgtest.AsRoot(t, "it alone makes small file systems")
	small := smallFileSystem(t)
	ballast := filepath.Join(small, "ballast")
	cl := pgtest.Newest(t).New(t)
	repo := filepath.Join(small, "repo")
	s := siteOf(t, cl, repo)
	s.sql(`CREATE TABLE t AS SELECT i, md5(i::text) a, md5((-i)::text) b FROM generate_series(1, 30000) i`)
	full := s.full()
	write(t, ballast, string(make([]byte, room(t, small)-200<<10)))
	s.sql(`UPDATE t SET a = b, b = a`)
	s.refused(s.run("backup", "-D", cl.DataDir, "--checkpoint", "fast", "--incremental"), 1, "no space left on device")
	if got := s.list(); len(got) != 1 || got[0].ID != full.ID {
		t.Errorf("the list is %v", got)
	}
	s.refused(s.run("restore", full.ID, "-D", filepath.Join(small, "data")), 1, filepath.Join(small, "data"))
	remove(t, ballast)
	s.ok("verify")
	checkRows(t, s.openAtStop(s.incremental("auto").ID), "t", 30000)
}

// room gives the bytes that are free.
func room(t *testing.T, dir string) int64 {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	return int64(fs.Bavail) * fs.Bsize
}
