package backup

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file is opened for whom its mode and all directories above it allow it.
func TestOpenFor(t *testing.T) {
	me, group := uint32(os.Getuid()), uint32(os.Getgid())
	other, others := me+4711, group+4711
	for _, tt := range []struct {
		file, dir os.FileMode
		uid, gid  uint32
		want      bool
	}{
		{0o600, 0o755, other, others, false},
		{0o640, 0o755, other, others, false},
		{0o640, 0o755, other, group, true},
		{0o640, 0o700, other, group, false},
		{0o640, 0o710, other, group, true},
		{0o604, 0o755, other, others, true},
		{0o604, 0o754, other, others, false},
		{0o604, 0o755, other, group, false},
	} {
		top, err := os.MkdirTemp("/tmp", "may-read") // t.TempDir's are for their owner only
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(top) })
		file, link := filepath.Join(top, "dir/file"), filepath.Join(top, "link")
		write(t, top, "dir/file", []byte("content"))
		for path, mode := range map[string]os.FileMode{file: tt.file, filepath.Dir(file): tt.dir, top: 0o755} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Symlink(file, link), os.Symlink("dir", filepath.Join(top, "way"))); err != nil {
			t.Fatal(err)
		}
		f, err := openFor(file, tt.uid, tt.gid)
		if tt.want && err != nil || !tt.want && !errors.Is(err, errNotServers) {
			t.Errorf("%o in %o by %d:%d: %v", tt.file, tt.dir, tt.uid, tt.gid, err)
		}
		if err == nil {
			if b, err := io.ReadAll(f); string(b) != "content" || errors.Join(err, f.Close()) != nil {
				t.Errorf("%q, %v", b, err)
			}
		}
		// As if a directory above, or the file, had been exchanged for a link after links were resolved.
		for _, path := range []string{link, filepath.Join(top, "way/file")} {
			if f, err := openFor(path, me, group); !errors.Is(err, errExchanged) {
				t.Errorf("%s: %v, %v", path, f, err)
			}
		}
	}
	if f, err := openFor("/dev/null", me, group); !errors.Is(err, errNotRegular) {
		t.Errorf("a device: %v, %v", f, err)
	}
}
