package pagescan

import (
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/pkg/pagemap"
)

// A scan leaves the page cache as it found it: what was there is there, and what it
// had to read is gone, page by page, also in windows of which a part was there.
func TestPageCacheIsLeftAlone(t *testing.T) {
	const n = 8192 // blocks: four windows of 16 MiB
	f := evictable(t, n)
	evict(t, f)
	if resident(t, f, n)[n] {
		t.Fatal("the file is still in the page cache")
	}
	// Of the four windows one is resident in pieces, the third wholly.
	warm(t, f, 100, 101)
	warm(t, f, 300, 340)
	warm(t, f, 4096, 6144)
	before := resident(t, f, n)

	var set pagemap.Set
	st, err := (Rules{BlockSize: blockSize, Since: since}).Scan(t.Context(), f, 0, n, Parent{Blocks: n}, &set)
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != 0 || st.Looked != n {
		t.Errorf("looked at %d pages, took %d; want %d and none", st.Looked, set.Len(), n)
	}
	lost, left := 0, 0
	after := resident(t, f, n)
	cold := int64(0)
	for i := range before {
		if !before[i] {
			cold += int64(os.Getpagesize())
		}
		if before[i] && !after[i] {
			lost++
		}
		if !before[i] && after[i] {
			left++
		}
	}
	if lost > 0 || left > 0 {
		t.Errorf("of %d pages of memory %d were lost from the page cache and %d left in it", len(before), lost, left)
	}
	if st.Cold != cold {
		t.Errorf("Stats.Cold is %d, %d bytes were not in the page cache", st.Cold, cold)
	}
}

// evictable makes a file of n unchanged pages on a file system that lets go of
// pages: not one in memory.
func evictable(t testing.TB, n int) *os.File {
	t.Helper()
	for _, dir := range []string{os.TempDir(), "."} {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			t.Fatal(err)
		}
		if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
			continue
		}
		f, err := os.CreateTemp(dir, "pagescan-test-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			f.Close()
			os.Remove(f.Name())
		})
		for i := range n {
			if _, err := f.Write(unchanged(byte(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		return f
	}
	t.Skip("temporary files and this directory are in memory, from which nothing is evicted")
	return nil
}

func evict(t testing.TB, f *os.File) {
	t.Helper()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// warm reads the blocks [from, to) into the page cache, and little else.
func warm(t testing.TB, f *os.File, from, to int64) {
	t.Helper()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, (to-from)*blockSize), from*blockSize); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_NORMAL); err != nil {
		t.Fatal(err)
	}
}

// resident tells for each page of memory of a file of n blocks whether it is in the page cache.
func resident(t testing.TB, f *os.File, n int) []bool {
	t.Helper()
	m, err := unix.Mmap(int(f.Fd()), 0, n*blockSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	vec := make([]byte, (len(m)+os.Getpagesize()-1)/os.Getpagesize())
	_, _, errno := unix.Syscall(unix.SYS_MINCORE,
		uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&vec[0])))
	runtime.KeepAlive(m)
	if errno != 0 {
		t.Fatal(errno)
	}
	in := make([]bool, len(vec))
	for i, v := range vec {
		in[i] = v&1 != 0
	}
	return in
}
