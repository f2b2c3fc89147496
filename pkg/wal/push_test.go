package wal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// faultyArchive fails where it is told to.
type faultyArchive struct {
	*dirArchive
	put, putMap, read error
	lazy              bool // Put does not read to the end
}

func (a *faultyArchive) Put(ctx context.Context, name string, r io.Reader) error {
	if a.put != nil {
		return a.put
	}
	if a.lazy {
		r = io.LimitReader(r, 100)
	}
	return a.dirArchive.Put(ctx, name, r)
}

func (a *faultyArchive) PutMap(ctx context.Context, name string, data []byte) error {
	if a.putMap != nil {
		return a.putMap
	}
	return a.dirArchive.PutMap(ctx, name, data)
}

func (a *faultyArchive) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := a.dirArchive.Open(ctx, name)
	if err != nil || a.read == nil {
		return f, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(f, 5000), failing{a.read}), f}, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// writeFile writes a file of a test's own directory.
func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// An archived segment has its map beside it, of the bytes that were archived;
// pushing it again changes nothing, pushing another under its name fails.
func TestPush(t *testing.T) {
	w, _, _ := threeSegments(t)
	const name = "000000010000000000000002"
	path := writeFile(t, name, w.segs[2])
	a := newDirArchive(t.TempDir())
	for range 2 {
		res, err := Push(t.Context(), a, path)
		if err != nil || !res.Mapped || res.Name != name || res.MapReason != "" {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	m, err := scanBytes(w.segs[2])
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.AppendBinary(nil)
	if err != nil || !bytes.Equal(a.maps[name], want) {
		t.Errorf("the stored map is not that of the segment (%v)", err)
	}
	stored, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil || !bytes.Equal(stored, w.segs[2]) {
		t.Errorf("the archived segment differs (%v)", err)
	}
	other := writeFile(t, name, w.segs[3])
	if _, err := Push(t.Context(), a, other); !errors.Is(err, fs.ErrExist) {
		t.Errorf("pushing another segment under the same name: %v", err)
	}
	if _, err := Push(t.Context(), a, filepath.Join(t.TempDir(), name)); err == nil {
		t.Error("a file that is not there was pushed")
	}
}

// The segment is archived whatever becomes of its map.
func TestPushWithoutMap(t *testing.T) {
	w, _, _ := threeSegments(t)
	const name = "000000010000000000000002"
	damaged := bytes.Clone(w.segs[2])
	damaged[0x830] ^= 1
	broken := errors.New("broken")
	for _, tt := range []struct {
		test, name string
		content    []byte
		archive    faultyArchive
		reason     string
	}{
		{"history", "00000002.history", []byte("1\t0/3000000\tx\n"), faultyArchive{}, "not a WAL segment"},
		{"backup history", name + ".00000028.backup", []byte("x"), faultyArchive{}, "not a WAL segment"},
		{"partial", name + ".partial", w.segs[2], faultyArchive{}, "not a WAL segment"},
		{"damaged", name, damaged, faultyArchive{}, "checksum"},
		{"short", name, w.segs[2][:0x8000], faultyArchive{}, "early"},
		{"empty", name, nil, faultyArchive{}, "too short"},
		{"zeros", name, make([]byte, 1<<20), faultyArchive{}, "no WAL"},
		{"misnamed", "000000010000000000000003", w.segs[2], faultyArchive{}, "name says"},
		{"misnamed timeline", "000000000000000000000002", w.segs[2], faultyArchive{}, "invalid"},
		{"map not stored", name, w.segs[2], faultyArchive{putMap: broken}, "broken"},
		{"not read to the end", name, w.segs[2], faultyArchive{lazy: true}, "did not read"},
	} {
		t.Run(tt.test, func(t *testing.T) {
			a := &tt.archive
			a.dirArchive = newDirArchive(t.TempDir())
			res, err := Push(t.Context(), a, writeFile(t, tt.name, tt.content))
			if err != nil || res.Mapped || !strings.Contains(res.MapReason, tt.reason) || len(a.maps) > 0 {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := os.Stat(filepath.Join(a.dir, tt.name)); err != nil {
				t.Error(err)
			}
		})
	}
	a := &faultyArchive{dirArchive: newDirArchive(t.TempDir()), put: broken}
	if res, err := Push(t.Context(), a, writeFile(t, name, w.segs[2])); !errors.Is(err, broken) || len(a.maps) > 0 {
		t.Errorf("archive that fails: %+v, %v", res, err)
	}
}

// A file comes out of the archive whole or not at all, and only what the
// archive certainly lacks is fs.ErrNotExist.
func TestGet(t *testing.T) {
	a := &faultyArchive{dirArchive: newDirArchive(t.TempDir())}
	content := bytes.Repeat([]byte("0123456789"), 10_000)
	if err := a.dirArchive.Put(t.Context(), "x", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(t.TempDir(), "RECOVERYXLOG")
	if err := Get(t.Context(), a, "x", dest); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dest); err != nil || !bytes.Equal(got, content) {
		t.Errorf("another file came out (%v)", err)
	}
	if err := Get(t.Context(), a, "y", dest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	err := Get(t.Context(), a, "x", filepath.Join(t.TempDir(), "no", "such", "directory"))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	dir := t.TempDir()
	for _, cause := range []error{errors.New("broken"), fs.ErrNotExist} {
		a.read = cause
		err = Get(t.Context(), a, "x", filepath.Join(dir, "x"))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an archive that breaks off: %v", err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("it left %v (%v)", entries, err)
		}
	}
}
