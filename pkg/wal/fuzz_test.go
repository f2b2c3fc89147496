package wal

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// Any bytes are read without a panic, in whatever portions they come, and what
// is accepted can be encoded and decoded.
func FuzzScanSegment(f *testing.F) {
	for _, major := range []int{13, 15, 18} {
		w := newWAL(f, major)
		w.g.WALBlockSize = 1024
		w.touch(1, 1)
		w.record(10, 0, makeBody([]testBlock{{rf: rel(2), blk: 2, image: make([]byte, 1500)}}, nil))
		w.record(rmgrXact, 0x80, mainData(append(make([]byte, 8), le(4, 1, 1663, 5, 7)...)))
		stop := w.pos - w.pos%1024 + 2048
		w.lose(mainData(make([]byte, 5000)), stop)
		w.touch(3, 3)
		end := w.pos - w.g.SegmentStart(1)
		f.Add(bytes.Clone(w.segs[1][:end]), uint16(100))
		w.switchSegment()
		f.Add(bytes.Clone(w.segs[1][:end+64]), uint16(1024))
	}
	f.Fuzz(func(t *testing.T, b []byte, portion uint16) {
		s := newScanner()
		// So many bytes are taken for a stretch of their own.
		if h, err := parseSegmentHeader(b); err == nil {
			s.reset(h.addr+pg.LSN(len(b)&^7), h.addr+40)
		} else {
			s.reset(0)
		}
		for rest := b; len(rest) > 0; {
			n := min(int(portion)+1, len(rest))
			if _, err := s.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		m, err := s.finish()
		if err != nil {
			return
		}
		m.End = m.Start + pg.LSN(m.SegmentSize) // as if it were whole
		if err := m.verify(); err != nil {
			t.Fatalf("the scanner made a map that is refused: %v", err)
		}
	})
}

// Any body of a record, rightly checksummed, is read without a panic.
func FuzzRecord(f *testing.F) {
	f.Add(uint8(10), uint8(0), uint8(0), makeBody([]testBlock{{rf: rel(2), blk: 2, data: []byte("x")}}, []byte("y")))
	f.Add(uint8(1), uint8(0x80), uint8(2), mainData(append(make([]byte, 8), le(7, 0, 0, 1, 2, 1, 1663, 5, 7)...)))
	f.Add(uint8(2), uint8(0x21), uint8(3), mainData(le(7, 1663, 5, 7, 3)))
	f.Add(uint8(4), uint8(0x21), uint8(5), mainData(le(7, 1, 1663)))
	f.Add(uint8(0), uint8(0x10), uint8(4), mainData(make([]byte, 88)))
	f.Fuzz(func(t *testing.T, rmid, info, which uint8, body []byte) {
		v := &versions[int(which)%len(versions)]
		r := record(makeRecord(rmid, info, 8, body))
		if err := r.verify(v, nil); err != nil {
			return
		}
		c := collector{version: v, pages: pagemap.New()}
		_ = c.record(r, nil, 64) // whether it is one does not matter

		whole, begin := collector{version: v, pages: pagemap.New()}, collector{version: v, pages: pagemap.New()}
		if _, err := begin.references(r[:recordHeaderSize+len(body)*2/3], len(r)); err != nil {
			return
		}
		if _, err := whole.references(r, len(r)); err != nil {
			t.Fatalf("its begin is taken, it is not: %v", err)
		}
		want, err1 := whole.pages.AppendBinary(nil)
		got, err2 := begin.pages.AppendBinary(nil)
		if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Fatalf("its begin names other blocks than it does (%v, %v)", err1, err2)
		}
	})
}

// Any bytes are refused or are the one encoding of the map that they decode
// to; joining what was decoded does not panic either.
func FuzzDecodeSegmentMap(f *testing.F) {
	w := newWAL(f, 17)
	w.touch(1, 1)
	w.record(0, 0x80, mainData([]byte{0}))
	w.record(0, 0x90, mainData(le(0, 0, 2, 1, 1)))
	w.tli = 2
	w.fillTo(w.g.SegmentStart(2) - 24)
	w.touch(2, 2)
	w.record(0, 0x00, mainData(append(le(40, 0, 1, 1, 1, 1), make([]byte, 64)...)))
	w.switchSegment()
	for n := pg.SegNo(1); n <= 2; n++ {
		m, err := scanBytes(w.segs[n])
		if err != nil {
			f.Fatal(err)
		}
		b, err := m.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > mapHeaderSize { // let changes past the checksum
			b = bytes.Clone(b)
			binary.BigEndian.PutUint32(b[len(b)-4:], pg.CRC32C(b[:len(b)-4]))
		}
		m, err := DecodeSegmentMap(b)
		if err != nil {
			return
		}
		again, err := m.AppendBinary(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("encoded again: %v, same: %t", err, bytes.Equal(again, b))
		}
		other, err := DecodeSegmentMap(b)
		if err != nil {
			t.Fatal(err)
		}
		other.Start, other.End = m.End, m.End+(m.End-m.Start)
		_ = m.Append(other) // whether they fit does not matter
	})
}

// Any bytes of a summary are refused or read, without a panic.
func FuzzSummary(f *testing.F) {
	for _, b := range summarySeeds() {
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		if len(b) > 8 {
			b = bytes.Clone(b)
			binary.LittleEndian.PutUint32(b[len(b)-4:], pg.CRC32C(b[:len(b)-4]))
		}
		_ = parseSummary(b, pagemap.New())
	})
}
