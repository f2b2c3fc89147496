package pagecache

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// diskFile makes a synced file of pages of memory on a disk, where pages can be dropped.
func diskFile(t *testing.T, pages int) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.Write(make([]byte, pages*os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMissingAndDrop(t *testing.T) {
	// What was in the cache stays, what a read brought in goes.
	page := int64(os.Getpagesize())
	f := diskFile(t, 64)
	if got := Missing(f, 0, 64*page, nil); len(got) != 0 {
		t.Fatalf("missing right after writing: %v", got)
	}
	Drop(f, []Span{{8 * page, 16 * page}})
	cold := Missing(f, 0, 64*page, nil)
	if len(cold) == 0 {
		t.Skip("this file system keeps pages in memory")
	}
	want := Span{8 * page, 16 * page}
	if len(cold) != 1 || cold[0] != want {
		t.Fatalf("missing %v, want %v", cold, want)
	}
	if got := resident(f, 0, 64*page, page, nil); len(got) != 1 || got[0] != want {
		t.Fatalf("missing by mincore %v, want %v", got, want)
	}
	if _, err := f.ReadAt(make([]byte, 64*page), 0); err != nil {
		t.Fatal(err)
	}
	if got := Missing(f, 0, 64*page, nil); len(got) != 0 {
		t.Fatalf("missing after reading: %v", got)
	}
	Drop(f, cold)
	if got := Missing(f, 0, 64*page, nil); len(got) != 1 || got[0] != want {
		t.Fatalf("missing after dropping %v, want %v", got, want)
	}
}

func TestFetch(t *testing.T) {
	// Fetch brings a span in without a read.
	page := int64(os.Getpagesize())
	f := diskFile(t, 64)
	Drop(f, []Span{{0, 64 * page}})
	cold := Missing(f, 0, 64*page, nil)
	for _, s := range cold {
		Fetch(f, s)
	}
	for range 1000 {
		if cold = Missing(f, 0, 64*page, nil); len(cold) == 0 {
			return
		}
		runtime.Gosched()
		if _, err := f.Stat(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("still missing: %v", cold)
}
