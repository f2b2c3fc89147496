package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/pg"
)

func (a *dirArchive) Sum(_ context.Context, name string) (int64, uint64, error) {
	data, err := os.ReadFile(filepath.Join(a.dir, name))
	return int64(len(data)), xxhash.Sum64(data), err
}

// spoolContent is what the archive of newSpool has for a segment.
func spoolContent(name string) []byte { return bytes.Repeat([]byte(name), 1000) }

// newSpool gives an empty spool on an archive of n segments.
func newSpool(t *testing.T, n int) (*Spool, *faultyArchive) {
	t.Helper()
	a := &faultyArchive{dirArchive: newDirArchive(t.TempDir())}
	for _, name := range segmentNames(n) {
		if err := os.WriteFile(filepath.Join(a.dir, name), spoolContent(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := pg.DefaultGeometry()
	return &Spool{
		Archive: a, Dir: filepath.Join(t.TempDir(), "spool"), Temporary: true,
		Geometry: g, Ahead: 4, Jobs: 2,
	}, a
}

// spoolNames gives what lies in the spool's directory.
func spoolNames(t *testing.T, s *Spool) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), spooledSuffix))
	}
	return names
}

func fill(t *testing.T, s *Spool, name string, want int) {
	t.Helper()
	if err := s.Announce(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Fill(t.Context(), name); err != nil || n != want {
		t.Fatalf("fetched %d, want %d: %v", n, want, err)
	}
}

// get fetches a segment, which must be right, and says whether it came from the spool.
func get(t *testing.T, s *Spool, name string) bool {
	t.Helper()
	dest := filepath.Join(t.TempDir(), "RECOVERYXLOG")
	spooled, err := s.Get(t.Context(), name, dest)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dest); err != nil || !bytes.Equal(got, spoolContent(name)) {
		t.Fatalf("%s: another content came out (%v)", name, err)
	}
	return spooled
}

// A spool holds what follows, is filled again when half of it is used, ends where the
// archive does, and is gone when the server has asked for more than there is.
func TestSpool(t *testing.T) {
	s, a := newSpool(t, 7)
	names := segmentNames(8)
	if get(t, s, names[0]) {
		t.Error("from a spool that is not there")
	}
	wants := func(name string, want bool) {
		t.Helper()
		if got, err := s.WantsFill(name); err != nil || got != want {
			t.Errorf("after %s: wants a fill %v, %v", name, got, err)
		}
	}
	wants(names[0], true)
	fill(t, s, names[0], 4)
	wants(names[0], false)
	if got := spoolNames(t, s); !slices.Equal(got, names[1:5]) {
		t.Errorf("spool: %v", got)
	}
	read := a.opened[names[1]]
	if !get(t, s, names[1]) || a.opened[names[1]] != read {
		t.Error("not from the spool")
	}
	wants(names[1], false)
	if !get(t, s, names[2]) || !get(t, s, names[3]) {
		t.Error("not from the spool")
	}
	wants(names[3], true)
	fill(t, s, names[3], 2) // one is there, the archive ends
	if got := spoolNames(t, s); !slices.Equal(got, names[4:7]) {
		t.Errorf("spool: %v", got)
	}
	_, err := s.Get(t.Context(), names[7], filepath.Join(t.TempDir(), "x"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("beyond the archive: %v", err)
	}
	if err := s.Clear(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is still there (%v)", err)
	}
}

// Whatever lies in the spool, the right bytes come out.
func TestSpoolIsNotTrusted(t *testing.T) {
	for damage, do := range map[string]func(path string) error{
		"flipped":  func(path string) error { return os.WriteFile(path, flipped(spoolContent(segmentNames(2)[1])), 0o600) },
		"cut":      func(path string) error { return os.Truncate(path, 100) },
		"empty":    func(path string) error { return os.Truncate(path, 0) },
		"longer":   func(path string) error { return os.WriteFile(path, append(spoolContent(segmentNames(2)[1]), 0), 0o600) },
		"foreign":  func(path string) error { return os.WriteFile(path, spoolContent(segmentNames(3)[2]), 0o600) },
		"no file":  func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"dangling": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/nowhere", path)) },
	} {
		t.Run(damage, func(t *testing.T) {
			s, _ := newSpool(t, 4)
			names := segmentNames(2)
			fill(t, s, names[0], 3)
			if err := do(s.path(names[1])); err != nil {
				t.Fatal(err)
			}
			if get(t, s, names[1]) {
				t.Error("it came from the spool")
			}
			if slices.Contains(spoolNames(t, s), names[1]) {
				t.Error("it is still there")
			}
		})
	}
}

func flipped(b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

// A file cannot be moved to another file system or onto a directory: it is copied, or the call fails.
func TestSpoolDestination(t *testing.T) {
	s, _ := newSpool(t, 3)
	names := segmentNames(3)
	fill(t, s, names[0], 2)
	_, err := s.Get(t.Context(), names[1], filepath.Join(t.TempDir(), "no", "such"))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	if got := spoolNames(t, s); !slices.Equal(got, names[2:]) {
		t.Errorf("left in the spool: %v", got)
	}
	other, err := os.MkdirTemp("/dev/shm", "spool-")
	if err != nil {
		t.Skip("no second file system here")
	}
	defer os.RemoveAll(other)
	dest := filepath.Join(other, "RECOVERYXLOG")
	if spooled, err := s.Get(t.Context(), names[2], dest); err != nil || !spooled {
		t.Fatalf("to another file system: %v, %v", spooled, err)
	}
	if got, err := os.ReadFile(dest); err != nil || !bytes.Equal(got, spoolContent(names[2])) {
		t.Errorf("another content came out (%v)", err)
	}
}

// What killed processes left goes with the next fill; what is not the spool's stays, always.
func TestSpoolSweeps(t *testing.T) {
	s, a := newSpool(t, 3)
	s.Temporary, s.Dir = false, t.TempDir()
	names := segmentNames(3)
	left := []string{
		names[0] + spooledSuffix, names[0] + ".0123456789abcdef" + claimSuffix,
		"." + names[1] + spooledSuffix + ".123.tmp", "000000020000000000000002" + spooledSuffix,
	}
	others := []string{".x.tmp", "notes.spooled", names[0], names[0] + ".partial"}
	for _, name := range slices.Concat(left, others) {
		if err := os.WriteFile(filepath.Join(s.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Announce(); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	a.read = broken
	if n, err := s.Fill(t.Context(), names[0]); n != 0 || !errors.Is(err, broken) {
		t.Errorf("an archive that breaks off: %d, %v", n, err)
	}
	want := slices.Sorted(slices.Values(others))
	entries := spoolEntries(t, s.Dir)
	if !slices.Equal(entries, want) {
		t.Errorf("%v, want %v", entries, want)
	}
	a.read = nil
	l, _, err := durable.TryLock(filepath.Join(s.Dir, spoolLock), 0o600, "somebody")
	if err != nil || l == nil {
		t.Fatal(err)
	}
	fill(t, s, names[0], 0)
	if wants, err := s.WantsFill(names[0]); wants || err != nil {
		t.Errorf("wants a fill while there is one (%v)", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	fill(t, s, names[0], 2)
	if err := s.Clear(); err != nil {
		t.Fatal(err)
	}
	if entries := spoolEntries(t, s.Dir); !slices.Equal(entries, want) {
		t.Errorf("after Clear: %v, want %v", entries, want)
	}
}

// clearingArchive clears the spool while it is filled.
type clearingArchive struct {
	*faultyArchive
	s *Spool
}

func (a *clearingArchive) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := a.s.Clear(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(a.s.Dir, 0o700); err != nil { // as if the file had been begun just before
		return nil, err
	}
	return a.faultyArchive.Open(ctx, name)
}

// A fill that Clear came upon leaves nothing.
func TestSpoolClearedWhileFilled(t *testing.T) {
	s, a := newSpool(t, 6)
	s.Jobs = 1
	if err := errors.Join(s.Announce(), s.Clear()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Fill(t.Context(), segmentNames(1)[0]); n != 0 || err != nil {
		t.Errorf("a fill that began after Clear: %d, %v", n, err)
	}
	s.Archive = &clearingArchive{a, s}
	fill(t, s, segmentNames(1)[0], 1)
	if _, err := os.Stat(s.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is still there, with %v (%v)", spoolNames(t, s), err)
	}
}

func spoolEntries(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Many gets and fills at once give right files, one file to each.
func TestSpoolConcurrently(t *testing.T) {
	s, _ := newSpool(t, 20)
	names := segmentNames(20)
	done := make(chan error, 60)
	dir := t.TempDir()
	for i := range 60 {
		go func() {
			name := names[i/3]
			if i%3 == 0 {
				err := s.Announce()
				if err == nil {
					_, err = s.Fill(t.Context(), name)
				}
				done <- err
				return
			}
			dest := filepath.Join(dir, fmt.Sprint(i))
			_, err := s.Get(t.Context(), name, dest)
			if err == nil {
				var got []byte
				if got, err = os.ReadFile(dest); err == nil && !bytes.Equal(got, spoolContent(name)) {
					err = fmt.Errorf("%s: another content", name)
				}
			}
			done <- err
		}()
	}
	for range 60 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
