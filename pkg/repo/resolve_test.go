package repo

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
)

// smallGeometry keeps segments small enough to try every block.
func smallGeometry() pg.Geometry {
	g := pg.DefaultGeometry()
	g.RelSegBlocks = 300
	return g
}

// origin says where a block comes from: a page of a frame of a version, or a zero page
// (frame -1), or nowhere (version -1).
type origin struct{ version, frame, page int }

var nowhere = origin{-1, 0, 0}

// drawVersion draws an entry: which of its blocks it holds, in frames whose runs may
// interleave, and which are zero pages.
func drawVersion(t *rapid.T, g pg.Geometry, whole bool) *File {
	n := rapid.IntRange(0, int(g.RelSegBlocks)).Draw(t, "blocks")
	f := &File{Path: "base/5/16384", Kind: KindRelation, Size: int64(n) * int64(g.BlockSize), Whole: whole}
	frames := rapid.IntRange(1, 5).Draw(t, "frames")
	density := rapid.IntRange(0, 9).Draw(t, "density")
	in := make([][]pg.BlockNumber, frames)
	at, frame := 0, 0
	for at < n {
		length := min(rapid.IntRange(1, 70).Draw(t, "length"), n-at)
		take := whole || rapid.IntRange(0, 9).Draw(t, "take") < density
		zero := rapid.IntRange(0, 4).Draw(t, "zero") == 0
		for b := pg.BlockNumber(at); take && int(b) < at+length; b++ {
			if zero {
				f.Zero = appendBlock(f.Zero, b)
			} else {
				in[frame] = append(in[frame], b)
			}
		}
		if rapid.Bool().Draw(t, "next") {
			frame = (frame + 1) % frames
		}
		at += length
	}
	var hash uint32
	for i, blocks := range in {
		// A frame holds 1 MiB: 128 pages.
		for part := range slices.Chunk(blocks, 128) {
			fr := Frame{
				Pack: uint32(i + 1), Offset: objectHeaderSize, Stored: frameHeaderSize + 1,
				Raw: uint32(len(part)) * g.BlockSize, Codec: CodecZstd, HashIndex: hash,
			}
			hash += uint32(len(part))
			for _, b := range part {
				fr.Runs = appendBlock(fr.Runs, b)
			}
			f.Frames = append(f.Frames, fr)
		}
	}
	return f
}

func appendBlock(runs []BlockRun, b pg.BlockNumber) []BlockRun {
	if k := len(runs); k > 0 && runs[k-1].end() == uint64(b) {
		runs[k-1].Count++
		return runs
	}
	return append(runs, BlockRun{b, 1})
}

// naive resolves block by block: the newest version that holds a block supplies it, as long
// as every version on the way down had the block at all.
func naive(cf *ChainFile, g pg.Geometry) (origins []origin, ok bool) {
	origins = make([]origin, cf.Versions[0].Blocks(g))
	for b := range origins {
		origins[b] = nowhere
		for v, f := range cf.Versions {
			if pg.BlockNumber(b) >= f.Blocks(g) {
				return nil, false
			}
			if o := holds(f, pg.BlockNumber(b)); o != nowhere {
				origins[b] = origin{v, o.frame, o.page}
				break
			}
		}
		if origins[b] == nowhere {
			return nil, false
		}
	}
	return origins, true
}

// holds finds a block in one version.
func holds(f *File, b pg.BlockNumber) origin {
	for i, fr := range f.Frames {
		page := 0
		for _, r := range fr.Runs {
			if b >= r.First && uint64(b) < r.end() {
				return origin{0, i, page + int(b-r.First)}
			}
			page += int(r.Count)
		}
	}
	for _, r := range f.Zero {
		if b >= r.First && uint64(b) < r.end() {
			return origin{0, -1, 0}
		}
	}
	return nowhere
}

// Resolve gives each block exactly the origin that looking at one block after the other
// gives, or an error where that finds none.
func TestResolveIsNaive(t *testing.T) {
	g := smallGeometry()
	rapid.Check(t, func(t *rapid.T) {
		cf := &ChainFile{Path: "base/5/16384"}
		versions := rapid.IntRange(1, 5).Draw(t, "versions")
		for v := range versions {
			cf.Versions = append(cf.Versions, drawVersion(t, g, v == versions-1 && rapid.IntRange(0, 9).Draw(t, "whole") > 0))
			cf.Depth = append(cf.Depth, v)
		}
		want, ok := naive(cf, g)
		pieces, zero, err := cf.Resolve(g)
		if ok != (err == nil) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("resolvable %v, error %v", ok, err)
		}
		if err != nil {
			return
		}
		got := make([]origin, len(want))
		for i := range got {
			got[i] = nowhere
		}
		set := func(b pg.BlockNumber, o origin) {
			if got[b] != nowhere {
				t.Fatalf("block %d is supplied twice", b)
			}
			got[b] = o
		}
		for _, p := range pieces {
			if len(p.Runs) == 0 {
				t.Fatal("a piece supplies nothing")
			}
			f := cf.Versions[p.Depth]
			frame := slices.IndexFunc(f.Frames, func(fr Frame) bool { return fr.HashIndex == p.Frame.HashIndex })
			for _, r := range p.Runs {
				for b := r.First; uint64(b) < r.end(); b++ {
					o := holds(&File{Frames: f.Frames[frame : frame+1]}, b)
					set(b, origin{p.Depth, frame, o.page})
				}
			}
		}
		for _, r := range zero {
			for b := r.First; uint64(b) < r.end(); b++ {
				version := slices.IndexFunc(cf.Versions, func(f *File) bool { return holds(f, b) != nowhere })
				set(b, origin{version, -1, 0})
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

// takeRun gives exactly the bits that were set, as maximal runs, and leaves the others.
func TestTakeRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 200
		b := newBits(n)
		set := map[pg.BlockNumber]bool{}
		draw := func(what string) BlockRun {
			first := rapid.IntRange(0, n-1).Draw(t, what)
			return BlockRun{pg.BlockNumber(first), pg.BlockNumber(rapid.IntRange(1, n-first).Draw(t, what))}
		}
		for range rapid.IntRange(0, 5).Draw(t, "runs") {
			r := draw("set")
			var fresh pg.BlockNumber
			for i := r.First; uint64(i) < r.end(); i++ {
				if !set[i] {
					fresh++
				}
				set[i] = true
			}
			if got := b.setRun(r); got != fresh {
				t.Fatalf("setRun %v: %d new, want %d", r, got, fresh)
			}
		}
		r := draw("take")
		var want []BlockRun
		for i := r.First; uint64(i) < r.end(); i++ {
			if set[i] {
				want = appendBlock(want, i)
				delete(set, i)
			}
		}
		if got := b.takeRun(nil, r); !slices.Equal(got, want) {
			t.Fatalf("takeRun %v: %v, want %v", r, got, want)
		}
		var last pg.BlockNumber
		for i := range set {
			last = max(last, i+1)
		}
		if got := b.last(); got != last {
			t.Fatalf("last: %d, want %d", got, last)
		}
	})
}

// A chain that cannot be is refused, whatever is wrong with it.
func TestResolveRefuses(t *testing.T) {
	g := pg.DefaultGeometry()
	relation := func(blocks int64, whole bool, runs ...BlockRun) *File {
		f := &File{Path: "base/5/1", Kind: KindRelation, Size: blocks * 8192, Whole: whole}
		for i, r := range runs {
			f.Frames = append(f.Frames, Frame{
				Pack: 1, Offset: 128 + int64(i), Stored: 50, Raw: uint32(r.Count) * 8192, Runs: []BlockRun{r},
			})
		}
		return f
	}
	for name, versions := range map[string][]*File{
		"no version":               {},
		"a block from nowhere":     {relation(3, false, BlockRun{0, 2})},
		"parent too short":         {relation(3, false, BlockRun{0, 2}), relation(2, true, BlockRun{0, 2})},
		"grandparent had it":       {relation(3, false), relation(2, false), relation(3, true, BlockRun{0, 3})},
		"another kind":             {relation(3, false), {Path: "base/5/1", Kind: KindFile, Whole: true}},
		"twice in one version":     {relation(3, true, BlockRun{0, 2}, BlockRun{1, 1})},
		"whole but not":            {relation(3, true, BlockRun{0, 2})},
		"beyond the end":           {relation(3, true, BlockRun{0, 4})},
		"larger than a segment":    {relation(131073, false)},
		"plain, none whole":        {{Path: "x", Kind: KindFile}},
		"plain, another checksum":  {{Path: "x", Kind: KindFile, Sum: 1}, {Path: "x", Kind: KindFile, Whole: true, Sum: 2}},
		"plain, another size":      {{Path: "x", Kind: KindFile, Size: 1}, {Path: "x", Kind: KindFile, Whole: true}},
		"plain that is a relation": {{Path: "x", Kind: KindFile}, relation(0, true)},
	} {
		cf := &ChainFile{Path: "x", Versions: versions}
		for i := range versions {
			cf.Depth = append(cf.Depth, i)
		}
		if pieces, zero, err := cf.Resolve(g); err == nil {
			t.Errorf("%s: %v, %v", name, pieces, zero)
		}
	}
	cf := &ChainFile{Path: "x", Versions: []*File{relation(0, true)}, Depth: []int{0}}
	if _, _, err := cf.Resolve(pg.Geometry{}); err == nil {
		t.Error("no geometry: no error")
	}
}
