package restore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// A large file is written past the page cache, whole and in pieces, and what the device refuses to
// take directly is written nevertheless.
func TestDirectWrites(t *testing.T) {
	for name, dir := range map[string]string{"of servers": pgtest.TempDir(t), "of the system": t.TempDir()} {
		t.Run(name, func(t *testing.T) { directWrites(t, dir) })
	}
}

func directWrites(t *testing.T, dir string) {
	t.Helper()
	var st unix.Statfs_t
	must(t, unix.Statfs(dir, &st))
	f, err := os.OpenFile(filepath.Join(dir, "f"), os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	defer func() { must(t, f.Close()) }()
	o := &outFile{File: f}
	o.goDirect(directMin-1, 8192)
	o.goDirect(directMin, 2048)
	if o.direct.Load() {
		t.Fatal("a small file, or one of small blocks, is written directly")
	}
	o.goDirect(directMin, 8192)
	known := st.Type == magicExt || st.Type == magicXFS
	if o.direct.Load() != known {
		t.Fatalf("direct is %v on a file system of type %x", o.direct.Load(), st.Type)
	}
	// What follows holds on all that can be written to directly, and where it turns out that it cannot.
	if err := o.setDirect(true); err != nil {
		t.Logf("a file system of type %x: %v", st.Type, err)
	}
	o.direct.Store(true)
	size := directChunk*2 + 8192
	c := newCanvases(1, size)
	v, err := c.get(t.Context())
	must(t, err)
	defer func() { c.put(v); must(t, c.close()) }()
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(v) // never fails
	must(t, f.Truncate(int64(size)))
	for _, r := range [][2]int{{0, directChunk + 16384}, {directChunk + 16384, size}} {
		if n, err := o.WriteAt(v[r[0]:r[1]], int64(r[0])); err != nil || n != r[1]-r[0] {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	verifyContent(t, f.Name(), v)
	for i := range v[1:1000] {
		v[1+i]++
	}
	if n, err := o.WriteAt(v[1:1000], 1); err != nil || n != 999 || known && o.direct.Load() {
		t.Fatalf("%d bytes, %v, direct %v", n, err, o.direct.Load())
	}
	verifyContent(t, f.Name(), v)
}

// A write that fails says so, and is not taken for one that the device refuses to take directly.
func TestDirectWriteFails(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer func() { must(t, f.Close()) }()
	o := &outFile{File: f}
	o.direct.Store(true)
	if n, err := o.WriteAt(make([]byte, 2*directChunk), 0); n != 0 || !errors.Is(err, unix.ENOSPC) || !o.direct.Load() {
		t.Errorf("%d bytes, %v, direct %v", n, err, o.direct.Load())
	}
}

func verifyContent(t *testing.T, name string, want []byte) {
	t.Helper()
	have, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(have, want) {
		t.Fatalf("%d bytes, %v, not the %d that were written", len(have), err, len(want))
	}
}
