package wal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// scanner reads the bytes of one segment, written to it in any portions, and
// makes its SegmentMap. A record within one page is read where it lies; one
// that crosses pages is put together first. The first error sticks.
//
// Memory: the references to blocks, 48 KiB of recent ones, one page, and what the segment has of the longest
// record that crosses pages: the segment, but no more than maxHeld. WAL in segments of 128 MiB and more
// can hold more of a record; it has no map, and is read to its end only if somebody watches.
type scanner struct {
	collector
	Stretch
	stop  pg.LSN   // bytes from here on are not looked at; 0: none such
	marks []pg.LSN // ascending: where a record is to start; those passed are taken off
	found []pg.LSN // those of marks where one did

	err      error
	header   pageHeader // of the segment
	next     pg.LSN     // where the bytes come from that are written next
	page     []byte     // begin of a page that is not complete yet
	open     []byte     // begin of a record that crosses a page boundary
	openAt   pg.LSN     // where that record begins; 0: before the segment
	openLen  uint32     // its length, or what the segment has of it when it begins before it
	isOpen   bool
	switched bool // the rest of the segment is empty
}

// newScanner makes a scanner that can be used for one segment after another.
func newScanner() *scanner {
	return &scanner{collector: collector{recent: new([recentRefs]blockRef)}}
}

// reset prepares for a segment, to be read up to stop (0: to its end). Those
// of the ascending marks where a record starts will be in found.
func (s *scanner) reset(stop pg.LSN, marks ...pg.LSN) {
	*s = scanner{
		collector: collector{pages: pagemap.New(), recent: s.recent, watch: s.watch},
		stop:      stop,
		marks:     marks,
		page:      s.page[:0],
		open:      s.open[:0],
	}
	s.forget()
}

// Write takes the next bytes of the segment. It never fails: what is wrong with them is told by finish.
func (s *scanner) Write(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.write(p)
	}
	return len(p), nil
}

func (s *scanner) write(p []byte) error {
	if s.SegmentSize == 0 {
		n := min(len(p), longHeaderSize-len(s.page))
		s.page = append(s.page, p[:n]...)
		p = p[n:]
		if len(s.page) < longHeaderSize {
			return nil
		}
		if err := s.begin(); err != nil {
			return err
		}
	}
	size := int(s.BlockSize)
	if len(s.page) > 0 {
		n := min(len(p), size-len(s.page))
		s.page = append(s.page, p[:n]...)
		p = p[n:]
		if len(s.page) < size {
			return nil
		}
		if err := s.readPage(s.page); err != nil {
			return err
		}
		s.page = s.page[:0]
	}
	for len(p) >= size {
		if err := s.readPage(p[:size]); err != nil {
			return err
		}
		p = p[size:]
	}
	s.page = append(s.page, p...)
	return nil
}

// begin takes the long header that the segment begins with.
func (s *scanner) begin() error {
	h, err := parseSegmentHeader(s.page)
	if err != nil {
		return err
	}
	if s.version, err = versionOf(h.magic); err != nil {
		return err
	}
	s.header = h
	s.SystemIdentifier, s.Magic = h.sysid, h.magic
	s.SegmentSize, s.BlockSize = h.segSize, h.blockSize
	s.Start, s.next = h.addr, h.addr
	s.End = h.addr + pg.LSN(h.segSize)
	if s.End < s.Start {
		return fmt.Errorf("first page: address %s is at the end of all WAL", h.addr)
	}
	if s.stop != 0 {
		if s.stop <= s.Start || s.stop > s.End {
			return fmt.Errorf("first page: address %s, but the segment should hold %s", h.addr, s.stop)
		}
		s.End = s.stop
	}
	return nil
}

// finish gives the map when all bytes of the segment were written.
func (s *scanner) finish() (*SegmentMap, error) {
	if s.err == nil && s.SegmentSize == 0 {
		s.err = fmt.Errorf("%d bytes: too short for the header of a segment", len(s.page))
	}
	if s.err == nil && s.next < s.End && s.next+pg.LSN(len(s.page)) >= s.End {
		s.err = s.readPage(s.page) // the page that is cut by stop
		s.page = s.page[:0]
	}
	if s.err == nil && s.next < s.End {
		s.err = fmt.Errorf("ends at %s, %d bytes early", s.next+pg.LSN(len(s.page)),
			s.End-s.next-pg.LSN(len(s.page)))
	}
	if past := s.Start + pg.LSN(s.SegmentSize); s.err == nil && s.next+pg.LSN(len(s.page)) > past {
		s.err = fmt.Errorf("longer than the %d bytes that its header gives", s.SegmentSize)
	}
	if s.err != nil {
		return nil, s.err
	}
	s.finishOpen()
	s.Begins, s.Redos, s.Findings = s.begins, s.redos, s.findings
	return &SegmentMap{Stretch: s.Stretch, Pages: s.pages}, nil
}

// finishOpen makes the record that runs over the end of the segment its tail,
// or its head when it runs through all of it.
func (s *scanner) finishOpen() {
	switch {
	case !s.isOpen:
	case s.openAt == 0:
		s.Head = append([]byte(nil), s.open...)
	default:
		s.TailStart = s.openAt
		s.Tail = append([]byte(nil), s.open...)
	}
}

// readPage reads the page at s.next, which may be cut short by s.stop.
func (s *scanner) readPage(p []byte) error {
	addr := s.next
	s.next += pg.LSN(s.BlockSize)
	if addr >= s.End || s.switched {
		return nil
	}
	if s.End-addr < pg.LSN(len(p)) {
		p = p[:s.End-addr]
	}
	h, err := parsePageHeader(p)
	if err == nil {
		err = s.checkHeader(&h, addr)
	}
	if err != nil {
		return fmt.Errorf("page at %s: %w", addr, err)
	}
	pos, err := s.continuation(p, &h)
	if err != nil {
		return fmt.Errorf("page at %s: %w", addr, err)
	}
	if s.switched {
		return nil
	}
	return s.records(p, pos, addr)
}

// checkHeader judges a page header as XLogReaderValidatePageHeader does
// (access/xlogreader.c).
func (s *scanner) checkHeader(h *pageHeader, addr pg.LSN) error {
	switch {
	case h.magic == 0:
		return errors.New("WAL ends here")
	case h.magic != s.Magic:
		return fmt.Errorf("magic %04X, where the segment began with %04X", h.magic, s.Magic)
	case h.info&^pageAllFlags != 0:
		return fmt.Errorf("invalid info bits %04X", h.info)
	case h.addr != addr:
		return fmt.Errorf("address %s: the page was not written yet", h.addr)
	case h.info&pageLongHeader != 0 &&
		(h.sysid != s.SystemIdentifier || h.segSize != s.SegmentSize || h.blockSize != s.BlockSize):
		return errors.New("long header differs from that of the first page")
	case h.tli == 0:
		return errors.New("timeline 0")
	}
	n := len(s.Timelines)
	if n == 0 || s.Timelines[n-1].Timeline < h.tli {
		s.Timelines = append(s.Timelines, TimelineStart{h.tli, addr})
	} else if last := s.Timelines[n-1].Timeline; last > h.tli {
		return fmt.Errorf("timeline %d after timeline %d", h.tli, last)
	}
	if n := len(s.begins); n > 0 && h.tli < s.begins[n-1].Timeline {
		return fmt.Errorf("timeline %d after the record that begins timeline %d", h.tli, s.begins[n-1].Timeline)
	}
	return nil
}

// continuation takes the rest of the record that runs into the page and gives
// the offset of the next record, or the end of the page.
func (s *scanner) continuation(p []byte, h *pageHeader) (pos int, err error) {
	pos = h.size()
	contrecord := h.info&pageFirstIsContrecord != 0
	first := h.addr == s.Start
	if h.info&pageFirstIsOverwriteContrecord != 0 {
		if contrecord || !first && !s.isOpen {
			return 0, errors.New("overwrites a record that does not end before")
		}
		return s.overwrite(p, pos, h.addr)
	}
	switch {
	case first && contrecord:
		if h.remLen == 0 || h.remLen > maxRecordSize {
			return 0, fmt.Errorf("continues a record by %d bytes", h.remLen)
		}
		s.HeadLen = h.remLen
		s.isOpen, s.openAt, s.openLen = true, 0, h.remLen
	case contrecord != s.isOpen:
		return 0, errors.New("continuation flag contradicts the record before")
	case !contrecord:
		return pos, nil
	}
	if uint64(h.remLen)+uint64(len(s.open)) != uint64(s.openLen) {
		return 0, fmt.Errorf("continues a record by %d bytes that lacks %d",
			h.remLen, int64(s.openLen)-int64(len(s.open)))
	}
	n := min(int(h.remLen), len(p)-pos)
	if len(s.open)+n > maxHeld && s.watch == nil {
		return 0, fmt.Errorf("record that crosses pages: %w", errTooLong)
	}
	s.open = append(s.open, p[pos:pos+n]...)
	if n < int(h.remLen) {
		return len(p), nil
	}
	pos += int(align(uint64(n)))
	if err := s.closeRecord(p, pos); err != nil {
		return 0, err
	}
	return pos, nil
}

// closeRecord takes the record that was put together in s.open; the next one begins at p[pos].
func (s *scanner) closeRecord(p []byte, pos int) error {
	s.isOpen = false
	if s.openAt != 0 {
		err := s.readRecord(s.open, s.openAt)
		s.open = s.open[:0]
		return err
	}
	s.Head = append([]byte(nil), s.open...)
	s.open = s.open[:0]
	// An XLOG_SWITCH is nothing but a header, whose last eight bytes name it.
	if n := len(s.Head); n < recordHeaderSize && n >= 8 && pos+4 <= len(p) {
		info, rmid := s.Head[n-8], s.Head[n-7]
		s.HeadSwitch = rmid == rmgrXLOG && info&infoRmgrMask == xlogSwitch && totalLen(p[pos:]) == 0
		s.switched = s.HeadSwitch
	}
	return nil
}

// overwrite drops the record that should have continued here: a crash lost its
// rest. The record that says so comes first (XLOG_OVERWRITE_CONTRECORD).
func (s *scanner) overwrite(p []byte, pos int, addr pg.LSN) (int, error) {
	const size = recordHeaderSize + 2 + 16 // header, data header, xl_overwrite_contrecord
	if len(p) < pos+size || totalLen(p[pos:]) != size {
		return 0, errors.New("no record of the overwritten one")
	}
	r := record(p[pos : pos+size])
	if r.rmid() != rmgrXLOG || r.info()&infoRmgrMask != xlogOverwriteContrecord {
		return 0, errors.New("no record of the overwritten one")
	}
	lost := pg.LSN(binary.LittleEndian.Uint64(r[recordHeaderSize+2:]))
	switch {
	case lost == 0 || lost >= addr:
		return 0, fmt.Errorf("overwrites a record at %s", lost)
	case s.openAt == 0: // it began before the segment
		if lost >= s.Start {
			return 0, fmt.Errorf("overwrites a record at %s, which is not there", lost)
		}
		s.Overwritten = lost
	case lost != s.openAt:
		return 0, fmt.Errorf("overwrites a record at %s, not that at %s", lost, s.openAt)
	}
	s.isOpen, s.open = false, s.open[:0]
	return pos, nil
}

// records reads the records that begin on page p from offset pos on.
func (s *scanner) records(p []byte, pos int, addr pg.LSN) error {
	for pos+8 <= len(p) {
		lsn := addr + pg.LSN(pos)
		total := totalLen(p[pos:])
		if total < recordHeaderSize || total > maxRecordSize {
			if total == 0 {
				return fmt.Errorf("no record at %s: WAL ends there", lsn)
			}
			return fmt.Errorf("record at %s: invalid length %d", lsn, total)
		}
		if len(s.marks) > 0 && lsn >= s.marks[0] {
			s.passMarks(lsn)
		}
		if int(total) > len(p)-pos {
			s.isOpen, s.openAt, s.openLen = true, lsn, total
			s.open = append(s.open[:0], p[pos:]...)
			return nil
		}
		if err := s.readRecord(p[pos:pos+int(total)], lsn); err != nil {
			return err
		}
		if s.switched {
			return nil
		}
		pos += int(align(uint64(total)))
	}
	return nil
}

// readRecord takes one whole record.
func (s *scanner) readRecord(r record, lsn pg.LSN) error {
	if err := r.verify(s.version, nil); err != nil {
		return fmt.Errorf("record at %s: %w", lsn, err)
	}
	if s.Last != 0 {
		if prev := r.prev(); prev != s.Last {
			return fmt.Errorf("record at %s: %w", lsn, brokenLink(prev, s.Last))
		}
	} else {
		s.First, s.FirstPrev = lsn, r.prev()
		if s.FirstPrev >= lsn {
			return fmt.Errorf("record at %s: its predecessor is at %s", lsn, s.FirstPrev)
		}
	}
	s.Last = lsn
	if err := s.collector.record(r, nil, lsn); err != nil {
		return fmt.Errorf("record at %s: %w", lsn, err)
	}
	s.switched = r.isSwitch()
	return nil
}

// passMarks notes that a record starts at lsn.
func (s *scanner) passMarks(lsn pg.LSN) {
	for len(s.marks) > 0 && s.marks[0] <= lsn {
		if s.marks[0] == lsn {
			s.found = append(s.found, lsn)
		}
		s.marks = s.marks[1:]
	}
}

// brokenLink says that a record's predecessor is not the one before it.
func brokenLink(prev, want pg.LSN) error {
	if prev == 0 {
		return fmt.Errorf("it has no predecessor, where %s comes before: pg_resetwal was run", want)
	}
	return fmt.Errorf("its predecessor is at %s, not at %s", prev, want)
}

// totalLen gives xl_tot_len of the record that begins at p.
func totalLen(p []byte) uint32 { return binary.LittleEndian.Uint32(p) }
