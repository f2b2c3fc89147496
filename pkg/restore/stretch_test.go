package restore

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Every page that a piece supplies is written once, at its place, from its place in the
// frame, and neighbours go together.
func TestStretches(t *testing.T) {
	const size = 16 // a small block
	rapid.Check(t, func(t *rapid.T) {
		// The frame: runs with gaps, each block filled with its number.
		var frame []byte
		var p repo.Piece
		want := map[int64][]byte{}
		block := uint32(0)
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			block += rapid.Uint32Range(0, 3).Draw(t, "gap")
			n := rapid.Uint32Range(1, 6).Draw(t, "count")
			p.Frame.Runs = append(p.Frame.Runs, repo.BlockRun{First: pg.BlockNumber(block), Count: pg.BlockNumber(n)})
			var taken bool
			for i := range n {
				page := bytes.Repeat([]byte{byte(block + i + 1)}, size)
				frame = append(frame, page...)
				if !rapid.Bool().Draw(t, "newest") {
					taken = false
					continue
				}
				want[int64(block+i)*size] = page
				if k := len(p.Runs) - 1; taken {
					p.Runs[k].Count++
				} else {
					p.Runs = append(p.Runs, repo.BlockRun{First: pg.BlockNumber(block + i), Count: 1})
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
		for s, err := range stretches(&p, len(frame), size) {
			if err != nil {
				t.Fatal(err)
			}
			if s.to == last {
				t.Fatalf("%v: could have been written with the one before", s)
			}
			for at := 0; at < s.size; at += size {
				page, ok := want[s.to+int64(at)]
				if !ok || !bytes.Equal(page, frame[s.from+at:s.from+at+size]) {
					t.Fatalf("%v: wrong page at %d", s, at)
				}
				delete(want, s.to+int64(at))
			}
			// Runs of the frame may touch, so what ends here may only go on there in the frame too.
			last = s.to + int64(s.size)
		}
		if len(want) > 0 {
			t.Fatalf("not written: %v", want)
		}
	})
}

// A piece that asks a frame for what it does not hold is corruption, not a wrong write.
func TestStretchesRefuse(t *testing.T) {
	frame := repo.Frame{Raw: 32, Runs: []repo.BlockRun{{First: 4, Count: 2}}}
	for name, tc := range map[string]struct {
		runs []repo.BlockRun
		size int
	}{
		"other block": {[]repo.BlockRun{{First: 6, Count: 1}}, 32},
		"longer":      {[]repo.BlockRun{{First: 5, Count: 2}}, 32},
		"short frame": {[]repo.BlockRun{{First: 5, Count: 1}}, 16},
		"backwards":   {[]repo.BlockRun{{First: 5, Count: 1}, {First: 3, Count: 1}}, 32},
	} {
		var err error
		for _, e := range stretches(&repo.Piece{Frame: frame, Runs: tc.runs}, tc.size, 16) {
			err = errors.Join(err, e)
		}
		if !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
