package restore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/backup"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
	"github.com/pgincr/pgincr/pkg/server"
)

// world is a running server, which archives into a directory, and a repository.
type world struct {
	t       *testing.T
	pg      *pgtest.Cluster
	archive string // where archive_command copies to
	repoDir string
	cluster *repo.Cluster
	dir     string // for restores
	n       int
	stored  map[string]bool // archived files that are in the repository
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func newWorld(t *testing.T, install pgtest.Install, opts ...pgtest.Option) *world {
	t.Helper()
	w := &world{
		t: t, archive: pgtest.TempDir(t), dir: pgtest.TempDir(t), repoDir: pgtest.TempDir(t),
		stored: map[string]bool{},
	}
	opts = append(opts, pgtest.Setting("archive_mode", "on"),
		pgtest.Setting("archive_command", "cp %p "+w.archive+"/.%f && mv "+w.archive+"/.%f "+w.archive+"/%f"))
	w.pg = install.New(t, opts...)
	b, err := os.ReadFile(filepath.Join(w.pg.DataDir, "global/pg_control"))
	must(t, err)
	control, err := pg.ParseControl(b)
	must(t, err)
	st, err := repo.OpenStore(t.Context(), w.repoDir)
	must(t, err)
	w.cluster, _, err = repo.Init(t.Context(), st,
		repo.ClusterInfo{Name: "main", SystemIdentifier: control.SystemIdentifier, Geometry: control.Geometry})
	must(t, err)
	return w
}

// push stores what was archived in the repository.
func (w *world) push() {
	w.t.Helper()
	entries, err := os.ReadDir(w.archive)
	must(w.t, err)
	a := w.cluster.WAL(repo.Compression{Codec: repo.CodecZstd})
	for _, e := range entries {
		if w.stored[e.Name()] || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		f, err := os.Open(filepath.Join(w.archive, e.Name()))
		must(w.t, err, a.Put(w.t.Context(), e.Name(), f), f.Close())
		w.stored[e.Name()] = true
	}
}

// switchWAL makes everything up to now archived, and stored.
func (w *world) switchWAL(c *pgtest.Cluster) {
	w.t.Helper()
	name := c.SwitchWAL()
	c.Poll("archived "+name, func() bool {
		_, err := os.Stat(filepath.Join(w.archive, name))
		return err == nil
	})
	w.push()
}

// backup takes a backup that carries its WAL.
func (w *world) backup(c *pgtest.Cluster, incremental bool) *repo.Manifest {
	w.t.Helper()
	return w.backupBy(c, incremental, "stream")
}

func (w *world) backupBy(c *pgtest.Cluster, incremental bool, walMode string) *repo.Manifest {
	w.t.Helper()
	s, err := server.Connect(w.t.Context(), server.Config{ConnString: c.DSN("postgres")})
	must(w.t, err)
	defer func() { must(w.t, s.Close(context.Background())) }()
	m, err := backup.Run(w.t.Context(), s, w.cluster, backup.Options{
		DataDir: c.DataDir, FastCheckpoint: true, Jobs: 2, Version: "test", Clock: time.Now, WAL: walMode,
		Incremental: incremental, PageMap: backup.MapLSN, Compression: repo.Compression{Codec: repo.CodecZstd},
	})
	must(w.t, err)
	if (m.Type == repo.TypeIncremental) != incremental {
		w.t.Fatalf("the backup is %s: %s", m.Type, m.FullReason)
	}
	return m
}

// options are those of a restore into a new directory.
func (w *world) options() restore.Options {
	w.n++
	dir := filepath.Join(w.dir, fmt.Sprint(w.n))
	return restore.Options{
		Target: dir, Jobs: 2, TablespaceRoot: dir + "-spaces",
		RestoreCommand: "cp " + w.archive + "/%f %p", Clock: time.Now,
	}
}

func (w *world) restore(m *repo.Manifest, o restore.Options) *restore.Result {
	w.t.Helper()
	res, err := restore.Run(w.t.Context(), w.cluster, m, o)
	must(w.t, err)
	w.verifyOwners(o.Target)
	pgtest.Chown(w.t, w.dir)
	w.pg.Install.VerifyBackup(w.t, o.Target, verifyArgs(res)...)
	return res
}

// verifyOwners holds everything in a restored directory to the owner of the source's, and the
// data directory to its mode.
func (w *world) verifyOwners(dir string) {
	w.t.Helper()
	source, err := os.Stat(w.pg.DataDir)
	must(w.t, err)
	restored, err := os.Stat(dir)
	must(w.t, err)
	if restored.Mode() != source.Mode() {
		w.t.Errorf("%s: mode %v, want %v", dir, restored.Mode(), source.Mode())
	}
	owner := source.Sys().(*syscall.Stat_t)
	must(w.t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := os.Lstat(p)
		if err != nil {
			return err
		}
		if s := st.Sys().(*syscall.Stat_t); s.Uid != owner.Uid || s.Gid != owner.Gid {
			w.t.Errorf("%s: owner %d:%d, want %d:%d", p, s.Uid, s.Gid, owner.Uid, owner.Gid)
		}
		return nil
	}))
}

// verifyArgs lets pg_verifybackup look at the WAL where it is in pg_wal.
func verifyArgs(res *restore.Result) []string {
	if !res.Recovery.CopyWAL {
		return []string{"-n"}
	}
	return nil
}

// start starts a server on a restored directory and waits for the end of recovery.
func (w *world) start(o restore.Options) *pgtest.Cluster {
	w.t.Helper()
	c := pgtest.FromDataDir(w.t, w.pg.Install, o.Target)
	c.WaitRecovered()
	return c
}

// openToGroup gives the data directory the modes of initdb --allow-group-access.
func (w *world) openToGroup() {
	w.t.Helper()
	w.pg.Stop(pgtest.Fast)
	must(w.t, filepath.WalkDir(w.pg.DataDir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.Type()&fs.ModeSymlink != 0:
			return err
		case d.IsDir():
			return os.Chmod(p, 0o750)
		}
		return os.Chmod(p, 0o640)
	}))
	w.pg.Start()
}

func fill(c *pgtest.Cluster, from, to int) {
	c.Exec(fmt.Sprintf("INSERT INTO t SELECT g, repeat(md5(g::text), 5) FROM generate_series(%d, %d) g", from, to))
}

// On every version: each link of a chain restores to what the source held, with what
// pg_verifybackup wants, into a new directory and in place over what a server has made of it.
func TestChainOnServers(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		w := newWorld(t, install)
		if install.Major%2 == 1 { // group access on some versions
			w.openToGroup()
		}
		w.pg.NewTablespace("elsewhere")
		w.pg.Exec("CREATE TABLE t (id int PRIMARY KEY, s text)")
		w.pg.Exec("CREATE TABLE u (id int) TABLESPACE elsewhere")
		w.pg.Exec("CREATE UNLOGGED TABLE x (id int)")
		fill(w.pg, 1, 20000)
		var manifests []*repo.Manifest
		var sums []map[string]string
		for i := range 4 {
			manifests = append(manifests, w.backup(w.pg, i > 0))
			sums = append(sums, w.pg.TableSums())
			fill(w.pg, 100000*(i+1), 100000*(i+1)+3000)
			w.pg.Exec("DELETE FROM t WHERE id % 7 = 3; INSERT INTO u SELECT generate_series(1, 1000)")
			w.pg.Exec("VACUUM t")
		}
		w.pg.Stop(pgtest.Fast)
		var last restore.Options
		for i, m := range manifests {
			o := w.options()
			res := w.restore(m, o)
			if res.Recovery.Signal != "" {
				t.Errorf("backup %s carries its WAL, but there is %s", m.ID, res.Recovery.Signal)
			}
			c := w.start(o)
			compare(t, sums[i], c)
			c.Amcheck()
			c.Exec("CREATE TABLE after (id int); DROP TABLE u; CHECKPOINT")
			c.Stop(pgtest.Immediate)
			last = o
		}
		// The last one has lived on, crashed, and is made each link again, older and newer.
		last.Delta, last.TablespaceRoot = true, ""
		for _, i := range []int{1, 3, 0} {
			w.restore(manifests[i], last)
			c := w.start(last)
			compare(t, sums[i], c)
			c.Stop(pgtest.Fast)
			install.Checksums(t, last.Target)
		}
	})
}

// compare holds a restored server to the tables that the source had.
func compare(t *testing.T, want map[string]string, c *pgtest.Cluster) {
	t.Helper()
	if c.Query1("SELECT pg_is_in_recovery()") != "f" {
		t.Fatal("still in recovery")
	}
	pgtest.CompareTables(t, want, c.TableSums())
}

// A running server's directory is refused, and so is another cluster's, and one that is no data directory;
// each is told apart, and none is changed.
func TestInPlaceRefuses(t *testing.T) {
	install := pgtest.Newest(t)
	w := newWorld(t, install)
	m := w.backup(w.pg, false)
	other := install.New(t)
	other.Stop(pgtest.Fast)
	stuff := filepath.Join(w.dir, "stuff")
	must(t, os.Mkdir(stuff, 0o700), os.WriteFile(filepath.Join(stuff, "x"), nil, 0o600))
	for dir, want := range map[string]restore.TargetProblem{
		w.pg.DataDir: restore.ServerRunning, other.DataDir: restore.OtherCluster, stuff: restore.NotData,
	} {
		before := tree(t, dir)
		for _, delta := range []bool{true, false} {
			o := w.options()
			o.Target, o.Delta = dir, delta
			_, err := restore.Run(t.Context(), w.cluster, m, o)
			var te *restore.TargetError
			problem := want
			if !delta && want != restore.ServerRunning {
				problem = restore.NotEmpty
			}
			if !errors.As(err, &te) || te.Problem != problem {
				t.Errorf("%s, in place %v: got %v, want problem %d", dir, delta, err, problem)
			}
		}
		if dir != w.pg.DataDir {
			if d := cmp.Diff(before, tree(t, dir)); d != "" {
				t.Errorf("%s: changed: %s", dir, d)
			}
		}
	}
}

// WAL that is archived nowhere is not removed in passing.
func TestInPlaceKeepsUnarchivedWAL(t *testing.T) {
	w := newWorld(t, pgtest.Newest(t))
	m := w.backup(w.pg, false)
	w.pg.AppendConf("archive_command = 'false'")
	w.pg.Reload()
	lost := w.pg.SwitchWAL()
	w.pg.Stop(pgtest.Fast)
	o := w.options()
	o.Target, o.TablespaceRoot, o.Delta = w.pg.DataDir, "", true
	_, err := restore.Run(t.Context(), w.cluster, m, o)
	var u *restore.UnarchivedError
	if !errors.As(err, &u) || !slices.Contains(u.Segments, lost) {
		t.Fatalf("got %v, want %s to be missed", err, lost)
	}
	o.DiscardWAL, o.DryRun = true, true
	_, err = restore.Run(t.Context(), w.cluster, m, o)
	must(t, err)
	for _, name := range u.Segments {
		f, err := os.Open(filepath.Join(w.pg.DataDir, "pg_wal", name))
		must(t, err, w.cluster.WAL(repo.Compression{}).Put(t.Context(), name, f), f.Close())
	}
	o.DiscardWAL = false
	_, err = restore.Run(t.Context(), w.cluster, m, o)
	must(t, err)
	w.pg.Start() // nothing has changed
}

// tree gives the sizes of all files of a directory.
func tree(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if st, err := d.Info(); err == nil && !d.IsDir() {
			sizes[p] = st.Size()
		}
		return nil
	}))
	return sizes
}
