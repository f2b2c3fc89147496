package mount

import (
	"bytes"
	"container/list"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Whatever frames hold whichever blocks, and whichever of them are superseded, a read at any place gives the
// newest version of each block, and zeros for zero pages.
func TestAssembled(t *testing.T) {
	g := pg.DefaultGeometry()
	size := int(g.BlockSize)
	rapid.Check(t, func(t *rapid.T) {
		blocks := rapid.IntRange(1, 40).Draw(t, "blocks")
		versions := rapid.IntRange(1, 4).Draw(t, "versions")
		fr := &frames{limit: 1 << 40, byID: map[frameKey]*list.Element{}}
		cf := &repo.ChainFile{Path: "base/5/16384"}
		want := make([]byte, blocks*size)
		done := map[int]bool{}
		for depth := range versions {
			f := &repo.File{
				Path: cf.Path, Kind: repo.KindRelation, Size: int64(blocks * size), Whole: depth == versions-1,
			}
			for at, frame := 0, 0; at < blocks; frame++ {
				// Every block of the oldest version is in a frame or zero; of the others, some.
				one := repo.Frame{Pack: 1, Offset: int64(1000 + frame), Stored: 1000}
				var raw []byte
				for n := rapid.IntRange(1, 8).Draw(t, "blocks of frame"); n > 0 && at < blocks; n, at = n-1, at+1 {
					what := rapid.IntRange(0, 3).Draw(t, "what")
					if !f.Whole && what == 3 {
						continue
					}
					page := bytes.Repeat([]byte{byte(1 + depth*50 + at)}, size)
					if what == 2 {
						page = make([]byte, size)
						f.Zero = append(f.Zero, repo.BlockRun{First: pg.BlockNumber(at), Count: 1})
					} else {
						raw = append(raw, page...)
						if k := len(one.Runs); k > 0 && one.Runs[k-1].First+one.Runs[k-1].Count == pg.BlockNumber(at) {
							one.Runs[k-1].Count++
						} else {
							one.Runs = append(one.Runs, repo.BlockRun{First: pg.BlockNumber(at), Count: 1})
						}
					}
					if !done[at] {
						done[at] = true
						copy(want[at*size:], page)
					}
				}
				if len(raw) > 0 {
					one.Raw = uint32(len(raw))
					f.Frames = append(f.Frames, one)
					fr.keep(frameKey{depth, 1, one.Offset}, raw)
				}
			}
			cf.Versions, cf.Depth = append(cf.Versions, f), append(cf.Depth, depth)
		}
		a := &assembled{cf: cf, g: g, frames: fr}
		for range 10 {
			off := rapid.IntRange(0, len(want)+10).Draw(t, "offset")
			got := make([]byte, rapid.IntRange(1, 5*size).Draw(t, "length"))
			n, err := a.read(t.Context(), got, int64(off))
			if err != nil {
				t.Fatal(err)
			}
			if off = min(off, len(want)); !bytes.Equal(got[:n], want[off:min(off+len(got), len(want))]) {
				t.Fatalf("%d bytes at %d differ", n, off)
			}
		}
	})
}

// A frame that is shorter than its runs is an error, not a panic.
func TestShortFrame(t *testing.T) {
	g := pg.DefaultGeometry()
	fr := &frames{limit: 1, byID: map[frameKey]*list.Element{}}
	fr.keep(frameKey{0, 1, 1000}, make([]byte, g.BlockSize/2))
	a := &assembled{g: g, frames: fr, cf: &repo.ChainFile{Path: "x", Depth: []int{0}, Versions: []*repo.File{{
		Path: "x", Kind: repo.KindRelation, Size: int64(g.BlockSize), Whole: true,
		Frames: []repo.Frame{{
			Pack: 1, Offset: 1000, Stored: 1000, Raw: g.BlockSize, Runs: []repo.BlockRun{{First: 0, Count: 1}},
		}},
	}}}}
	if _, err := a.read(t.Context(), make([]byte, 10), int64(g.BlockSize)-10); !errors.Is(err, repo.ErrCorrupt) {
		t.Error(err)
	}
}

// The cache keeps to its limit and lets go of what was not used for longest.
func TestFrames(t *testing.T) {
	f := &frames{limit: 25, byID: map[frameKey]*list.Element{}}
	for i := range int64(3) {
		f.keep(frameKey{offset: i}, make([]byte, 10))
		f.cached(frameKey{offset: 0})
	}
	if f.cached(frameKey{offset: 0}) == nil || f.cached(frameKey{offset: 1}) != nil || f.held != 20 {
		t.Errorf("%d bytes are held", f.held)
	}
}
