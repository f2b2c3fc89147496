package wal

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Whatever a server writes, in whatever grouping the maps of its segments are
// joined: the result has all references and no others.
func TestJoinProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		major := rapid.IntRange(13, 18).Draw(rt, "major")
		w := newWAL(t, major)
		w.touch(1, 0)
		want := refs{"1663/5/1 main 0": true}
		for i := range rapid.IntRange(1, 12).Draw(rt, "records") {
			n, blk := uint32(i+2), pg.BlockNumber(i*1000)
			size := rapid.SampledFrom([]int{1, 300, 9000, 500_000, 1 << 20, 2_500_000}).Draw(rt, "size")
			body := makeBody([]testBlock{{rf: rel(n), blk: blk}}, bytes.Repeat([]byte{1}, size))
			switch rapid.SampledFrom([]string{"record", "record", "record", "boundary", "lost", "switch"}).Draw(rt, "what") {
			case "boundary": // the record begins right before the end of a segment
				words := rapid.IntRange(1, 8).Draw(rt, "words")
				w.fillTo(w.g.SegmentStart(w.g.SegmentOf(w.pos+100)+1) - 8*pg.LSN(words))
				fallthrough
			case "record":
				w.record(10, 0, body)
				want[fmt.Sprintf("1663/5/%d main %d", n, blk)] = true
			case "lost":
				page := pg.LSN(w.g.WALBlockSize)
				pages := rapid.IntRange(1, 300).Draw(rt, "pages")
				stop := w.pos - w.pos%page + page*pg.LSN(pages)
				w.lose(append(body, make([]byte, 301*8192)...), stop)
			case "switch":
				w.switchSegment()
			}
		}
		w.switchSegment()
		got := refsOf(sameForAllGroupings(t, w).Pages)
		if miss, more := want.missingFrom(got), got.missingFrom(want); len(miss)+len(more) > 0 {
			rt.Fatalf("missing %q, too many %q", miss, more)
		}
	})
}
