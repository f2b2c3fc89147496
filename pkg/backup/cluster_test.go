package backup

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// world is a running server and a repository entry for it.
type world struct {
	t    *testing.T
	c    *pgtest.Cluster
	repo *repo.Cluster
	opts Options // for the next backup, copied
}

func newWorld(t *testing.T, c *pgtest.Cluster) *world {
	t.Helper()
	w := &world{t: t, c: c}
	b, err := os.ReadFile(filepath.Join(c.DataDir, controlPath))
	if err != nil {
		t.Fatal(err)
	}
	control, err := pg.ParseControl(b)
	if err != nil {
		t.Fatal(err)
	}
	w.repo = newRepo(t, control)
	w.opts = Options{
		DataDir: c.DataDir, FastCheckpoint: true, Jobs: 2, Version: "test", Clock: time.Now,
		Compression: repo.Compression{Codec: repo.CodecZstd},
	}
	return w
}

func newRepo(t *testing.T, control pg.Control) *repo.Cluster {
	t.Helper()
	st, err := repo.OpenStore(t.Context(), filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := repo.Init(t.Context(), st, repo.ClusterInfo{
		Name: "main", SystemIdentifier: control.SystemIdentifier, Geometry: control.Geometry,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) connect() *server.Server {
	w.t.Helper()
	s, err := server.Connect(w.t.Context(), server.Config{ConnString: w.c.DSN("postgres")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// try takes a backup.
func (w *world) try(change func(*Options)) (*repo.Manifest, error) {
	w.t.Helper()
	o := w.opts
	if change != nil {
		change(&o)
	}
	return Run(w.t.Context(), w.connect(), w.repo, o)
}

func (w *world) full() *repo.Manifest {
	w.t.Helper()
	m, err := w.try(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) incremental(pageMap string) *repo.Manifest {
	w.t.Helper()
	m, err := w.try(func(o *Options) { o.Incremental, o.PageMap = true, pageMap })
	if err != nil {
		w.t.Fatal(err)
	}
	if m.Type != repo.TypeIncremental {
		w.t.Fatalf("the backup is %s: %s", m.Type, m.FullReason)
	}
	return m
}

// restored gives a running server on the state of backup m, recovered with the WAL that it carries.
func (w *world) restored(m *repo.Manifest) *pgtest.Cluster {
	w.t.Helper()
	dir := filepath.Join(pgtest.TempDir(w.t), "data")
	rebuild(w.t, w.repo, m, dir)
	c := pgtest.FromDataDir(w.t, w.c.Install, dir)
	c.WaitRecovered()
	return c
}

// rebuild writes the data directory of a backup: the least that a restore must do, so that these tests
// do not depend on package restore.
func rebuild(t *testing.T, c *repo.Cluster, m *repo.Manifest, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	ch, err := c.OpenChain(ctx, m)
	must(err)
	defer func() { must(ch.Close()) }()
	for cf, err := range ch.Files(ctx) {
		must(err)
		rebuildFile(t, ch, m.Geometry, cf, dir)
	}
	control, err := ch.Backups[0].Control(ctx)
	must(err)
	must(os.WriteFile(filepath.Join(dir, controlPath), control, 0o600))
	must(os.WriteFile(filepath.Join(dir, "backup_label"), []byte(m.BackupLabel), 0o600))
	if m.WAL.Mode != repo.WALCarried {
		t.Fatalf("the backup's WAL is in mode %q", m.WAL.Mode)
	}
	for _, name := range m.WAL.Segments {
		r, err := ch.Backups[0].OpenWAL(ctx, name)
		must(err)
		f, err := os.Create(filepath.Join(dir, "pg_wal", name))
		must(err)
		_, err = f.ReadFrom(r)
		must(err)
		must(f.Close())
		must(r.Close())
	}
}

func rebuildFile(t *testing.T, ch *repo.Chain, g pg.Geometry, cf *repo.ChainFile, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", cf.Path, err)
		}
	}
	f := cf.Versions[0]
	name := filepath.Join(dir, cf.Path)
	switch f.Kind {
	case repo.KindDir:
		must(os.MkdirAll(name, os.FileMode(f.Mode)))
		return
	case repo.KindLink:
		target := pgtest.TempDir(t)
		must(os.Symlink(target, name))
		return
	case repo.KindFile, repo.KindRelation:
	}
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(f.Mode))
	must(err)
	must(out.Truncate(f.Size))
	pieces, _, err := cf.Resolve(g)
	must(err)
	for _, p := range pieces {
		raw, err := ch.Backups[p.Depth].ReadFrame(t.Context(), p.Frame, nil)
		must(err)
		if f.Kind == repo.KindFile {
			_, err = out.WriteAt(raw, p.Offset)
			must(err)
			continue
		}
		wanted := map[pg.BlockNumber]bool{}
		for _, r := range p.Runs {
			for i := range r.Count {
				wanted[r.First+i] = true
			}
		}
		i := 0
		for _, r := range p.Frame.Runs {
			for blk := r.First; blk < r.First+r.Count; blk++ {
				if wanted[blk] {
					page := raw[i*int(g.BlockSize):][:g.BlockSize]
					_, err = out.WriteAt(page, int64(blk)*int64(g.BlockSize))
					must(err)
				}
				i++
			}
		}
	}
	must(out.Close())
}

func TestChain(t *testing.T) {
	// Every backup of a chain, by every source, gives back what the server held when it was taken.
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t, pgtest.Setting("wal_keep_size", "1GB"))
		exec(c, `CREATE TABLE t AS SELECT g AS a, repeat('x', 100) AS b FROM generate_series(1, 20000) g`,
			`CREATE INDEX ON t (a)`, `CREATE UNLOGGED TABLE u AS SELECT 1 AS a`, `VACUUM t`)
		w := newWorld(t, c)
		backups := []*repo.Manifest{w.full()}
		want := []map[string]string{c.TableSums()}
		for _, pageMap := range []string{MapWAL, MapLSN, MapHash} {
			exec(c, `DELETE FROM t WHERE a > 10000`, `VACUUM t`,
				`INSERT INTO t SELECT g, '`+pageMap+`' FROM generate_series(30000, 31000) g`,
				`UPDATE t SET b = 'z' WHERE a = 5`, `CREATE TABLE n`+pageMap+` AS SELECT 1 AS a`)
			m := w.incremental(pageMap)
			backups, want = append(backups, m), append(want, c.TableSums())
			if m.PageMap.Source != pageMap || m.BlocksStored >= backups[0].BlocksStored/2 {
				t.Errorf("%d of %d blocks by %s", m.BlocksStored, backups[0].BlocksStored, m.PageMap.Source)
			}
		}
		for i, m := range backups {
			w.expect(m, want[i])
		}
	})
}

func exec(c *pgtest.Cluster, statements ...string) {
	for _, s := range statements {
		c.Exec(s)
	}
}
