package wal

import (
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Stretch is what must be known of a stretch of WAL, a segment or a run of
// adjacent ones, to join it to its neighbours and to tell what it is good for.
//
// A record that begins before the stretch and runs into it is its head; one
// that begins in it and runs over its end is its tail. Their bytes are kept,
// page headers taken out, so that whoever joins two stretches can put the
// record together and check it.
type Stretch struct {
	SystemIdentifier uint64
	Magic            uint16 // of every page: tells the major version
	SegmentSize      uint32 // bytes
	BlockSize        uint32 // bytes in a WAL page
	// Start is the boundary of a segment. End is one too, unless the scan was
	// told to stop earlier.
	Start, End pg.LSN
	// Timelines says from which page on which timeline is in the page headers; never empty, ascending.
	Timelines []TimelineStart

	// HeadLen is the length that page headers give to the head, in bytes; 0: the
	// stretch begins with a record. If Head is shorter, the whole stretch lies within that record.
	HeadLen uint32
	Head    []byte
	// HeadSwitch: the segment in which the head ends is empty after it. That
	// is right only if the head turns out to be of an XLOG_SWITCH.
	HeadSwitch bool
	// Overwritten, if not 0: the record before the first one was lost in a
	// crash; it began there, before the stretch. There may be a HeadLen of it, but no Head.
	Overwritten pg.LSN

	// First and Last are where the first and the last whole record begin, 0
	// when there is none. FirstPrev is the link of the first to its predecessor.
	First, FirstPrev, Last pg.LSN

	// TailStart is where the tail begins; 0: none.
	TailStart pg.LSN
	Tail      []byte
	cut       *cut // not nil: Tail is no more than the begin of the tail

	// Begins are the records that begin a timeline: the first of it, or the
	// second behind an XLOG_FPW_CHANGE.
	Begins []TimelineStart
	// Redos are the redo positions that checkpoint records of the stretch name.
	Redos []pg.LSN
	// Findings are the reasons not to rely on the map although it was read completely.
	Findings []Finding
}

// TimelineStart is where something on another timeline begins than what is before.
type TimelineStart struct {
	Timeline pg.TimelineID
	LSN      pg.LSN
}

// Finding is a reason not to rely on a map of a range that has a position from
// First to Last in it. Both are starts of records that gave the reason.
type Finding struct {
	First, Last pg.LSN
	Reason      string
}

// addFinding adds f to a list that has each reason once. Findings come in the order of WAL.
func addFinding(list []Finding, f Finding) []Finding {
	for i := range list {
		if list[i].Reason == f.Reason {
			list[i].First = min(list[i].First, f.First)
			list[i].Last = max(list[i].Last, f.Last)
			return list
		}
	}
	return append(list, f)
}

// begunBefore says whether a record in front of page begins timeline tli. Where the segment ends on the
// page of that record, by XLOG_SWITCH, no page header names the timeline, and the
// pages after it are empty. That no page of an older timeline follows such a record is the
// scanner's to check, that it stands where the history says proveSwitches'.
func (s *Stretch) begunBefore(tli pg.TimelineID, page pg.LSN) bool {
	return slices.ContainsFunc(s.Begins, func(t TimelineStart) bool {
		return t.Timeline == tli && t.LSN < page
	})
}

// headOpen says whether the whole stretch lies within one record that began earlier.
func (s *Stretch) headOpen() bool {
	return s.Overwritten == 0 && uint32(len(s.Head)) < s.HeadLen
}

// missing gives how many bytes the record that runs over the end of the stretch still lacks.
func (s *Stretch) missing() uint64 {
	switch {
	case s.headOpen():
		return uint64(s.HeadLen) - uint64(len(s.Head))
	case s.TailStart != 0:
		return uint64(totalLen(s.Tail)) - s.tailLen()
	}
	return 0
}

// Names gives the names of the first and the last segment as files of timeline tli.
func (s *Stretch) Names(tli pg.TimelineID) (first, last string) {
	g := s.geometry()
	return g.WALFileName(tli, g.SegmentOf(s.Start)), g.WALFileName(tli, g.SegmentOf(s.End-1))
}

func (s *Stretch) geometry() pg.Geometry {
	return pg.Geometry{WALSegmentSize: s.SegmentSize, WALBlockSize: s.BlockSize}
}
