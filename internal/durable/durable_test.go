package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/internal/pgtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// names gives what a directory holds.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// create writes a File up to its commit.
func create(t *testing.T, path, content string) *durable.File {
	t.Helper()
	f, err := durable.Create(path, 0o600)
	must(t, err)
	_, err = f.Write([]byte(content))
	must(t, err)
	return f
}

// WriteFile replaces a file whole, or leaves the old one and nothing else.
func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"first", "second"} {
		must(t, durable.WriteFile(path, 0o640, func(w io.Writer) error {
			_, err := io.WriteString(w, content)
			return err
		}))
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
	}
	cause := errors.New("cause")
	err := durable.WriteFile(path, 0o640, func(w io.Writer) error {
		_, err := io.WriteString(w, "third")
		return errors.Join(err, cause)
	})
	if !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "second" {
		t.Errorf("%q, %v", got, err)
	}
	if n := names(t, filepath.Dir(path)); len(n) != 1 {
		t.Errorf("left over: %q", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
}

// A File never replaces: the first to commit has the name.
func TestFileNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	first, second := create(t, path, "first"), create(t, path, "second")
	must(t, first.Commit())
	if err := second.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second commit: %v", err)
	}
	must(t, errors.Join(first.Abort(), second.Abort()))
	if err := second.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("commit after the end: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
	if n := names(t, filepath.Dir(path)); len(n) != 1 {
		t.Errorf("left over: %q", n)
	}
}

// File systems that cannot rename without replacing get there by a link.
func TestLinkNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	if err := durable.LinkNew(filepath.Join(dir, "a"), filepath.Join(dir, "b")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("link over a file: %v", err)
	}
	must(t, durable.LinkNew(filepath.Join(dir, "a"), filepath.Join(dir, "c")))
	if n := names(t, dir); len(n) != 2 || n[0] != "b" || n[1] != "c" {
		t.Errorf("%q", n)
	}
}

// Only temporary files whose writer is gone are removed.
func TestRemoveDead(t *testing.T) {
	dir := t.TempDir()
	f := create(t, filepath.Join(dir, "file"), "x")
	left := filepath.Join(dir, ".left.0123456789abcdef.tmp")
	must(t, os.WriteFile(left, nil, 0o600))
	for _, name := range names(t, dir) {
		if !durable.IsTemp(name) {
			t.Errorf("%s is not seen as temporary", name)
		}
		path := filepath.Join(dir, name)
		if removed, err := durable.RemoveDead(path); err != nil || removed != (path == left) {
			t.Errorf("%s: removed %v, %v", name, removed, err)
		}
	}
	must(t, f.Commit())
	if n := names(t, dir); len(n) != 1 || n[0] != "file" || durable.IsTemp("file") || durable.IsTemp(".tmp") {
		t.Errorf("%q", n)
	}
}

// A lock has one holder, whose text the others get; it is free again after Unlock.
func TestTryLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, holder, err := durable.TryLock(path, 0o600, "first, with a longer text")
	if err != nil || l == nil || holder != "" {
		t.Fatalf("%v, %q, %v", l, holder, err)
	}
	other, holder, err := durable.TryLock(path, 0o600, "second")
	if err != nil || other != nil || holder != "first, with a longer text" {
		t.Errorf("%v, %q, %v", other, holder, err)
	}
	must(t, errors.Join(l.Unlock(), l.Unlock()))
	l, _, err = durable.TryLock(path, 0o600, "second")
	must(t, err)
	if l, holder, err := durable.TryLock(path, 0o600, "third"); err != nil || l != nil || holder != "second" {
		t.Errorf("%v, %q, %v", l, holder, err)
	}
	must(t, l.Unlock())
}

// Who looks sees who holds a lock, and removes the file of one that nobody holds. It is in nobody's way.
func TestLockHolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	if holder, held, err := durable.LockHolder(path); err != nil || held {
		t.Errorf("no file: %q, %v, %v", holder, held, err)
	}
	l, _, err := durable.TryLock(path, 0o600, "me")
	must(t, err)
	if holder, held, err := durable.LockHolder(path); err != nil || !held || holder != "me" {
		t.Errorf("held: %q, %v, %v", holder, held, err)
	}
	must(t, l.Unlock())
	must(t, os.WriteFile(path, []byte("who died"), 0o600))
	if holder, held, err := durable.LockHolder(path); err != nil || held {
		t.Errorf("dead: %q, %v, %v", holder, held, err)
	}
	if n := names(t, dir); len(n) != 0 {
		t.Errorf("left over: %q", n)
	}
	var stop atomic.Bool
	var g sync.WaitGroup
	for range 3 {
		g.Go(func() {
			for !stop.Load() {
				if _, _, err := durable.LockHolder(path); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 50 {
		l, holder, err := durable.TryLock(path, 0o600, "me")
		if err != nil || l == nil {
			t.Errorf("%v, %q, %v", l, holder, err)
			break
		}
		if _, held, err := durable.LockHolder(path); err != nil || !held {
			t.Errorf("a lock that is held is not seen: %v", err)
		}
		must(t, l.Unlock())
	}
	stop.Store(true)
	g.Wait()
}

// MkdirAll gives what it makes the mode it was told, and leaves what exists.
func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "there"), 0o755))
	must(t, durable.MkdirAll(filepath.Join(dir, "there/a/b"), 0o700))
	must(t, durable.MkdirAll(filepath.Join(dir, "there/a/b"), 0o700))
	must(t, durable.Mkdir(filepath.Join(dir, "there"), 0o700))
	for name, want := range map[string]fs.FileMode{"there": 0o755, "there/a": 0o700, "there/a/b": 0o700} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, name := range []string{"file", "file/below"} {
		if err := durable.MkdirAll(filepath.Join(dir, name), 0o700); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What root made is given to the owner of the directory, unless it is, by then, not there but behind a link.
func TestGive(t *testing.T) {
	pgtest.AsRoot(t, "what it makes for other users")
	const uid = 65534
	root, elsewhere := t.TempDir(), t.TempDir()
	dir, aside := filepath.Join(root, "dir"), filepath.Join(root, "aside")
	must(t, durable.Mkdir(dir, 0o700))
	must(t, os.Mkdir(filepath.Join(elsewhere, "below"), 0o700))
	must(t, os.Chown(root, uid, uid))
	must(t, durable.GiveDir(root, dir))
	owned := func(path string, want uint32) {
		t.Helper()
		info, err := os.Lstat(path)
		must(t, err)
		if is := info.Sys().(*syscall.Stat_t).Uid; is != want {
			t.Errorf("%s: of user %d, want %d", path, is, want)
		}
	}
	owned(dir, uid)
	f := create(t, filepath.Join(dir, "file"), "content")
	must(t, os.Rename(dir, aside))
	must(t, os.Symlink(elsewhere, dir))
	must(t, errors.Join(f.Give(root), durable.GiveDir(root, dir), durable.GiveDir(root, filepath.Join(dir, "below"))))
	owned(filepath.Join(elsewhere, "below"), 0)
	owned(elsewhere, 0)
	owned(filepath.Join(aside, names(t, aside)[0]), 0)
	if err := f.Commit(); err == nil {
		t.Error("a file was committed behind a link")
	}
	must(t, os.Remove(dir))
	must(t, os.Rename(aside, dir))
	f = create(t, filepath.Join(dir, "file"), "content")
	must(t, errors.Join(f.Give(root), f.Commit()))
	owned(filepath.Join(dir, "file"), uid)
}

// To look at a lock's file never waits, whatever has its name by then.
func TestLockHolderOfPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	must(t, syscall.Mkfifo(path, 0o600))
	if holder, held, err := durable.LockHolder(path); held || err != nil {
		t.Errorf("%q, %v, %v", holder, held, err)
	}
}
