package backup

import (
	"os"
	"path/filepath"
	"testing"
)

// A file may be read by whom its mode and all directories above it allow it.
func TestMayRead(t *testing.T) {
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
		{0o000, 0o700, 0, 0, true},
	} {
		top, err := os.MkdirTemp("/tmp", "may-read") // t.TempDir's are for their owner only
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(top) })
		file, link := filepath.Join(top, "dir/file"), filepath.Join(top, "link")
		write(t, top, "dir/file", nil)
		for path, mode := range map[string]os.FileMode{file: tt.file, filepath.Dir(file): tt.dir, top: 0o755} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(file, link); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, link} {
			if got, err := mayRead(path, tt.uid, tt.gid); got != tt.want || err != nil {
				t.Errorf("%o in %o by %d:%d: %t, %v", tt.file, tt.dir, tt.uid, tt.gid, got, err)
			}
		}
	}
}
