package restore

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/repo"
)

// modelPaths are where a random model may have files: relations, and others.
func modelPaths() (relations, others []string) {
	return []string{
			"base/1/16384", "base/1/16384.1", "base/1/16385", "base/1/16385_fsm", "global/1262",
			fabSpace + "/1/16500", fabSpace + "/1/16501",
		},
		[]string{
			"PG_VERSION", "postgresql.conf", "global/pg_filenode.map", "log/server log", "postgresql.auto.conf",
			fabSpace + "/1/PG_VERSION",
		}
}

// drawPages gives a relation's pages: runs of new pages, of zero pages, and of those it had.
func drawPages(t *rapid.T, seed *uint64, old []uint64) []uint64 {
	n := rapid.IntRange(0, 60).Draw(t, "blocks")
	pages := make([]uint64, 0, n)
	for len(pages) < n {
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		for range rapid.IntRange(1, 12).Draw(t, "run") {
			at := len(pages)
			switch {
			case at >= n:
			case kind == 0:
				pages = append(pages, 0)
			case kind >= 2 && at < len(old):
				pages = append(pages, old[at])
			default:
				*seed++
				pages = append(pages, *seed)
			}
		}
	}
	return pages
}

// drawModel changes a data directory at random.
func drawModel(t *rapid.T, seed *uint64, old model) model {
	m := maps.Clone(old)
	relations, others := modelPaths()
	for _, p := range slices.Concat(relations, others) {
		what := rapid.IntRange(0, 4).Draw(t, p)
		if what == 0 && p != "PG_VERSION" {
			delete(m, p)
		}
		if what < 3 && (p != "PG_VERSION" || m[p] != nil) {
			continue
		}
		f := &modelFile{mode: rapid.SampledFrom([]uint32{0o600, 0o640, 0o400, 0o755}).Draw(t, "mode")}
		*seed++
		f.mtime = time.Unix(1_700_000_000+int64(*seed), int64(*seed)).UTC()
		if slices.Contains(relations, p) && !rapid.Bool().Draw(t, "plain") {
			var had []uint64
			if old[p] != nil {
				had = old[p].pages
			}
			f.pages = drawPages(t, seed, had)
		} else {
			f.data = fmt.Appendf(nil, "# %s %d\n", p, *seed)
			for range rapid.IntRange(0, 3).Draw(t, "length") {
				f.data = append(f.data, fabPage(*seed)...)
			}
		}
		m[p] = f
	}
	return m
}

// drawChain stores a random chain and gives its manifests and what each holds.
func drawChain(t *rapid.T, outer *testing.T) (*fab, []*repo.Manifest, []model) {
	fb := newFab(outer, nil)
	fb.frame = func() int { return rapid.IntRange(1, 20).Draw(t, "frame") }
	var manifests []*repo.Manifest
	var models []model
	m, seed := model{}, uint64(0)
	for range rapid.IntRange(1, 5).Draw(t, "backups") {
		m = drawModel(t, &seed, m)
		manifests = append(manifests, fb.add(m))
		models = append(models, m)
	}
	return fb, manifests, models
}

// Whatever a chain is made of, every link of it restores to exactly what was backed up, with
// any number of workers and parts.
func TestChainEqualsModel(t *testing.T) {
	n, base := 0, pgtest.TempDir(t)
	rapid.Check(t, func(rt *rapid.T) {
		fb, manifests, models := drawChain(rt, t)
		i := rapid.IntRange(0, len(manifests)-1).Draw(rt, "restored")
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		o := Options{
			Target: dir, Jobs: rapid.IntRange(1, 4).Draw(rt, "jobs"), TablespaceMap: map[string]string{fb.space: dir + "-space"},
			partSize: rapid.SampledFrom([]int{0, 1, 4096, 20000}).Draw(rt, "part"),
		}
		res, err := Run(t.Context(), fb.cluster, manifests[i], o)
		if err != nil {
			rt.Fatal(err)
		}
		if err := fb.compare(dir, models[i]); err != nil {
			rt.Fatal(err)
		}
		if int(res.FilesWritten) != len(models[i]) {
			rt.Fatalf("%d files written, want %d", res.FilesWritten, len(models[i]))
		}
		for _, d := range []string{dir, dir + "-space"} {
			must(t, os.RemoveAll(d))
		}
	})
}

// An existing directory, whatever it has become, is made equal, and nothing is written that was right.
func TestInPlaceEqualsModel(t *testing.T) {
	n, base := 0, pgtest.TempDir(t)
	rapid.Check(t, func(rt *rapid.T) {
		fb, manifests, models := drawChain(rt, t)
		draw := func(name string) int { return rapid.IntRange(0, len(manifests)-1).Draw(rt, name) }
		from, to := draw("from"), draw("to")
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		o := Options{Target: dir, Jobs: 2, TablespaceMap: map[string]string{fb.space: dir + "-space"}}
		if _, err := Run(t.Context(), fb.cluster, manifests[from], o); err != nil {
			rt.Fatal(err)
		}
		damage(rt, dir, models[from])
		o.Delta, o.TablespaceMap, o.partSize = true, nil, rapid.SampledFrom([]int{0, 4096}).Draw(rt, "part")
		if _, err := Run(t.Context(), fb.cluster, manifests[to], o); err != nil {
			rt.Fatal(err)
		}
		if err := fb.compare(dir, models[to]); err != nil {
			rt.Fatal(err)
		}
		res, err := Run(t.Context(), fb.cluster, manifests[to], o)
		if err != nil {
			rt.Fatal(err)
		}
		segment := int64(fabGeometry().WALSegmentSize)
		// postgresql.auto.conf has been added to since, so it is written again.
		if conf := models[to][autoConfName]; res.BytesRead > 0 && conf == nil || res.BytesWritten > segment+4096*2 {
			rt.Fatalf("an equal directory: %d bytes read, %d written", res.BytesRead, res.BytesWritten)
		}
		if err := fb.compare(dir, models[to]); err != nil {
			rt.Fatal(err)
		}
		for _, d := range []string{dir, dir + "-space"} {
			must(t, os.RemoveAll(d))
		}
	})
}

// damage does to a data directory what happens to directories.
func damage(t *rapid.T, dir string, m model) {
	paths := slices.Sorted(maps.Keys(m))
	at := func(p string) string { return filepath.Join(dir, p) }
	var errs []error
	for range rapid.IntRange(0, 6).Draw(t, "damages") {
		if len(paths) == 0 {
			break
		}
		p := at(rapid.SampledFrom(paths).Draw(t, "path"))
		switch rapid.IntRange(0, 8).Draw(t, "damage") {
		case 0:
			errs = append(errs, os.RemoveAll(p))
		case 1:
			errs = append(errs, os.RemoveAll(p), os.Mkdir(p, 0o700), os.WriteFile(p+"/x", nil, 0o600))
		case 2:
			errs = append(errs, os.RemoveAll(p), os.Symlink("/etc/passwd", p))
		case 3:
			errs = append(errs, os.RemoveAll(p), os.WriteFile(p, make([]byte, 5000), 0o444))
		case 4:
			errs = append(errs, os.RemoveAll(p), os.RemoveAll(p+".second"), os.WriteFile(p, []byte("short"), 0o600),
				os.Link(p, p+".second"))
		case 5:
			errs = append(errs, os.WriteFile(at("base/1/t3_999"), []byte("x"), 0o600), os.MkdirAll(at("base/77/deep"), 0o700))
		case 6:
			errs = append(errs, os.RemoveAll(at("global")))
		case 7:
			errs = append(errs, os.RemoveAll(at("base")), os.Symlink("/", at("base")))
		case 8:
			errs = append(errs, os.RemoveAll(at("pg_wal/archive_status")),
				os.WriteFile(at("pg_wal/00000001000000000000FFFF"), nil, 0o600))
		}
		paths = slices.DeleteFunc(paths, func(o string) bool {
			_, err := os.Lstat(filepath.Dir(at(o)))
			return err != nil
		})
		if st, err := os.Lstat(at("base")); err == nil && st.Mode()&os.ModeSymlink != 0 {
			break
		}
	}
	// Without it, it is no data directory.
	errs = append(errs, os.RemoveAll(at("PG_VERSION")), os.WriteFile(at("PG_VERSION"), []byte("15\n"), 0o600))
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The backup_manifest of a restored chain satisfies PostgreSQL's own judge, and a changed byte does not.
func TestVerifyBackupAccepts(t *testing.T) {
	install := pgtest.Newest(t)
	fb := newFab(t, nil)
	fb.frame = func() int { return 7 }
	base := pgtest.TempDir(t)
	m := model{}
	relations, others := modelPaths()
	for i, p := range slices.Concat(relations, others) {
		f := &modelFile{mode: 0o600, mtime: time.Unix(int64(i), 0).UTC(), data: []byte(p)}
		if i < len(relations) {
			f.data, f.pages = nil, []uint64{uint64(i + 1), 0, 0, 3, 4, 5, 6, 7, 8, 9, 0}
		}
		m[p] = f
	}
	fb.add(m)
	m = maps.Clone(m)
	m["base/1/16384"] = &modelFile{mode: 0o600, pages: []uint64{1, 0, 55, 3, 0, 66}, mtime: time.Unix(9, 0).UTC()}
	delete(m, "base/1/16385")
	last := fb.add(m)
	dir := filepath.Join(base, "data")
	_, err := Run(t.Context(), fb.cluster, last,
		Options{Target: dir, Jobs: 2, TablespaceRoot: filepath.Join(base, "spaces")})
	must(t, err)
	pgtest.Chown(t, base)
	install.VerifyBackup(t, dir, "-n")
	file, err := os.OpenFile(filepath.Join(dir, "base/1/16384"), os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt([]byte{1}, 3*1024+5)
	must(t, err, file.Close())
	if accepted(t, func(tb testing.TB) { install.VerifyBackup(tb, dir, "-n") }) {
		t.Error("pg_verifybackup does not look at the checksums")
	}
}

// verdict hears what a judge says, instead of the test.
type verdict struct {
	testing.TB
	objected bool
}

func (v *verdict) Helper()               {}
func (v *verdict) Errorf(string, ...any) { v.objected = true }

func accepted(t testing.TB, judge func(testing.TB)) bool {
	v := &verdict{TB: t}
	judge(v)
	return !v.objected
}

// Two restores never write the same directory: the second is told, and takes nothing of the first away.
func TestSecondRestoreIsRefused(t *testing.T) {
	fb := newFab(t, nil)
	m := fb.add(model{"PG_VERSION": {mode: 0o600, mtime: time.Unix(1, 0).UTC(), data: []byte("15\n")}})
	dir := filepath.Join(pgtest.TempDir(t), "data")
	o := Options{Target: dir, Delta: true, TablespaceRoot: dir + "-spaces"}
	_, err := Run(t.Context(), fb.cluster, m, o)
	must(t, err)
	held, err := os.Create(filepath.Join(dir, markerName))
	must(t, err, unix.Flock(int(held.Fd()), unix.LOCK_EX))
	_, err = Run(t.Context(), fb.cluster, m, o)
	var te *TargetError
	if !errors.As(err, &te) || te.Problem != RestoreRunning {
		t.Errorf("in place: got %v", err)
	}
	must(t, fb.compare(dir, fb.prev))
	o.Delta = false
	if _, err = Run(t.Context(), fb.cluster, m, o); !errors.As(err, &te) || te.Problem != HalfRestored {
		t.Errorf("not in place: got %v", err)
	}
	must(t, fb.compare(dir, fb.prev), held.Close())
}
