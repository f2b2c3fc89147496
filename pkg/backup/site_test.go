package backup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// faultyStore fails its operation number left, counted down, once.
type faultyStore struct {
	repo.Store
	left *atomic.Int64
	hit  *atomic.Bool
}

func (s faultyStore) fault() error {
	if s.left.Add(-1) == 0 {
		s.hit.Store(true)
		return errPlanted
	}
	return nil
}

func (s faultyStore) Create(ctx context.Context, name string) (repo.ObjectWriter, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	w, err := s.Store.Create(ctx, name)
	return faultyWriter{ObjectWriter: w, s: s}, err
}

func (s faultyStore) Open(ctx context.Context, name string) (repo.ObjectReader, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	return s.Store.Open(ctx, name)
}

func (s faultyStore) Stat(ctx context.Context, name string) (int64, error) {
	if err := s.fault(); err != nil {
		return 0, err
	}
	return s.Store.Stat(ctx, name)
}

type faultyWriter struct {
	repo.ObjectWriter
	s faultyStore
}

func (w faultyWriter) Write(b []byte) (int, error) {
	if err := w.s.fault(); err != nil {
		return 0, err
	}
	return w.ObjectWriter.Write(b)
}

func (w faultyWriter) Commit(ctx context.Context) error {
	if err := w.s.fault(); err != nil {
		return err
	}
	return w.ObjectWriter.Commit(ctx)
}

// site is a fabricated data directory with a server and a repository that may fail.
type site struct {
	root  string
	s     *fakeServer
	c     *repo.Cluster
	store repo.Store
	left  atomic.Int64 // operations of the store until one fails; 0 or less: none
	hit   atomic.Bool
	o     Options
}

func newSite(t *testing.T) *site {
	t.Helper()
	x := &site{root: testDataDir(t)}
	x.s = newFakeServer(t, x.root)
	st, err := repo.OpenStore(t.Context(), filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	x.store = st
	_, _, err = repo.Init(t.Context(), st, repo.ClusterInfo{
		Name: "main", SystemIdentifier: x.s.info.SystemIdentifier, PGVersion: 170012,
		Geometry: testGeometry,
	})
	if err != nil {
		t.Fatal(err)
	}
	faulty := faultyStore{Store: st, left: &x.left, hit: &x.hit}
	if x.c, err = repo.OpenCluster(t.Context(), faulty, "main"); err != nil {
		t.Fatal(err)
	}
	x.o = Options{
		DataDir: x.root, Jobs: 2, Clock: time.Now, ArchiveTimeout: time.Millisecond,
		Compression: repo.Compression{Codec: repo.CodecZstd},
	}
	etc := t.TempDir()
	write(t, etc, "postgresql.conf", []byte("# nothing\n"))
	x.s.config = []server.ConfigFile{{Setting: "config_file", Path: filepath.Join(etc, "postgresql.conf")}}
	for rel := range 3 {
		write(t, x.root, fmt.Sprintf("base/5/%d", 16384+rel), pages(
			testPage(0x200000, byte(rel), 0), zeroPage(), testPage(0x200000, 'x', 2)))
	}
	write(t, x.root, "base/5/16384_fsm", testPage(0, 'f', 0))
	write(t, x.root, "pg_xact/0000", make([]byte, 8192))
	return x
}

func (x *site) run(t *testing.T, change func(*Options)) (*repo.Manifest, error) {
	t.Helper()
	o := x.o
	if change != nil {
		change(&o)
	}
	return Run(t.Context(), x.s, x.c, o)
}

func (x *site) must(t *testing.T, change func(*Options)) *repo.Manifest {
	t.Helper()
	m, err := x.run(t, change)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func incremental(pageMap string) func(*Options) {
	return func(o *Options) { o.Incremental, o.PageMap = true, pageMap }
}

// tree rebuilds a backup and gives its files, without what a restore adds.
func (x *site) tree(t *testing.T, m *repo.Manifest) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	rebuild(t, x.c, m, dir)
	return readTree(t, dir)
}

func readTree(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for e, err := range newTestWalker(root).walk(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.kind == entryFile {
			b, err := os.ReadFile(filepath.Join(root, e.path))
			if err != nil {
				t.Fatal(err)
			}
			out[e.path] = string(b)
		}
	}
	return out
}
