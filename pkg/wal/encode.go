package wal

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// The layout of an encoded SegmentMap; docs/format.md says what the bytes mean.
const (
	mapMagic        = "pgincrWM"
	mapVersion      = 1
	mapHeaderSize   = 120
	mapChecksumSize = 4 // CRC-32C of all bytes before
	timelineSize    = 12
	redoSize        = 8
	findingSize     = 18 // before the text

	mapFlagHeadSwitch = 0x0001
)

// AppendBinary appends the map's encoding: the same map always gives the same
// bytes. A map that does not cover whole segments cannot be encoded.
func (m *SegmentMap) AppendBinary(b []byte) ([]byte, error) {
	if err := m.verify(); err != nil {
		return b, err
	}
	pages, err := m.Pages.AppendBinary(nil)
	if err != nil {
		return b, err
	}
	begin := len(b)
	b = append(b, mapMagic...)
	b = binary.BigEndian.AppendUint16(b, mapVersion)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, m.Magic)
	var flags uint16
	if m.HeadSwitch {
		flags |= mapFlagHeadSwitch
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = appendUint32s(b, m.SegmentSize, m.BlockSize)
	b = appendUint64s(b, m.SystemIdentifier, uint64(m.Start), uint64(m.End))
	b = appendUint32s(b, m.HeadLen)
	b = appendUint64s(b, uint64(m.Overwritten), uint64(m.First), uint64(m.FirstPrev), uint64(m.Last), uint64(m.TailStart))
	b = appendUint32s(b, uint32(len(m.Timelines)), uint32(len(m.Begins)), uint32(len(m.Redos)), uint32(len(m.Findings)),
		uint32(len(m.Head)), uint32(len(m.Tail)), uint32(len(pages)))
	for _, t := range slices.Concat(m.Timelines, m.Begins) {
		b = appendUint32s(b, uint32(t.Timeline))
		b = appendUint64s(b, uint64(t.LSN))
	}
	for _, redo := range m.Redos {
		b = appendUint64s(b, uint64(redo))
	}
	for _, f := range m.Findings {
		b = appendUint64s(b, uint64(f.First), uint64(f.Last))
		b = binary.BigEndian.AppendUint16(b, uint16(len(f.Reason)))
		b = append(b, f.Reason...)
	}
	b = append(b, m.Head...)
	b = append(b, m.Tail...)
	b = append(b, pages...)
	return binary.BigEndian.AppendUint32(b, pg.CRC32C(b[begin:])), nil
}

func appendUint32s(b []byte, vs ...uint32) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func appendUint64s(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// verify refuses a stretch that no scan of whole segments can give, so that
// code that joins stretches may rely on it.
func (s *Stretch) verify() error {
	if _, err := versionOf(s.Magic); err != nil {
		return err
	}
	g := pg.DefaultGeometry()
	g.WALSegmentSize, g.WALBlockSize = s.SegmentSize, s.BlockSize
	if err := g.Verify(); err != nil {
		return err
	}
	size := pg.LSN(s.SegmentSize)
	switch {
	case s.Start >= s.End || s.Start%size != 0 || s.End%size != 0:
		return fmt.Errorf("from %s to %s: not whole segments of %d bytes", s.Start, s.End, size)
	case len(s.Timelines) == 0 || s.Timelines[0].Timeline == 0 || s.Timelines[0].LSN != s.Start:
		return fmt.Errorf("no timeline at %s", s.Start)
	}
	for i, t := range s.Timelines[1:] {
		if before := s.Timelines[i]; t.Timeline <= before.Timeline || t.LSN <= before.LSN || t.LSN >= s.End {
			return fmt.Errorf("timeline %d from %s on after timeline %d from %s on",
				t.Timeline, t.LSN, before.Timeline, before.LSN)
		}
	}
	for _, f := range s.Findings {
		if len(f.Reason) == 0 || len(f.Reason) > 0xFFFF || f.First > f.Last {
			return fmt.Errorf("finding from %s to %s: text of %d bytes", f.First, f.Last, len(f.Reason))
		}
	}
	return s.verifyRecords()
}

// verifyRecords judges what the stretch says of its records.
func (s *Stretch) verifyRecords() error {
	within := func(lsn pg.LSN) bool { return lsn >= s.Start && lsn < s.End }
	switch {
	case s.cut != nil:
		return errCutRecord
	case uint64(s.HeadLen) > maxRecordSize || uint64(len(s.Head)) > uint64(s.HeadLen):
		return fmt.Errorf("head of %d bytes, its length is %d", len(s.Head), s.HeadLen)
	case s.Overwritten != 0 && (len(s.Head) > 0 || s.Overwritten >= s.Start):
		return fmt.Errorf("overwritten record at %s with a head of %d bytes", s.Overwritten, len(s.Head))
	case s.headOpen() && (s.First != 0 || s.TailStart != 0 || s.HeadSwitch):
		return fmt.Errorf("records behind a head that does not end")
	case (s.First == 0) != (s.Last == 0) || s.First == 0 && s.FirstPrev != 0:
		return fmt.Errorf("first record at %s, last at %s", s.First, s.Last)
	case s.First != 0 && (!within(s.First) || !within(s.Last) || s.First > s.Last || s.FirstPrev >= s.First):
		return fmt.Errorf("first record at %s after %s, last at %s", s.First, s.FirstPrev, s.Last)
	case (s.TailStart == 0) != (len(s.Tail) == 0) || len(s.Tail) > 0 && len(s.Tail) < 8:
		return fmt.Errorf("tail at %s of %d bytes", s.TailStart, len(s.Tail))
	case s.TailStart == 0:
		return nil
	case !within(s.TailStart) || s.TailStart <= s.Last:
		return fmt.Errorf("tail at %s, last record at %s", s.TailStart, s.Last)
	}
	total := totalLen(s.Tail)
	if total < recordHeaderSize || total > maxRecordSize || uint64(total) <= uint64(len(s.Tail)) {
		return fmt.Errorf("tail of %d bytes of a record of %d", len(s.Tail), total)
	}
	return nil
}
