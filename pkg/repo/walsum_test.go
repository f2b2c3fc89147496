package repo_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/repo"
)

// What an object states of its content is that of the content, however it is stored; an object whose end
// is damaged or cut off states nothing.
func TestWALSum(t *testing.T) {
	const name = "000000010000000000000001"
	data := bytes.Repeat([]byte("a page of WAL, say "), 200_000)
	for _, z := range []string{"zstd", "lz4", "none"} {
		st := newTestStore(t)
		c := newTestCluster(t, st)
		compression, err := repo.ParseCompression(z)
		must(t, err)
		a := c.WAL(compression)
		if _, _, err := a.Sum(t.Context(), name); !errors.Is(err, repo.ErrNotFound) {
			t.Errorf("before it is there: %v", err)
		}
		must(t, a.Put(t.Context(), name, bytes.NewReader(data)))
		size, sum, err := a.Sum(t.Context(), name)
		if err != nil || size != int64(len(data)) || sum != xxhash.Sum64(data) {
			t.Fatalf("%s: %d bytes, %x, %v", z, size, sum, err)
		}
		files, err := filepath.Glob(filepath.Join(st.String(), "*", "wal", "00000001", name))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		object, err := os.ReadFile(files[0])
		must(t, err)
		for back := 1; back <= 56; back++ { // the whole end frame, and more
			damaged := bytes.Clone(object)
			damaged[len(damaged)-back] ^= 1
			must(t, os.WriteFile(files[0], damaged, 0o600))
			if _, got, err := a.Sum(t.Context(), name); err == nil && got != sum {
				t.Errorf("%s: byte %d from the end flipped: %x", z, back, got)
			}
			must(t, os.WriteFile(files[0], object[:len(object)-back], 0o600))
			if _, _, err := a.Sum(t.Context(), name); !errors.Is(err, repo.ErrCorrupt) {
				t.Errorf("%s: %d bytes cut off: %v", z, back, err)
			}
		}
	}
}
