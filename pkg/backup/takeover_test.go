package backup

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// fakeEarlier is what an interrupted attempt left, with its frames in the pack of a copyTest.
type fakeEarlier struct {
	c     *copyTest
	files []*repo.EarlierFile
	hook  func()          // before a frame is taken
	no    map[string]bool // files of which nothing is given
	taken int
}

// has adds what the attempt read of a relation, in frames of these runs.
func (e *fakeEarlier) has(path string, content []byte, frames ...[]repo.BlockRun) {
	v := &repo.File{Path: path, Kind: repo.KindRelation}
	size := int(testGeometry.BlockSize)
	for _, runs := range frames {
		var raw []byte
		var hashes []uint64
		for _, r := range runs {
			for blk := r.First; blk < r.First+r.Count; blk++ {
				page := content[int(blk)*size:][:size]
				raw = append(raw, page...)
				hashes = append(hashes, repo.PageHash(page))
			}
		}
		v.Frames = append(v.Frames, e.frame(raw, hashes, runs))
	}
	e.add(v)
}

// hasPlain adds a plain file.
func (e *fakeEarlier) hasPlain(path string, content []byte) {
	v := &repo.File{
		Path: path, Kind: repo.KindFile, Whole: true, Size: int64(len(content)), Sum: xxhash.Sum64(content),
	}
	for raw := range slices.Chunk(content, repo.MaxFrame) {
		v.Frames = append(v.Frames, e.frame(raw, nil, nil))
	}
	e.add(v)
}

func (e *fakeEarlier) frame(raw []byte, hashes []uint64, runs []repo.BlockRun) repo.Frame {
	p := &e.c.pack
	p.frames, p.hashes = append(p.frames, raw), append(p.hashes, hashes)
	return repo.Frame{Pack: 1, Offset: int64(len(p.frames) - 1), Raw: uint32(len(raw)), Runs: runs}
}

func (e *fakeEarlier) add(v *repo.File) {
	for _, f := range e.files {
		if f.Path == v.Path {
			f.Versions = append(f.Versions, v)
			return
		}
	}
	e.files = append(e.files, &repo.EarlierFile{Path: v.Path, Versions: []*repo.File{v}})
	slices.SortFunc(e.files, func(a, b *repo.EarlierFile) int { return pg.ComparePaths(a.Path, b.Path) })
}

func (e *fakeEarlier) Files(context.Context) iter.Seq2[*repo.EarlierFile, error] {
	return func(yield func(*repo.EarlierFile, error) bool) {
		for _, f := range e.files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func (e *fakeEarlier) Hashes(_ context.Context, frames []repo.Frame) ([][]uint64, error) {
	var out [][]uint64
	for _, f := range frames {
		out = append(out, e.c.pack.hashes[f.Offset])
	}
	return out, nil
}

func (e *fakeEarlier) Take(context.Context, *repo.Frame) (bool, error) {
	if e.hook != nil {
		e.hook()
	}
	if e.no == nil {
		e.taken++
	}
	return e.no == nil, nil
}

func (e *fakeEarlier) TakeFile(_ context.Context, f *repo.File) (bool, error) {
	if !e.no[f.Path] {
		e.taken++
	}
	return !e.no[f.Path], nil
}

func newEarlierTest(t *testing.T) (*copyTest, *fakeEarlier) {
	t.Helper()
	c := newCopyTest(t)
	c.jobs = 1
	e := &fakeEarlier{c: c}
	c.earlier = e
	return c, e
}

// relation is content of n pages without zero pages.
func relation(fill byte, n pg.BlockNumber) (content []byte) {
	for blk := range n {
		content = append(content, testPage(1, fill, blk)...)
	}
	return content
}

// replaced is content with other pages from one block on.
func replaced(content []byte, first pg.BlockNumber, with ...pg.Page) []byte {
	out := bytes.Clone(content)
	copy(out[int(first)*int(testGeometry.BlockSize):], pages(with...))
	return out
}

func blocks(first, count pg.BlockNumber) []repo.BlockRun {
	return []repo.BlockRun{{First: first, Count: count}}
}

// Whatever became of a file since the attempt, the backup holds what it is now, and takes over the frames
// of which every page is the same and wanted.
func TestTakeOver(t *testing.T) {
	const size = 8192
	was := relation('a', 12)
	thirds := [][]repo.BlockRun{blocks(0, 4), blocks(4, 4), blocks(8, 4)}
	for name, tt := range map[string]struct {
		today  []byte
		frames [][]repo.BlockRun
		taken  int
	}{
		"the same":          {was, thirds, 3},
		"one page":          {replaced(was, 5, testPage(2, 'b', 5)), thirds, 2},
		"one hint":          {func() []byte { b := bytes.Clone(was); b[9*size+100]++; return b }(), thirds, 2},
		"a page of zeros":   {replaced(was, 11, zeroPage()), thirds, 2},
		"all visible":       {func() []byte { b := bytes.Clone(was); b[10] |= 4; return b }(), thirds, 2},
		"grown":             {append(bytes.Clone(was), relation('c', 2)...), thirds, 3},
		"cut":               {was[:6*size], thirds, 1},
		"cut and grown":     {append(bytes.Clone(was[:6*size]), relation('d', 6)...), thirds, 1},
		"another relation":  {relation('e', 12), thirds, 0},
		"empty":             {nil, thirds, 0},
		"no whole pages":    {append(bytes.Clone(was), 'x'), thirds, 0},
		"runs with gaps":    {was, [][]repo.BlockRun{{{First: 1, Count: 2}, {First: 7, Count: 1}}, blocks(4, 2)}, 2},
		"the same twice":    {was, [][]repo.BlockRun{blocks(0, 4), blocks(0, 4), blocks(2, 4), blocks(4, 2)}, 2},
		"pages to and fro":  {was, [][]repo.BlockRun{{{First: 8, Count: 1}, {First: 2, Count: 1}}}, 1},
		"longer than today": {was, [][]repo.BlockRun{blocks(10, 6)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, e := newEarlierTest(t)
			write(t, c.root, "base/5/1", tt.today)
			e.has("base/5/1", append(bytes.Clone(was), relation('z', 4)...), tt.frames...)
			e.has("base/5/0", was, blocks(0, 4)) // is not there any more
			c.checksums = false
			out := c.mustRun(t)
			if got := c.content(t, "base/5/1", nil); !bytes.Equal(got, tt.today) {
				t.Error("the content differs")
			}
			f := c.find("base/5/1")
			if f.Kind == repo.KindRelation {
				n := 0
				for _, fr := range f.Frames {
					if fr.Pack == 1 {
						n++
					}
				}
				if n != tt.taken || e.taken != tt.taken {
					t.Errorf("%d frames in the index, %d taken, want %d", n, e.taken, tt.taken)
				}
				if !f.Whole || out.stored+int64(count(f.Zero)) != int64(f.Blocks(testGeometry)) {
					t.Errorf("whole %v, %d blocks stored", f.Whole, out.stored)
				}
			}
		})
	}
}

// An incremental backup takes over only frames of which it wants every page.
func TestTakeOverWanted(t *testing.T) {
	c, e := newEarlierTest(t)
	was := relation('a', 12)
	write(t, c.root, "base/5/1", was)
	src := fixedSource{work: 6}
	src.blocks = []pg.BlockNumber{0, 1, 2, 5, 8, 9}
	c.build(src, parentFile("base/5/1", repo.KindRelation, 12))
	e.has("base/5/1", was, blocks(0, 2), blocks(4, 2), []repo.BlockRun{{First: 2, Count: 1}, {First: 8, Count: 2}})
	c.checksums = false
	c.mustRun(t)
	f := c.find("base/5/1")
	var got []string
	for _, fr := range f.Frames {
		got = append(got, fmt.Sprint(fr.Pack, fr.Runs))
	}
	want := []string{"1 [{0 2}]", "1 [{2 1} {8 2}]", "0 [{5 1}]"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A file that is truncated after frames were taken over, so that one lies on both sides of its new end, has what is
// left of it, and nothing behind.
func TestTakeOverTruncated(t *testing.T) {
	was := relation('a', 12)
	for cut := range pg.BlockNumber(12) {
		c, e := newEarlierTest(t)
		write(t, c.root, "base/5/1", was)
		write(t, c.root, "base/5/1.1", relation('b', 3))
		e.has("base/5/1", was,
			[]repo.BlockRun{{First: 0, Count: 2}, {First: 6, Count: 2}, {First: 10, Count: 1}}, blocks(3, 1))
		e.hook = func() {
			if err := os.Truncate(filepath.Join(c.root, "base/5/1"), int64(cut)*8192); err != nil {
				t.Error(err)
			}
		}
		c.checksums = false
		c.mustRun(t)
		if got := c.content(t, "base/5/1", nil); !bytes.Equal(got, was[:cut*8192]) {
			t.Errorf("cut to %d: %d pages", cut, len(got)/8192)
		}
	}
}

// What is wrong with pages is reported once, whether they are taken over or not.
func TestTakeOverCorrupt(t *testing.T) {
	broken := replaced(relation('a', 8), 2, testPage(1, 'b', 7)) // a page of another place
	for name, change := range map[string]func(c *copyTest, e *fakeEarlier){
		"taken over":    func(*copyTest, *fakeEarlier) {},
		"not to be had": func(_ *copyTest, e *fakeEarlier) { e.no = map[string]bool{} },
		"other pages": func(_ *copyTest, e *fakeEarlier) {
			e.files = nil
			e.has("base/5/1", relation('a', 8), blocks(1, 4))
		},
		"another page behind": func(_ *copyTest, e *fakeEarlier) {
			e.files = nil
			e.has("base/5/1", replaced(broken, 3, testPage(1, 'q', 3)), blocks(1, 4))
		},
		"all are verified": func(c *copyTest, _ *fakeEarlier) { c.verifyAll = true },
	} {
		t.Run(name, func(t *testing.T) {
			c, e := newEarlierTest(t)
			write(t, c.root, "base/5/1", broken)
			e.has("base/5/1", broken, blocks(1, 4))
			change(c, e)
			out := c.mustRun(t)
			if len(out.corrupt) != 1 || out.corrupt[0].Block != 2 || out.more != 0 {
				t.Errorf("%+v, %d more", out.corrupt, out.more)
			}
			if got := c.content(t, "base/5/1", nil); !bytes.Equal(got, broken) {
				t.Error("the content differs")
			}
		})
	}
}

// Plain files are taken over whole, by size and checksum.
func TestTakeOverPlain(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), repo.MaxFrame/16+3)
	for name, tt := range map[string]struct {
		was, today []byte
		no         bool
		taken      int
	}{
		"small":                {[]byte("text"), []byte("text"), false, 1},
		"small, changed":       {[]byte("text"), []byte("next"), false, 0},
		"small, longer":        {[]byte("text"), []byte("texts"), false, 0},
		"small, not to be had": {[]byte("text"), []byte("text"), true, 0},
		"large":                {large, large, false, 1},
		"large, changed":       {large, append(bytes.Clone(large[1:]), 'x'), false, 0},
		"large, not to be had": {large, large, true, 0},
		"empty":                {[]byte("text"), nil, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, e := newEarlierTest(t)
			write(t, c.root, "pg_xact/0000", tt.today)
			e.hasPlain("pg_xact/0000", tt.was)
			if tt.no {
				e.no = map[string]bool{"pg_xact/0000": true}
			}
			c.mustRun(t)
			if got := c.content(t, "pg_xact/0000", nil); !bytes.Equal(got, tt.today) {
				t.Error("the content differs")
			}
			f := c.find("pg_xact/0000")
			isTaken := len(f.Frames) > 0 && f.Frames[0].Pack == 1
			if e.taken != tt.taken || isTaken != (tt.taken > 0) || !f.Whole || f.Sum != xxhash.Sum64(tt.today) {
				t.Errorf("%d taken, frames %+v", e.taken, f.Frames)
			}
		})
	}
}
