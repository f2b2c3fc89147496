package repo

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Every page that a piece supplies is found once, at its place in the frame, and neighbours go together.
func TestStretches(t *testing.T) {
	const size = 16 // a small block
	rapid.Check(t, func(t *rapid.T) {
		// The frame: runs with gaps, each block filled with its number.
		var frame []byte
		var p Piece
		want := map[pg.BlockNumber][]byte{}
		block := uint32(0)
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			block += rapid.Uint32Range(0, 3).Draw(t, "gap")
			n := rapid.Uint32Range(1, 6).Draw(t, "count")
			p.Frame.Runs = append(p.Frame.Runs, BlockRun{First: pg.BlockNumber(block), Count: pg.BlockNumber(n)})
			var taken bool
			for i := range n {
				page := bytes.Repeat([]byte{byte(block + i + 1)}, size)
				frame = append(frame, page...)
				if !rapid.Bool().Draw(t, "newest") {
					taken = false
					continue
				}
				want[pg.BlockNumber(block+i)] = page
				if k := len(p.Runs) - 1; taken {
					p.Runs[k].Count++
				} else {
					p.Runs = append(p.Runs, BlockRun{First: pg.BlockNumber(block + i), Count: 1})
				}
				taken = true
			}
			block += n
		}
		p.Frame.Raw = uint32(len(frame))
		if len(p.Runs) == 0 {
			return
		}
		last := int64(-1)
		for s, err := range p.Stretches() {
			if err != nil {
				t.Fatal(err)
			}
			if int64(s.First) == last {
				t.Fatalf("%v: could have been one with the one before", s)
			}
			for i := range s.Count {
				page, ok := want[s.First+i]
				from := (s.Page + int(i)) * size
				if !ok || !bytes.Equal(page, frame[from:from+size]) {
					t.Fatalf("%v: wrong page at %d", s, i)
				}
				delete(want, s.First+i)
			}
			// Runs of the frame may touch, so what ends here may only go on there in the frame too.
			last = int64(s.end())
		}
		if len(want) > 0 {
			t.Fatalf("left out: %v", want)
		}
	})
}

// A piece that asks a frame for what it does not hold is corruption, whoever reads it, and not a wrong page.
func TestStretchesRefuse(t *testing.T) {
	g := pg.Geometry{BlockSize: 16}
	frame := Frame{Raw: 32, Runs: []BlockRun{{First: 4, Count: 2}}}
	hashes := slices.Repeat([]uint64{PageHash(make(pg.Page, 16))}, 8)
	last := Piece{Frame: frame, Runs: []BlockRun{{First: 5, Count: 1}}}
	if err := last.VerifyPages(make([]byte, 32), g, hashes); err != nil {
		t.Error(err)
	}
	if err := last.VerifyPages(make([]byte, 16), g, hashes); !errors.Is(err, ErrCorrupt) {
		t.Errorf("short frame: got %v", err)
	}
	for name, runs := range map[string][]BlockRun{
		"other block": {{First: 6, Count: 1}}, "longer": {{First: 5, Count: 2}},
		"backwards": {{First: 5, Count: 1}, {First: 3, Count: 1}}, "twice": {{First: 5, Count: 1}, {First: 4, Count: 2}},
	} {
		p := &Piece{Frame: frame, Runs: runs}
		var err error
		for _, e := range p.Stretches() {
			err = errors.Join(err, e)
		}
		for _, err := range []error{
			err, placeHashes(make([]uint64, 8), p, hashes), p.VerifyPages(make([]byte, 32), g, hashes),
		} {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}
