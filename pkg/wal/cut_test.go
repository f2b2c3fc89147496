package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
)

// longRecord gives a record that crosses many segments, between others that change blocks 1 and 3, and names block 2
// of each of its forks itself.
func longRecord(t *testing.T, size int) (w *walWriter, req MapRequest) {
	t.Helper()
	w = newWAL(t, 17)
	from := w.touch(1, 1)
	w.record(10, 0, makeBody([]testBlock{{rf: rel(2), blk: 2, data: []byte("x")}}, bytes.Repeat([]byte("long"), size/4)))
	w.touch(3, 3)
	w.switchSegment()
	return w, w.request(from, w.pos)
}

// A record of many segments is put together without being held, and proved: its references are in the map, and
// a flipped bit anywhere in it is found. Where it is held it would not change anything.
func TestRecordOfManySegments(t *testing.T) {
	for _, size := range []int{cutFrom / 2, cutFrom + 5<<20} {
		_, req := longRecord(t, size)
		m := mustBuild(t, req).Map
		for n := uint32(1); n <= 3; n++ {
			if !m.Changes(rel(n)).Has(pg.BlockNumber(n)) {
				t.Errorf("block %d is not in the map of a record of %d bytes", n, size)
			}
		}
		for _, n := range []pg.SegNo{2, 7} {
			bad, again := longRecord(t, size)
			bad.segs[n][500000] ^= 1
			again.Archive = bad.archive()
			wantIncomplete(t, again)
		}
	}
}

// What joined stretches hold of a record that is not looked into does not grow with it.
func TestLongRecordIsNotHeld(t *testing.T) {
	w, _ := longRecord(t, cutFrom+5<<20)
	var whole *SegmentMap
	most := 0
	for n := pg.SegNo(1); w.segs[n] != nil; n++ {
		m, err := scanBytes(w.segs[n])
		if err == nil && whole != nil {
			err = whole.Append(m)
		} else if whole == nil {
			whole = m
		}
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(whole.Tail))
		if _, err := whole.AppendBinary(nil); whole.cut != nil && !errors.Is(err, errCutRecord) {
			t.Fatalf("a map with a cut record can be stored: %v", err)
		}
	}
	if most > cutFrom+1<<20 || len(whole.Tail) > 0 || whole.cut != nil {
		t.Errorf("%d bytes were held at most, %d at last", most, len(whole.Tail))
	}
}

// Runs that a long record leaves are not stored; nothing is said to be wrong with them.
func TestLongRecordInRuns(t *testing.T) {
	w, req := longRecord(t, 36<<20)
	maps := MapsRequest{SystemIdentifier: w.sysid, Geometry: w.g, Archive: req.Archive, Jobs: 2}
	built, err := BuildMaps(t.Context(), maps)
	if err != nil || len(built.Unmapped) > 0 || built.Made != len(w.segs) {
		t.Fatalf("%+v, %v, want maps of %d segments", built, err, len(w.segs))
	}
	if b := mustBuild(t, req); b.Mapped != len(w.segs) {
		t.Errorf("%d of %d maps were used", b.Mapped, len(w.segs))
	}
}

// A commit is held to its end, where the relations are that it drops.
func TestLongCommit(t *testing.T) {
	w := newWAL(t, 17)
	from := w.touch(1, 1)
	main := append(make([]byte, 8), xactHasSubxacts|xactHasRelLocators, 0, 0, 0)
	main = binary.LittleEndian.AppendUint32(main, cutFrom/4)
	main = append(main, make([]byte, cutFrom)...)
	main = binary.LittleEndian.AppendUint32(main, 1)
	w.record(rmgrXact, xactHasInfo, mainData(appendLocator(main, rel(2).RelFileLocator)))
	w.touch(3, 3)
	w.switchSegment()
	if c := mustBuild(t, w.request(from, w.pos)).Map.Changes(rel(2)); !c.Whole {
		t.Errorf("the dropped relation is in the map with %+v", c)
	}
}

// A commit that is longer than what is held makes the range unusable, and so does a part of a record, in
// a segment, that is longer.
func TestTooLongRecord(t *testing.T) {
	w := newWAL(t, 17)
	from := w.touch(1, 1)
	w.record(rmgrXact, 0x80, mainData(append(make([]byte, 12), make([]byte, maxHeld)...)))
	w.touch(3, 3)
	w.switchSegment()
	_, err := Build(t.Context(), w.request(from, w.pos))
	var incomplete *IncompleteError
	if !errors.As(err, &incomplete) || !errors.Is(err, errTooLong) {
		t.Errorf("a commit of %d bytes: %v", maxHeld, err)
	}

	w = newWAL(t, 17)
	w.g.WALSegmentSize = 128 << 20
	w.pos = w.g.SegmentStart(1)
	w.touch(1, 1)
	w.record(10, 0, makeBody(nil, make([]byte, 70<<20)))
	if _, err := scanBytes(w.segs[1]); err == nil || !strings.Contains(err.Error(), errTooLong.Error()) {
		t.Errorf("70 MiB of a record in one segment: %v", err)
	}
}
