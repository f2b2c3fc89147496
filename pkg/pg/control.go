package pg

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// ControlFileSize is the size of global/pg_control (PG_CONTROL_FILE_SIZE).
const ControlFileSize = 8192

// Control is what this project uses of global/pg_control (catalog/pg_control.h).
type Control struct {
	SystemIdentifier    uint64
	ControlVersion      uint32 // 1300, 1700, 1800
	CatalogVersion      uint32
	State               uint32 // DBState
	Time                time.Time
	Checkpoint          LSN // position of the latest checkpoint record
	Redo                LSN
	Timeline            TimelineID
	PrevTimeline        TimelineID
	FullPageWrites      bool
	MinRecoveryPoint    LSN
	MinRecoveryTimeline TimelineID
	BackupStart         LSN
	BackupEnd           LSN
	BackupEndRequired   bool
	WALLevel            int32 // 0 minimal, 1 replica, 2 logical
	WALLogHints         bool
	MaxConnections      int32
	MaxPrepared         int32  // max_prepared_transactions
	MaxLocks            int32  // max_locks_per_transaction
	ChecksumVersion     uint32 // 0: data checksums are off
	Geometry            Geometry
}

// States of Control that this project asks for (DBState).
const (
	StateShutDown           uint32 = 1 // DB_SHUTDOWNED
	StateShutDownInRecovery uint32 = 2 // DB_SHUTDOWNED_IN_RECOVERY
	StateInProduction       uint32 = 6 // DB_IN_PRODUCTION
)

// ParseControl reads the content of global/pg_control of servers 13 to 18 and
// verifies its CRC. An unknown version is an error that names it. A server
// may be writing the file meanwhile: after an error, read it again before believing it.
func ParseControl(b []byte) (Control, error) {
	const crcOffset, crcOffset18 = 288, 292 // 18 has default_char_signedness before
	if len(b) < crcOffset18+4 {
		return Control{}, fmt.Errorf("pg_control: %d bytes, want %d", len(b), ControlFileSize)
	}
	le := binary.LittleEndian
	version := le.Uint32(b[8:])
	crcAt := crcOffset
	switch version {
	case 1300, 1700:
	case 1800:
		crcAt = crcOffset18
	default:
		if v := binary.BigEndian.Uint32(b[8:]); v == 1300 || v == 1700 || v == 1800 {
			return Control{}, fmt.Errorf("pg_control: written on a big-endian machine")
		}
		return Control{}, fmt.Errorf(
			"pg_control: version %d is not one of PostgreSQL 13 to 18 (1300, 1700, 1800)", version)
	}
	if got, want := CRC32C(b[:crcAt]), le.Uint32(b[crcAt:]); got != want {
		return Control{}, fmt.Errorf("pg_control: CRC %08X, want %08X", got, want)
	}
	// FLOATFORMAT_VALUE proves byte order and alignment.
	if f := math.Float64frombits(le.Uint64(b[208:])); f != 1234567.0 {
		return Control{}, fmt.Errorf("pg_control: float format %v, want 1234567", f)
	}
	c := decodeControl(b)
	if err := c.Geometry.Verify(); err != nil {
		return Control{}, fmt.Errorf("pg_control: %w", err)
	}
	return c, nil
}

// decodeControl reads the fields at the offsets of a 64-bit little-endian
// build, which are the same in 13 to 18.
func decodeControl(b []byte) Control {
	le := binary.LittleEndian
	lsn := func(off int) LSN { return LSN(le.Uint64(b[off:])) }
	return Control{
		SystemIdentifier:    le.Uint64(b),
		ControlVersion:      le.Uint32(b[8:]),
		CatalogVersion:      le.Uint32(b[12:]),
		State:               le.Uint32(b[16:]),
		Time:                time.Unix(int64(le.Uint64(b[24:])), 0).UTC(),
		Checkpoint:          lsn(32),
		Redo:                lsn(40),
		Timeline:            TimelineID(le.Uint32(b[48:])),
		PrevTimeline:        TimelineID(le.Uint32(b[52:])),
		FullPageWrites:      b[56] != 0,
		MinRecoveryPoint:    lsn(136),
		MinRecoveryTimeline: TimelineID(le.Uint32(b[144:])),
		BackupStart:         lsn(152),
		BackupEnd:           lsn(160),
		BackupEndRequired:   b[168] != 0,
		WALLevel:            int32(le.Uint32(b[172:])),
		WALLogHints:         b[176] != 0,
		MaxConnections:      int32(le.Uint32(b[180:])),
		MaxPrepared:         int32(le.Uint32(b[192:])),
		MaxLocks:            int32(le.Uint32(b[196:])),
		ChecksumVersion:     le.Uint32(b[252:]),
		Geometry: Geometry{
			BlockSize:      le.Uint32(b[216:]),
			RelSegBlocks:   le.Uint32(b[220:]),
			WALBlockSize:   le.Uint32(b[224:]),
			WALSegmentSize: le.Uint32(b[228:]),
		},
	}
}
