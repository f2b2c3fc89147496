package pg

import (
	"fmt"
	"strconv"
)

// SegNo numbers WAL segments from the beginning of WAL: LSN / segment size.
type SegNo uint64

// SegmentOf gives the number of the WAL segment that holds the byte at lsn.
func (g Geometry) SegmentOf(lsn LSN) SegNo { return SegNo(uint64(lsn) / uint64(g.WALSegmentSize)) }

// SegmentStart gives the position of a WAL segment's first byte.
func (g Geometry) SegmentStart(n SegNo) LSN { return LSN(uint64(n) * uint64(g.WALSegmentSize)) }

// WALFileName names a segment: timeline, then the segment number in two parts
// (XLogFileName, access/xlog_internal.h).
func (g Geometry) WALFileName(tli TimelineID, n SegNo) string {
	per := (uint64(1) << 32) / uint64(g.WALSegmentSize)
	return fmt.Sprintf("%08X%08X%08X", uint32(tli), uint32(uint64(n)/per), uint32(uint64(n)%per))
}

// ParseWALFileName is the inverse of WALFileName.
func (g Geometry) ParseWALFileName(name string) (TimelineID, SegNo, error) {
	per := (uint64(1) << 32) / uint64(g.WALSegmentSize)
	if !IsWALFileName(name) {
		return 0, 0, fmt.Errorf("invalid WAL segment name %q", name)
	}
	tli, _ := strconv.ParseUint(name[:8], 16, 32)
	log, _ := strconv.ParseUint(name[8:16], 16, 32)
	seg, _ := strconv.ParseUint(name[16:], 16, 32)
	if tli == 0 || seg >= per {
		return 0, 0, fmt.Errorf("invalid WAL segment name %q for segments of %d bytes", name, g.WALSegmentSize)
	}
	return TimelineID(tli), SegNo(log*per + seg), nil
}

// IsWALFileName says whether name is 24 upper-case hexadecimal digits.
func IsWALFileName(name string) bool { return len(name) == 24 && isUpperHex(name) }

// IsPartialWALFileName says whether name is a segment name with ".partial".
func IsPartialWALFileName(name string) bool {
	return len(name) == 32 && IsWALFileName(name[:24]) && name[24:] == ".partial"
}

// IsBackupHistoryFileName says whether name is that of a backup history file:
// a segment name, a dot, eight digits and ".backup".
func IsBackupHistoryFileName(name string) bool {
	return len(name) == 40 && IsWALFileName(name[:24]) && name[24] == '.' &&
		isUpperHex(name[25:33]) && name[33:] == ".backup"
}

// HistoryFileName names the history file of a timeline.
func HistoryFileName(tli TimelineID) string { return fmt.Sprintf("%08X.history", uint32(tli)) }

// ParseHistoryFileName is the inverse of HistoryFileName.
func ParseHistoryFileName(name string) (TimelineID, bool) {
	if len(name) != 16 || name[8:] != ".history" || !isUpperHex(name[:8]) {
		return 0, false
	}
	tli, err := strconv.ParseUint(name[:8], 16, 32)
	return TimelineID(tli), err == nil && tli > 0
}

func isUpperHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
