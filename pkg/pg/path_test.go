package pg

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const versionDir = "PG_17_202406281"

func segment(spc, db OID, rel RelFileNumber, fork ForkNumber, segno uint32) RelSegment {
	return RelSegment{
		RelFork: RelFork{RelFileLocator: RelFileLocator{Spc: spc, DB: db, Rel: rel}, Fork: fork}, Segno: segno,
	}
}

// Relation segment files are recognised by PostgreSQL's grammar, strictly.
func TestParseRelPath(t *testing.T) {
	for path, want := range map[string]RelSegment{
		"base/5/16384":                             segment(1663, 5, 16384, MainFork, 0),
		"base/5/16384.1":                           segment(1663, 5, 16384, MainFork, 1),
		"base/5/16384_fsm":                         segment(1663, 5, 16384, FSMFork, 0),
		"base/5/16384_vm.12":                       segment(1663, 5, 16384, VMFork, 12),
		"base/4294967295/4294967295_init":          segment(1663, 4294967295, 4294967295, InitFork, 0),
		"global/1262":                              segment(1664, 0, 1262, MainFork, 0),
		"pg_tblspc/16400/" + versionDir + "/5/999": segment(16400, 5, 999, MainFork, 0),
	} {
		if got, ok := ParseRelPath(path); !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", path, got, ok, want)
		}
		if got := want.Path(versionDir); got != path {
			t.Errorf("Path of %+v: %s, want %s", want, got, path)
		}
	}
	for _, path := range []string{
		"", "16384", "/16384", "base/16384", "base/5/", "base/5/016384", "base/5/0", "base/5/16384.0",
		"base/5/16384.01", "base/5/16384.", "base/5/16384_main", "base/5/16384_fsm_vm", "base/5/16384.1_fsm",
		"base/5/4294967296", "base/5/16384.4294967296", "base/4294967296/1", "base/05/1", "base/5/t3_16384",
		"base/5/PG_VERSION", "base/5/pg_filenode.map", "base/5/x/16384", "/base/5/16384", "global/pg_control",
		"global/5/16384", "pg_tblspc/16400/5/999", "pg_tblspc/16400/XX_17/5/999", "pg_wal/16384",
		"pg_tblspc/16400/PG_17_1/5/6/999", "pg_tblspc/0/PG_17_1/5/999", "pg_tblspc/1663/PG_17_1/5/999",
		"base/5/16384 ", "base/5/+16384",
	} {
		if got, ok := ParseRelPath(path); ok {
			t.Errorf("%q is %+v", path, got)
		}
	}
}

func drawSegment(t *rapid.T) RelSegment {
	positive := rapid.Uint32Range(1, 0xFFFFFFFF)
	s := segment(
		OID(rapid.OneOf(rapid.SampledFrom([]uint32{1663, 1664}), positive).Draw(t, "spc")),
		OID(positive.Draw(t, "db")), RelFileNumber(positive.Draw(t, "rel")),
		ForkNumber(rapid.IntRange(0, 3).Draw(t, "fork")), rapid.Uint32().Draw(t, "segno"))
	if s.Spc == GlobalTablespace {
		s.DB = 0
	}
	return s
}

// Path and ParseRelPath are inverses.
func TestRelPathInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawSegment(t)
		if got, ok := ParseRelPath(want.Path(versionDir)); !ok || got != want {
			t.Fatalf("%+v: %s is %+v, %v", want, want.Path(versionDir), got, ok)
		}
	})
}

func FuzzParseRelPath(f *testing.F) {
	for _, s := range []string{"base/5/16384_vm.1", "global/1262", "pg_tblspc/1/PG_13_1/2/3", "base/5/t3_1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		s, ok := ParseRelPath(path)
		if !ok {
			return
		}
		dir := versionDir
		if parts := strings.Split(path, "/"); parts[0] == "pg_tblspc" {
			dir = parts[2]
		}
		if got := s.Path(dir); got != path {
			t.Errorf("%q is %+v, whose path is %q", path, s, got)
		}
	})
}

// The first block of a segment file follows from its number, up to the largest fork there can be.
func TestFirstBlock(t *testing.T) {
	g := DefaultGeometry()
	for segno, want := range map[uint32]BlockNumber{
		0: 0, 1: 131072, 32767: 32767 * 131072, 32768: InvalidBlock, 0xFFFFFFFF: InvalidBlock,
	} {
		if got := segment(1663, 5, 1, MainFork, segno).FirstBlock(g); got != want {
			t.Errorf("segment %d begins with block %d, want %d", segno, got, want)
		}
	}
	if g.RelSegSize() != 1<<30 || g.Offset(3) != 24576 {
		t.Errorf("segment of %d bytes, block 3 at %d", g.RelSegSize(), g.Offset(3))
	}
}

// drawName prefers names that are alike.
func drawName(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"base", "1", "16384", "16384_fsm", "16384_fsm.1", "16384.", ".", ".1", "16384.01", "16384.x",
			"16384.1", "16384.2", "16384.10", "16384.4294967296", "16384.1.1", "16384-", "16385", "a.1", "a",
		}),
		rapid.StringMatching(`[a-c.0-2_-]{1,4}`),
	).Draw(t, "name")
}

func drawPath(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.Custom(drawName), 1, 4).Draw(t, "path"), "/")
}

// ComparePaths is a total order: any two paths compare, only equal ones as equal, the same in both
// directions and transitively.
func TestComparePathsIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawPath(t), drawPath(t), drawPath(t)
		ab, bc, ac := ComparePaths(a, b), ComparePaths(b, c), ComparePaths(a, c)
		if (ab == 0) != (a == b) {
			t.Fatalf("%q, %q: %d", a, b, ab)
		}
		if ba := ComparePaths(b, a); ba != -ab {
			t.Fatalf("%q, %q: %d, and %d the other way round", a, b, ab, ba)
		}
		if ab <= 0 && bc <= 0 && ac > 0 {
			t.Fatalf("%q <= %q <= %q, but the first is greater than the last", a, b, c)
		}
	})
}

// A walk that reads each directory in the order of ComparePaths meets all paths in that order, and a
// fork's segments by number.
func TestComparePathsAgreesWithWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := map[string][]string{} // directory: names in it
		for _, p := range rapid.SliceOf(rapid.Custom(drawPath)).Draw(t, "paths") {
			for p != "" {
				dir, name := "", p
				if i := strings.LastIndexByte(p, '/'); i >= 0 {
					dir, name = p[:i], p[i+1:]
				}
				if !slices.Contains(tree[dir], name) {
					tree[dir] = append(tree[dir], name)
				}
				p = dir
			}
		}
		var walked []string
		var walk func(dir string)
		walk = func(dir string) {
			names := slices.Clone(tree[dir])
			slices.SortFunc(names, ComparePaths)
			for _, name := range names {
				path := strings.TrimPrefix(dir+"/"+name, "/")
				walked = append(walked, path)
				walk(path)
			}
		}
		walk("")
		sorted := slices.Clone(walked)
		slices.SortFunc(sorted, ComparePaths)
		if diff := gocmp.Diff(sorted, walked); diff != "" {
			t.Fatal(diff)
		}
	})
	names := []string{"16384.10", "16385", "16384_vm", "16384.2", "16384", "16384.1", "16384_fsm.1", "16384_fsm"}
	slices.SortFunc(names, ComparePaths)
	want := []string{"16384", "16384.1", "16384.2", "16384.10", "16384_fsm", "16384_fsm.1", "16384_vm", "16385"}
	if diff := gocmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// The same on a real directory tree, walked by the standard library and sorted.
func TestComparePathsOnDisk(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{
		"base/1/112", "base/1.1/2", "base/5/112.2", "base/5/112.10", "base-x/y", "a/b.c/d", "a/b/d",
	} {
		if err := os.MkdirAll(filepath.Join(dir, p), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	paths = paths[1:] // not the root itself
	slices.SortFunc(paths, ComparePaths)
	want := []string{
		"a", "a/b", "a/b/d", "a/b.c", "a/b.c/d", "base", "base/1", "base/1/112", "base/1.1", "base/1.1/2",
		"base/5", "base/5/112.2", "base/5/112.10", "base-x", "base-x/y",
	}
	if diff := gocmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}

// RelFork.Compare orders by its four numbers.
func TestRelForkCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSegment(t).RelFork, drawSegment(t).RelFork
		same := rapid.IntRange(0, 4).Draw(t, "same")
		for i, set := range []func(){
			func() { b.Spc = a.Spc }, func() { b.DB = a.DB }, func() { b.Rel = a.Rel }, func() { b.Fork = a.Fork },
		} {
			if i < same {
				set()
			}
		}
		want := cmp.Or(cmp.Compare(a.Spc, b.Spc), cmp.Compare(a.DB, b.DB),
			cmp.Compare(a.Rel, b.Rel), cmp.Compare(a.Fork, b.Fork))
		if got := a.Compare(b); got != want {
			t.Fatalf("%s, %s: %d, want %d", a, b, got, want)
		}
	})
}
