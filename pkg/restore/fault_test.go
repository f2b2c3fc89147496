package restore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
)

// faultyStore fails the read number left, and may call a hook at each.
type faultyStore struct {
	repo.Store
	left atomic.Int64 // 0: never
	hook func()
}

var errPlanted = errors.New("planted fault")

func (s *faultyStore) fail() error {
	if s.hook != nil {
		s.hook()
	}
	if s.left.Add(-1) == 0 {
		return errPlanted
	}
	return nil
}

func (s *faultyStore) Open(ctx context.Context, name string) (repo.ObjectReader, error) {
	if err := s.fail(); err != nil {
		return nil, err
	}
	r, err := s.Store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &faultyReader{r, s}, nil
}

func (s *faultyStore) Stat(ctx context.Context, name string) (int64, error) {
	if err := s.fail(); err != nil {
		return 0, err
	}
	return s.Store.Stat(ctx, name)
}

type faultyReader struct {
	repo.ObjectReader
	s *faultyStore
}

func (r *faultyReader) ReadAt(b []byte, off int64) (int, error) {
	if err := r.s.fail(); err != nil {
		return 0, err
	}
	return r.ObjectReader.ReadAt(b, off)
}

// faultyChain is a small chain on a store that can fail.
func faultyChain(t *testing.T) (*fab, *faultyStore, []*repo.Manifest, []model) {
	t.Helper()
	var s *faultyStore
	fb := newFab(t, func(st repo.Store) repo.Store { s = &faultyStore{Store: st}; return s })
	fb.frame = func() int { return 5 }
	at := time.Unix(7, 0).UTC()
	one := model{
		"PG_VERSION":          {mode: 0o600, mtime: at, data: []byte("15\n")},
		"base/1/16384":        {mode: 0o600, mtime: at, pages: []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 10}},
		fabSpace + "/1/16500": {mode: 0o600, mtime: at, pages: []uint64{11, 12, 0, 13}},
	}
	two := model{
		"PG_VERSION":          one["PG_VERSION"],
		"base/1/16384":        {mode: 0o600, mtime: at, pages: []uint64{1, 22, 3, 4, 5, 26, 7, 8}},
		fabSpace + "/1/16500": {mode: 0o600, mtime: at, pages: []uint64{11, 12, 30, 13, 14}},
	}
	return fb, s, []*repo.Manifest{fb.add(one), fb.add(two)}, []model{one, two}
}

// Wherever reading the repository fails, a restore into a new directory leaves nothing
// behind, an in-place restore leaves what no server starts from, and the next run succeeds.
func TestEveryReadFails(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		fb, s, manifests, models := faultyChain(t)
		dir := filepath.Join(pgtest.TempDir(t), "data")
		o := Options{Target: dir, Jobs: 2, TablespaceMap: map[string]string{fb.space: dir + "-space"}}
		if inPlace {
			_, err := Run(t.Context(), fb.cluster, manifests[0], o)
			must(t, err)
			o.Delta, o.TablespaceMap = true, nil
		}
		failed := 0
		for n := int64(1); ; n++ {
			s.left.Store(n)
			_, err := Run(t.Context(), fb.cluster, manifests[1], o)
			if err == nil {
				break
			}
			failed++
			if !errors.Is(err, errPlanted) {
				t.Fatalf("read %d: %v", n, err)
			}
			var u *UnfinishedError
			wrote := errors.As(err, &u)
			if !inPlace {
				if wrote && !u.Removed {
					t.Fatalf("read %d: %v", n, err)
				}
				verifyGone(t, dir, dir+"-space")
				continue
			}
			// Before the first change the directory is what it was, afterwards it does not start.
			if _, err := os.Stat(filepath.Join(dir, controlPath)); (err == nil) == wrote {
				t.Fatalf("read %d: wrote %v, pg_control: %v", n, wrote, err)
			}
			if wrote && n%2 == 0 {
				_, err := Run(t.Context(), fb.cluster, manifests[0],
					Options{Target: dir, Delta: true, TablespaceMap: map[string]string{fb.space: dir + "-space"}})
				must(t, err)
			}
		}
		if failed < 10 {
			t.Errorf("only %d reads failed", failed)
		}
		must(t, fb.compare(dir, models[1]))
	}
}

func verifyGone(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s is still there: %v", dir, err)
		}
	}
}

// A directory that was there, empty, is empty again after a failure, unless the caller wants to look at it.
func TestFailureKeepsDirectory(t *testing.T) {
	fb, s, manifests, _ := faultyChain(t)
	base := pgtest.TempDir(t)
	dir, space := filepath.Join(base, "data"), filepath.Join(base, "space")
	must(t, os.Mkdir(dir, 0o700), os.Mkdir(space, 0o700))
	o := Options{Target: dir, Jobs: 2, TablespaceMap: map[string]string{fb.space: space}}
	s.left.Store(reads(t, fb, s, manifests[1]) - 3)
	_, err := Run(t.Context(), fb.cluster, manifests[1], o)
	var u *UnfinishedError
	if !errors.As(err, &u) || !u.Removed {
		t.Fatalf("got %v", err)
	}
	must(t, verifyEmptyDir(dir), verifyEmptyDir(space))

	o.KeepOnFailure = true
	s.left.Store(reads(t, fb, s, manifests[1]) - 3)
	if _, err = Run(t.Context(), fb.cluster, manifests[1], o); !errors.As(err, &u) || u.Removed {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, controlPath)); err == nil {
		t.Error("half a restore has pg_control")
	}
	var te *TargetError
	if err := verifyEmptyDir(dir); !errors.As(err, &te) || te.Problem != HalfRestored {
		t.Errorf("what is left is taken for %v", err)
	}
}

// reads counts the reads of a whole restore.
func reads(t *testing.T, fb *fab, s *faultyStore, m *repo.Manifest) int64 {
	t.Helper()
	dir := filepath.Join(pgtest.TempDir(t), "count")
	s.left.Store(1 << 40)
	_, err := Run(t.Context(), fb.cluster, m,
		Options{Target: dir, TablespaceMap: map[string]string{fb.space: dir + "-space"}})
	must(t, err)
	return 1<<40 - s.left.Load()
}

// A restore that is cancelled, at whatever moment, ends with the cause and removes what it wrote.
func TestCancelled(t *testing.T) {
	fb, s, manifests, _ := faultyChain(t)
	dir := filepath.Join(pgtest.TempDir(t), "data")
	o := Options{Target: dir, Jobs: 2, TablespaceMap: map[string]string{fb.space: dir + "-space"}}
	for n := reads(t, fb, s, manifests[1]); n > 0; n-- {
		ctx, cancel := context.WithCancelCause(t.Context())
		left := n
		var calls atomic.Int64
		s.hook = func() {
			if calls.Add(1) == left {
				cancel(errPlanted)
			}
		}
		_, err := Run(ctx, fb.cluster, manifests[1], o)
		cancel(nil)
		if err == nil {
			// The last reads come after the last question whether to go on.
			must(t, os.RemoveAll(dir), os.RemoveAll(dir+"-space"))
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled at read %d: %v", n, err)
		}
		verifyGone(t, dir, dir+"-space")
	}
}

// A full disk is foreseen, and one that fills up nevertheless leaves nothing behind.
func TestFullDisk(t *testing.T) {
	pgtest.AsRoot(t, "it alone makes small file systems")
	dir := pgtest.TempDir(t)
	if err := unix.Mount("pgincr-test", dir, "tmpfs", 0, "size=1536k"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	fb := newFab(t, nil)
	pages := make([]uint64, 1500)
	for i := range pages {
		pages[i] = uint64(i + 1)
	}
	m := fb.add(model{"PG_VERSION": {mode: 0o600, data: []byte("15\n")}, "base/1/16384": {mode: 0o600, pages: pages}})
	o := Options{Target: filepath.Join(dir, "data"), TablespaceRoot: filepath.Join(dir, "spaces")}
	_, err := Run(t.Context(), fb.cluster, m, o)
	var se *SpaceError
	if !errors.As(err, &se) || se.Need < 1500<<10 || se.Have > 1536<<10 {
		t.Fatalf("got %v", err)
	}
	verifyGone(t, o.Target)
	o.IgnoreSpace = true
	_, err = Run(t.Context(), fb.cluster, m, o)
	var u *UnfinishedError
	if !errors.Is(err, unix.ENOSPC) || !errors.As(err, &u) || !u.Removed {
		t.Fatalf("got %v", err)
	}
	verifyGone(t, o.Target)
}
