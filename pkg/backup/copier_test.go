package backup

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

func TestCopyContent(t *testing.T) {
	// What is stored is what was there; zero pages and holes are neither stored nor lost.
	c := newCopyTest(t)
	want := map[string][]byte{
		"base/5/1":   pages(testPage(1, 'a', 0), zeroPage(), testPage(1, 'b', 2)),
		"base/5/1.1": pages(testPage(1, 'c', 16)),
		"base/5/2":   {},
		"base/5/3":   append(pages(testPage(1, 'd', 0)), 'x'),
		"base/5/4":   pages(zeroPage(), zeroPage()),
		"global/5":   bytes.Repeat(testPage(1, 'e', 0), 16),
		"big":        bytes.Repeat([]byte("0123456789abcdef"), repo.MaxFrame/16+3),
		"empty":      {},
	}
	delete(want, "base/5/1.1") // behind a short segment
	for path, content := range want {
		write(t, c.root, path, content)
	}
	name := filepath.Join(c.root, "base/5/6")
	hole := pages(testPage(1, 'f', 0), zeroPage(), zeroPage(), zeroPage(), testPage(1, 'g', 4), zeroPage())
	write(t, c.root, "base/5/6", hole[:8192])
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(hole[4*8192:5*8192], 4*8192); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(6*8192), f.Close()); err != nil {
		t.Fatal(err)
	}
	want["base/5/6"] = hole
	c.checksums = false
	out := c.mustRun(t)
	for path, content := range want {
		if !bytes.Equal(c.content(t, path, nil), content) {
			t.Errorf("%s: content differs", path)
		}
	}
	zero := []repo.BlockRun{{First: 1, Count: 3}, {First: 5, Count: 1}}
	if diff := cmp.Diff(zero, c.find("base/5/6").Zero); diff != "" {
		t.Errorf("zero runs (-want +got):\n%s", diff)
	}
	if out.stored != 2+0+16+2 || out.blocks != 3+2+16+6 {
		t.Errorf("%d of %d blocks stored", out.stored, out.blocks)
	}
	if c.pack.closed != 2 {
		t.Errorf("%d packs closed", c.pack.closed)
	}
}

func TestCopyTruncated(t *testing.T) {
	// A file that gets shorter while it is read ends where the reader found its end, and segments
	// behind it are dropped.
	c := newCopyTest(t)
	c.jobs = 1
	content := bytes.Repeat(testPage(1, 'a', 0), 16)
	for _, path := range []string{"base/5/1", "base/5/1.1", "base/5/2"} {
		write(t, c.root, path, content)
	}
	c.checksums = false
	once := sync.OnceValue(func() error { return os.Truncate(filepath.Join(c.root, "base/5/1"), 5*8192+10) })
	c.build(fixedSource{work: 16, hook: func() {
		if err := once(); err != nil {
			t.Error(err)
		}
	}}, parentFile("base/5/1", repo.KindRelation, 16))
	out := c.mustRun(t)
	if got := c.content(t, "base/5/1", nil); !bytes.Equal(got, content[:5*8192]) {
		t.Errorf("%d bytes", len(got))
	}
	if c.find("base/5/1.1") != nil {
		t.Error("the segment behind the truncated one is in the index")
	}
	if c.find("base/5/2") == nil || !slices.Equal(out.orphans, []string{"base/5/1.1"}) {
		t.Errorf("orphans %v", out.orphans)
	}
}

func TestRelationTrim(t *testing.T) {
	// The first end that any part found holds; what others got from behind it goes.
	target := &target{entry: relEntry("base/5/1", 100), kind: repo.KindRelation, blocks: 100, end: 100}
	frame := func(first, n pg.BlockNumber) repo.Frame {
		return repo.Frame{Raw: uint32(n) * 8192, Runs: []repo.BlockRun{{First: first, Count: n}}}
	}
	target.add(partResult{end: 100, frames: []repo.Frame{frame(75, 25)}}, 100)
	target.add(partResult{end: 60, frames: []repo.Frame{frame(50, 10)}}, 75)
	target.add(partResult{
		end: 30, frames: []repo.Frame{frame(25, 3)},
		zero: []repo.BlockRun{{First: 28, Count: 2}},
	}, 50)
	target.add(partResult{end: 25, zero: []repo.BlockRun{{First: 0, Count: 25}}}, 25)
	f := target.relation(8192)
	want := []repo.BlockRun{{First: 0, Count: 25}, {First: 28, Count: 2}}
	if f.Size != 30*8192 || len(f.Frames) != 1 || !f.Whole || !slices.Equal(f.Zero, want) {
		t.Errorf("%+v", f)
	}
}

func TestCopyVanished(t *testing.T) {
	// A file that is gone when its turn comes is not in the backup.
	c := newCopyTest(t)
	c.jobs = 1
	for _, path := range []string{"base/5/1", "base/5/2", "base/5/3.conf", "base/5/4"} {
		write(t, c.root, path, testPage(1, 'a', 0))
	}
	c.pack.hook = func() error { // when the first frame is written, before the next file is opened
		return errors.Join(os.RemoveAll(filepath.Join(c.root, "base/5/2")),
			os.RemoveAll(filepath.Join(c.root, "base/5/3.conf")))
	}
	c.mustRun(t)
	if c.find("base/5/2") != nil || c.find("base/5/3.conf") != nil {
		t.Errorf("index:\n%s", paths(c.index.files))
	}
	if c.find("base/5/1") == nil || c.find("base/5/4") == nil {
		t.Errorf("index:\n%s", paths(c.index.files))
	}
}

func TestCopyCorrupt(t *testing.T) {
	// A page that fails its checksum is stored as it is and reported; new pages and
	// pages written after the start are not judged.
	c := newCopyTest(t)
	bad := testPage(1, 'a', 18)
	bad[100] ^= 1
	after := testPage(testStart, 'b', 19)
	after[100] ^= 1
	write(t, c.root, "base/5/1", bytes.Repeat(zeroPage(), 16))
	write(t, c.root, "base/5/1.1", pages(testPage(1, 'a', 16), zeroPage(), bad, after))
	out := c.mustRun(t)
	if len(out.corrupt) != 1 || out.corrupt[0].Path != "base/5/1.1" || out.corrupt[0].Block != 18 {
		t.Fatalf("corrupt pages: %+v", out.corrupt)
	}
	got := c.content(t, "base/5/1.1", nil)
	if !bytes.Equal(got[2*8192:3*8192], bad) {
		t.Error("the corrupt page is not stored as it was")
	}
}

func TestCopyTornPage(t *testing.T) {
	// A page that is right when it is read again is not corrupt.
	c := newCopyTest(t)
	good := testPage(1, 'a', 0)
	torn := bytes.Clone(good)
	clear(torn[4096:])
	write(t, c.root, "base/5/1", torn)
	name := filepath.Join(c.root, "base/5/1")
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	target := &target{entry: relEntry("base/5/1", 1), kind: repo.KindRelation, blocks: 1, f: f}
	w := &worker{copier: c.copier, page: 8192}
	page := pg.Page(bytes.Clone(torn))
	if _, err := f.WriteAt(good, 0); err != nil { // the server's write is complete now
		t.Fatal(err)
	}
	if err := w.verify(t.Context(), part{target: target, to: 1}, f, 0, page, true); err != nil {
		t.Fatal(err)
	}
	if len(w.corrupt) != 0 || !bytes.Equal(page, good) {
		t.Errorf("corrupt: %v", w.corrupt)
	}
}

func TestCopyVerifyAll(t *testing.T) {
	// With every page verified, a page that is not stored is reported too, and is not stored.
	c := newCopyTest(t)
	c.verifyAll = true
	bad := testPage(1, 'a', 1)
	bad[100] ^= 1
	content := pages(testPage(1, 'a', 0), bad, testPage(1, 'a', 2))
	write(t, c.root, "base/5/1", content)
	c.build(fixedSource{}, parentFile("base/5/1", repo.KindRelation, 3))
	out := c.mustRun(t)
	if len(out.corrupt) != 1 || out.corrupt[0].Block != 1 || out.stored != 0 {
		t.Errorf("%d stored, corrupt %+v", out.stored, out.corrupt)
	}
	if out.read < 3*8192 {
		t.Errorf("%d bytes read", out.read)
	}
}

func TestCopyFuture(t *testing.T) {
	// Pages with the highest LSNs are remembered, so that those from behind the end of WAL are found.
	c := newCopyTest(t)
	garbage := testPage(pg.LSN(0xFFFF_0000_0000), 'x', 1)
	write(t, c.root, "base/5/1", pages(testPage(testStart+1, 'a', 0), garbage))
	out := c.mustRun(t)
	i := slices.IndexFunc(out.future, func(p futurePage) bool { return p.lsn > testStop })
	if i < 0 || out.future[i].block != 1 || len(out.future) != 2 {
		t.Errorf("%+v", out.future)
	}
	var fp futurePages
	for lsn := range pg.LSN(1000) {
		fp.add(lsn*7919%1000, &target{entry: &entry{}}, 0)
	}
	if len(fp) != maxFuture || fp[0].lsn != 1000-maxFuture || fp[maxFuture-1].lsn != 999 {
		t.Errorf("%d kept, from %d on", len(fp), fp[0].lsn)
	}
}

func TestCopySelfCheck(t *testing.T) {
	// A map that lacks a page of which the LSN proves that it changed in the map's range is found out.
	for _, tt := range []struct {
		lsn  pg.LSN
		miss bool
	}{{0x300000, false}, {0x300001, true}, {testStart, true}, {testStart + 1, false}} {
		c := newCopyTest(t)
		c.since, c.verifyAll = 0x300000, true
		m := pagemap.New()
		c.mapped = &mapSource{m: m, relSegBlocks: 16}
		write(t, c.root, "base/5/1", testPage(tt.lsn, 'a', 0))
		c.build(c.mapped, parentFile("base/5/1", repo.KindRelation, 1))
		_, err := c.run(t.Context())
		var mapErr *MapError
		if got := errors.As(err, &mapErr); got != tt.miss || (err != nil && !got) {
			t.Errorf("LSN %s: %v", tt.lsn, err)
		}
	}
}

func TestCopyReference(t *testing.T) {
	// A plain file that equals the parent's is a reference to it, whatever its times say; any
	// difference of content is stored.
	c := newCopyTest(t)
	same, other := []byte("same"), []byte("diff")
	long := bytes.Repeat([]byte("x"), repo.MaxFrame+5)
	longOther := bytes.Repeat([]byte("y"), repo.MaxFrame+5)
	var files []*repo.ChainFile
	for path, content := range map[string][]byte{"f1": same, "f2": same, "f3": long, "f4": long, "f5": {}} {
		files = append(files, &repo.ChainFile{Path: path, Versions: []*repo.File{{
			Path: path, Kind: repo.KindFile, Whole: true, Size: int64(len(content)), Sum: sum64(content),
		}}})
	}
	slices.SortFunc(files, func(a, b *repo.ChainFile) int { return pg.ComparePaths(a.Path, b.Path) })
	write(t, c.root, "f1", same)
	write(t, c.root, "f2", other)
	write(t, c.root, "f3", long)
	write(t, c.root, "f4", longOther)
	write(t, c.root, "f5", nil)
	c.build(fixedSource{}, files...)
	c.mustRun(t)
	for path, whole := range map[string]bool{"f1": false, "f2": true, "f3": false, "f4": true, "f5": false} {
		f := c.find(path)
		if f.Whole != whole || (len(f.Frames) > 0) != whole {
			t.Errorf("%s: whole %v with %d frames", path, f.Whole, len(f.Frames))
		}
	}
	if !bytes.Equal(c.content(t, "f4", nil), longOther) || !bytes.Equal(c.content(t, "f2", nil), other) {
		t.Error("content differs")
	}
}

func TestCopyRetake(t *testing.T) {
	// Pages that were corrupt in the parent come from today's file whatever the source says.
	c := newCopyTest(t)
	content := pages(testPage(1, 'a', 0), testPage(1, 'b', 1), testPage(1, 'c', 2))
	write(t, c.root, "base/5/1", content)
	c.build(fixedSource{}, parentFile("base/5/1", repo.KindRelation, 3))
	c.planner.retake = map[string][]pg.BlockNumber{"base/5/1": {1, 77}}
	out := c.mustRun(t)
	f := c.find("base/5/1")
	if out.stored != 1 || f.Whole || f.Frames[0].Runs[0] != (repo.BlockRun{First: 1, Count: 1}) {
		t.Errorf("%+v", f)
	}
}

func TestCopyFails(t *testing.T) {
	// The first error ends walk and workers, and is the result.
	c := newCopyTest(t)
	for _, path := range []string{"base/5/1", "base/5/2", "base/5/3", "a", "b"} {
		write(t, c.root, path, testPage(1, 'a', 0))
	}
	c.pack.hook = func() error { return errPlanted }
	if _, err := c.run(t.Context()); !errors.Is(err, errPlanted) {
		t.Error(err)
	}
	c = newCopyTest(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errPlanted)
	if _, err := c.run(ctx); !errors.Is(err, errPlanted) {
		t.Errorf("cancelled: %v", err)
	}
}
