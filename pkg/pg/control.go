package pg

import "time"

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
	ChecksumVersion     uint32 // 0: data checksums are off
	Geometry            Geometry
}

// ParseControl reads the content of global/pg_control of servers 13 to 18 and
// verifies its CRC. An unknown version is an error that names it.
func ParseControl(b []byte) (Control, error) { panic("stub") }
