package wal

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
)

// walWriter writes WAL as a server would, for histories that a real one cannot be
// brought to on demand.
type walWriter struct {
	t     testing.TB
	magic uint16
	g     pg.Geometry
	sysid uint64
	tli   pg.TimelineID
	pos   pg.LSN // where the next byte goes
	prev  pg.LSN // of the next record
	segs  map[pg.SegNo][]byte
}

// newWAL starts WAL of a major at segment 1, in segments of 1 MB.
func newWAL(t testing.TB, major int) *walWriter {
	g := pg.DefaultGeometry()
	g.WALSegmentSize = 1 << 20
	w := &walWriter{t: t, g: g, sysid: 7, tli: 1, pos: g.SegmentStart(1), segs: map[pg.SegNo][]byte{}}
	for _, v := range versions {
		if v.major == major {
			w.magic = v.magic
		}
	}
	return w
}

func (w *walWriter) segment(lsn pg.LSN) []byte {
	n := w.g.SegmentOf(lsn)
	if w.segs[n] == nil {
		w.segs[n] = make([]byte, w.g.WALSegmentSize)
	}
	return w.segs[n][lsn-w.g.SegmentStart(n):]
}

// page writes a page header, if a page begins at pos.
func (w *walWriter) page(info uint16, rem int) {
	if w.pos%pg.LSN(w.g.WALBlockSize) != 0 {
		return
	}
	b := w.segment(w.pos)
	size := headerSizeAt(w.pos, w.g.WALSegmentSize)
	if size == longHeaderSize {
		info |= pageLongHeader
		binary.LittleEndian.PutUint64(b[24:], w.sysid)
		binary.LittleEndian.PutUint32(b[32:], w.g.WALSegmentSize)
		binary.LittleEndian.PutUint32(b[36:], w.g.WALBlockSize)
	}
	binary.LittleEndian.PutUint16(b, w.magic)
	binary.LittleEndian.PutUint16(b[2:], info)
	binary.LittleEndian.PutUint32(b[4:], uint32(w.tli))
	binary.LittleEndian.PutUint64(b[8:], uint64(w.pos))
	binary.LittleEndian.PutUint32(b[16:], uint32(rem))
	w.pos += pg.LSN(size)
}

// room is how many bytes are left on the page.
func (w *walWriter) room() int {
	return int(w.g.WALBlockSize) - int(w.pos%pg.LSN(w.g.WALBlockSize))
}

// put writes a record up to position stop and gives where it begins.
func (w *walWriter) put(rec []byte, stop pg.LSN) pg.LSN {
	w.page(0, 0)
	lsn := w.pos
	for len(rec) > 0 && w.pos < stop {
		w.page(pageFirstIsContrecord, len(rec))
		n := copy(w.segment(w.pos)[:w.room()], rec)
		rec = rec[n:]
		w.pos += pg.LSN(n)
	}
	w.pos = pg.LSN(align(uint64(w.pos)))
	return lsn
}

// record writes a record with blocks and main data and gives where it begins.
func (w *walWriter) record(rmid, info uint8, body []byte) pg.LSN {
	lsn := w.put(makeRecord(rmid, info, w.prev, body), ^pg.LSN(0))
	w.prev = lsn
	return lsn
}

// fillTo writes records until the next one would begin at lsn, a multiple of 8.
func (w *walWriter) fillTo(lsn pg.LSN) {
	w.t.Helper()
	for w.pos < lsn {
		w.page(0, 0)
		gap := int(min(lsn, w.pos+pg.LSN(w.room())) - w.pos)
		switch {
		case gap > 1100:
			gap = 1000
		case gap < recordHeaderSize: // crosses into the next page
			gap = 48
		}
		var body []byte
		if n := gap - recordHeaderSize; n > 257 {
			body = mainData(bytes.Repeat([]byte{'f'}, n-5))
		} else if n > 0 {
			body = mainData(bytes.Repeat([]byte{'f'}, n-2))
		}
		w.record(21, 0, body)
	}
	if w.pos != lsn {
		w.t.Fatalf("filled to %s, not to %s", w.pos, lsn)
	}
}

// switchSegment writes an XLOG_SWITCH and leaves the rest of its segment empty.
func (w *walWriter) switchSegment() pg.LSN {
	lsn := w.record(rmgrXLOG, xlogSwitch, nil)
	if rest := w.pos % pg.LSN(w.g.WALSegmentSize); rest != 0 {
		w.pos += pg.LSN(w.g.WALSegmentSize) - rest
	}
	w.segment(w.pos - 1)
	return lsn
}

// lose writes a record that a crash cuts off at stop, a page boundary, and what the server writes
// there after recovery.
func (w *walWriter) lose(body []byte, stop pg.LSN) (lost, overwrite pg.LSN) {
	lost = w.put(makeRecord(21, 0, w.prev, body), stop)
	w.pos = stop
	w.page(pageFirstIsOverwriteContrecord, 0)
	main := binary.LittleEndian.AppendUint64(nil, uint64(lost))
	main = append(main, make([]byte, 8)...)
	return lost, w.record(rmgrXLOG, xlogOverwriteContrecord, mainData(main))
}

// archive gives the segments, as files of the writer's timeline.
func (w *walWriter) archive() *dirArchive {
	w.t.Helper()
	dir := w.t.TempDir()
	for n, b := range w.segs {
		if err := os.WriteFile(filepath.Join(dir, w.g.WALFileName(w.tli, n)), b, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	return newDirArchive(dir)
}

// request asks for the map of a range.
func (w *walWriter) request(from, to pg.LSN) MapRequest {
	return MapRequest{
		SystemIdentifier: w.sysid, Geometry: w.g, History: pg.History{Timeline: w.tli}, FromTimeline: w.tli,
		From: from, To: to, Archive: w.archive(), Jobs: 2,
	}
}

// makeRecord makes a record with a right checksum.
func makeRecord(rmid, info uint8, prev pg.LSN, body []byte) []byte {
	r := make([]byte, recordHeaderSize, recordHeaderSize+len(body))
	r = append(r, body...)
	binary.LittleEndian.PutUint32(r, uint32(len(r)))
	binary.LittleEndian.PutUint64(r[8:], uint64(prev))
	r[16], r[17] = info, rmid
	binary.LittleEndian.PutUint32(r[20:], pg.UpdateCRC32C(pg.CRC32C(r[recordHeaderSize:]), r[:20]))
	return r
}

// mainData makes a body that is main data only.
func mainData(b []byte) []byte { return makeBody(nil, b) }

// testBlock is a block reference to be written.
type testBlock struct {
	id      uint8
	rf      pg.RelFork
	blk     pg.BlockNumber
	sameRel bool
	data    []byte
	image   []byte // nil: none
	info    uint8  // of the image
	hole    uint16 // offset of the image's hole
	holeLen bool   // the image header has the length of the hole
}

// makeBody makes a record's body of blocks and main data.
func makeBody(blocks []testBlock, main []byte) []byte {
	var head, payload []byte
	for _, b := range blocks {
		flags := uint8(b.rf.Fork)
		if b.sameRel {
			flags |= blockSameRel
		}
		if b.data != nil {
			flags |= blockHasData
		}
		if b.image != nil {
			flags |= blockHasImage
		}
		head = append(head, b.id, flags)
		head = binary.LittleEndian.AppendUint16(head, uint16(len(b.data)))
		if b.image != nil {
			head = binary.LittleEndian.AppendUint16(head, uint16(len(b.image)))
			head = binary.LittleEndian.AppendUint16(head, b.hole)
			head = append(head, b.info)
			if b.holeLen {
				head = binary.LittleEndian.AppendUint16(head, 100)
			}
		}
		if !b.sameRel {
			head = appendLocator(head, b.rf.RelFileLocator)
		}
		head = binary.LittleEndian.AppendUint32(head, uint32(b.blk))
		payload = append(append(payload, b.image...), b.data...)
	}
	switch {
	case len(main) == 0:
	case len(main) < 256:
		head = append(head, idDataShort, uint8(len(main)))
	default:
		head = append(head, idDataLong)
		head = binary.LittleEndian.AppendUint32(head, uint32(len(main)))
	}
	return append(append(head, payload...), main...)
}

func appendLocator(b []byte, r pg.RelFileLocator) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Spc))
	b = binary.LittleEndian.AppendUint32(b, uint32(r.DB))
	return binary.LittleEndian.AppendUint32(b, uint32(r.Rel))
}

// rel names relation n of a database.
func rel(n uint32) pg.RelFork {
	return pg.RelFork{RelFileLocator: pg.RelFileLocator{Spc: pg.DefaultTablespace, DB: 5, Rel: pg.RelFileNumber(n)}}
}

// touch writes a record that references one block.
func (w *walWriter) touch(n uint32, blk pg.BlockNumber) pg.LSN {
	return w.record(10, 0, makeBody([]testBlock{{rf: rel(n), blk: blk}}, []byte("main")))
}
