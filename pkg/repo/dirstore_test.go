package repo_test

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// A directory keeps every promise of a store.
func TestDirectoryConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() repo.Store {
		dir := t.TempDir()
		return func() repo.Store {
			st, err := repo.OpenStore(t.Context(), dir)
			must(t, err)
			return st
		}
	})
}

// So does the store that other tests use.
func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, func(*testing.T) func() repo.Store {
		st := storetest.NewMemory()
		return func() repo.Store { return st }
	})
}

// What -R may be, and that what this version does not know is named.
func TestOpenStore(t *testing.T) {
	for url, want := range map[string]string{
		"/srv/pg":                  "/srv/pg",
		"/srv/pg/":                 "/srv/pg",
		"file:///srv/pg":           "/srv/pg",
		"file://localhost/srv/pg":  "/srv/pg",
		"file:///srv/with%20space": "/srv/with space",
	} {
		st, err := repo.OpenStore(t.Context(), url)
		if err != nil || st.String() != want {
			t.Errorf("%s: %v, %v", url, st, err)
		}
	}
	for url, want := range map[string]string{
		"s3://bucket/prefix": `scheme "s3" is not known`,
		"sftp://host/path":   `scheme "sftp" is not known`,
		"file://host/path":   "no host",
		"file:///p?x=1":      "file:///path",
		"":                   "no path",
	} {
		if st, err := repo.OpenStore(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", url, st, err, want)
		}
	}
}

// Who reads the repository reads the database: nobody but the owner may, whatever the umask.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o077, 0o777} {
		root := filepath.Join(t.TempDir(), "new", "repository")
		old := syscall.Umask(umask)
		st, err := repo.OpenStore(t.Context(), root)
		if err == nil {
			_, _, err = repo.Init(t.Context(), st, testInfo())
		}
		var c *repo.Cluster
		if err == nil {
			c, err = repo.OpenCluster(t.Context(), st, "main")
		}
		if err == nil {
			err = c.WAL(zstd).Put(t.Context(), walSeg, strings.NewReader("x"))
		}
		var unlock func() error
		if err == nil {
			unlock, err = c.Lock(t.Context(), "backup")
		}
		syscall.Umask(old)
		must(t, err)
		must(t, unlock())
		must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			want := fs.FileMode(0o600)
			if d.IsDir() {
				want = 0o700
			}
			if err == nil && info.Mode().Perm() != want {
				t.Errorf("umask %03o: %s: mode %o, want %o", umask, path, info.Mode().Perm(), want)
			}
			return err
		}))
	}
}

// A repository that is not there is unreachable in whatever is tried, and is not made by
// writing to it: where a file system is not mounted, nothing may be stored. Nothing is
// taken for certainly absent either.
func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, name := range []string{"not-mounted", "not/mounted", "file", "file/below"} {
		root := filepath.Join(dir, name)
		st, err := repo.OpenStore(t.Context(), root)
		must(t, err)
		for what, try := range map[string]func() error{
			"open":   func() error { _, err := st.Open(t.Context(), "main/x"); return err },
			"stat":   func() error { _, err := st.Stat(t.Context(), "main/x"); return err },
			"list":   func() error { _, err := st.List(t.Context(), "main/", true); return err },
			"create": func() error { _, err := st.Create(t.Context(), "main/x"); return err },
			"delete": func() error { return st.Delete(t.Context(), "main/x") },
			"lock":   func() error { _, err := st.Lock(t.Context(), "main/locks/x", ""); return err },
			"open cluster": func() error {
				_, err := repo.OpenCluster(t.Context(), st, "main")
				return err
			},
		} {
			err := try()
			if !errors.Is(err, repo.ErrUnreachable) || errors.Is(err, repo.ErrNotFound) || !strings.Contains(err.Error(), root) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		if info, err := os.Stat(root); err == nil && info.IsDir() {
			t.Errorf("%s was made", root)
		}
	}
}

// A full disk is told apart from a repository that cannot be reached. /dev/full answers
// every write as a full disk does.
func TestFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	_, cause := f.Write([]byte("x"))
	must(t, f.Close())
	err = repo.WrapDirError(t.TempDir(), cause)
	if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, repo.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.EIO, syscall.EROFS, syscall.ESTALE} {
		err := repo.WrapDirError(t.TempDir(), &fs.PathError{Op: "open", Path: "/repo/x", Err: errno})
		if !errors.Is(err, repo.ErrUnreachable) || !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

// helperEnv makes the test binary the process that a test kills.
const helperEnv = "PGINCR_TEST_DIRSTORE"

// A process that was killed holds no lock, and what it was writing is no object and is
// removed by who lists the directory. As long as it lives, both are left alone.
func TestKilledProcess(t *testing.T) {
	if dir := os.Getenv(helperEnv); dir != "" {
		holdAndWrite(t, dir)
		return
	}
	st := newTestStore(t)
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKilledProcess$", "-test.count=1")
	cmd.Env = append(os.Environ(), helperEnv+"="+st.String())
	out, err := cmd.StdoutPipe()
	must(t, err)
	_, err = cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	ready := bufio.NewScanner(out)
	for ready.Scan() && ready.Text() != "ready" {
	}
	for range 2 {
		found, err := st.List(t.Context(), "", true)
		must(t, err)
		if d := cmp.Diff([]repo.ObjectInfo{{Name: "main/locks/backup", Size: 5}}, found); d != "" {
			t.Error(d)
		}
	}
	temps := func() int {
		names, err := filepath.Glob(filepath.Join(st.String(), "main/wal/.*.tmp"))
		must(t, err)
		return len(names)
	}
	if n := temps(); n != 1 {
		t.Errorf("%d files of the living process", n)
	}
	_, err = st.Lock(t.Context(), "main/locks/backup", "")
	if !errors.Is(err, repo.ErrLocked) || !strings.Contains(err.Error(), "owner") {
		t.Errorf("lock of the living process: %v", err)
	}
	must(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
	unlock, err := st.Lock(t.Context(), "main/locks/backup", "")
	must(t, err)
	must(t, unlock())
	if _, err := st.List(t.Context(), "main/wal/", true); err != nil {
		t.Error(err)
	}
	if n := temps(); n != 0 {
		t.Errorf("%d files of the dead process", n)
	}
}

// holdAndWrite is the process that is killed.
func holdAndWrite(t *testing.T, dir string) {
	st, err := repo.OpenStore(t.Context(), dir)
	must(t, err)
	unlock, err := st.Lock(t.Context(), "main/locks/backup", "owner")
	must(t, err)
	w, err := st.Create(t.Context(), "main/wal/x")
	must(t, err)
	_, err = w.Write(make([]byte, 1<<20))
	must(t, err)
	_, err = os.Stdout.WriteString("ready\n")
	must(t, err)
	_, err = io.Copy(io.Discard, os.Stdin) // until it is killed, or the test is gone
	must(t, errors.Join(err, unlock(), w.Abort()))
}

// What root makes in a repository of another user is that user's: objects, the directories above them, and locks.
func TestRootInOthersRepository(t *testing.T) {
	pgtest.AsRoot(t, "what it makes for other users")
	const uid, gid = 65534, 65533
	root := t.TempDir()
	if err := os.Chown(root, uid, gid); err != nil {
		t.Fatal(err)
	}
	st, err := repo.OpenStore(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	w, err := st.Create(t.Context(), "main/wal/a")
	if err == nil {
		_, err = w.Write([]byte("a"))
	}
	if err == nil {
		err = w.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := st.Lock(t.Context(), "main/locks/backup", "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main", "main/wal", "main/wal/a", "main/locks", "main/locks/backup"} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != gid {
			t.Errorf("%s belongs to %d:%d, want %d:%d", name, st.Uid, st.Gid, uid, gid)
		}
	}
	must(t, unlock())
	// Nor does the owner get what lies elsewhere.
	elsewhere := t.TempDir()
	must(t, os.Symlink(elsewhere, filepath.Join(root, "link")))
	w, err = st.Create(t.Context(), "link/a")
	must(t, err)
	must(t, w.Commit(t.Context()))
	if info, err := os.Stat(filepath.Join(elsewhere, "a")); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("what is behind a link was given away: %v", err)
	}
}

// Nor does the owner get at a file of root's by a link in the place of a lock.
func TestLockBehindLink(t *testing.T) {
	pgtest.AsRoot(t, "what it makes for other users")
	for name, link := range map[string]func(from, to string) error{"symbolic": os.Symlink, "hard": os.Link} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			secret, root := filepath.Join(base, "shadow"), filepath.Join(base, "repository")
			locks := filepath.Join(root, "main", "locks")
			must(t, os.WriteFile(secret, []byte("secret"), 0o600))
			must(t, os.MkdirAll(locks, 0o700))
			for _, dir := range []string{root, filepath.Dir(locks), locks} {
				must(t, os.Chown(dir, 65534, 65533))
			}
			must(t, link(secret, filepath.Join(locks, "backup")))
			st, err := repo.OpenStore(t.Context(), root)
			must(t, err)
			if unlock, err := st.Lock(t.Context(), "main/locks/backup", "test"); err == nil {
				must(t, unlock())
			} else if name == "hard" {
				t.Errorf("a lock is not taken: %v", err)
			}
			info, err := os.Stat(secret)
			must(t, err)
			got, err := os.ReadFile(secret)
			if info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode() != 0o600 || string(got) != "secret" || err != nil {
				t.Errorf("%q, mode %s, of user %d: %v", got, info.Mode(), info.Sys().(*syscall.Stat_t).Uid, err)
			}
		})
	}
}

// A link in the place of a lock is not followed by those who only look either.
func TestLocksBehindLink(t *testing.T) {
	dir := t.TempDir()
	st, err := repo.OpenStore(t.Context(), dir)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, "locks"), 0o700))
	elsewhere := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(elsewhere, []byte("content"), 0o600))
	must(t, os.Symlink(elsewhere, filepath.Join(dir, "locks/lock")))
	if locks, err := st.Locks(t.Context(), "locks/", nil); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link for a lock: %v, %v", locks, err)
	}
}
