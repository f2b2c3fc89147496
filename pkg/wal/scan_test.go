package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// scanBytes scans one whole segment.
func scanBytes(b []byte) (*SegmentMap, error) {
	s := newScanner()
	s.reset(0)
	if _, err := s.Write(b); err != nil {
		return nil, err
	}
	return s.finish()
}

// mustBuild builds a range that is complete.
func mustBuild(t *testing.T, req MapRequest) *Built {
	t.Helper()
	built, err := Build(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// wantIncomplete builds a range that is not complete and looks for words in the reason.
func wantIncomplete(t *testing.T, req MapRequest, words ...string) {
	t.Helper()
	_, err := Build(t.Context(), req)
	var incomplete *IncompleteError
	if !errors.As(err, &incomplete) {
		t.Fatalf("Build: %v, want an *IncompleteError", err)
	}
	for _, word := range words {
		if !strings.Contains(incomplete.Reason, word) {
			t.Errorf("reason %q does not say %q", incomplete.Reason, word)
		}
	}
}

// checkRefs compares the blocks of a map.
func checkRefs(t *testing.T, m *pagemap.Map, want ...string) {
	t.Helper()
	set := refs{}
	for _, ref := range want {
		set[ref] = true
	}
	if diff := cmp.Diff(set, refsOf(m)); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
}

// Every way to write a block reference is read, in each major's own numbering
// of image flags.
func TestBlockHeaders(t *testing.T) {
	for _, v := range versions {
		t.Run(fmt.Sprint("pg", v.major), func(t *testing.T) {
			w := newWAL(t, v.major)
			from := w.touch(1, 0)
			compressed := []uint8{0x02}
			if v.major >= 15 {
				compressed = []uint8{0x04, 0x08, 0x10}
			}
			var want []string
			n := uint32(100)
			add := func(b testBlock) {
				n++
				b.rf, b.blk = rel(n), pg.BlockNumber(n)
				vm := testBlock{id: 7, blk: 9, sameRel: true, rf: pg.RelFork{Fork: pg.VMFork}}
				w.record(10, 0, makeBody([]testBlock{b, vm}, []byte("m")))
				want = append(want, fmt.Sprintf("1663/5/%d main %d", n, n), fmt.Sprintf("1663/5/%d vm 9", n))
			}
			add(testBlock{})
			add(testBlock{data: []byte("data")})
			add(testBlock{image: make([]byte, 8192)})
			add(testBlock{image: make([]byte, 8092), info: imageHasHole, hole: 50, data: []byte("x")})
			for _, c := range compressed {
				add(testBlock{image: make([]byte, 500), info: c, data: []byte("x")})
				add(testBlock{image: make([]byte, 500), info: c | imageHasHole, hole: 50, holeLen: true})
			}
			// origin and top-level transaction ids stand between blocks and main data
			body := makeBody([]testBlock{{rf: rel(99), blk: 1}}, nil)
			body = append(body, idOrigin, 1, 0)
			if v.toplevelXID {
				body = append(body, idToplevelXID, 1, 2, 3, 4)
			}
			w.record(10, 0, append(body, idDataShort, 1, 'm'))
			to := w.record(21, 0, nil)
			w.switchSegment()
			built := mustBuild(t, w.request(from, to))
			checkRefs(t, built.Map, append(want, "1663/5/1 main 0", "1663/5/99 main 1")...)
		})
	}
}

// A record that says something impossible makes its segment unreadable, even
// with a right checksum.
func TestInvalidRecords(t *testing.T) {
	block := testBlock{rf: rel(1), blk: 1}
	for name, body := range map[string][]byte{
		"block out of order":    makeBody([]testBlock{{id: 3, rf: rel(1)}, {id: 3, rf: rel(2)}}, nil),
		"same as none":          makeBody([]testBlock{{sameRel: true}}, nil),
		"id 33":                 {33, 0, 0, 0},
		"id 251":                {251, 0, 0, 0},
		"fork 4":                makeBody([]testBlock{{rf: pg.RelFork{Fork: 4}}}, nil),
		"block 4294967295":      makeBody([]testBlock{{rf: rel(1), blk: 0xFFFFFFFF}}, nil),
		"data without length":   makeBody([]testBlock{{rf: rel(1), data: []byte{}}}, nil),
		"hole without offset":   makeBody([]testBlock{{rf: rel(1), image: make([]byte, 9), info: imageHasHole}}, nil),
		"offset without hole":   makeBody([]testBlock{{rf: rel(1), image: make([]byte, 9), hole: 9}}, nil),
		"unknown image flag":    makeBody([]testBlock{{rf: rel(1), image: make([]byte, 9), info: 0x80}}, nil),
		"image over 32 kB":      makeBody([]testBlock{{rf: rel(1), image: make([]byte, 40000)}}, nil),
		"missing payload":       makeBody([]testBlock{block}, []byte("main"))[:24],
		"bytes left over":       append(makeBody([]testBlock{block}, []byte("main")), 1),
		"main data beyond end":  {idDataLong, 0xFF, 0xFF, 0xFF, 0xFF},
		"half a block header":   makeBody([]testBlock{block}, nil)[:3],
		"half a locator":        makeBody([]testBlock{block}, nil)[:10],
		"half a block number":   makeBody([]testBlock{block}, nil)[:18],
		"half of a data header": {idDataLong, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWAL(t, 17)
			w.record(10, 0, body)
			w.switchSegment()
			if _, err := scanBytes(w.segs[1]); err == nil {
				t.Error("was read")
			}
		})
	}
}

// A resource manager that a major does not have is an error; from 15 on
// extensions have their own.
func TestResourceManagers(t *testing.T) {
	for _, tt := range []struct {
		major int
		rmid  uint8
		ok    bool
	}{{13, 21, true}, {13, 22, false}, {14, 128, false}, {15, 127, false}, {15, 128, true}, {18, 255, true}} {
		w := newWAL(t, tt.major)
		w.record(tt.rmid, 0, makeBody([]testBlock{{rf: rel(1), blk: 3}}, nil))
		w.switchSegment()
		m, err := scanBytes(w.segs[1])
		if (err == nil) != tt.ok {
			t.Errorf("resource manager %d on %d: %v", tt.rmid, tt.major, err)
		}
		if err == nil {
			checkRefs(t, m.Pages, "1663/5/1 main 3")
		}
	}
}

// A record through three segments is put together in any grouping of the joins.
func TestLongRecord(t *testing.T) {
	w := newWAL(t, 16)
	from := w.touch(1, 1)
	w.fillTo(w.g.SegmentStart(2) - 1000)
	const dropped = 90_000 // 1.1 MB
	var rels []byte
	for i := range dropped {
		rels = appendLocator(rels, rel(uint32(i+1000)).RelFileLocator)
	}
	main := append(make([]byte, 8), 4, 0, 0, 0)
	main = binary.LittleEndian.AppendUint32(main, dropped)
	w.record(rmgrXact, xactCommit|xactHasInfo, mainData(append(main, rels...)))
	w.touch(2, 2)
	to := w.touch(3, 3)
	w.switchSegment()

	built := mustBuild(t, w.request(from, to))
	checkRefs(t, built.Map, "1663/5/1 main 1", "1663/5/2 main 2", "1663/5/3 main 3")
	for _, n := range []uint32{1000, 50_000, 1000 + dropped - 1} {
		if !built.Map.Changes(rel(n)).Whole {
			t.Errorf("relation %d is not dropped", n)
		}
	}
	if len(w.segs) != 3 {
		t.Errorf("the record lies in %d segments", len(w.segs))
	}
	sameForAllGroupings(t, w)
}

// sameForAllGroupings joins the maps of all segments from the left and from the right.
func sameForAllGroupings(t *testing.T, w *walWriter) *SegmentMap {
	t.Helper()
	var encoded [2][]byte
	var joined *SegmentMap
	for i, fromLeft := range []bool{true, false} {
		var list []*SegmentMap
		for n := pg.SegNo(1); w.segs[n] != nil; n++ {
			m, err := scanBytes(w.segs[n])
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, reencode(t, m))
		}
		for len(list) > 1 {
			at := 0
			if !fromLeft {
				at = len(list) - 2
			}
			if err := list[at].Append(list[at+1]); err != nil {
				t.Fatal(err)
			}
			list = append(list[:at+1], list[at+2:]...)
			list[at] = reencode(t, list[at])
		}
		joined = list[0]
		var err error
		if encoded[i], err = joined.AppendBinary(nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(encoded[0], encoded[1]) {
		t.Error("joining from the left and from the right gives different maps")
	}
	return joined
}

// reencode proves that decoding what was encoded gives the same map.
func reencode(t *testing.T, m *SegmentMap) *SegmentMap {
	t.Helper()
	b, err := m.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeSegmentMap(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m.Stretch, back.Stretch) {
		t.Fatalf("decoded stretch (-want +got):\n%s", cmp.Diff(m.Stretch, back.Stretch))
	}
	again, err := back.AppendBinary(nil)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("encoding a decoded map: %v, same bytes: %t", err, bytes.Equal(again, b))
	}
	return back
}

// Every length of a record's piece at the end of a segment can be joined: 8
// bytes, or all but 8.
func TestSegmentBoundary(t *testing.T) {
	for before := 8; before <= 72; before += 8 {
		w := newWAL(t, 15)
		from := w.touch(1, 0)
		end := w.g.SegmentStart(2)
		w.fillTo(end - pg.LSN(before))
		w.record(10, 0, makeBody([]testBlock{{rf: rel(50), blk: 5}, {id: 1, rf: rel(51), blk: 6}}, nil)) // 64 bytes
		w.touch(60, 7)
		to := w.touch(61, 8)
		w.switchSegment()
		built := mustBuild(t, w.request(from, to))
		checkRefs(t, built.Map, "1663/5/1 main 0", "1663/5/50 main 5", "1663/5/51 main 6", "1663/5/60 main 7",
			"1663/5/61 main 8")
		sameForAllGroupings(t, w)
	}
}

// A record that crosses into the next segment is verified where the two are joined.
func TestDamagedCrossing(t *testing.T) {
	for _, at := range []int{2<<20 - 8, 2<<20 + longHeaderSize} { // its begin, its end
		w := newWAL(t, 15)
		from := w.touch(1, 0)
		w.fillTo(w.g.SegmentStart(2) - 40)
		w.record(10, 0, makeBody([]testBlock{{rf: rel(50), blk: 5}, {id: 1, rf: rel(51), blk: 6}}, nil))
		to := w.touch(61, 8)
		w.switchSegment()
		w.segment(pg.LSN(at))[0] ^= 0x10
		wantIncomplete(t, w.request(from, to), "000000010000000000000002", "checksum")
	}
}

// One reader makes the maps of many segments, and none has to do with another.
func TestScannerIsReused(t *testing.T) {
	w := newWAL(t, 15)
	for range 3 {
		w.touch(1, 1)
		w.switchSegment()
	}
	a := w.archive()
	_, err := BuildMaps(t.Context(), MapsRequest{SystemIdentifier: 7, Geometry: w.g, Archive: a, Jobs: 1})
	if err != nil || len(a.maps) != 3 {
		t.Fatalf("%d maps, %v", len(a.maps), err)
	}
	for _, data := range a.maps {
		m, err := DecodeSegmentMap(data)
		if err != nil {
			t.Fatal(err)
		}
		checkRefs(t, m.Pages, "1663/5/1 main 1")
	}
}

// A switch record may itself cross into the next segment, all of which is then empty.
func TestSwitchAcrossSegments(t *testing.T) {
	for _, before := range []int{8, 16, 24} {
		w := newWAL(t, 14)
		from := w.touch(1, 0)
		w.fillTo(w.g.SegmentStart(2) - pg.LSN(before))
		w.switchSegment()
		to := w.touch(2, 0)
		w.touch(3, 0)
		w.switchSegment()
		want := 2
		if before < recordHeaderSize {
			want = 3
		}
		if len(w.segs) != want {
			t.Fatalf("%d segments, want %d", len(w.segs), want)
		}
		mustBuild(t, w.request(from, to))
		sameForAllGroupings(t, w)
	}
}

// A record that a crash cut off is dropped where the server overwrote its
// rest: on a page of the same segment, on the first page of the next, and after a whole segment of it.
func TestOverwrittenRecord(t *testing.T) {
	for name, stop := range map[string]pg.LSN{
		"same segment":       1<<20 + 0x8000,
		"next segment":       2 << 20,
		"next segment later": 2<<20 + 0x4000,
		"segment after":      3 << 20,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWAL(t, 17)
			from := w.touch(1, 1)
			w.fillTo(1<<20 + 0x6000 - 64)
			lost, _ := w.lose(makeBody([]testBlock{{rf: rel(66), blk: 6}}, make([]byte, 3<<20)), stop)
			w.touch(2, 2)
			to := w.touch(3, 3)
			w.switchSegment()
			built := mustBuild(t, w.request(from, to))
			checkRefs(t, built.Map, "1663/5/1 main 1", "1663/5/2 main 2", "1663/5/3 main 3")
			sameForAllGroupings(t, w)

			// That another record was lost than the one that is cut off is found.
			page := w.segment(stop)
			rec := record(page[headerSizeAt(stop, w.g.WALSegmentSize):][:42])
			binary.LittleEndian.PutUint64(rec[26:], uint64(lost+8))
			copy(rec, makeRecord(rec.rmid(), rec.info(), rec.prev(), bytes.Clone(rec[24:])))
			wantIncomplete(t, w.request(from, to), "overwrites")
		})
	}
}

// WAL that a server has not written to the end is not a segment.
func TestEndOfWAL(t *testing.T) {
	w := newWAL(t, 15)
	from := w.touch(1, 1)
	w.touch(1, 2)
	to := w.touch(1, 3)
	req := w.request(from, to) // ends without a switch: the rest is zeros
	checkRefs(t, mustBuildFromDir(t, req).Map, "1663/5/1 main 1", "1663/5/1 main 2")
	wantIncomplete(t, req, "000000010000000000000001", "no record")

	if _, err := scanBytes(make([]byte, 1<<20)); err == nil {
		t.Error("zeros were read as a segment")
	}
}

// mustBuildFromDir builds with the files of the archive as pg_wal.
func mustBuildFromDir(t *testing.T, req MapRequest) *Built {
	t.Helper()
	req.Dir = req.Archive.(*dirArchive).dir
	req.Archive = nil
	return mustBuild(t, req)
}

// WAL of an unknown version is refused with its magic and what to do.
func TestUnknownMagic(t *testing.T) {
	w := newWAL(t, 18)
	w.magic = 0xD121
	w.touch(1, 1)
	_, err := scanBytes(w.segs[1])
	if err == nil || !strings.Contains(err.Error(), "D121") || !strings.Contains(err.Error(), "newer pgincr") {
		t.Errorf("error %v does not name magic and remedy", err)
	}
}
